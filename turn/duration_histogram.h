// How many allocations lived for how long, in fixed buckets. Written by one thread, read by any.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/counters.h"
#include "base/time.h"

namespace turnpike::turn {

class DurationHistogram {
 public:
  // A bucket has what lived at most so many seconds; one more has the rest. The first is where ICE
  // gathering that led nowhere ends, the fifth where an allocation ends that was never refreshed.
  static constexpr std::array<std::uint32_t, 9> kBounds = {1,    10,   60,    300,  660,
                                                           1800, 3600, 14400, 86400};
  static constexpr std::size_t kBuckets = kBounds.size() + 1;

  void observe(Duration lived) {
    const auto whole = std::chrono::ceil<seconds>(lived).count();
    const auto bound = std::find_if(kBounds.begin(), kBounds.end(),
                                    [whole](std::uint32_t most) { return whole <= most; });
    buckets_[static_cast<std::size_t>(bound - kBounds.begin())].add();
    const auto exact = std::chrono::duration_cast<milliseconds>(lived).count();
    milliseconds_.add(static_cast<std::uint64_t>(std::max<decltype(exact)>(exact, 0)));
  }

  std::uint64_t bucket(std::size_t index) const { return buckets_[index].read(); }
  std::uint64_t sum_in_milliseconds() const { return milliseconds_.read(); }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter milliseconds_;
};

}  // namespace turnpike::turn
