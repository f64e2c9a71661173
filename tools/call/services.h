// What all calls of a process share. Made by the run; outlives its calls; one thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/random.h"
#include "ice/media/identity.h"
#include "tools/call/loop.h"
#include "tools/call/options.h"
#include "tools/call/web.h"
#include "tools/load/turn_load_payload.h"

namespace turnpike::call {

// Host names, asked once each. Asking blocks, so it happens at the beginning of a run.
class Resolver {
 public:
  std::optional<IpAddress> resolve(const std::string& host);

 private:
  std::map<std::string, std::optional<IpAddress>> known_;
};

struct Services {
  Loop& loop;
  Random& random;
  const Options& options;
  const media::Identity& identity;
  Resolver& resolver;
  const load::Payloads& payloads;
  SSL_CTX* tls = nullptr;        // for signaling and relays, when they want it
  WebTarget web;                 // where signaling is
  std::vector<IpAddress> hosts;  // addresses for host candidates

  // The address that sockets towards `server` are bound to.
  Address from(const Address& server) const {
    const bool fits = options.from && options.from->family() == server.family();
    return {fits ? *options.from : IpAddress::any(server.family()), 0};
  }
};

}  // namespace turnpike::call
