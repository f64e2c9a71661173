#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "server/option_sources.h"

namespace turnpike::server {
namespace {

constexpr std::string_view kPrefix = "TURNPIKE_";

// The test scripts name the program with it; it is not an option.
constexpr std::string_view kBinaryVariable = "TURNPIKE_BINARY";

const Option* option_of_variable(std::string_view name) {
  for (const Option& option : option_table()) {
    const bool only_argument = option.name == "help" || option.name == "version";
    if (!only_argument && environment_name(option.name) == name) return &option;
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

}  // namespace

Expected<Source> read_environment(std::span<const std::string_view> variables) {
  const bool in_kubernetes = std::any_of(
      variables.begin(), variables.end(),
      [](std::string_view variable) { return variable.starts_with("KUBERNETES_SERVICE_HOST="); });
  Source source{.kind = SourceKind::kEnvironment, .file = {}, .given = {}};
  for (const std::string_view variable : variables) {
    if (!variable.starts_with(kPrefix)) continue;
    const std::string_view name = variable.substr(0, variable.find('='));
    const std::string_view text = variable.substr(std::min(name.size() + 1, variable.size()));
    if (name == kBinaryVariable || (in_kubernetes && comes_from_kubernetes(name))) continue;
    const Option* option = option_of_variable(name);
    if (option == nullptr) {
      return failure(fmt::format("unknown variable {} in the environment{}", name,
                                 suggestion(name, SourceKind::kEnvironment)));
    }
    if (text.empty()) continue;
    for (const std::string_view value : values(*option, text)) {
      source.given.push_back({option, std::string(value)});
    }
  }
  return source;
}

}  // namespace turnpike::server
