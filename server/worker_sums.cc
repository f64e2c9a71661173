#include "server/worker_sums.h"

namespace turnpike::server {

RelayDrops relay_drops(const Workers& workers) {
  using turn::Statistics;
  const std::uint64_t backpressure = sum(workers, [](const Worker& worker) {
    return worker.driver_statistics().stream_messages_dropped.read() +
           worker.short_cut_statistics().dropped.read();
  });
  return {relayed(workers, &Statistics::dropped_no_allocation),
          relayed(workers, &Statistics::dropped_no_channel),
          relayed(workers, &Statistics::dropped_no_permission),
          relayed(workers, &Statistics::dropped_dead_relay),
          relayed(workers, &Statistics::dropped_over_max_bps),
          relayed(workers, &Statistics::dropped_over_capacity),
          backpressure + at_dtls_door(workers, &DtlsDoorStatistics::messages_dropped)};
}

AuthFailures auth_failures(const Workers& workers) {
  AuthFailures failures{};
  for (std::size_t i = 0; i < failures.size(); ++i) {
    failures[i] = sum(workers, [i](const Worker& worker) {
      return worker.relay_statistics().auth_failures[i].read();
    });
  }
  return failures;
}

}  // namespace turnpike::server
