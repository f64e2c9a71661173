// Time comes in as an argument. net/ and server/ read the clocks once per loop turn; everybody
// else is given a Tick.
#pragma once

#include <chrono>
#include <compare>

namespace turnpike {

using Duration = std::chrono::nanoseconds;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A monotonic instant: for deadlines. Its zero is arbitrary.
struct MonoTime {
  Duration since_start{0};
  auto operator<=>(const MonoTime&) const = default;
  friend MonoTime operator+(MonoTime t, Duration d) { return {t.since_start + d}; }
  friend MonoTime operator-(MonoTime t, Duration d) { return {t.since_start - d}; }
  friend Duration operator-(MonoTime a, MonoTime b) { return a.since_start - b.since_start; }
  static constexpr MonoTime never() { return {Duration::max()}; }
};

// Seconds since 1970: for what other machines said (credential expiry, nonces).
struct WallTime {
  std::chrono::seconds since_epoch{0};
  auto operator<=>(const WallTime&) const = default;
  friend WallTime operator+(WallTime t, std::chrono::seconds d) { return {t.since_epoch + d}; }
  friend std::chrono::seconds operator-(WallTime a, WallTime b) {
    return a.since_epoch - b.since_epoch;
  }
};

struct Tick {
  MonoTime mono;
  WallTime wall;
};

}  // namespace turnpike
