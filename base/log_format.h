// Log lines as text or JSON. Pure functions; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/log_settings.h"

namespace turnpike::log {

// What a line says besides its sentence, for those who read logs by program: a stable name and a
// value. In text they are " name=value" behind the sentence, in JSON members beside it.
struct Field {
  std::string_view name;
  std::variant<std::string_view, std::uint64_t, double> value;
};
using Fields = std::initializer_list<Field>;

// How fields travel with their line through the queue, rendered already: a separator that no line
// can contain, since control characters are replaced in every line.
inline constexpr char kFieldSeparator = '\x1f';
std::string render(Format format, Fields fields);

struct Line {
  std::chrono::system_clock::time_point time;
  Level level = Level::kInfo;
  std::string_view sentence;
  std::string_view fields;  // as render() made them
};
// Whether time and level stand in a line of text; the journal and syslog know them anyway.
enum class Head : std::uint8_t { kFull, kNone };
// Without a line break at the end.
std::string to_text(const Line& line, Head head);
std::string to_json(const Line& line);

// "?" for every control character: a name that a stranger chose must not be able to write a line
// of its own.
std::string without_controls(std::string_view text);

// Every IP address is cut to its network, /24 or /48; loopback and "any" say nothing and stay.
std::string without_addresses(std::string_view text);

std::string_view to_word(Level level);

}  // namespace turnpike::log
