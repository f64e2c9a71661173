#include "server/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/text.h"
#include "server/option_sources.h"

namespace turnpike::server {
namespace {

Expected<void> check_repetition(const Source& source) {
  for (auto given = source.given.begin(); given != source.given.end(); ++given) {
    if (given->option->arity == Arity::kRepeatable) continue;
    const auto again =
        std::find_if(given + 1, source.given.end(),
                     [given](const GivenOption& other) { return other.option == given->option; });
    if (again == source.given.end()) continue;
    return failure(fmt::format("{} and {}: expected only one of them", describe(source, *given),
                               describe(source, *again)));
  }
  return {};
}

// The text of an option that decides what is read next.
const std::string* text_of(const Source& source, std::string_view name) {
  for (const GivenOption& given : source.given) {
    if (given.option->name == name) return &given.text;
  }
  return nullptr;
}

std::string origin_of(const Source& source, const GivenOption& given) {
  if (!given.place.empty()) return given.place;
  switch (source.kind) {
    case SourceKind::kCommandLine:
      return "command line";
    case SourceKind::kEnvironment:
      return environment_name(given.option->name);
    case SourceKind::kFile:
      break;
  }
  return source.file;
}

// Applies what no source before it has set, then claims it.
Expected<void> apply(Invocation& invocation, Source& source, std::set<std::string_view>& settled) {
  std::set<std::string_view> claimed;
  for (GivenOption& given : source.given) {
    const Option& option = *given.option;
    if (option.apply == nullptr || settled.contains(option.setting)) continue;
    claimed.insert(option.setting);
    if (auto applied = option.apply(invocation.config, given.text); !applied) {
      return failure(fmt::format("{}: {}", describe(source, given), applied.error().message));
    }
    const bool secret = option.secrecy == Secrecy::kSecret;
    invocation.settings.push_back({&option, secret ? "" : given.text, origin_of(source, given)});
  }
  settled.merge(claimed);
  return {};
}

void wipe_secrets(Source& source) {
  for (GivenOption& given : source.given) {
    if (given.option->secrecy == Secrecy::kSecret) wipe(given.text);
  }
}

bool holds_secrets(const Source& source) {
  return std::any_of(source.given.begin(), source.given.end(), [](const GivenOption& given) {
    return given.option->secrecy == Secrecy::kSecret;
  });
}

Expected<Invocation> put_together(Invocation::Wish wish, std::vector<Source> sources) {
  Invocation invocation{wish, {}, {}};
  Config& config = invocation.config;
  std::set<std::string_view> settled;
  Expected<void> result;
  for (Source& source : sources) {
    if (result) result = check_repetition(source);
    if (result) result = apply(invocation, source, settled);
    if (source.others_may_read && holds_secrets(source)) {
      config.notices.push_back(fmt::format(
          "every user of this machine can read the secrets in {}: chmod 640 it", source.file));
    }
    std::move(source.warnings.begin(), source.warnings.end(), std::back_inserter(config.warnings));
    std::move(source.notices.begin(), source.notices.end(), std::back_inserter(config.notices));
    wipe_secrets(source);
  }
  if (result) result = check_together(config);
  if (!result) return unexpected(std::move(result.error()));
  return invocation;
}

}  // namespace

Expected<Invocation> read_options(int argc, char** argv, char** environment) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) arguments.emplace_back(argv[i]);
  wipe_secret_arguments(argc, argv);
  auto command_line = read_command_line(arguments);
  for (std::string& argument : arguments) wipe(argument);
  if (!command_line) return unexpected(std::move(command_line.error()));
  if (text_of(*command_line, "help")) return Invocation{Invocation::Wish::kHelp, {}, {}};
  if (text_of(*command_line, "version")) return Invocation{Invocation::Wish::kVersion, {}, {}};

  Invocation::Wish wish = Invocation::Wish::kServe;
  if (text_of(*command_line, "print-config")) wish = Invocation::Wish::kPrint;
  if (text_of(*command_line, "check-config")) wish = Invocation::Wish::kCheck;

  std::vector<std::string_view> variables;
  for (char** variable = environment; *variable != nullptr; ++variable) {
    variables.emplace_back(*variable);
  }
  auto from_environment = read_environment(variables);
  if (!from_environment) return unexpected(std::move(from_environment.error()));

  const std::string* path = text_of(*command_line, "config");
  if (path == nullptr) path = text_of(*from_environment, "config");
  std::vector<Source> sources;
  if (path != nullptr) {
    auto from_file = read_config_file(*path);
    if (!from_file) return unexpected(std::move(from_file.error()));
    sources.push_back(std::move(*from_file));
  }
  sources.insert(sources.begin(), std::move(*from_environment));
  sources.insert(sources.begin(), std::move(*command_line));
  return put_together(wish, std::move(sources));
}

std::string spell(std::string_view option, SourceKind kind) {
  switch (kind) {
    case SourceKind::kCommandLine:
      return fmt::format("--{}", option);
    case SourceKind::kEnvironment:
      return environment_name(option);
    case SourceKind::kFile:
      break;
  }
  return fmt::format("\"{}\"", option);
}

std::string describe(const Source& source, const GivenOption& given) {
  if (!given.place.empty()) return given.place;
  const std::string name = spell(given.option->name, source.kind);
  const bool secret = given.option->secrecy == Secrecy::kSecret;
  const std::string in_file =
      source.kind == SourceKind::kFile ? fmt::format(" in {}", source.file) : "";
  // A flag on the command line is true by standing there.
  const bool flag = given.option->arity == Arity::kFlag;
  const bool bare = source.kind == SourceKind::kCommandLine && flag && given.text == "true";
  if (secret || bare) return name + in_file;
  const std::string_view joint = source.kind == SourceKind::kCommandLine   ? (flag ? "=" : " ")
                                 : source.kind == SourceKind::kEnvironment ? "="
                                                                           : ": ";
  return fmt::format("{}{}{}{}", name, joint, given.text, in_file);
}

std::string suggestion(std::string_view word, SourceKind kind) {
  // Without what all names have in common, which would make everything look near.
  const std::size_t common = kind == SourceKind::kEnvironment ? environment_name("").size() : 0;
  std::vector<std::string> spelled;
  for (const Option& option : option_table()) {
    spelled.push_back(kind == SourceKind::kEnvironment ? environment_name(option.name)
                                                       : std::string(option.name));
  }
  std::vector<std::string_view> names;
  names.reserve(spelled.size());
  for (const std::string& name : spelled) names.push_back(std::string_view(name).substr(common));
  const auto nearest = nearest_name(word.substr(std::min(common, word.size())), names);
  if (!nearest) return "";
  const auto at = std::find(names.begin(), names.end(), *nearest) - names.begin();
  const std::string& name = spelled[static_cast<std::size_t>(at)];
  return fmt::format("; did you mean {}?",
                     kind == SourceKind::kEnvironment ? name : spell(name, kind));
}

}  // namespace turnpike::server
