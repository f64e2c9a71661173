// WakePacing: whether a loop that has handled all there was should let packets gather for some
// microseconds before it looks at its sockets again, as network cards moderate their interrupts.
// At tens of thousands of packets a second, far enough apart that each finds the worker asleep,
// falling asleep and waking cost more than relaying. A short rest serves several packets with one
// wake-up and lets their sends leave together.
//
// It never rests while packets are rare (a rest would save nothing and only delay), nor when a
// turn has brought a batch anyway or the loop has little time left (it would only lose throughput),
// nor for a while where rests last much longer than asked: such a machine has no fine timers.
//
// No clock, no system call: told of turns, it answers. Owned by a worker; its thread only.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace turnpike::net {

class WakePacing {
 public:
  // Fewer inputs than this, expected within the longest rest, are not waited for.
  static constexpr double kWorthwhile = 2;
  // A turn with so many has amortised its wake-up; a rest is no longer than it takes to expect
  // them.
  static constexpr std::uint32_t kBatch = 16;
  static constexpr Duration kWindow = milliseconds(1);  // over which the rate is taken
  // Share of the time spent on work, from which on none is spent on rests.
  static constexpr double kBusy = 0.75;
  // When half of so many rests end late by more than kLate, there are none for kPause.
  static constexpr std::uint32_t kSample = 32;
  static constexpr Duration kLate = std::chrono::microseconds(200);
  static constexpr Duration kPause = seconds(10);

  // `longest`: as long as a packet may wait for others; zero: never rests.
  explicit WakePacing(Duration longest) : longest_(longest) {}

  bool is_on() const { return longest_ > Duration::zero(); }

  struct Turn {
    std::uint32_t inputs = 0;  // datagrams, trains, messages of streams
    Duration worked{};
  };
  // A turn is over and left nothing to do. How long to rest; zero: not at all.
  Duration rest_after(MonoTime now, const Turn& turn);
  // What became of it.
  void on_rested(MonoTime now, Duration asked, Duration took);

 private:
  Duration longest_;
  MonoTime window_begin_{};
  Turn in_window_;
  double per_longest_ = 0;  // inputs expected within the longest rest
  bool busy_ = false;
  std::uint32_t rests_ = 0;  // of the sample under way
  std::uint32_t late_ = 0;
  MonoTime paused_until_{};
};

}  // namespace turnpike::net
