// SharedBandwidth: --bps-capacity, what all workers together may relay in a second, each way. One
// atomic a direction; workers take slices of it and touch it only when a slice is used up. Any
// thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "turn/bandwidth.h"

namespace turnpike::server {

class SharedBandwidth final : public turn::BandwidthPool {
 public:
  // 0 bytes a second: unlimited, and workers do not ask.
  SharedBandwidth(std::uint64_t bytes_per_second, std::uint32_t workers);

  void set_rate(std::uint64_t bytes_per_second);
  // What workers are given: nullptr while there is no limit.
  turn::BandwidthPool* pool() { return bytes_per_second_.load() == 0 ? nullptr : this; }

  std::uint64_t lease(turn::Direction direction, std::uint64_t wanted, MonoTime now) override;

 private:
  const std::uint32_t workers_;
  std::atomic<std::uint64_t> bytes_per_second_{0};
  // As in turn::Meter: until when what was leased is paid for, in nanoseconds.
  std::array<std::atomic<std::int64_t>, turn::kDirections> paid_until_{};
};

}  // namespace turnpike::server
