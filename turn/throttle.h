// Throttle: how many replies strangers get, per source prefix and second, so that a spoofed source
// is no use for reflection and a flood is no work (docs/threat-model.md). A fixed array made at
// start, one cell for each hash of a prefix; nothing is kept per sender. Owned by one worker's
// server; single thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace turnpike::turn {

class Throttle {
 public:
  // `per_second` 0 switches it off. A burst below one is one.
  Throttle(std::uint32_t per_second, std::uint32_t burst);

  // Takes one reply's worth from the sender's prefix; false: stay silent.
  bool allow(const IpAddress& sender, MonoTime now);

 private:
  static constexpr std::size_t kCells = 16384;

  Duration interval_{0};  // between replies at the steady rate
  Duration tolerance_{0};
  // When the bucket would be full again (the virtual scheduling form of a token bucket): one number
  // holds both its level and its time.
  std::vector<MonoTime> full_at_;
};

}  // namespace turnpike::turn
