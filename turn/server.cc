#include "turn/server.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "stun/classify.h"
#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Class;
using stun::ErrorCode;
using stun::Method;

// Known to the table, not offered by this server: a request that depends on one must fail, not be
// half understood. (RFC 5780 where discovery.cc does not serve it.)
constexpr std::array kNotOffered = {
    Attribute::kChangeRequest,
    Attribute::kPadding,
    Attribute::kResponsePort,
};

bool is_not_offered(std::uint16_t type) {
  return std::any_of(kNotOffered.begin(), kNotOffered.end(),
                     [type](Attribute a) { return static_cast<std::uint16_t>(a) == type; });
}

bool is_turn_request(std::uint16_t method, const Settings& settings) {
  switch (static_cast<Method>(method)) {
    case Method::kConnect:
    case Method::kConnectionBind:
      return settings.tcp_relay;
    case Method::kAllocate:
    case Method::kRefresh:
    case Method::kCreatePermission:
    case Method::kChannelBind:
      return true;
    default:
      return false;
  }
}

class NoRelays final : public LiveRelays {
 public:
  bool is_live(const Address&) const override { return false; }
};
const NoRelays kNoRelays;

}  // namespace

stun::MessageView::UnknownTypes unsupported_attributes(const stun::MessageView& message) {
  stun::MessageView::UnknownTypes types = message.unknown_required();
  for (const stun::MessageView::Entry& entry : message.entries()) {
    const auto end = types.types.begin() + static_cast<std::ptrdiff_t>(types.count);
    if (!is_not_offered(entry.type) || std::find(types.types.begin(), end, entry.type) != end) {
      continue;
    }
    types.types[types.count++] = entry.type;
  }
  return types;
}

Server::Core::Core(std::shared_ptr<const Settings> settings, const Shared& shared)
    : settings_(std::move(settings)),
      quota_(shared.quota),
      live_relays_(shared.live_relays),
      live_tcp_relays_(shared.live_tcp_relays != nullptr ? *shared.live_tcp_relays : kNoRelays),
      random_(shared.random),
      worker_(shared.worker),
      workers_(shared.workers),
      nonces_(settings_->nonce_key, settings_->nonce_lifetime),
      throttle_(settings_->unauthorized_replies_per_second, settings_->unauthorized_burst),
      revocations_(kMaxRevokedNames),
      authenticator_(std::in_place,
                     Authenticator::Sources{settings_->credentials, settings_->token_keys,
                                            revocations_, nonces_, shared.users}),
      allocations_(settings_->max_allocations),
      data_connections_(settings_->tcp_relay ? settings_->max_data_connections : 0,
                        {shared.worker, shared.workers}, shared.random),
      reservations_(kMaxReservations),
      bandwidth_(shared.bandwidth),
      metered_(settings_->max_bps != 0 || shared.bandwidth != nullptr),
      indication_seed_(shared.random.u64()) {}

void Server::Core::on_client(Tick now, const Path& path, const Run& run, Sink& sink) {
  if (!forwards_.empty() && forward(now, path, run, sink)) return;
  for (std::uint32_t at = 0; at < run.count;) {
    const ByteView packet = run.segment(at);
    switch (stun::classify(packet)) {
      case stun::PacketKind::kChannelData:
        at += relay_channel_data(now, path, run, at, sink);
        break;
      case stun::PacketKind::kStun:
        if (const std::uint32_t relayed = relay_send_indications(now, path, run, at, sink)) {
          at += relayed;
          break;
        }
        on_message(now, path, run.slice(at, 1), sink);
        ++at;
        break;
      default:
        statistics_.dropped_malformed.add();
        ++at;
    }
  }
}

void Server::Core::on_message(Tick now, const Path& path, const Run& packet, Sink& sink) {
  const auto message = stun::MessageView::parse(packet.segment(0));
  if (!message && settings_->classic_binding) {
    return on_classic_message(now, path, packet.segment(0), sink);
  }
  if (!message) return statistics_.dropped_malformed.add();
  if (message->is(Class::kIndication, Method::kSend)) {
    return relay_send_indication(now, path, *message, packet, sink);
  }
  if (message->is(Class::kIndication, Method::kBinding)) return;  // a keep-alive, RFC 8445 11
  if (message->message_class() != Class::kRequest) return statistics_.dropped_malformed.add();
  on_request({now, path, *message, sink, {}, nullptr});
}

// What clients of RFC 3489 send: no cookie, so 128 bits of transaction id. Only Binding has such
// clients (RFC 8656 section 5 knows none); indications are ignored (RFC 8489 section 11).
void Server::Core::on_classic_message(Tick now, const Path& path, ByteView packet, Sink& sink) {
  const auto message = stun::MessageView::parse_classic(packet);
  if (!message || !message->is(Class::kRequest, Method::kBinding)) {
    return statistics_.dropped_malformed.add();
  }
  statistics_.messages.count_request(path.transport, message->method());
  classic_binding({now, path, *message, sink, {}, nullptr});
}

// Unknown methods are not answered at all: an answer to a stranger, however short, is a gift to
// whoever forged the source. Authentication comes before unknown attributes (RFC 8489 section 6.3).
void Server::Core::on_request(const Request& request) {
  const bool is_binding = request.message.is(Class::kRequest, Method::kBinding);
  if (!is_binding && !is_turn_request(request.message.method(), *settings_)) {
    return statistics_.dropped_malformed.add();
  }
  statistics_.messages.count_request(request.path.transport, request.message.method());
  if (is_binding && !settings_->binding_needs_credentials) return binding(request);

  const Authenticator::Verdict who =
      authenticator_->judge(request.message, request.path, request.now, session_of(request));
  if (who.kind == Authenticator::Verdict::Kind::kPending) return;
  if (who.kind == Authenticator::Verdict::Kind::kRefused) {
    if (who.failure != Authenticator::Failure::kNone) {
      statistics_.auth_failures[static_cast<std::size_t>(who.failure)].add();
    }
    return refuse(request, who.code);
  }

  Request known{request.now, request.path, request.message, request.sink, who.name, &who.key};
  // An allocation never outlives its access token (RFC 7635 section 7).
  if (settings_->strict_expiry || who.by_token) known.expires = who.expires;
  if (is_binding) return binding(known);
  auto unsupported = unsupported_attributes(request.message);
  if (settings_->token_keys.empty() && request.message.has(Attribute::kAccessToken)) {
    unsupported.types[unsupported.count++] = static_cast<std::uint16_t>(Attribute::kAccessToken);
  }
  if (unsupported.count > 0) return refuse(known, ErrorCode::kUnknownAttribute, unsupported);
  const bool allocates = request.message.is(Class::kRequest, Method::kAllocate);
  if (allocates && !settings_->alternate_servers.empty()) return try_alternate(known);
  if (const Outcome outcome = answer_method(known); !outcome) {
    refuse(known, outcome.error());
  } else if (who.from_elsewhere) {
    keep_credential(known, who);
  }
}

void Server::Core::keep_credential(const Request& request, const Authenticator::Verdict& who) {
  Allocation* allocation = allocations_.find(request.path);
  if (allocation == nullptr) allocation = allocations_.find_arriving(request.path);
  const auto username = authenticator_->username_of(request.message);
  if (allocation == nullptr || !username || allocation->holder->name != who.name) return;
  allocation->kept = std::make_unique<const KeptCredential>(
      KeptCredential{std::string(*username), who.key.key, who.expires, who.by_token});
}

// An allocation outlives the credential that made it, for as long as its holder refreshes it,
// unless the operator wants otherwise.
Authenticator::Session Server::Core::session_of(const Request& request) {
  Authenticator::Session session;
  if (request.message.is(Class::kRequest, Method::kAllocate)) return session;
  const Allocation* allocation = allocations_.find(request.path);
  if (request.message.is(Class::kRequest, Method::kConnectionBind)) {
    // It comes on a new connection; and of other workers' holders this one knows nothing.
    const auto id = request.message.u32(Attribute::kConnectionId).value_or(0);
    if (!data_connections_.is_ours(id)) {
      session.expired = Credentials::Expired::kAccepted;
      return session;
    }
    const DataConnection* connection = data_connections_.find_id(id);
    if (connection != nullptr) allocation = &allocation_of(*connection);
  }
  if (settings_->mobility && request.message.is(Class::kRequest, Method::kRefresh)) {
    const auto ticket = request.message.value(Attribute::kMobilityTicket);
    const auto claim = ticket ? open_ticket(settings_->ticket_key, *ticket) : std::nullopt;
    if (claim && claim->worker != worker_) {
      session.expired = Credentials::Expired::kAccepted;
      return session;
    }
    if (claim) allocation = allocations_.find(Handle<Allocation>::unpack(claim->allocation));
  }
  if (allocation == nullptr) allocation = allocations_.find_arriving(request.path);
  const auto username = authenticator_->username_of(request.message);
  if (allocation == nullptr || !username) return session;
  const std::string& holder = allocation->holder->name;
  if (allocation->kept && allocation->kept->username == *username) {
    session.kept = allocation->kept.get();
    session.holder = holder;
  }
  if (!settings_->strict_expiry && holder == settings_->credentials.identify(*username).name) {
    session.expired = Credentials::Expired::kAccepted;
  }
  return session;
}

Outcome Server::Core::answer_method(const Request& request) {
  switch (static_cast<Method>(request.message.method())) {
    case Method::kAllocate:
      return allocate(request);
    case Method::kRefresh:
      return refresh(request);
    case Method::kCreatePermission:
      return create_permission(request);
    case Method::kChannelBind:
      return channel_bind(request);
    case Method::kConnect:
      return connect(request);
    case Method::kConnectionBind:
      return connection_bind(request);
    default:
      CHECK(false);  // is_turn_request() lists the cases above
  }
}

void Server::Core::on_client_gone(Tick now, const Path& path, Sink& sink) {
  if (Allocation* allocation = allocations_.find(path)) {
    if (!outlives_connection(*allocation, sink)) {
      end(now, *allocation, Event::Ending::kClientGone, sink);
    }
  } else if (Allocation* expecting = allocations_.find_arriving(path)) {
    forget_arriving(*expecting, sink);
  }
  forwards_.remove(path);
}

void Server::Core::on_time(Tick now, Sink& sink) {
  while (const Timer* timer = wheel_.take_expired(now.mono)) on_timer(now, *timer, sink);
}

void Server::Core::on_timer(Tick now, const Timer& timer, Sink& sink) {
  const auto kind = static_cast<TimerKind>(timer.kind());
  if (kind == TimerKind::kDataConnection) {
    DataConnection* connection = data_connections_.find({timer.subject()});
    CHECK(connection != nullptr);  // a timer lives inside what it times
    return on_data_late(*connection, sink);
  }
  if (kind == TimerKind::kReservation) {
    return give_up(Handle<Reservation>::unpack(timer.subject()), sink);
  }
  Allocation* allocation = allocations_.find(Handle<Allocation>::unpack(timer.subject()));
  CHECK(allocation != nullptr);  // a timer lives inside what it times
  if (!allocation->second) return end(now, *allocation, Event::Ending::kExpired, sink);
  end_leg(*allocation, kind == TimerKind::kIPv4Leg ? Family::kIPv4 : Family::kIPv6, sink);
}

void Server::Core::revoke(Tick now, std::string_view name, WallTime until, Sink& sink) {
  revocations_.add(name, until, now.wall);
  while (Allocation* allocation = allocations_.first_of(name)) {
    end(now, *allocation, Event::Ending::kRevoked, sink);
  }
  reservations_.for_each([&](Handle<Reservation> handle, const Reservation& reservation) {
    if (reservation.subject.name == name) give_up(handle, sink);
  });
}

void Server::Core::shut_down(Tick now, Sink& sink) {
  allocations_.for_each(
      [&](Allocation& allocation) { end(now, allocation, Event::Ending::kShutdown, sink); });
  reservations_.for_each(
      [&](Handle<Reservation> handle, const Reservation&) { give_up(handle, sink); });
}

void Server::Core::end(Tick now, Allocation& allocation, Event::Ending ending, Sink& sink) {
  if (allocation.mobility && allocation.mobility->arriving) forget_arriving(allocation, sink);
  // The relayed addresses first: whoever sees his connection end finds nobody listening any more.
  sink.close_relay(allocation.first.relay);
  if (allocation.second) sink.close_relay(allocation.second->relay);
  close_data_connections(allocation, Family::kIPv4, sink);
  close_data_connections(allocation, Family::kIPv6, sink);
  Event event;
  event.kind = Event::Kind::kAllocationEnded;
  event.ending = ending;
  event.path = &allocation.path;
  event.relayed = allocation.first.external;
  event.username = allocation.holder->name;
  event.begun = allocation.began;
  event.traffic = allocation.traffic;
  sink.report(event);
  statistics_.durations.observe(now.mono - allocation.began);
  bury(allocation);
}

void Server::Core::end_leg(Allocation& allocation, Family family, Sink& sink) {
  const bool is_first = allocation.first.family() == family;
  const std::unique_ptr<Leg> second = std::move(allocation.second);
  sink.close_relay(is_first ? allocation.first.relay : second->relay);
  close_data_connections(allocation, family, sink);
  if (allocation.tcp) allocation.tcp->permissions.forget(family);
  if (is_first) {
    allocation.first.relay = second->relay;
    allocation.first.relayed = second->relayed;
    allocation.first.external = second->external;
    arm(allocation, allocation.first, second->expiry.deadline());
  }
  allocation.permissions.forget(family);
  allocation.channels.forget(family);
}

void Server::Core::arm(Allocation& allocation, Leg& leg, MonoTime deadline) {
  const TimerKind kind = leg.family() == Family::kIPv4 ? TimerKind::kIPv4Leg : TimerKind::kIPv6Leg;
  leg.expiry.name(static_cast<std::uint32_t>(kind), allocation.handle.pack());
  wheel_.arm(leg.expiry, deadline);
}

// Every allocation dies here, and only here is what it was charged for given back.
void Server::Core::bury(Allocation& allocation) {
  quota_.release({allocation.holder->name, allocation.charged_for});
  forget(allocation);
}

void Server::Core::forget(Allocation& allocation) {
  statistics_.by_kind.end(allocation.counted_as);
  allocations_.erase(allocation);
  statistics_.allocations.subtract(1);
}

Server::Audit Server::Core::audit() {
  Audit audit;
  audit.revoked_names = revocations_.size();
  audit.reservations = reservations_.size();
  allocations_.for_each([&](Allocation& allocation) {
    ++audit.allocations;
    audit.permissions += allocation.permissions.size();
    audit.channels += allocation.channels.size();
    if (allocation.tcp) audit.permissions += allocation.tcp->permissions.size();
  });
  audit.arriving_paths = allocations_.arriving();
  audit.forwards = forwards_.size();
  audit.data_connections = data_connections_.size();
  return audit;
}

Server::Server(std::shared_ptr<const Settings> settings, Shared shared)
    : core_(std::make_unique<Core>(std::move(settings), shared)) {}
Server::~Server() = default;

void Server::on_client(Tick now, const Path& path, const Run& run, Sink& sink) {
  core_->on_client(now, path, run, sink);
}
void Server::on_peer(Tick now, std::uint64_t owner, const Address& peer, const Run& run,
                     Sink& sink) {
  core_->on_peer(now, owner, peer, run, sink);
}
void Server::on_connected(Tick now, DataName data, ConnectOutcome outcome, Sink& sink) {
  core_->on_connected(now, data, outcome, sink);
}
DataName Server::on_accepted(Tick now, std::uint64_t owner, const Address& peer, Sink& sink) {
  return core_->on_accepted(now, owner, peer, sink);
}
MonoTime Server::on_data(Tick now, DataName data, Direction direction, std::size_t bytes) {
  return core_->on_data(now, data, direction, bytes);
}

void Server::on_data_ended(DataName data) { core_->on_data_ended(data); }
void Server::on_peer_error(Tick now, std::uint64_t owner, const Address& peer,
                           const IcmpError& error, Sink& sink) {
  core_->on_peer_error(now, owner, peer, error, sink);
}
void Server::on_client_gone(Tick now, const Path& path, Sink& sink) {
  core_->on_client_gone(now, path, sink);
}
void Server::on_time(Tick now, Sink& sink) { core_->on_time(now, sink); }
MonoTime Server::next_deadline() const { return core_->next_deadline(); }
void Server::revoke(Tick now, std::string_view name, WallTime until, Sink& sink) {
  core_->revoke(now, name, until, sink);
}
void Server::shut_down(Tick now, Sink& sink) { core_->shut_down(now, sink); }
void Server::renew(const Renewal& renewal, Sink& sink) { core_->renew(renewal, sink); }
void Server::drain() { core_->drain(); }
void Server::for_each_allocation(const Visitor& visit) { core_->for_each_allocation(visit); }
std::optional<Server::Report> Server::report(Tick now, std::uint64_t allocation) {
  return core_->report(now, allocation);
}
bool Server::end(Tick now, std::uint64_t allocation, Sink& sink) {
  return core_->end(now, allocation, sink);
}
const Statistics& Server::statistics() const { return core_->statistics(); }
Server::Audit Server::audit() const { return core_->audit(); }
Server::Examination Server::examine() const { return core_->examine(); }

}  // namespace turnpike::turn
