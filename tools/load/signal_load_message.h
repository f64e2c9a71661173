// The messages that a relay run exchanges: who sent it, its number, when it was due, and a filler
// that depends on all of that, so that a mixed up or damaged message is noticed. Plain text that
// needs no escaping in JSON. Values; the generator's own thread.
//
//   ~ pair(6) side(1) number(8) due(16) : filler ...        all hexadecimal
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace turnpike::signal_load {

struct MessageHead {
  std::uint32_t pair = 0;    // below 2^24
  std::uint8_t side = 0;     // 0 or 1
  std::uint32_t number = 0;  // of that side, from 0 on
  std::uint64_t due = 0;     // nanoseconds, the generator's clock
};

class MessageFormat {
 public:
  static constexpr std::size_t kMinSize = 33;
  static constexpr std::size_t kMaxSize = 60 * 1024;

  explicit MessageFormat(std::size_t size);  // of each message; clamped to the limits
  std::size_t size() const { return size_; }

  void append(std::string& out, const MessageHead& head) const;
  // nullopt: not one of ours, or damaged.
  std::optional<MessageHead> read(std::string_view text) const;

 private:
  std::string_view filler(const MessageHead& head) const;
  std::size_t size_;
  std::string ring_;
};

}  // namespace turnpike::signal_load
