// Bytes written as hexadecimal text in tests; blanks are ignored.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace turnpike {

inline std::vector<std::uint8_t> from_hex(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  int digits = 0, value = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    constexpr std::string_view kDigits = "0123456789abcdef";
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) std::abort();  // a typing error in the test
    value = value * 16 + static_cast<int>(digit);
    if (++digits % 2 == 0) {
      bytes.push_back(static_cast<std::uint8_t>(value));
      value = 0;
    }
  }
  if (digits % 2 != 0) std::abort();
  return bytes;
}

}  // namespace turnpike
