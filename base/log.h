// Logging for the impure side (net/, server/, tools/). Text lines on standard error; the sink is
// asynchronous, so a slow terminal never stops a loop. Never on the relay path. The protocols do
// not log: they report events.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace turnpike::log {

enum class Level { kDebug, kInfo, kWarning, kError };

void start(Level level);  // before the first line; without it lines are written directly
void stop();              // flushes
void set_level(Level level);
bool enabled(Level level);  // for lines that are costly to put together
void write(Level level, std::string_view line);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace turnpike::log
