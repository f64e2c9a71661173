#include "signaling/json_text.h"

#include <algorithm>
#include <bitset>
#include <utility>

#include "base/text.h"

namespace turnpike::signaling {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// A cursor over JSON text (RFC 8259). Every skip_* answers false where the grammar is broken.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::size_t position() const { return at_; }
  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool accept(char c) {
    if (peek() != c || at_end()) return false;
    ++at_;
    return true;
  }
  void skip_blanks() {
    while (is_blank(peek())) ++at_;
  }

  bool skip_string() {
    if (!accept('"')) return false;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !skip_escape()) return false;
    }
    return false;
  }

  // One value with all that is in it. A loop with one bit a level (object or array) instead of
  // recursion: depth costs nothing, and too much of it is an answer.
  bool skip_value(std::size_t depth_used) {
    std::bitset<kMaxJsonDepth> is_object;
    std::size_t depth = 0;
    while (true) {
      skip_blanks();
      const char c = peek();
      if (c == '{' || c == '[') {
        ++at_;
        if (depth + depth_used >= kMaxJsonDepth) return false;
        is_object[depth++] = c == '{';
        skip_blanks();
        if (accept(c == '{' ? '}' : ']')) {
          --depth;
        } else {
          if (c == '{' && !skip_name()) return false;
          continue;
        }
      } else if (!skip_scalar()) {
        return false;
      }
      if (!close_levels(is_object, depth)) return false;
      if (depth == 0) return true;
    }
  }

  bool skip_name() {
    skip_blanks();
    if (!skip_string()) return false;
    skip_blanks();
    return accept(':');
  }

 private:
  // After a value: ends the containers that end here and moves to the next value of the one that
  // does not. depth is 0 when the outermost value is complete.
  bool close_levels(const std::bitset<kMaxJsonDepth>& is_object, std::size_t& depth) {
    while (depth > 0) {
      skip_blanks();
      const bool object = is_object[depth - 1];
      if (accept(',')) return !object || skip_name();
      if (!accept(object ? '}' : ']')) return false;
      --depth;
    }
    return true;
  }
  bool skip_escape() {
    if (at_end()) return false;
    const char c = text_[at_++];
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    for (int i = 0; i < 4; ++i) {
      if (!is_hex(peek())) return false;
      ++at_;
    }
    return true;
  }
  bool skip_scalar() {
    if (peek() == '"') return skip_string();
    if (peek() == '-' || is_digit(peek())) return skip_number();
    for (const std::string_view word : {"true", "false", "null"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return true;
    }
    return false;
  }
  bool skip_digits() {
    if (!is_digit(peek())) return false;
    while (is_digit(peek())) ++at_;
    return true;
  }
  bool skip_number() {
    accept('-');
    if (!accept('0') && !skip_digits()) return false;
    if (accept('.') && !skip_digits()) return false;
    if (accept('e') || accept('E')) {
      if (!accept('+')) accept('-');
      return skip_digits();
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&out](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | code >> 6);
    byte(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    byte(0xe0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3f));
    byte(0x80 | (code & 0x3f));
  } else {
    byte(0xf0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3f));
    byte(0x80 | (code >> 6 & 0x3f));
    byte(0x80 | (code & 0x3f));
  }
}

std::uint32_t hex4(std::string_view digits) {
  std::uint32_t value = 0;
  for (const char c : digits.substr(0, 4)) {
    const auto low = static_cast<std::uint32_t>(c | 0x20);
    value = value * 16 + (is_digit(c) ? static_cast<std::uint32_t>(c - '0') : low - 'a' + 10);
  }
  return value;
}

// `rest` stands behind "\u". Takes the escape, and its second half where it is a surrogate.
bool append_unicode_escape(std::string& out, std::string_view& rest) {
  std::uint32_t code = hex4(rest);
  rest.remove_prefix(4);
  if (code >= 0xdc00 && code <= 0xdfff) return false;
  if (code >= 0xd800 && code <= 0xdbff) {
    if (rest.substr(0, 2) != "\\u") return false;
    const std::uint32_t low = hex4(rest.substr(2));
    if (low < 0xdc00 || low > 0xdfff) return false;
    rest.remove_prefix(6);
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  append_utf8(out, code);
  return true;
}

}  // namespace

bool is_json(std::string_view text) {
  Scanner scanner(text);
  if (!scanner.skip_value(0)) return false;
  scanner.skip_blanks();
  return scanner.at_end();
}

std::optional<JsonObject> JsonObject::parse(std::string_view text) {
  JsonObject object;
  Scanner scanner(text);
  scanner.skip_blanks();
  if (!scanner.accept('{')) return std::nullopt;
  scanner.skip_blanks();
  bool more = !scanner.accept('}');
  while (more) {
    if (object.members_.size() == kMaxJsonMembers) return std::nullopt;
    scanner.skip_blanks();
    const std::size_t name_at = scanner.position();
    if (!scanner.skip_string()) return std::nullopt;
    auto name = json_string(text.substr(name_at, scanner.position() - name_at));
    if (!name || object.find(*name)) return std::nullopt;
    scanner.skip_blanks();
    if (!scanner.accept(':')) return std::nullopt;
    scanner.skip_blanks();
    const std::size_t value_at = scanner.position();
    if (!scanner.skip_value(1)) return std::nullopt;
    object.members_.push_back(
        {std::move(*name), text.substr(value_at, scanner.position() - value_at)});
    scanner.skip_blanks();
    more = scanner.accept(',');
    if (!more && !scanner.accept('}')) return std::nullopt;
  }
  scanner.skip_blanks();
  if (!scanner.at_end()) return std::nullopt;
  return object;
}

std::optional<std::string_view> JsonObject::find(std::string_view name) const {
  for (const Member& member : members_) {
    if (member.name == name) return member.value;
  }
  return std::nullopt;
}

std::optional<std::vector<std::string_view>> json_elements(std::string_view text,
                                                           std::size_t most) {
  std::vector<std::string_view> elements;
  Scanner scanner(text);
  scanner.skip_blanks();
  if (!scanner.accept('[')) return std::nullopt;
  scanner.skip_blanks();
  bool more = !scanner.accept(']');
  while (more) {
    if (elements.size() == most) return std::nullopt;
    scanner.skip_blanks();
    const std::size_t at = scanner.position();
    if (!scanner.skip_value(1)) return std::nullopt;
    elements.push_back(text.substr(at, scanner.position() - at));
    scanner.skip_blanks();
    more = scanner.accept(',');
    if (!more && !scanner.accept(']')) return std::nullopt;
  }
  scanner.skip_blanks();
  if (!scanner.at_end()) return std::nullopt;
  return elements;
}

std::optional<std::string> json_string(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return std::nullopt;
  std::string_view rest = value.substr(1, value.size() - 2);
  std::string result;
  result.reserve(rest.size());
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c != '\\') {
      result.push_back(c);
      continue;
    }
    const char escape = rest.front();
    rest.remove_prefix(1);
    switch (escape) {
      case 'b':
        result.push_back('\b');
        break;
      case 'f':
        result.push_back('\f');
        break;
      case 'n':
        result.push_back('\n');
        break;
      case 'r':
        result.push_back('\r');
        break;
      case 't':
        result.push_back('\t');
        break;
      case 'u':
        if (!append_unicode_escape(result, rest)) return std::nullopt;
        break;
      default:
        result.push_back(escape);
    }
  }
  return result;
}

std::optional<std::uint64_t> json_uint(std::string_view value) { return parse_decimal(value); }

void append_json_string(std::string& out, std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      out.append("\\u00");
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace turnpike::signaling
