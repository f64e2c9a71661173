// Plan: a Config made concrete for this machine: which sockets to bind, from which addresses to
// relay, what to call ourselves, with the secrets of the state directory. Made once at start, on
// the main thread, before any worker exists; immutable afterwards and shared by all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/expected.h"
#include "net/interfaces.h"
#include "net/tls_context.h"
#include "server/config.h"
#include "server/external_addresses.h"
#include "server/hook_client.h"
#include "signaling/jwt.h"
#include "signaling/settings.h"
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
  kProxied,  // a load balancer's PROXY header first, then as kAny
};

struct Plan {
  Config config;

  std::vector<Address> udp;   // one socket per worker each
  std::vector<Address> dtls;  // likewise: the TLS port's over UDP
  struct TcpPort {
    Address address;
    PortKind kind = PortKind::kAny;
  };
  std::vector<TcpPort> tcp;

  std::vector<IpAddress> relay_ips;  // those of a family take turns
  // What clients call this server when there is no --public-host, and which address of this machine
  // that leads to (another one behind a 1:1 NAT).
  IpAddress public_ip;
  IpAddress local_ip;
  std::shared_ptr<const net::TlsContext> tls;           // null: no TLS
  std::shared_ptr<const net::TlsContext> dtls_context;  // null: no DTLS
  // Of either, for whoever wants to know about them; null: there are none.
  const std::shared_ptr<const net::TlsContext>& certificates() const {
    return tls ? tls : dtls_context;
  }
  std::shared_ptr<const turn::Settings> turn;
  std::shared_ptr<const signaling::JwtKeys> turn_jwt;  // null: no --turn-jwt
  std::optional<HookClient::Settings> auth_hook;       // none: no --auth-hook
  signaling::Settings signaling;
  std::uint32_t workers = 1;

  std::string api_key_file;          // where the generated API key stands; empty: keys were given
  std::vector<std::string> notices;  // what was chosen and what to pass if that is wrong
};

struct BoundAddresses;  // banner.h

// What signaling::Service is made from once everything is bound: plan.signaling with the URLs
// filled in, which name only ports that are really open (a port of 0 in the Config is drawn by the
// kernel). Implemented, like the two below, in public_urls.cc.
signaling::Settings signaling_settings(const Plan& plan, const BoundAddresses& bound);
// The host in those URLs: --public-host, else public_ip; never what a request says.
std::string public_host(const Plan& plan);
// --cert and --pkey, pair by pair. Implemented in plan.cc.
std::vector<net::TlsContext::Files> certificate_pairs(const Config& config);
// Whether there is a certificate for that host, so that browsers accept https and turns there.
bool certificate_matches(const Plan& plan);

// Why the server cannot start: the process's exit code and one sentence that says what to do.
struct StartError {
  ExitCode code = kExitUsage;
  std::string message;
};

// What a Plan depends on besides the Config, so that tests can describe any machine.
struct Machine {
  std::vector<net::InterfaceAddress> interfaces;
  std::optional<IpAddress> outward_v4;
  std::optional<IpAddress> outward_v6;
  bool has_v4 = true;  // sockets of the family can be made at all
  bool has_v6 = true;
  std::uint32_t cpus = 1;  // that affinity and cgroup allow
  // Asked for --external-ip auto:HOST, and for auto alone.
  AskStunServer ask_stun_server;
  AskCloud ask_cloud;
};
Machine look_at_machine();

// What stands in the state directory (state_dir.h); empty where the operator gave their own.
struct GeneratedSecrets {
  std::string shared_secret;
  std::string api_key;
  std::string api_key_file;  // where the operator finds it
};

// With a plan that is `running`: one for the same server, which keeps the addresses that were found
// and the keys that were drawn for that one. Nobody is asked for external addresses again.
Expected<Plan, StartError> make_plan(Config config, const Machine& machine,
                                     const GeneratedSecrets& generated,
                                     const Plan* running = nullptr);

}  // namespace turnpike::server
