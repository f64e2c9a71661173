// The options of the log.
#include <array>
#include <utility>

#include "server/option_values.h"

namespace turnpike::server {

Applied set_log_level(Config& config, std::string_view text) {
  using enum log::Level;
  constexpr std::array<std::pair<std::string_view, log::Level>, 5> kLevels = {
      {{"debug", kDebug},
       {"info", kInfo},
       {"warning", kWarning},
       {"warn", kWarning},
       {"error", kError}}};
  for (const auto& [word, level] : kLevels) {
    if (!equals_ignoring_case(text, word)) continue;
    config.logging.level = level;
    return {};
  }
  return failure("expected debug, info, warning or error");
}

Applied set_log_format(Config& config, std::string_view text) {
  if (text != "text" && text != "json") return failure("expected text or json");
  config.logging.format = text == "json" ? log::Format::kJson : log::Format::kText;
  return {};
}

Applied set_log_file(Config& config, std::string_view text) {
  if (text.empty()) return failure("expected the path of a file");
  config.logging.file = std::string(text);
  return {};
}

Applied set_syslog(Config& config, std::string_view text) {
  const auto on = parse_switch(text);
  if (!on) return unexpected(on.error());
  config.logging.syslog = *on;
  return {};
}

Applied set_log_redaction(Config& config, std::string_view text) {
  const auto on = parse_switch(text);
  if (!on) return unexpected(on.error());
  config.logging.addresses = *on ? log::Addresses::kCut : log::Addresses::kWhole;
  return {};
}

}  // namespace turnpike::server
