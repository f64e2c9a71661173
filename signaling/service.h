// signaling::Service: the product's signaling as one state machine: pages, the credential API,
// rooms, and every dialect that is spoken on our ports (the table of paths is in
// docs/signaling.md). Its carrier is given the bytes. Single thread (the hub loop's, or the only
// loop's).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/time.h"
#include "signaling/carrier.h"
#include "signaling/health.h"
#include "signaling/settings.h"

namespace turnpike::signaling {

class Service {
 public:
  // A member left for good: its relay allocations end, its credentials are refused until then.
  using Revoke = std::function<void(std::string_view name, WallTime until)>;

  Service(Settings settings, Random& random, Revoke revoke);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  Carrier& carrier();
  // Until it is told, all is well. Called for each /healthz and /readyz.
  void judge_health_by(HealthCheck check);

  // For the start-up lines and the command line: an iceServers list and the path of a room link
  // with an invitation in its fragment.
  std::string example_ice_servers(WallTime now) const;  // JSON, indented
  std::string room_link(std::string_view room, WallTime now) const;

  struct Audit {
    std::size_t connections = 0;
    std::size_t rooms = 0;
    std::size_t members = 0;
  };
  Audit audit() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace turnpike::signaling
