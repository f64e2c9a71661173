// JSON as text: checked, taken apart one level deep, and passed on unchanged. The data that members
// send each other is never turned into a tree, so its depth, its numbers and its size cost one pass
// over the bytes. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace turnpike::signaling {

inline constexpr std::size_t kMaxJsonDepth = 64;
inline constexpr std::size_t kMaxJsonMembers = 32;  // of an object that is taken apart

// True when `text` (valid UTF-8) is exactly one JSON value, at most kMaxJsonDepth deep. Numbers are
// checked by grammar only; a \u escape may name half a surrogate pair, as JavaScript's strings may.
bool is_json(std::string_view text);

class JsonObject {
 public:
  // nullopt unless `text` is one JSON object of at most kMaxJsonMembers different names.
  // Borrows `text`.
  static std::optional<JsonObject> parse(std::string_view text);
  // The value's text, trimmed; nullopt when there is no such member.
  std::optional<std::string_view> find(std::string_view name) const;

 private:
  struct Member {
    std::string name;
    std::string_view value;
  };
  std::vector<Member> members_;
};

// The texts of the elements of a JSON array, trimmed; nullopt unless `text` is one array of at most
// `most` elements. Borrows `text`.
std::optional<std::vector<std::string_view>> json_elements(std::string_view text, std::size_t most);

// The string that the text of a JSON string means; nullopt for other values and for strings that
// UTF-8 cannot hold (half a surrogate pair). `value` must have passed is_json or JsonObject.
std::optional<std::string> json_string(std::string_view value);
// A whole number without sign, fraction or exponent that fits; nullopt otherwise.
std::optional<std::uint64_t> json_uint(std::string_view value);
// Appends `text` (valid UTF-8) as a JSON string.
void append_json_string(std::string& out, std::string_view text);

}  // namespace turnpike::signaling
