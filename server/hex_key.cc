#include "server/hex_key.h"

namespace turnpike::server {

std::optional<Md5Digest> read_hex_key(std::string_view digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  Md5Digest key{};
  if (digits.size() != 2 * key.size()) return std::nullopt;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const char c = digits[i];
    const std::size_t value = kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
    if (value == std::string_view::npos) return std::nullopt;
    key[i / 2] = static_cast<std::uint8_t>(key[i / 2] << 4 | value);
  }
  return key;
}

}  // namespace turnpike::server
