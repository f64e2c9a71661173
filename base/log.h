// Logging for the impure side (net/, server/, tools/). Lines of text on standard error unless the
// Settings say otherwise; the sink is asynchronous, so a slow terminal or disk never stops a loop.
// Never on the relay path. The protocols do not log: they report events.
#pragma once

#include <fmt/format.h>
#include <sys/types.h>

#include <string_view>
#include <utility>

#include "base/log_format.h"
#include "base/log_settings.h"

namespace turnpike::log {

// Before the first line; without it lines are written directly.
void start(const Settings& settings);
void start(Level level);
void stop();  // flushes
void set_level(Level level);
bool enabled(Level level);  // for lines that are costly to put together
void write(Level level, std::string_view line);
// With what programs read besides the sentence.
void event(Level level, std::string_view sentence, Fields fields);

// Opens the file of the Settings anew, before the next line: whoever rotates logs has moved it. Any
// thread; waits for nothing.
void reopen();
// Whose that file is to be when this process stops being root.
void give_file_to(uid_t user, gid_t group);

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
