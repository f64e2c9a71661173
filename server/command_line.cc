#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstring>

#include "base/digest.h"
#include "server/option_sources.h"

namespace turnpike::server {
namespace {

// "--user=alice:x" is --user; anything else is itself.
std::string_view name_of(std::string_view argument) {
  return argument.substr(0, argument.find('='));
}

const Option* option_of(std::string_view argument) {
  if (!argument.starts_with("--")) return nullptr;
  return find_option(name_of(argument).substr(2));
}

CLI::Option* declare(CLI::App& app, const Option& option) {
  const std::string name = "--" + std::string(option.name);
  CLI::Option* declared =
      option.arity == Arity::kFlag ? app.add_flag(name) : app.add_option(name)->expected(1);
  // Repetition is judged below, where the sentence can name both values. Without extra arguments
  // CLI11 also leaves values in square brackets alone, which are IPv6 addresses here.
  return declared->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
}

std::string unknown_argument(std::string_view argument) {
  if (!argument.starts_with("-")) {
    return fmt::format("unexpected argument '{}': every option begins with -- (see --help)",
                       argument);
  }
  const std::string_view name = name_of(argument);
  const std::size_t dashes = name.find_first_not_of('-');
  const std::string_view word = dashes == std::string_view::npos ? name : name.substr(dashes);
  return fmt::format("unknown option {}{} (see --help)", name,
                     suggestion(word, SourceKind::kCommandLine));
}

// What CLI11 would swallow silently: `--realm=` takes the next option for its value, and so does
// `--realm` right before another option.
Expected<void> check_values(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const Option* option = option_of(arguments[i]);
    if (option == nullptr) continue;
    const bool inside = arguments[i].find('=') != std::string::npos;
    if (inside && arguments[i].back() == '=' &&
        name_of(arguments[i]).size() + 1 == arguments[i].size()) {
      return failure(fmt::format("--{} has an empty value", option->name));
    }
    if (option->arity == Arity::kFlag || inside) continue;
    if (i + 1 == arguments.size() || option_of(arguments[i + 1]) != nullptr) {
      return failure(
          fmt::format("--{} needs a value: --{} {}", option->name, option->name, option->value));
    }
    ++i;
  }
  return {};
}

}  // namespace

Expected<Source> read_command_line(const std::vector<std::string>& arguments) {
  if (auto checked = check_values(arguments); !checked) {
    return unexpected(std::move(checked.error()));
  }
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<std::pair<const Option*, CLI::Option*>> declared;
  for (const Option& option : option_table()) declared.emplace_back(&option, declare(app, option));
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError&) {
    // Its text may repeat a secret.
    return failure("the command line cannot be understood (see --help)");
  }
  if (const auto rest = app.remaining(); !rest.empty()) {
    return failure(unknown_argument(rest.front()));
  }
  Source source;
  for (const auto& [option, results] : declared) {
    const std::vector<std::string> texts = results->results();
    if (results->empty()) continue;
    for (const std::string& text : texts) source.given.push_back({option, text, {}});
  }
  return source;
}

void wipe_secret_arguments(int argc, char** argv) {
  const auto overwrite = [](char* text) {
    const std::size_t length = std::strlen(text);
    wipe(MutableBytes(reinterpret_cast<std::uint8_t*>(text), length));
    if (length > 0) text[0] = '*';  // not even the length is told
  };
  for (int i = 1; i < argc; ++i) {
    const Option* option = option_of(argv[i]);
    if (option == nullptr || option->secrecy != Secrecy::kSecret) continue;
    if (char* value = std::strchr(argv[i], '='); value != nullptr) {
      overwrite(value + 1);
    } else if (i + 1 < argc) {
      overwrite(argv[++i]);
    }
  }
}

}  // namespace turnpike::server
