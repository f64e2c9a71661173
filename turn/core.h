// Server::Core: the inside of turn::Server. One class over several sources: server.cc dispatches,
// allocate.cc and permit.cc answer the requests of TURN, tcp_relay.cc those of TCP
// allocations, mobility.cc those of clients that move, answers.cc makes and signs responses,
// renewal.cc takes another configuration, audit.cc looks for what is wrong, relaying.cc forwards
// packets. Private to this room.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/expected.h"
#include "base/timer_wheel.h"
#include "stun/builder.h"
#include "stun/message.h"
#include "stun/nonce.h"
#include "turn/allocation.h"
#include "turn/authenticator.h"
#include "turn/channel_data.h"
#include "turn/data_connections.h"
#include "turn/reservation.h"
#include "turn/revocations.h"
#include "turn/server.h"
#include "turn/throttle.h"

namespace turnpike::turn {

// A request on its way through authentication to the method that answers it.
struct Request {
  Tick now;
  const Path& path;
  const stun::MessageView& message;
  Sink& sink;
  std::string_view name;                  // who asks; empty before authentication
  const stun::SigningKey* key = nullptr;  // signs the answer; none before authentication
  std::optional<WallTime> expires{};      // of the credential, where allocations end with it
};
using Outcome = Expected<void, stun::ErrorCode>;
// What a Timer times; its subject is the handle of the object that it is in.
enum class TimerKind : std::uint32_t { kIPv4Leg, kIPv6Leg, kReservation, kDataConnection };
// Where a response is built: the longest is a challenge with a REALM of 763 bytes.
using Room = std::array<std::uint8_t, 1280>;

class Server::Core {
 public:
  Core(std::shared_ptr<const Settings> settings, const Shared& shared);

  // server.cc
  void on_client(Tick now, const Path& path, const Run& run, Sink& sink);
  void on_client_gone(Tick now, const Path& path, Sink& sink);
  void on_time(Tick now, Sink& sink);
  MonoTime next_deadline() const { return wheel_.next(); }
  void revoke(Tick now, std::string_view name, WallTime until, Sink& sink);
  void drain() { draining_ = true; }
  void shut_down(Tick now, Sink& sink);
  const Statistics& statistics() const { return statistics_; }
  Audit audit();

  // audit.cc
  Examination examine();

  // renewal.cc
  void renew(const Server::Renewal& renewal, Sink& sink);

  // inspection.cc
  void for_each_allocation(const Server::Visitor& visit);
  std::optional<Server::Report> report(Tick now, std::uint64_t handle);
  bool end(Tick now, std::uint64_t handle, Sink& sink);

  // tcp_relay.cc
  void on_connected(Tick now, DataName name, ConnectOutcome outcome, Sink& sink);
  DataName on_accepted(Tick now, std::uint64_t owner, const Address& peer, Sink& sink);
  MonoTime on_data(Tick now, DataName name, Direction direction, std::size_t bytes);
  void on_data_ended(DataName name);

  // peer_errors.cc
  void on_peer_error(Tick now, std::uint64_t owner, const Address& peer, const IcmpError& error,
                     Sink& sink);

  // relaying.cc
  void on_peer(Tick now, std::uint64_t owner, const Address& peer, const Run& run, Sink& sink);

 private:
  friend struct Tampering;  // tests make what audits are to find

  // audit.cc
  void examine(const Allocation& allocation, Findings& findings) const;
  void examine_counters(Findings& findings);
  void examine_data_connections(Findings& findings);
  static Holding holding_of(const Allocation& allocation);

  // server.cc
  void on_message(Tick now, const Path& path, const Run& packet, Sink& sink);
  void on_request(const Request& request);
  void on_classic_message(Tick now, const Path& path, ByteView packet, Sink& sink);
  Authenticator::Session session_of(const Request& request);
  void keep_credential(const Request& request, const Authenticator::Verdict& who);
  Outcome answer_method(const Request& request);
  void on_timer(Tick now, const Timer& timer, Sink& sink);
  void end(Tick now, Allocation& allocation, Event::Ending ending, Sink& sink);
  // One leg of a dual allocation, with the permissions and channels of its family.
  void end_leg(Allocation& allocation, Family family, Sink& sink);
  void arm(Allocation& allocation, Leg& leg, MonoTime deadline);
  void bury(Allocation& allocation);
  void forget(Allocation& allocation);  // without giving anything back

  // allocate.cc: a method each; an error is answered by the caller.
  Outcome allocate(const Request& request);
  Outcome refresh(const Request& request);
  // allocate.cc: their tools
  struct AllocateWish {
    Family family = Family::kIPv4;
    PortParity parity = PortParity::kAny;
    RelayProtocol protocol = RelayProtocol::kUdp;
    ReservationToken token = 0;  // 0: none, since no reservation has it
    bool mobile = false;
    seconds lifetime{0};
    bool brings_token = false;
    bool second_family = false;
  };
  Expected<AllocateWish, stun::ErrorCode> read_allocate_wish(const Request& request) const;
  Expected<RelayProtocol, stun::ErrorCode> read_transport(const Request& request) const;
  Expected<Allocation*, stun::ErrorCode> open_allocation(const Request& request,
                                                         const AllocateWish& wish);
  Outcome open_legs(Allocation& allocation, const AllocateWish& wish, const Request& request);
  Outcome open_leg(Leg& leg, const RelayWish& wish, Sink& sink);
  Outcome claim(Allocation& allocation, const AllocateWish& wish, const Request& request);
  void take_up(Leg& leg, const Relay& relay);
  void answer_allocate(const Request& request, const Allocation& allocation);
  Expected<Allocation*, stun::ErrorCode> own_allocation(const Request& request);
  // Whether a request from elsewhere comes from who holds the allocation. With access tokens a name
  // is that of an authorization server's key, which its guests share: their own key tells them
  // apart.
  static bool is_holders(const Allocation& allocation, const Request& request);
  seconds grant(std::optional<std::uint32_t> asked) const;
  static seconds within_credential(const Request& request, seconds lifetime);

  // reservations.cc: the R bit of EVEN-PORT
  Outcome charge(const Request& request);
  Outcome open_and_reserve(Allocation& allocation, RelayWish wish, const Request& request);
  void give_up(Handle<Reservation> handle, Sink& sink);

  // permit.cc
  Outcome create_permission(const Request& request);
  Outcome channel_bind(const Request& request);
  struct Peer {
    Address address;  // on our side of a 1:1 NAT
    bool own = false;
    bool shown_as_external = false;
  };
  Expected<Peer, stun::ErrorCode> judge_peer(const Address& named, const Allocation& from) const;
  void permit(Permissions& permissions, const Peer& peer, Tick now);

  // allocate.cc: does and answers a Refresh; `ticket` is for a client that has moved
  Outcome refresh_allocation(const Request& request, Allocation& allocation, const Ticket* ticket);

  // mobility.cc
  bool forward(Tick now, const Path& path, const Run& run, Sink& sink);
  Outcome judge_mobility_wish(const Request& request, RelayProtocol protocol) const;
  void make_mobile(Allocation& allocation);
  Ticket make_ticket(const Allocation& allocation, std::uint32_t serial) const;
  Outcome move(const Request& request);
  static bool is_last_move(const Request& request, const TicketClaim& claim,
                           const Mobility& mobility);
  Outcome send_to_owner(const Request& request, std::uint32_t worker);
  Outcome arrive(const Request& request, Allocation& allocation);
  void answer_move_again(const Request& request, const Mobility& mobility);
  Allocation* settle_by_data(const Path& path, Sink& sink);
  void settle(Allocation& allocation, Sink& sink);
  void forget_arriving(Allocation& allocation, Sink& sink);
  bool outlives_connection(Allocation& allocation, Sink& sink);
  static void report_path(Event::Kind kind, const Allocation& allocation, const Path& path,
                          Sink& sink);

  // tcp_relay.cc
  Outcome connect(const Request& request);
  Outcome connection_bind(const Request& request);
  void fail_connect(DataConnection& connection, Sink& sink);
  void answer_connect(const DataConnection& connection, stun::Builder& builder, Sink& sink);
  void on_data_late(DataConnection& connection, Sink& sink);
  void close_data_connections(Allocation& allocation, Family family, Sink& sink);
  bool is_tcp_port_allowed(std::uint16_t port) const;
  bool may_open_data_connection(const Allocation& allocation) const;
  DataConnection& open_data_connection(Allocation& allocation, const Address& peer);
  void forget_data_connection(DataConnection& connection);
  Allocation& allocation_of(const DataConnection& connection);

  // renewal.cc
  bool may_still_reach(const IpAddress& peer, bool own) const;
  void judge_peers_again(Allocation& allocation, Sink& sink);

  // answers.cc
  void binding(const Request& request);
  // discovery.cc: the same where RFC 5780 is offered
  bool offers_discovery(const Path& path) const;
  void discover(const Request& request);
  // answers.cc
  void classic_binding(const Request& request);
  void try_alternate(const Request& request);
  void answer(const Request& request, stun::Builder& builder);  // a success
  void send_answer(const Request& request, stun::Builder& builder);
  void answer_plainly(const Request& request);
  void refuse(const Request& request, stun::ErrorCode code,
              const stun::MessageView::UnknownTypes& unknown = {});
  void report_refusal(const Request& request, stun::ErrorCode code);
  bool add_challenge(const Request& request, stun::ErrorCode code, stun::Builder& builder);
  std::size_t reply_limit(const Request& request) const;
  bool answers_with_fingerprint(const Request& request) const;
  bool may_reply(const Request& request);

  // relaying.cc: the number of segments of `run` that were dealt with, from `first` on
  std::uint32_t relay_channel_data(Tick now, const Path& path, const Run& run, std::uint32_t first,
                                   Sink& sink);
  std::uint32_t relay_send_indications(Tick now, const Path& path, const Run& run,
                                       std::uint32_t first, Sink& sink);
  // relaying.cc: a Send indication of any shape
  void relay_send_indication(Tick now, const Path& path, const stun::MessageView& message,
                             const Run& carrier, Sink& sink);
  void relay_to_peer(Tick now, const Path& path, const Address& peer, const Run& payloads,
                     Sink& sink);
  struct PeerToClient {
    Allocation& allocation;
    const Permission& permission;
    const Channel* channel;  // null: Data indications
    const Address& peer;
  };
  void send_to_client(const PeerToClient& way, const Run& run, Sink& sink);
  stun::TransactionId next_indication_id();
  // relaying.cc: the limits of bandwidth; false, and counted, when the run must be dropped
  bool may_relay(Allocation& allocation, Direction direction, const Run& run, MonoTime now) {
    return !metered_ || is_within_bandwidth(allocation, direction, run, now);
  }
  void count_to_peer(Allocation& allocation, const Run& run) {
    statistics_.client_packets_relayed.add(run.count);
    statistics_.client_bytes_relayed.add(run.total_bytes());
    add(allocation.traffic[static_cast<std::size_t>(Direction::kToPeer)], run);
  }
  void count_to_client(Allocation& allocation, const Run& run) {
    statistics_.peer_packets_relayed.add(run.count);
    statistics_.peer_bytes_relayed.add(run.total_bytes());
    add(allocation.traffic[static_cast<std::size_t>(Direction::kToClient)], run);
  }
  static void add(Traffic& traffic, const Run& run) {
    traffic.packets += run.count;
    traffic.bytes += run.total_bytes();
  }
  bool is_within_bandwidth(Allocation& allocation, Direction direction, const Run& run,
                           MonoTime now);

  std::shared_ptr<const Settings> settings_;
  Quota& quota_;
  const LiveRelays& live_relays_;
  const LiveRelays& live_tcp_relays_;
  Random& random_;
  const std::uint32_t worker_;
  const std::uint32_t workers_;
  stun::NonceSource nonces_;
  Throttle throttle_;
  Revocations revocations_;
  std::optional<Authenticator> authenticator_;  // made anew with the settings it borrows from
  TimerWheel wheel_;
  Allocations allocations_;
  DataConnections data_connections_;
  Slab<Reservation> reservations_;
  Forwards forwards_;
  BandwidthPool* bandwidth_;
  bool metered_;
  std::array<Lease, kDirections> leases_;
  Statistics statistics_;
  bool draining_ = false;
  std::uint64_t indication_seed_ = 0;
  std::uint64_t indications_ = 0;
};

stun::ErrorCode code_of(RelayError error);

// Comprehension-required attributes of a message that this server does not act on: those its table
// does not know, and those of features it does not offer (RFC 8489 section 6.3).
stun::MessageView::UnknownTypes unsupported_attributes(const stun::MessageView& message);

}  // namespace turnpike::turn
