// What the workers have counted, summed at the time of asking, for everything that tells it:
// /metrics and /stats. Reads single-writer counters of other threads; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "server/worker.h"

namespace turnpike::server {

using Workers = std::vector<std::unique_ptr<Worker>>;

template <typename Of>
std::uint64_t sum(const Workers& workers, const Of& of) {
  std::uint64_t total = 0;
  for (const auto& worker : workers) total += of(*worker);
  return total;
}

inline std::uint64_t relayed(const Workers& workers, const Counter turn::Statistics::*counter) {
  return sum(workers, [counter](const Worker& worker) {
    return (worker.relay_statistics().*counter).read();
  });
}

inline std::uint64_t at_door(const Workers& workers, const Counter FrontDoorStatistics::*counter) {
  return sum(workers, [counter](const Worker& worker) {
    return (worker.front_door_statistics().*counter).read();
  });
}

inline std::uint64_t at_dtls_door(const Workers& workers,
                                  const Counter DtlsDoorStatistics::*counter) {
  return sum(workers, [counter](const Worker& worker) {
    const DtlsDoorStatistics* statistics = worker.dtls_statistics();
    return statistics == nullptr ? 0 : (statistics->*counter).read();
  });
}

// Packets that were not relayed.
inline constexpr std::array<std::string_view, 7> kRelayDropReasons = {
    "no_allocation", "no_channel",   "no_permission", "dead_relay",
    "max_bps",       "bps_capacity", "backpressure"};
using RelayDrops = std::array<std::uint64_t, kRelayDropReasons.size()>;
RelayDrops relay_drops(const Workers& workers);

// In the order of Authenticator::Failure.
inline constexpr std::array<std::string_view, turn::Authenticator::kFailures> kAuthFailureReasons =
    {"unknown_user", "bad_integrity", "expired", "revoked", "stale_nonce"};
using AuthFailures = std::array<std::uint64_t, kAuthFailureReasons.size()>;
AuthFailures auth_failures(const Workers& workers);

}  // namespace turnpike::server
