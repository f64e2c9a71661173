#include "server/shared_bandwidth.h"

#include <algorithm>

namespace turnpike::server {
namespace {

// What lies unused in the workers' hands is at most a fiftieth of a second's worth of all.
constexpr std::uint64_t kSlicesPerSecond = 50;
constexpr std::uint64_t kLeastSlice = 1500;

}  // namespace

SharedBandwidth::SharedBandwidth(std::uint64_t bytes_per_second, std::uint32_t workers)
    : workers_(workers) {
  set_rate(bytes_per_second);
}

void SharedBandwidth::set_rate(std::uint64_t bytes_per_second) {
  bytes_per_second_.store(bytes_per_second, std::memory_order_relaxed);
}

std::uint64_t SharedBandwidth::lease(turn::Direction direction, std::uint64_t wanted,
                                     MonoTime now) {
  constexpr std::uint64_t kNanoseconds = 1'000'000'000;
  const std::uint64_t rate = bytes_per_second_.load(std::memory_order_relaxed);
  const std::uint64_t slice = std::max(kLeastSlice, rate / (kSlicesPerSecond * workers_));
  const std::uint64_t bytes = std::max(wanted, slice);
  if (rate == 0) return bytes;  // the limit was lifted a moment ago
  const auto cost = static_cast<std::int64_t>(bytes * kNanoseconds / rate);
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
