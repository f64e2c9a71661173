#include "server/shared_bandwidth.h"

#include <algorithm>

namespace turnpike::server {
namespace {

// What lies unused in the workers' hands is at most a fiftieth of a second's worth of all.
constexpr std::uint64_t kSlicesPerSecond = 50;
constexpr std::uint64_t kLeastSlice = 1500;

}  // namespace

SharedBandwidth::SharedBandwidth(std::uint64_t bytes_per_second, std::uint32_t workers)
    : bytes_per_second_(bytes_per_second),
      slice_(std::max(kLeastSlice, bytes_per_second / (kSlicesPerSecond * workers))) {}

std::uint64_t SharedBandwidth::lease(turn::Direction direction, std::uint64_t wanted,
                                     MonoTime now) {
  constexpr std::uint64_t kNanoseconds = 1'000'000'000;
  const std::uint64_t bytes = std::max(wanted, slice_);
  const auto cost = static_cast<std::int64_t>(bytes * kNanoseconds / bytes_per_second_);
  const std::int64_t present = now.since_start.count();
  auto& paid_until = paid_until_[static_cast<std::size_t>(direction)];
  std::int64_t seen = paid_until.load(std::memory_order_relaxed);
  do {
    if (seen > present + turn::Meter::kAhead.count()) return 0;
  } while (!paid_until.compare_exchange_weak(seen, std::max(seen, present) + cost,
                                             std::memory_order_relaxed));
  return bytes;
}

}  // namespace turnpike::server
