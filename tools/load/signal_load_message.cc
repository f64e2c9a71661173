#include "tools/load/signal_load_message.h"

#include <algorithm>
#include <charconv>

namespace turnpike::signal_load {

namespace {

constexpr std::size_t kRing = 61;  // prime: neighbours never look alike
constexpr std::string_view kLetters =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

void append_hex(std::string& out, std::uint64_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out.push_back(kLetters[value >> shift & 0xf]);
  }
}

template <typename T>
bool take_hex(std::string_view& text, std::size_t digits, T& value) {
  const char* end = text.data() + digits;
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  text.remove_prefix(digits);
  return error == std::errc() && stop == end;
}

}  // namespace

MessageFormat::MessageFormat(std::size_t size) : size_(std::clamp(size, kMinSize, kMaxSize)) {
  while (ring_.size() < size_ + kRing) ring_.append(kLetters.substr(0, kRing));
}

std::string_view MessageFormat::filler(const MessageHead& head) const {
  const std::size_t start = (head.number + head.pair * 7 + head.side * 31) % kRing;
  return std::string_view(ring_).substr(start, size_ - kMinSize);
}

void MessageFormat::append(std::string& out, const MessageHead& head) const {
  out.push_back('~');
  append_hex(out, head.pair, 6);
  append_hex(out, head.side, 1);
  append_hex(out, head.number, 8);
  append_hex(out, head.due, 16);
  out.push_back(':');
  out.append(filler(head));
}

std::optional<MessageHead> MessageFormat::read(std::string_view text) const {
  if (text.size() != size_ || text.front() != '~' || text[kMinSize - 1] != ':') return std::nullopt;
  std::string_view digits = text.substr(1);
  MessageHead head;
  const bool whole = take_hex(digits, 6, head.pair) && take_hex(digits, 1, head.side) &&
                     take_hex(digits, 8, head.number) && take_hex(digits, 16, head.due);
  if (!whole || head.side > 1 || text.substr(kMinSize) != filler(head)) return std::nullopt;
  return head;
}

}  // namespace turnpike::signal_load
