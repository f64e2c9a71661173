#include "signaling/service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/check.h"
#include "signaling/service_core.h"

namespace turnpike::signaling {

// --- connections ---

Service::Core::Core(Settings settings, Random& random)
    : settings_(std::move(settings)),
      random_(random),
      minter_(settings_.secret, settings_.ice_urls),
      signer_(settings_.secret),
      hub_({settings_.open_rooms}, minter_, signer_, random_,
           {wheel_, static_cast<std::uint32_t>(TimerKind::kMember)}),
      api_({settings_.api_keys, settings_.public_url, minter_, signer_, hub_, random_}),
      arrivals_(kArrivalRate) {}

ConnectionHandle Service::Core::connect(Tick now, const ConnectionOrigin& origin) {
  now_ = now;
  const IpAddress& ip = origin.remote.ip;
  const IpAddress source = source_prefix(ip);
  if (!ip.is_loopback()) {
    const auto found = per_source_.find(source);
    if (found != per_source_.end() && found->second >= kMaxConnectionsPerSource) return {};
    if (!arrivals_.take(now.mono, ip)) return {};
  }
  const ConnectionHandle handle = connections_.emplace(origin);
  if (!handle) return {};
  ++per_source_[source];
  Connection& connection = *connections_.find(handle);
  connection.timer.name(static_cast<std::uint32_t>(TimerKind::kConnection), handle.pack());
  arm(connection, kRequestDeadline);
  return handle;
}

void Service::Core::receive(Tick now, ConnectionHandle handle, ByteView bytes, Outlet& outlet) {
  const Call call(*this, now, outlet);
  dispatch(handle, bytes);
}

void Service::Core::dispatch(ConnectionHandle handle, ByteView bytes) {
  while (!bytes.empty()) {
    Connection* connection = connections_.find(handle);
    if (connection == nullptr || connection->doomed) return;
    switch (connection->phase) {
      case Connection::Phase::kHttp:
        bytes = bytes.subspan(on_http(handle, *connection, bytes));
        break;
      case Connection::Phase::kFile: {
        std::string& pipelined = connection->file->pipelined;
        if (bytes.size() > kMaxPipelined - pipelined.size()) return doom(handle, *connection);
        pipelined.append(as_text(bytes));
        return;
      }
      case Connection::Phase::kWebSocket:
        return on_websocket(handle, bytes);
      case Connection::Phase::kLingering:
        return discard(handle, *connection, bytes);
    }
  }
}

void Service::Core::disconnect(Tick now, ConnectionHandle handle, Outlet& outlet) {
  const Call call(*this, now, outlet);
  if (Connection* connection = connections_.find(handle)) forget(handle, *connection);
}

void Service::Core::forget(ConnectionHandle handle, Connection& connection) {
  release_peer(connection);
  const auto count = per_source_.find(source_prefix(connection.origin.remote.ip));
  CHECK(count != per_source_.end());
  if (--count->second == 0) per_source_.erase(count);
  queued_ -= connection.share();
  connections_.erase(handle);
}

void Service::Core::end(ConnectionHandle handle, Connection& connection) {
  outlet_->close(handle);
  forget(handle, connection);
}

// A lost WebSocket is not a leave: the member stays, away.
void Service::Core::release_peer(Connection& connection) {
  const PeerHandle handle = std::exchange(connection.peer, PeerHandle{});
  const Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  const Handle<Member> member = peer->member;
  peers_.erase(handle);
  hub_.lost(now_, member, handle, *this);
}

// Ending a connection tells its room, which writes to other connections, which may be the ones that
// somebody is walking over. So it waits for the end of the call.
void Service::Core::doom(ConnectionHandle handle, Connection& connection) {
  if (connection.doomed) return;
  connection.doomed = true;
  doomed_.push_back(handle);
}

void Service::Core::end_doomed() {
  while (!doomed_.empty()) {
    const ConnectionHandle handle = doomed_.back();
    doomed_.pop_back();
    if (Connection* connection = connections_.find(handle)) end(handle, *connection);
  }
}

void Service::Core::write(ConnectionHandle handle, Connection& connection, ByteView bytes) {
  if (connection.doomed) return;
  queued_ -= connection.share();
  connection.queued = outlet_->write(handle, bytes);
  queued_ += connection.share();
}

// One source can fill a room with readers that do not read, and each has its share of memory. What
// was told is old by now, so everybody is asked again before anybody is cut.
void Service::Core::relieve() {
  std::vector<std::pair<std::size_t, ConnectionHandle>> waiting;
  connections_.for_each([&](ConnectionHandle handle, Connection& connection) {
    if (connection.queued == 0 || connection.doomed) return;
    write(handle, connection, {});
    if (connection.queued > 0) waiting.emplace_back(connection.share(), handle);
  });
  if (queued_ <= kMaxQueuedTotal) return;
  std::sort(waiting.begin(), waiting.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  std::size_t left = queued_;
  for (const auto& [queued, handle] : waiting) {
    if (left <= kMaxQueuedTotal / 2) return;
    doom(handle, *connections_.find(handle));
    left -= queued;
  }
}

void Service::Core::arm(Connection& connection, Duration after) {
  wheel_.arm(connection.timer, now_.mono + after);
}

// Closing while the peer still sends would reset the connection and take our last words with it.
void Service::Core::linger(Connection& connection) {
  connection.phase = Connection::Phase::kLingering;
  connection.parser.reset();
  connection.file.reset();
  arm(connection, kLingerTime);
}

void Service::Core::discard(ConnectionHandle handle, Connection& connection, ByteView bytes) {
  connection.discarded += static_cast<std::uint32_t>(std::min(bytes.size(), kMaxDiscarded));
  if (connection.discarded > kMaxDiscarded) return doom(handle, connection);
  if (connection.reader == nullptr) return;
  ws::Message message;
  while (true) {
    const auto status = connection.reader->feed(bytes, {}, message);
    if (status == ws::Reader::Status::kNeedsMore) return;
    if (status == ws::Reader::Status::kFailed) {
      connection.reader.reset();
      return;
    }
    // Both sides have said goodbye (RFC 6455 section 7.1.1: the server closes first).
    if (message.opcode == ws::Opcode::kClose) return doom(handle, connection);
  }
}

// --- time ---

void Service::Core::pass_time(Tick now, Outlet& outlet) {
  const Call call(*this, now, outlet);
  while (Timer* timer = wheel_.take_expired(now.mono)) {
    if (timer->kind() == static_cast<std::uint32_t>(TimerKind::kMember)) {
      hub_.on_timer(now, *timer, *this);
      continue;
    }
    const ConnectionHandle handle = ConnectionHandle::unpack(timer->subject());
    Connection* connection = connections_.find(handle);
    CHECK(connection != nullptr);
    if (!connection->doomed) on_connection_timer(handle, *connection);
  }
}

void Service::Core::on_connection_timer(ConnectionHandle handle, Connection& connection) {
  switch (connection.phase) {
    case Connection::Phase::kHttp:
      return on_request_timeout(handle, connection);
    case Connection::Phase::kFile:
    case Connection::Phase::kLingering:
      return doom(handle, connection);
    case Connection::Phase::kWebSocket:
      return on_ping_due(handle, connection);
  }
}

void Service::Core::shut_down(Tick now, Outlet& outlet) {
  const Call call(*this, now, outlet);
  connections_.for_each([&](ConnectionHandle handle, Connection& connection) {
    if (connection.phase == Connection::Phase::kWebSocket) {
      send_frame(handle, connection, ws::Opcode::kClose,
                 ws::close_payload(ws::CloseCode::kGoingAway));
    }
    outlet.close(handle);
    // Nobody is told that the others are away: everybody is going.
    peers_.erase(connection.peer);
    connection.peer = {};
    connections_.erase(handle);
  });
  per_source_.clear();
  queued_ = 0;
  doomed_.clear();
}

Service::Audit Service::Core::audit() const {
  return {connections_.size(), hub_.room_count(), hub_.member_count()};
}

std::string Service::Core::example_ice_servers(WallTime now) const {
  const std::string key =
      settings_.api_keys.empty() ? settings_.secret : settings_.api_keys.front();
  const auto credential = minter_.mint("example", minter_.key_id(key), Minter::kMaxKeyTtl, now);
  return minter_.ice_servers(credential).dump(2);
}

std::string Service::Core::room_link(std::string_view room, WallTime now) const {
  const Invitation invitation{{std::string(room)}, now + InvitationSigner::kMaxLife};
  return call_link(settings_.public_url, room, signer_.sign(invitation));
}

// --- the public face ---

Service::Service(Settings settings, Random& random)
    : core_(std::make_unique<Core>(std::move(settings), random)) {}
Service::~Service() = default;

ConnectionHandle Service::on_connected(Tick now, const ConnectionOrigin& origin) {
  return core_->connect(now, origin);
}
void Service::on_bytes(Tick now, ConnectionHandle connection, ByteView bytes, Outlet& outlet) {
  core_->receive(now, connection, bytes, outlet);
}
void Service::on_disconnected(Tick now, ConnectionHandle connection, Outlet& outlet) {
  core_->disconnect(now, connection, outlet);
}
void Service::on_file(Tick now, ConnectionHandle connection, const FileAnswer& answer,
                      Outlet& outlet) {
  core_->file_arrived(now, connection, answer, outlet);
}
void Service::on_time(Tick now, Outlet& outlet) { core_->pass_time(now, outlet); }
MonoTime Service::next_deadline() const { return core_->next_deadline(); }
void Service::shut_down(Tick now, Outlet& outlet) { core_->shut_down(now, outlet); }
std::string Service::example_ice_servers(WallTime now) const {
  return core_->example_ice_servers(now);
}
std::string Service::room_link(std::string_view room, WallTime now) const {
  return core_->room_link(room, now);
}
Service::Audit Service::audit() const { return core_->audit(); }

}  // namespace turnpike::signaling
