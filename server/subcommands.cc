#include "server/subcommands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "server/option_table.h"

namespace turnpike::server {
namespace {

using Kind = Subcommand::Kind;

constexpr std::array kCredentialsOptions = {
    SubcommandOption{"user-id", "NAME", "Whom they are for: a part of the username. Default: cli."},
    SubcommandOption{"ttl", "SECONDS",
                     "How long they are good for, a year at most. Default: 86400, a day."},
    SubcommandOption{"json", "", "One JSON object instead of text to read and to paste."},
};

constexpr std::array kDoctorOptions = {
    SubcommandOption{"stun-server", "HOST[:PORT]",
                     "Ask this server how the relay addresses are seen outside, and compare."},
    SubcommandOption{"json", "", "One JSON object instead of text to read."},
};

constexpr std::array kCtlOptions = {
    SubcommandOption{"socket", "PATH", "The server's --admin-socket."},
    SubcommandOption{"json", "", "What the server answers, not a table."},
};

constexpr std::array kSubcommands = {
    Subcommand{Kind::kServe, "serve", "Relay and signal; the same as no word at all.", {}},
    Subcommand{Kind::kCredentials, "credentials",
               "Print time-limited credentials, signed with the server's shared secret: username "
               "and password, iceServers to paste, and lines to try them with.",
               kCredentialsOptions},
    Subcommand{
        Kind::kDoctor, "doctor",
        "Look at ports, addresses, the certificate and this machine as the configuration "
        "needs them, and say what mends what is wrong. Ends with 1 where there is a problem.",
        kDoctorOptions},
    Subcommand{
        Kind::kCtl, "ctl",
        "Ask the server that runs on this machine, or tell it: info, sessions, rooms, audit, "
        "kick, drain, reload, log-level, credentials. More: turnpike ctl --help.",
        kCtlOptions},
};

const Subcommand* find_subcommand(std::string_view name) {
  const auto found = std::find_if(kSubcommands.begin(), kSubcommands.end(),
                                  [name](const Subcommand& one) { return one.name == name; });
  return found == kSubcommands.end() ? nullptr : &*found;
}

std::string unknown_subcommand(std::string_view word) {
  std::vector<std::string_view> names;
  for (const Subcommand& one : kSubcommands) names.push_back(one.name);
  const auto nearest = nearest_name(word, names);
  const std::string suggestion = nearest ? fmt::format("; did you mean {}?", *nearest) : "";
  return fmt::format("unknown command {}{} (see --help)", word, suggestion);
}

// Whether the argument after this one is its value.
bool takes_next(std::string_view argument) {
  if (!argument.starts_with("--") || argument.find('=') != std::string_view::npos) return false;
  const Option* option = find_option(argument.substr(2));
  return option != nullptr && option->arity != Arity::kFlag;
}

const SubcommandOption* own_option(const Subcommand& subcommand, std::string_view argument) {
  if (!argument.starts_with("--")) return nullptr;
  const std::string_view name = argument.substr(2, argument.find('=') - 2);
  const auto found = std::find_if(subcommand.options.begin(), subcommand.options.end(),
                                  [name](const SubcommandOption& one) { return one.name == name; });
  return found == subcommand.options.end() ? nullptr : &*found;
}

// Takes the option at `at` and says where the next argument is.
Expected<int> take(SubcommandLine& line, const SubcommandOption& option, int at, int argc,
                   char** argv) {
  const std::string_view argument = argv[at];
  const std::size_t equals = argument.find('=');
  if (line.has(option.name)) {
    return failure(fmt::format("--{} is given twice: expected one of them", option.name));
  }
  if (option.value.empty()) {
    if (equals != std::string_view::npos) {
      return failure(fmt::format("--{} takes no value", option.name));
    }
    line.given.emplace(option.name, "");
    return at + 1;
  }
  const bool inside = equals != std::string_view::npos;
  const std::string_view value = inside          ? argument.substr(equals + 1)
                                 : at + 1 < argc ? argv[at + 1]
                                                 : "";
  if (value.empty() || (!inside && value.starts_with("--"))) {
    return failure(
        fmt::format("--{} needs a value: --{} {}", option.name, option.name, option.value));
  }
  line.given.emplace(option.name, value);
  return at + (inside ? 1 : 2);
}

}  // namespace

std::span<const Subcommand> subcommands() { return kSubcommands; }

std::optional<std::string_view> SubcommandLine::text_of(std::string_view name) const {
  const auto found = given.find(name);
  if (found == given.end()) return std::nullopt;
  return found->second;
}

Expected<SubcommandLine> split_command_line(int argc, char** argv) {
  SubcommandLine line;
  line.subcommand = &kSubcommands.front();
  if (argc > 0) line.rest.push_back(argv[0]);
  int at = 1;
  if (argc > 1 && argv[1][0] != '-' && argv[1][0] != '\0') {
    line.subcommand = find_subcommand(argv[1]);
    if (line.subcommand == nullptr) return failure(unknown_subcommand(argv[1]));
    at = 2;
  }
  while (at < argc) {
    if (const SubcommandOption* own = own_option(*line.subcommand, argv[at])) {
      const auto next = take(line, *own, at, argc, argv);
      if (!next) return unexpected(next.error());
      at = *next;
      continue;
    }
    const bool two = takes_next(argv[at]) && at + 1 < argc;
    line.rest.push_back(argv[at++]);
    if (two) line.rest.push_back(argv[at++]);
  }
  return line;
}

}  // namespace turnpike::server
