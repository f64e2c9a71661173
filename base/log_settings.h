// What an operator chooses about the log. Plain values.
#pragma once

#include <cstdint>
#include <string>

namespace turnpike::log {

enum class Level { kDebug, kInfo, kWarning, kError };
enum class Format : std::uint8_t { kText, kJson };
enum class Addresses : std::uint8_t { kWhole, kCut };  // cut: 192.0.2.x, 2001:db8::x

struct Settings {
  Level level = Level::kInfo;
  Format format = Format::kText;
  Addresses addresses = Addresses::kWhole;
  std::string file;     // empty: standard error
  bool syslog = false;  // instead of both
};

}  // namespace turnpike::log
