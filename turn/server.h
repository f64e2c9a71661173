// turn::Server: one worker's STUN/TURN server as a state machine (RFC 8489, RFC 8656). It never
// sees a socket or a clock: inputs are the calls below, outputs go to the Sink given with each.
// Single thread. Relaying a packet allocates nothing, locks nothing and logs nothing; it lives in
// relaying.cc. Requests live in allocate.cc and permit.cc, one short function a method.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/findings.h"
#include "base/icmp.h"
#include "base/random.h"
#include "base/run.h"
#include "base/time.h"
#include "stun/behavior.h"
#include "stun/nonce.h"
#include "turn/access_token.h"
#include "turn/bandwidth.h"
#include "turn/credentials.h"
#include "turn/mobility.h"
#include "turn/path.h"
#include "turn/policy.h"
#include "turn/quota.h"
#include "turn/relayed_addresses.h"
#include "turn/sink.h"
#include "turn/statistics.h"
#include "turn/user_directory.h"

namespace turnpike::turn {

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool operator==(const PortRange&) const = default;
};

// Where else clients may allocate (RFC 8489 section 10).
struct AlternateServer {
  Address address;
  std::string domain;  // what its certificate is for, when that is not what ours is for
};
inline constexpr std::size_t kMaxAlternateServers = 16;

// Unless the configuration says otherwise.
inline constexpr std::uint32_t kMaxPermissionsPerAllocation = 1024;
inline constexpr std::uint32_t kMaxChannelsPerAllocation = 1024;

// One configuration, immutable, shared by all workers.
struct Settings {
  explicit Settings(Credentials::Source source) : credentials(std::move(source)) {}

  Credentials credentials;
  TokenKeys token_keys;  // not empty: access tokens are offered and taken (RFC 7635)
  PeerPolicy peers;
  // The listeners that offer NAT behaviour discovery, by Path::listener; none by default.
  stun::Behavior behavior;
  ExternalAddresses external;
  // The addresses of this host that relays are opened on. Of our own addresses only these may be
  // peers; empty: any of them.
  std::vector<IpAddress> relay_ips;
  stun::NonceSource::Key nonce_key{};
  seconds nonce_lifetime{600};
  std::string software;                    // of SOFTWARE in answers; empty: none
  bool always_fingerprint = false;         // not only to requests that have one
  bool binding_needs_credentials = false;  // --secure-stun
  bool classic_binding = false;            // answer requests of RFC 3489
  // An allocation ends with the credential that made or refreshed it.
  bool strict_expiry = false;
  // Not empty: Allocate is answered with one of them (300), other requests as ever.
  std::vector<AlternateServer> alternate_servers;
  seconds default_lifetime{600};
  seconds max_lifetime{3600};
  seconds permission_lifetime{300};  // RFC 8656 section 9
  seconds channel_lifetime{600};     // section 12
  // 0x4FFF by RFC 8656 section 12; 0x7FFF with --rfc5766-channel-numbers.
  std::uint16_t last_channel_number = 0x4FFF;
  // Replies to senders that are not authenticated, per source prefix, second and worker; 0 = off.
  std::uint32_t unauthorized_replies_per_second = 1000;
  std::uint32_t unauthorized_burst = 2000;
  std::uint32_t max_allocations = 1u << 20;  // of one worker
  std::uint32_t max_permissions = kMaxPermissionsPerAllocation;
  std::uint32_t max_channels = kMaxChannelsPerAllocation;
  std::uint64_t max_bps = 0;  // payload bytes a second of one allocation, each way; 0 = unlimited

  // TCP allocations (RFC 6062): whether there are any, and the peers' ports below 1024 that guests
  // may connect to.
  bool tcp_relay = false;
  std::vector<PortRange> allowed_low_tcp_ports;
  std::uint32_t max_data_connections = 4096;  // of one worker

  // Tickets for clients that change their address (RFC 8016), sealed with a key that all workers
  // of this process share.
  bool mobility = false;
  TicketKey ticket_key{};
};

inline constexpr std::size_t kMaxRevokedNames = 65536;
inline constexpr std::uint32_t kMaxDataConnectionsPerAllocation = 64;
inline constexpr std::uint32_t kMaxDataConnectionsPerHolder = 256;  // in one worker
// RFC 6062 section 5.2: at least thirty seconds to connect, and thirty until ConnectionBind.
inline constexpr seconds kConnectTimeout{30};
inline constexpr seconds kBindTimeout{30};

class Server {
 public:
  // What the worker shares with the others; all outlive the server.
  struct Shared {
    Quota& quota;
    const LiveRelays& live_relays;
    Random& random;
    // Of TCP allocations; null: there are none.
    const LiveRelays* live_tcp_relays = nullptr;
    std::uint32_t worker = 0;
    std::uint32_t workers = 1;
    BandwidthPool* bandwidth = nullptr;  // of the whole server; null: unlimited
    UserDirectory* users = nullptr;      // null: there are no users but those of the Settings
  };
  Server(std::shared_ptr<const Settings> settings, Shared shared);
  ~Server();  // the sockets are the driver's: call shut_down() first to have them closed
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // One or more datagrams from a client; from a stream exactly one framed message (StreamFramer).
  void on_client(Tick now, const Path& path, const Run& run, Sink& sink);
  // Datagrams that arrived at a relayed transport address. `owner` is RelayWish::owner.
  void on_peer(Tick now, std::uint64_t owner, const Address& peer, const Run& run, Sink& sink);
  // The outcome of Sink::connect.
  void on_connected(Tick now, DataName data, ConnectOutcome outcome, Sink& sink);
  // A peer has connected to a relayed transport address. An empty name: close it at once.
  DataName on_accepted(Tick now, std::uint64_t owner, const Address& peer, Sink& sink);
  // Bytes of a spliced pair were read, to be passed on. Nothing more of that direction is to be
  // read before the time that this answers; then ask again, with no bytes.
  MonoTime on_data(Tick now, DataName data, Direction direction, std::size_t bytes);
  // A spliced pair is over.
  void on_data_ended(DataName data);
  // ICMP came back for a datagram that went from that address to `peer`.
  void on_peer_error(Tick now, std::uint64_t owner, const Address& peer, const IcmpError& error,
                     Sink& sink);
  // The connection is gone: its allocation ends at once.
  void on_client_gone(Tick now, const Path& path, Sink& sink);
  // Fires what is due. Call when next_deadline() has passed.
  void on_time(Tick now, Sink& sink);
  MonoTime next_deadline() const;

  // The holder of this name (UserIdentity::name) left: its allocations end at once and its
  // credentials are refused until `until`. At most kMaxRevokedNames are remembered; when full, the
  // one that expires first makes room.
  void revoke(Tick now, std::string_view name, WallTime until, Sink& sink);
  // The configuration from now on, with the pool and the directory of Shared. It agrees with the
  // one before in external, relay_ips, behavior, tcp_relay, mobility, the keys and the maxima of
  // tables. Allocations live on: the limits on permissions and channels are those they were made
  // with, and peers that they might not have any more are taken from them.
  struct Renewal {
    std::shared_ptr<const Settings> settings;
    BandwidthPool* bandwidth = nullptr;
    UserDirectory* users = nullptr;
  };
  void renew(const Renewal& renewal, Sink& sink);
  // From now on nobody is given an allocation (508), unless it was promised with a reservation
  // token; those that live go on as ever.
  void drain();
  // Ends every allocation.
  void shut_down(Tick now, Sink& sink);

  const Statistics& statistics() const;

  // --- what an operator asks; an allocation is named by its handle, packed ---
  using Visitor = std::function<void(std::uint64_t allocation, std::string_view holder)>;
  void for_each_allocation(const Visitor& visit);
  struct Report {
    std::string_view holder;
    Path path;
    std::vector<Address> relayed;  // as the client was told
    bool tcp = false;
    std::uint64_t bytes_to_peers = 0;
    std::uint64_t bytes_to_client = 0;
    std::size_t permissions = 0;  // those included that have expired and are not swept yet
    std::size_t channels = 0;
    seconds left{0};
  };
  std::optional<Report> report(Tick now, std::uint64_t allocation);
  // False: there is no such allocation.
  bool end(Tick now, std::uint64_t allocation, Sink& sink);

  // Counts by walking everything: for tests and audits. A server without allocations has none of
  // the others.
  struct Audit {
    std::size_t allocations = 0;
    std::size_t permissions = 0;
    std::size_t channels = 0;
    std::size_t data_connections = 0;
    std::size_t reservations = 0;
    std::size_t arriving_paths = 0;  // of mobile allocations
    std::size_t forwards = 0;
    std::size_t revoked_names = 0;
  };
  Audit audit() const;

  // The same walk with open eyes: what disagrees inside, and what is held outside, so that whoever
  // owns sockets, quota and connections can compare. Changes nothing. Between two inputs.
  struct Holding {
    std::string label;  // "allocation 5a00000003 of alice"
    std::uint64_t allocation = 0;
    QuotaSubject charged;
    std::vector<Relay> relays;  // with their addresses as bound; one or two
    bool tcp = false;
    std::vector<Path> paths;  // where its client is, is moving to, or neither
  };
  struct Examination {
    Audit counts;
    std::vector<Holding> held;
    std::vector<ReservationToken> promised;  // those included that were claimed meanwhile
    Findings findings;
  };
  Examination examine() const;

 private:
  friend struct Tampering;  // tests make what audits are to find
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace turnpike::turn
