// Bytes on the wire: borrowed views and the two cursors that read and write them in network order.
// Both cursors are sticky: after the first overrun every further call does nothing (a Reader
// answers zeros and empty views) and ok() says so once, at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace turnpike {

using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}
// STUN attributes, ChannelData on streams: everything is padded to four bytes.
constexpr std::size_t padding_to_four(std::size_t size) { return (4 - size % 4) % 4; }

class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  std::size_t remaining() const { return bytes_.size() - at_; }
  std::size_t position() const { return at_; }
  ByteView rest() const { return bytes_.subspan(at_); }

  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  ByteView bytes(std::size_t count) {
    if (!take(count)) return {};
    return bytes_.subspan(at_ - count, count);
  }
  void skip(std::size_t count) { take(count); }

 private:
  bool take(std::size_t count) {
    if (!ok_ || count > remaining()) {
      ok_ = false;
      return false;
    }
    at_ += count;
    return true;
  }
  std::uint64_t number(std::size_t size) {
    if (!take(size)) return 0;
    std::uint64_t value = 0;
    for (std::size_t i = at_ - size; i < at_; ++i) value = value << 8 | bytes_[i];
    return value;
  }

  ByteView bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(MutableBytes room) : room_(room) {}

  bool ok() const { return ok_; }
  std::size_t size() const { return at_; }
  std::size_t remaining() const { return room_.size() - at_; }
  ByteView written() const { return ByteView(room_.data(), at_); }

  void u8(std::uint8_t value) { number(value, 1); }
  void u16(std::uint16_t value) { number(value, 2); }
  void u32(std::uint32_t value) { number(value, 4); }
  void u64(std::uint64_t value) { number(value, 8); }
  void bytes(ByteView source) {
    if (!take(source.size()) || source.empty()) return;
    std::memcpy(room_.data() + at_ - source.size(), source.data(), source.size());
  }
  void zeros(std::size_t count) {
    if (!take(count) || count == 0) return;
    std::memset(room_.data() + at_ - count, 0, count);
  }
  // Overwrites two bytes already written: a length that is known only at the end.
  void patch_u16(std::size_t position, std::uint16_t value) {
    if (position + 2 > at_) {
      ok_ = false;
      return;
    }
    room_[position] = static_cast<std::uint8_t>(value >> 8);
    room_[position + 1] = static_cast<std::uint8_t>(value);
  }

 private:
  bool take(std::size_t count) {
    if (!ok_ || count > remaining()) {
      ok_ = false;
      return false;
    }
    at_ += count;
    return true;
  }
  void number(std::uint64_t value, std::size_t size) {
    if (!take(size)) return;
    for (std::size_t i = 0; i < size; ++i) {
      room_[at_ - 1 - i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
  }

  MutableBytes room_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace turnpike
