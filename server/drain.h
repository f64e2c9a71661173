// Drain: the state of a server that takes nobody new and ends when the last one has gone, or at a
// deadline. Values only; the main thread's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace turnpike::server {

// Who is still there.
struct Live {
  std::uint64_t allocations = 0;
  std::uint64_t conversations = 0;  // signaling::Service::conversations
  bool none() const { return allocations == 0 && conversations == 0; }
};

class Drain {
 public:
  // Workers hear of the drain by mail: what they counted before that is no proof.
  static constexpr seconds kLeastTime{1};

  // `limit` 0: no deadline. A second call changes nothing.
  void begin(MonoTime now, seconds limit) {
    if (began_) return;
    began_ = now;
    if (limit > seconds(0)) deadline_ = now + limit;
  }
  bool draining() const { return began_.has_value(); }
  // Until the deadline; nullopt when there is none.
  std::optional<seconds> left(MonoTime now) const {
    if (!deadline_) return std::nullopt;
    const Duration left = *deadline_ - now;
    return left > Duration::zero() ? std::chrono::ceil<seconds>(left) : seconds(0);
  }

  enum class Verdict : std::uint8_t { kGoOn, kEmpty, kLate };
  Verdict judge(MonoTime now, const Live& live) const {
    if (!began_) return Verdict::kGoOn;
    if (live.none() && now >= *began_ + kLeastTime) return Verdict::kEmpty;
    return deadline_ && now >= *deadline_ ? Verdict::kLate : Verdict::kGoOn;
  }

 private:
  std::optional<MonoTime> began_;
  std::optional<MonoTime> deadline_;
};

}  // namespace turnpike::server
