#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "base/text.h"
#include "server/option_sources.h"
#include "server/secret_file.h"

namespace turnpike::server {
namespace {

constexpr std::string_view kPrefix = "TURNPIKE_";

// The test scripts name the program with it; it is not an option.
constexpr std::string_view kBinaryVariable = "TURNPIKE_BINARY";

// Of the option's own variable with this, a file holds the value: how container platforms hand
// secrets over.
constexpr std::string_view kFileSuffix = "__FILE";

const Option* option_of_variable(std::string_view name) {
  for (const Option& option : option_table()) {
    if (!asks_only(option) && environment_name(option.name) == name) return &option;
  }
  return nullptr;
}

// Kubernetes puts these into every container beside a service that is called turnpike.
bool comes_from_kubernetes(std::string_view name) {
  const std::string_view rest = name.substr(kPrefix.size());
  return rest == "PORT" || rest.starts_with("PORT_") || rest == "SERVICE_HOST" ||
         rest.starts_with("SERVICE_PORT");
}

std::vector<std::string_view> values(const Option& option, std::string_view text) {
  if (option.arity != Arity::kRepeatable) return {text};
  std::vector<std::string_view> list;
  for (const std::string_view line : split(text, '\n')) {
    // A password may hold a comma.
    if (option.secrecy == Secrecy::kSecret) {
      list.push_back(trim(line));
      continue;
    }
    for (const std::string_view part : split(line, ',')) list.push_back(trim(part));
  }
  std::erase_if(list, [](std::string_view part) { return part.empty(); });
  return list;
}

bool has_value(std::span<const std::string_view> variables, std::string_view name) {
  return std::any_of(variables.begin(), variables.end(), [name](std::string_view variable) {
    return variable.starts_with(name) && variable.substr(name.size()).starts_with('=') &&
           variable.size() > name.size() + 1;
  });
}

std::string not_known(std::string_view name, std::string_view option) {
  return fmt::format("unknown variable {} in the environment{}", name,
                     suggestion(option, SourceKind::kEnvironment));
}

// One value a line; for an option with one value exactly one line.
Expected<void> take_file(Source& source, const Option& option, std::string_view variable,
                         const std::string& path) {
  const std::string place = fmt::format("{}={}", variable, path);
  const auto refuse = [&place](std::string_view reason) {
    return failure(fmt::format("{}: {}", place, reason));
  };
  // A public key of many lines is one value, which the option for files knows.
  if (const Option* twin = find_option(fmt::format("{}-file", option.name))) {
    source.given.push_back({twin, path, place});
    return {};
  }
  auto file = read_secret_file(path);
  if (!file) return refuse(file.error().message);
  if (option.arity != Arity::kRepeatable && file->lines.size() > 1) {
    for (SecretLine& line : file->lines) wipe(line.text);
    return refuse("expected one line, the value");
  }
  if (file->others_may_read && option.secrecy == Secrecy::kSecret) {
    source.notices.push_back(
        fmt::format("every user of this machine can read {} ({}): chmod 640 it", path, variable));
  }
  for (SecretLine& line : file->lines) {
    source.given.push_back({&option, line.text, place});
    wipe(line.text);
  }
  return {};
}

Expected<void> take_variable(Source& source, std::string_view name, std::string_view text,
                             std::span<const std::string_view> variables) {
  const bool in_file = name.ends_with(kFileSuffix);
  const std::string_view base = in_file ? name.substr(0, name.size() - kFileSuffix.size()) : name;
  const Option* option = option_of_variable(base);
  if (option == nullptr || (in_file && option->name == "config")) {
    return failure(not_known(name, base));
  }
  if (text.empty()) return {};
  if (in_file) {
    if (has_value(variables, base)) {
      return failure(fmt::format("{} and {}: expected only one of them", base, name));
    }
    return take_file(source, *option, name, std::string(text));
  }
  for (const std::string_view value : values(*option, text)) {
    source.given.push_back({option, std::string(value), {}});
  }
  return {};
}

}  // namespace

Expected<Source> read_environment(std::span<const std::string_view> variables) {
  const bool in_kubernetes = std::any_of(
      variables.begin(), variables.end(),
      [](std::string_view variable) { return variable.starts_with("KUBERNETES_SERVICE_HOST="); });
  Source source;
  source.kind = SourceKind::kEnvironment;
  for (const std::string_view variable : variables) {
    if (!variable.starts_with(kPrefix)) continue;
    const std::string_view name = variable.substr(0, variable.find('='));
    const std::string_view text = variable.substr(std::min(name.size() + 1, variable.size()));
    if (name == kBinaryVariable || (in_kubernetes && comes_from_kubernetes(name))) continue;
    if (auto taken = take_variable(source, name, text, variables); !taken) {
      return unexpected(std::move(taken.error()));
    }
  }
  return source;
}

}  // namespace turnpike::server
