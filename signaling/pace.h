// Pace: how fast one client may talk. Bursts of 200 messages pass, then 50 a second; the bytes that
// a message puts on the way to all its recipients count too, so that a broadcast is charged to who
// sends it. What is over the pace is dropped, and whoever goes on and on is to be cut. A value.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"
#include "signaling/throttle.h"

namespace turnpike::signaling {

class Pace {
 public:
  static constexpr Rate kMessages{200, milliseconds(20)};
  static constexpr std::size_t kBytesPerToken = 16 * 1024;
  static constexpr std::uint16_t kMaxDropped = 1000;  // in a row; then kAbuse

  enum class Judgement : std::uint8_t { kPass, kDrop, kAbuse };

  Judgement judge(MonoTime now, std::size_t bytes, std::size_t recipients = 1) {
    const std::size_t spread = bytes * std::max<std::size_t>(recipients, 1);
    // A full bucket takes any message that passed the size limits.
    const auto tokens = static_cast<std::uint32_t>(
        std::min<std::size_t>(1 + spread / kBytesPerToken, kMessages.burst));
    if (bucket_.take(now, kMessages, tokens)) {
      dropped_ = 0;
      return Judgement::kPass;
    }
    return ++dropped_ >= kMaxDropped ? Judgement::kAbuse : Judgement::kDrop;
  }

 private:
  TokenBucket bucket_;
  std::uint16_t dropped_ = 0;
};

}  // namespace turnpike::signaling
