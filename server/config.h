// Config: what the operator asked for, after parsing, before anything is opened. Made by options.cc
// from one table of options (flags, environment, JSON file); resolved into a Plan by plan.cc, which
// looks at the machine. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log_settings.h"
#include "server/hook_protocol.h"
#include "turn/credentials.h"
#include "turn/quota.h"
#include "turn/relayed_addresses.h"
#include "turn/server.h"

namespace turnpike::server {

inline constexpr std::uint32_t kMaxWorkers = 256;
inline constexpr std::uint32_t kMaxWakeRest = 200;  // microseconds
inline constexpr std::uint32_t kMaxLobbySize = 1024;
inline constexpr std::uint32_t kMaxEchoes = 256;
inline constexpr std::uint32_t kLeastEchoTime = 5;  // seconds, both
inline constexpr std::uint32_t kMostEchoTime = 3600;
inline constexpr std::size_t kMaxRoomKeys = 8;              // of --room-jwt, and of --room-key
inline constexpr std::uint16_t kDefaultMetricsPort = 9641;  // as coturn's exporter

struct ExternalIp {
  IpAddress external;
  std::optional<IpAddress> local;  // without it: the only relay address of that family
  bool operator==(const ExternalIp&) const = default;
};

// Whom "--external-ip auto:HOST[:PORT]" asks.
struct StunServer {
  std::string host;  // a name, or an address without brackets
  std::uint16_t port = 3478;
  std::string to_string() const;  // implemented in option_values.cc
  bool operator==(const StunServer&) const = default;
};
inline constexpr std::size_t kMaxStunServers = 4;

struct Config {
  std::vector<IpAddress> listening_ips;  // empty: every address, both families
  std::uint16_t listening_port = 3478;
  std::uint16_t tls_listening_port = 5349;  // 0: none
  bool udp = true;  // --no-udp, --no-tcp and --no-tls close a kind of listener
  bool tcp = true;
  bool tls = true;
  bool dtls = false;
  bool rfc5780 = false;
  std::uint16_t alt_listening_port = 0;  // 0: the one after the listening port
  std::vector<std::uint16_t> http_ports;
  std::vector<std::uint16_t> proxy_ports;  // connections begin with a PROXY header there
  std::vector<IpAddress> relay_ips;        // empty: the address that routes outward
  std::vector<ExternalIp> external_ips;
  bool find_external_ips = false;        // for the relay addresses that are not among those
  std::vector<StunServer> stun_servers;  // whom to ask, in order
  std::uint16_t min_port = 49152;
  std::uint16_t max_port = 65535;
  std::string realm;  // empty: the public host, else "turnpike"
  std::vector<turn::StaticUser> users;
  std::vector<std::string> shared_secrets;
  char rest_separator = ':';
  bool oauth = false;
  std::string server_name;  // in access tokens; empty: the realm
  std::vector<turn::TokenKey> token_keys;
  std::vector<std::string> turn_jwt_secrets;  // HS256: users' passwords are tokens
  std::optional<HookUrl> auth_hook;
  std::string auth_hook_ca;             // empty: the system's certificate authorities
  std::string auth_hook_token;          // empty: none
  std::uint32_t auth_hook_timeout = 5;  // seconds, these three
  std::uint32_t auth_hook_cache = 300;
  std::uint32_t auth_hook_stale = 600;
  std::uint32_t nonce_seconds = 600;
  bool strict_expiry = false;
  bool secure_stun = false;
  bool classic_stun = false;
  bool send_software = true;
  bool always_fingerprint = false;
  std::vector<turn::AlternateServer> alternate_servers;
  std::vector<std::string> certificate_files;  // each with the key at the same place
  std::vector<std::string> key_files;
  std::vector<IpRange> allowed_peers;
  std::vector<IpRange> denied_peers;
  turn::QuotaLimits quota;
  std::uint32_t max_permissions = 1024;  // of one allocation; and channels
  std::uint32_t max_channels = 1024;
  std::uint64_t max_bps = 0;  // payload bytes a second each way; 0: unlimited
  std::uint64_t bps_capacity = 0;
  std::uint32_t max_allocate_lifetime = 3600;  // seconds, these three
  std::uint32_t permission_lifetime = 300;
  std::uint32_t channel_lifetime = 600;
  std::uint32_t unauthorized_replies_per_second = 1000;  // 0: off
  bool rfc5766_channel_numbers = false;
  bool mobility = false;
  bool tcp_relay = false;
  std::vector<turn::PortRange> allowed_tcp_peer_ports;  // below 1024

  std::string public_host;  // a name, or an address without brackets
  std::vector<std::string> api_keys;
  std::vector<std::string> allowed_origins;
  bool open_rooms = false;
  std::vector<std::string> room_jwt_keys;   // HS256 secrets and ES256 public keys (PEM)
  std::vector<std::string> room_passwords;  // neither: rooms need no token
  std::uint32_t lobby_size = 32;
  bool echo = true;               // the endpoint in the room "echo"
  std::uint32_t echo_max = 8;     // guests at once
  std::uint32_t echo_time = 300;  // seconds, of one guest
  std::vector<IpRange> trusted_proxies;
  std::uint32_t workers = 0;  // 0: the CPUs that affinity and cgroup allow
  // Where metrics are served: nullopt is kDefaultMetricsPort if nobody else has it; 0: nowhere.
  std::optional<std::uint16_t> metrics_port;
  IpAddress metrics_ip = IpAddress::v4(127, 0, 0, 1);
  std::string metrics_token;            // asked of whoever reads them; empty: nothing is
  bool public_stats = false;            // /stats on the ports of clients, too
  std::uint32_t wake_rest = 125;        // microseconds; 0: never
  std::uint32_t drain_deadline = 3600;  // seconds; 0: none
  std::string proc_user;                // whom root becomes; empty: the system user
  std::string proc_group;               // empty: that user's own
  std::string pid_file;
  std::string admin_socket;  // empty: in RUNTIME_DIRECTORY, if that is set
  log::Settings logging;
  bool log_allocations = false;  // one line for each, when it ends
  std::string static_dir;
  std::string acme_webroot;
  std::string state_dir;     // empty: chosen by state_dir.h
  bool segmentation = true;  // UDP_SEGMENT; --no-udp-gso is the kill switch

  std::vector<std::string> notices;   // what is legal but probably not meant
  std::vector<std::string> warnings;  // what was asked for and is not done
};

// --alt-listening-port, or what stands for it. Implemented in option_table.cc.
std::uint16_t alternate_port(const Config& config);

// Documented in docs/operations.md; scripts may rely on them.
enum ExitCode : int {
  kExitOk = 0,
  kExitUsage = 2,         // unknown option, bad value, bad configuration file
  kExitCannotListen = 3,  // a port in use, an address that is not ours, no permission
  kExitCertificate = 4,   // certificate or key unreadable or not matching
  kExitState = 5,         // state directory or a secret file not usable
  kExitPrivileges = 6,    // could not drop root
};

}  // namespace turnpike::server
