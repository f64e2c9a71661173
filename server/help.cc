// --help and --version, from the table of options.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "server/option_table.h"
#include "server/options.h"
#include "server/subcommands.h"

namespace turnpike::server {
namespace {

constexpr std::size_t kWidth = 96;
constexpr std::size_t kTextColumn = 36;

constexpr std::string_view kIntroduction =
    R"(STUN/TURN relay and WebRTC room signaling in one binary.

Usage: turnpike [command] [options]

Without options it listens on port 3478 of every address, relays from the address that routes
outward, makes its own secrets at the first start, and prints what to paste and where to click.
)";

constexpr std::string_view kAfterwards = R"(
The same names work elsewhere; the command line wins over the environment, that over the file:
  TURNPIKE_LISTENING_PORT=3478        upper case, _ for -; lists separated by commas, lists of
                                      secrets by line breaks only
  TURNPIKE_REALM__FILE=/run/realm     a file that holds the value
  {"listening-port": 3478}            in the file of --config; lists are arrays
  listening-port=3478                 in coturn's turnserver.conf, which --config reads as well

Secrets are better given in files or in the environment. In arguments they are overwritten at
once, but not before others may have seen them.

Examples:
  turnpike
  turnpike --external-ip 203.0.113.10/10.0.0.4 --public-host turn.example.org
  turnpike --public-host turn.example.org --cert fullchain.pem --pkey privkey.pem \
           --tls-listening-port 443 --static-auth-secret-file /etc/turnpike/secret
  turnpike --config /etc/turnpike/turnpike.json

Exit codes: 0 ended by SIGTERM or SIGINT; 1 the doctor found a problem; 2 a mistake in the
options; 3 cannot listen; 4 certificate or key; 5 state directory; 6 could not drop root.
)";

std::string wrapped(std::string_view text) {
  std::string lines;
  std::size_t column = kTextColumn;
  for (const std::string_view word : split(text, ' ')) {
    if (column + 1 + word.size() > kWidth) {
      lines += '\n';
      lines.append(kTextColumn, ' ');
      column = kTextColumn;
    } else if (!lines.empty()) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

std::string description(const Option& option) {
  std::string text(option.help);
  if (option.arity == Arity::kRepeatable) text += " May be repeated.";
  if (!option.fallback.empty()) text += fmt::format(" Default: {}.", option.fallback);
  return text;
}

std::string entry(std::string head, std::string_view text) {
  if (head.size() + 2 > kTextColumn) {
    head += '\n';
    head.append(kTextColumn, ' ');
  } else {
    head.append(kTextColumn - head.size(), ' ');
  }
  return head + wrapped(text) + '\n';
}

std::string option_head(std::string_view name, std::string_view value) {
  return value.empty() ? fmt::format("  --{}", name) : fmt::format("  --{} {}", name, value);
}

}  // namespace

std::string_view version() { return TURNPIKE_VERSION; }

std::string help_text() {
  std::string text = fmt::format("turnpike {}: {}", version(), kIntroduction);
  text += "\nCommands\n";
  for (const Subcommand& one : subcommands()) {
    text += entry(fmt::format("  {}", one.name), one.help);
  }
  for (const OptionGroup group : kGroupsInOrder) {
    text += fmt::format("\n{}\n", title(group));
    for (const Option& option : option_table()) {
      if (option.group != group) continue;
      text += entry(option_head(option.name, option.value), description(option));
    }
  }
  text += kAfterwards;
  return text;
}

std::string help_text(const Subcommand& subcommand) {
  std::string text =
      fmt::format("Usage: turnpike {} [options]\n\n{}\n\n", subcommand.name, subcommand.help);
  for (const SubcommandOption& option : subcommand.options) {
    text += entry(option_head(option.name, option.value), option.help);
  }
  return text +
         "\nEvery option of the server is understood as well and read from the same places, the\n"
         "environment and --config among them: turnpike --help has them all.\n";
}

}  // namespace turnpike::server
