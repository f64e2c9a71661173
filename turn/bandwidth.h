// Bandwidth limits that drop datagrams and never queue (RFC 8656 section 5), and slow the reading
// of TCP connections (RFC 6062) down. Payload bytes are counted, each direction for itself: for one
// allocation by a Meter inside it, for the whole server by a pool that workers lease slices of.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace turnpike::turn {

enum class Direction : std::uint8_t { kToPeer, kToClient };
inline constexpr std::size_t kDirections = 2;

// What was relayed in one direction.
struct Traffic {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;  // of payload
};

// A token bucket in its virtual scheduling form: one number, the time until which what was taken is
// paid for. It may run ahead by kAhead, and a datagram may take it further, so that none is too
// large to pass.
class Meter {
 public:
  static constexpr Duration kAhead = milliseconds(500);

  bool has_room(MonoTime now) const { return room_at() <= now; }
  MonoTime room_at() const { return paid_until_ - kAhead; }
  void take(std::uint64_t bytes, std::uint64_t bytes_per_second, MonoTime now) {
    constexpr std::uint64_t kNanoseconds = 1'000'000'000;
    const Duration cost(static_cast<std::int64_t>(bytes * kNanoseconds / bytes_per_second));
    paid_until_ = std::max(paid_until_, now) + cost;
  }

 private:
  MonoTime paid_until_;
};

// What all workers may relay together. Any thread.
class BandwidthPool {
 public:
  virtual ~BandwidthPool() = default;
  // Bytes that the caller may relay, `wanted` or more, to be kept until they are used up; 0 when
  // nothing is left just now.
  virtual std::uint64_t lease(Direction direction, std::uint64_t wanted, MonoTime now) = 0;
};

// One worker's lease of one direction.
class Lease {
 public:
  bool spend(BandwidthPool& pool, Direction direction, std::uint64_t bytes, MonoTime now) {
    if (left_ < bytes && !renew(pool, direction, bytes, now)) return false;
    left_ -= bytes;
    return true;
  }

 private:
  static constexpr Duration kBackOff = milliseconds(1);  // between questions that are refused

  bool renew(BandwidthPool& pool, Direction direction, std::uint64_t bytes, MonoTime now) {
    if (now < refused_until_) return false;
    const std::uint64_t leased = pool.lease(direction, bytes - left_, now);
    if (leased == 0) refused_until_ = now + kBackOff;
    left_ += leased;
    return leased != 0;
  }

  std::uint64_t left_ = 0;
  MonoTime refused_until_;
};

}  // namespace turnpike::turn
