// Everything that /metrics tells, summed over the workers at the time of asking. Labels come from
// small closed sets; never a user, a room or an address. Main loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "server/echo_endpoint.h"
#include "server/plan.h"
#include "server/shared_relays.h"
#include "server/worker.h"
#include "signaling/service.h"

namespace turnpike::server {

struct MetricsSources {
  const Plan& plan;
  const std::vector<std::unique_ptr<Worker>>& workers;
  const SharedRelays& relays;
  const signaling::Service& service;
  const EchoEndpoint* echo;    // nullptr: there is none
  std::uint32_t charged;       // SharedQuota::total()
  const net::TlsContext* tls;  // nullptr: no certificate
  WallTime started;
  bool ready = false;
  bool draining = false;
};

// Our names (docs/operations.md).
std::string metrics_text(const MetricsSources& sources);
// The names of coturn's exporter, for dashboards that were made for it; what we count of them.
std::string coturn_metrics_text(const MetricsSources& sources);

}  // namespace turnpike::server
