// TCP allocations (RFC 6062): Connect, ConnectionBind, peers that connect, and the end of data
// connections. Which bytes flow is not seen here: a bound pair is the sink's to splice.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::ErrorCode;
using stun::Method;

// Dropping a peer's port into a relay makes this server speak to services; those below 1024 are
// mostly not meant for guests.
constexpr std::uint16_t kFirstUnprivilegedPort = 1024;

// Connect tells open ports from closed ones, so it must not be a fast scanner.
constexpr Duration kConnectInterval = milliseconds(100);
constexpr Duration kConnectBurst = kConnectInterval * 50;

// Between two looks whether the server has bandwidth left for a connection that waits for it.
constexpr Duration kCapacityPause = milliseconds(10);

bool spend_attempt(Holder& holder, MonoTime now) {
  const MonoTime full_at = std::max(holder.connects_full_at, now) + kConnectInterval;
  if (full_at - now > kConnectBurst) return false;
  holder.connects_full_at = full_at;
  return true;
}

}  // namespace

bool Server::Core::is_tcp_port_allowed(std::uint16_t port) const {
  if (port >= kFirstUnprivilegedPort) return true;
  const auto& allowed = settings_->allowed_low_tcp_ports;
  return std::any_of(allowed.begin(), allowed.end(), [port](const PortRange& range) {
    return range.first <= port && port <= range.last;
  });
}

// RFC 6062 section 5.2, in its order.
Outcome Server::Core::connect(const Request& request) {
  const auto found = own_allocation(request);
  if (!found) return unexpected(found.error());
  Allocation& allocation = **found;
  if (!allocation.tcp) return unexpected(ErrorCode::kAllocationMismatch);
  const auto named = request.message.xor_address(Attribute::kXorPeerAddress);
  if (!named || named->port == 0) return unexpected(ErrorCode::kBadRequest);
  const auto peer = judge_peer(*named, allocation);
  if (!peer) return unexpected(peer.error());
  const Leg& leg = *allocation.leg(peer->address.family());
  const bool dead = peer->own && !live_tcp_relays_.is_live(peer->address);
  // A socket that connects to its own address would reach itself.
  const bool itself = peer->address == leg.relayed;
  if (dead || itself || !is_tcp_port_allowed(named->port)) return unexpected(ErrorCode::kForbidden);
  if (allocation.tcp->find(peer->address) != nullptr) {
    return unexpected(ErrorCode::kConnectionAlreadyExists);
  }
  if (!may_open_data_connection(allocation)) return unexpected(ErrorCode::kInsufficientCapacity);
  if (!spend_attempt(*allocation.holder, request.now.mono)) {
    return unexpected(ErrorCode::kInsufficientCapacity);
  }

  DataConnection& connection = open_data_connection(allocation, peer->address);
  connection.question = {request.message.transaction_id(), *request.key,
                         answers_with_fingerprint(request)};
  wheel_.arm(connection.timer, request.now.mono + kConnectTimeout);
  if (!request.sink.connect(leg.relay, peer->address, connection.name())) {
    forget_data_connection(connection);
    return unexpected(ErrorCode::kConnectionTimeoutOrFailure);
  }
  return {};
}

// RFC 6062 section 5.4. The connection that it comes on is new and its client is anybody until
// here, so it may have been accepted by a worker that does not have the other half.
Outcome Server::Core::connection_bind(const Request& request) {
  if (!is_stream(request.path.transport)) return unexpected(ErrorCode::kBadRequest);
  if (allocations_.find(request.path) != nullptr) return unexpected(ErrorCode::kBadRequest);
  const auto id = request.message.u32(Attribute::kConnectionId);
  if (!id) return unexpected(ErrorCode::kBadRequest);
  if (!data_connections_.is_ours(*id)) {
    request.sink.hand_over(request.path, data_connections_.worker_of(*id));
    return {};
  }
  DataConnection* connection = data_connections_.find_id(*id);
  if (connection == nullptr || connection->state != DataConnection::State::kPending) {
    return unexpected(ErrorCode::kBadRequest);
  }
  const Allocation& allocation = allocation_of(*connection);
  if (!is_holders(allocation, request)) return unexpected(ErrorCode::kWrongCredentials);
  connection->state = DataConnection::State::kBound;
  connection->timer.disarm();
  answer_plainly(request);
  request.sink.splice(connection->name(), request.path);
  return {};
}

void Server::Core::on_connected(Tick now, DataName name, ConnectOutcome outcome, Sink& sink) {
  DataConnection* connection = data_connections_.find(name);
  if (connection == nullptr) return;
  if (outcome == ConnectOutcome::kFailed) return fail_connect(*connection, sink);
  connection->state = DataConnection::State::kPending;
  wheel_.arm(connection->timer, now.mono + kBindTimeout);
  Room room;
  Builder builder(room, Class::kSuccess, Method::kConnect, connection->question.id);
  builder.u32(Attribute::kConnectionId, connection->id);
  statistics_.messages.count_answer(static_cast<std::uint16_t>(Method::kConnect),
                                    MessageCounters::kSuccess);
  answer_connect(*connection, builder, sink);
}

// Whatever the reason, the answer is the same: it shall not tell closed ports from filtered ones.
void Server::Core::fail_connect(DataConnection& connection, Sink& sink) {
  Room room;
  Builder builder(room, Class::kError, Method::kConnect, connection.question.id);
  builder.error(ErrorCode::kConnectionTimeoutOrFailure);
  statistics_.error_responses.add();
  const Allocation& allocation = allocation_of(connection);
  Event event;
  event.code = static_cast<std::uint16_t>(ErrorCode::kConnectionTimeoutOrFailure);
  event.method = static_cast<std::uint16_t>(Method::kConnect);
  statistics_.messages.count_answer(event.method, event.code);
  event.path = &allocation.path;
  event.username = allocation.holder->name;
  sink.report(event);
  answer_connect(connection, builder, sink);
  forget_data_connection(connection);
}

void Server::Core::answer_connect(const DataConnection& connection, Builder& builder, Sink& sink) {
  builder.sign(connection.question.key);
  if (connection.question.fingerprint) builder.fingerprint();
  const ByteView bytes = builder.finish();
  CHECK(!bytes.empty());
  sink.to_client(allocation_of(connection).path, Parts{bytes, {}, 0});
}

// RFC 6062 section 5.3: without a permission the peer is turned away at once.
DataName Server::Core::on_accepted(Tick now, std::uint64_t owner, const Address& peer, Sink& sink) {
  Allocation* allocation = allocations_.find(Handle<Allocation>::unpack(owner));
  if (allocation == nullptr || !allocation->tcp) return {};
  const Permission* permission = allocation->tcp->permissions.find_live(peer.ip, now.mono);
  const bool dead = permission != nullptr && permission->own && !live_tcp_relays_.is_live(peer);
  if (permission == nullptr || dead) {
    statistics_.dropped_no_permission.add();
    return {};
  }
  if (!may_open_data_connection(*allocation)) return {};
  DataConnection& connection = open_data_connection(*allocation, peer);
  connection.state = DataConnection::State::kPending;
  wheel_.arm(connection.timer, now.mono + kBindTimeout);

  Address shown = peer;
  if (permission->shown_as_external) shown.ip = settings_->external.to_external(peer.ip);
  Room room;
  Builder builder(room, Class::kIndication, Method::kConnectionAttempt, next_indication_id());
  builder.xor_address(Attribute::kXorPeerAddress, shown)
      .u32(Attribute::kConnectionId, connection.id);
  sink.to_client(allocation->path, Parts{builder.finish(), {}, 0});
  return connection.name();
}

// What was read is passed on whatever it costs; the reader waits until it is paid for.
MonoTime Server::Core::on_data(Tick now, DataName name, Direction direction, std::size_t bytes) {
  DataConnection* connection = data_connections_.find(name);
  if (connection == nullptr) return now.mono;
  const auto way = static_cast<std::size_t>(direction);
  allocation_of(*connection).traffic[way].bytes += bytes;
  if (!metered_) return now.mono;
  MonoTime until = now.mono;
  if (settings_->max_bps != 0) {
    Meter& meter = allocation_of(*connection).meters[way];
    meter.take(bytes, settings_->max_bps, now.mono);
    until = std::max(until, meter.room_at());
  }
  std::uint64_t& unpaid = connection->unpaid[way];
  if (bandwidth_ == nullptr) return until;
  unpaid += bytes;
  if (unpaid != 0 && !leases_[way].spend(*bandwidth_, direction, unpaid, now.mono)) {
    return std::max(until, now.mono + kCapacityPause);
  }
  unpaid = 0;
  return until;
}

void Server::Core::on_data_ended(DataName name) {
  if (DataConnection* connection = data_connections_.find(name)) {
    forget_data_connection(*connection);
  }
}

void Server::Core::on_data_late(DataConnection& connection, Sink& sink) {
  sink.close_data(connection.name());
  if (connection.state == DataConnection::State::kConnecting) return fail_connect(connection, sink);
  forget_data_connection(connection);
}

void Server::Core::close_data_connections(Allocation& allocation, Family family, Sink& sink) {
  if (!allocation.tcp) return;
  auto& connections = allocation.tcp->connections;
  for (auto next = connections.begin(); next != connections.end();) {
    DataConnection& connection = *next++;
    if (connection.peer.family() != family) continue;
    sink.close_data(connection.name());
    forget_data_connection(connection);
  }
}

bool Server::Core::may_open_data_connection(const Allocation& allocation) const {
  return !data_connections_.full() && allocation.tcp->count < kMaxDataConnectionsPerAllocation &&
         allocation.holder->data_connections < kMaxDataConnectionsPerHolder;
}

DataConnection& Server::Core::open_data_connection(Allocation& allocation, const Address& peer) {
  DataConnection& connection = data_connections_.create(peer);
  connection.allocation = allocation.handle;
  connection.timer.name(static_cast<std::uint32_t>(TimerKind::kDataConnection),
                        connection.self.pack());
  allocation.tcp->connections.push_back(connection);
  ++allocation.tcp->count;
  ++allocation.holder->data_connections;
  statistics_.data_connections.add();
  return connection;
}

void Server::Core::forget_data_connection(DataConnection& connection) {
  Allocation& allocation = allocation_of(connection);
  --allocation.tcp->count;
  --allocation.holder->data_connections;
  statistics_.data_connections.subtract(1);
  data_connections_.erase(connection);
}

Allocation& Server::Core::allocation_of(const DataConnection& connection) {
  Allocation* allocation = allocations_.find(connection.allocation);
  CHECK(allocation != nullptr);  // a data connection ends before its allocation
  return *allocation;
}

}  // namespace turnpike::turn
