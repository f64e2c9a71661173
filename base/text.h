// Small text tools: numbers, splitting, and "did you mean".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace turnpike {

// The whole text must be a decimal number without sign or blanks and fit; nullopt otherwise.
std::optional<std::uint64_t> parse_decimal(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);  // ASCII
bool is_valid_utf8(std::string_view text);
// The name nearest to `word` by edit distance, or nullopt when nothing is near enough to suggest.
std::optional<std::string_view> nearest_name(std::string_view word,
                                             std::span<const std::string_view> names);

}  // namespace turnpike
