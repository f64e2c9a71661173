// Plan: a Config made concrete for this machine: which sockets to bind, from which addresses to
// relay, what to call ourselves, with the secrets of the state directory. Made once at start, on the
// main thread, before any worker exists; immutable afterwards and shared by all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "net/tls_context.h"
#include "server/config.h"
#include "signaling/service.h"
#include "turn/server.h"

namespace turnpike::server {

struct RelayAddress {
  IpAddress local;
};

// How connections on a TCP port begin.
enum class PortKind : std::uint8_t {
  kAny,      // the listening port: TLS or not, STUN/TURN or HTTP, told apart by the first bytes
  kTlsOnly,  // the TLS port: TLS first, then the same telling apart
  kHttp,     // an extra port: HTTP and WebSocket only
};

struct Plan {
  Config config;

  std::vector<Address> udp;  // one socket per worker each
  struct TcpPort {
    Address address;
    PortKind kind = PortKind::kAny;
  };
  std::vector<TcpPort> tcp;

  std::vector<IpAddress> relay_ips;  // at most one is tried per family and allocation, in order
  std::shared_ptr<const net::TlsContext> tls;  // null: no TLS
  std::shared_ptr<const turn::Settings> turn;
  signaling::Settings signaling;
  std::uint32_t workers = 1;

  std::vector<std::string> notices;  // what was chosen and what to pass if that is wrong
};

}  // namespace turnpike::server
