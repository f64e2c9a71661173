// What `turnpike` says on standard output when it is ready: where it listens, a ready iceServers
// JSON with time-limited credentials, and the links. Scripts may parse the lines that have a label.
#pragma once

#include <vector>

#include "base/time.h"
#include "server/plan.h"
#include "signaling/service.h"

namespace turnpike::server {

struct BoundAddresses {
  std::vector<Address> udp;
  std::vector<Plan::TcpPort> tcp;
};

void print_banner(const Plan& plan, const BoundAddresses& bound, const signaling::Service& service,
                  WallTime now);

}  // namespace turnpike::server
