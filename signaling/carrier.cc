#include "signaling/carrier.h"

#include <utility>

#include "signaling/carrier_core.h"
#include "signaling/forwarded.h"

namespace turnpike::signaling {

namespace {

enum class TimerKind : std::uint32_t { kConnection };

}  // namespace

// --- connections ---

Carrier::Core::Core(Settings settings, Routes& routes)
    : settings_(std::move(settings)), routes_(routes), arrivals_(kArrivalRate) {}

void Carrier::Core::add(Endpoint& endpoint) {
  CHECK(endpoints_.size() < kMaxEndpoints);
  endpoints_.push_back(&endpoint);
}

ConnectionHandle Carrier::Core::connect(Tick now, const ConnectionOrigin& origin) {
  now_ = now;
  const IpAddress& ip = origin.remote.ip;
  if (!ip.is_loopback() && !is_trusted(ip, settings_.trusted_proxies)) {
    if (is_full(source_prefix(ip))) return {};
    if (!arrivals_.take(now.mono, ip)) return {};
  }
  const ConnectionHandle handle = connections_.emplace(ip, origin.secure, origin.tls);
  if (!handle) return {};
  Connection& connection = *connections_.find(handle);
  ++per_source_[connection.counts_for];
  connection.timer.name(static_cast<std::uint32_t>(TimerKind::kConnection), handle.pack());
  arm(connection, kRequestDeadline);
  return handle;
}

bool Carrier::Core::is_full(const IpAddress& source) const {
  const auto found = per_source_.find(source);
  return found != per_source_.end() && found->second >= kMaxConnectionsPerSource;
}

void Carrier::Core::uncount(const Connection& connection) {
  const auto count = per_source_.find(connection.counts_for);
  CHECK(count != per_source_.end());
  if (--count->second == 0) per_source_.erase(count);
}

void Carrier::Core::count_for(Connection& connection, const IpAddress& source) {
  uncount(connection);
  connection.counts_for = source;
  ++per_source_[source];
}

void Carrier::Core::receive(Tick now, ConnectionHandle handle, ByteView bytes, Outlet& outlet) {
  const Call call(*this, now, outlet);
  dispatch(handle, bytes);
}

void Carrier::Core::dispatch(ConnectionHandle handle, ByteView bytes) {
  consume(handle, bytes);
  if (Connection* connection = connections_.find(handle)) recount(*connection);
}

void Carrier::Core::consume(ConnectionHandle handle, ByteView bytes) {
  while (!bytes.empty()) {
    Connection* connection = connections_.find(handle);
    if (connection == nullptr || connection->doomed) return;
    switch (connection->phase) {
      case Connection::Phase::kReading:
        bytes = bytes.subspan(on_http(handle, *connection, bytes));
        break;
      case Connection::Phase::kAnswering:
        return on_pipelined(handle, *connection, bytes);
      case Connection::Phase::kWebSocket:
        return on_websocket(handle, bytes);
      case Connection::Phase::kStreaming:
      case Connection::Phase::kLingering:
        return discard(handle, *connection, bytes);
    }
  }
}

void Carrier::Core::disconnect(Tick now, ConnectionHandle handle, Outlet& outlet) {
  const Call call(*this, now, outlet);
  if (Connection* connection = connections_.find(handle)) forget(handle, *connection);
}

void Carrier::Core::forget(ConnectionHandle handle, Connection& connection) {
  end_conversation(handle, connection);
  uncount(connection);
  queued_ -= connection.share();
  unfinished_ -= connection.unfinished;
  connections_.erase(handle);
}

void Carrier::Core::end(ConnectionHandle handle, Connection& connection) {
  outlet_->close(handle);
  forget(handle, connection);
}

// Endpoints that hear of it write to other connections, which may be the ones that somebody is
// walking over. So the notice waits for the end of the call.
void Carrier::Core::end_conversation(ConnectionHandle handle, Connection& connection) {
  Endpoint* endpoint = std::exchange(connection.endpoint, nullptr);
  if (endpoint != nullptr) gone_.push_back({endpoint, handle, connection.tag});
}

void Carrier::Core::doom(ConnectionHandle handle, Connection& connection) {
  if (connection.doomed) return;
  connection.doomed = true;
  doomed_.push_back(handle);
}

void Carrier::Core::settle() {
  if (queued_ > kMaxQueuedTotal) relieve_queues();
  if (unfinished_ > kMaxUnfinishedTotal) relieve_memory();
  // Each of these can make more of the others. It ends, because every round uses up connections or
  // bytes that came in.
  while (!doomed_.empty() || !gone_.empty() || !pipelined_.empty()) {
    for (const ConnectionHandle handle : std::exchange(doomed_, {})) {
      if (Connection* connection = connections_.find(handle)) end(handle, *connection);
    }
    for (const Gone& gone : std::exchange(gone_, {})) {
      gone.endpoint->on_gone(now_, gone.handle, gone.tag);
    }
    for (const Pipelined& next : std::exchange(pipelined_, {})) {
      dispatch(next.handle, as_bytes(next.bytes));
    }
  }
}

void Carrier::Core::write(ConnectionHandle handle, Connection& connection, ByteView bytes) {
  if (connection.doomed) return;
  queued_ -= connection.share();
  connection.queued = outlet_->write(handle, bytes);
  queued_ += connection.share();
}

void Carrier::Core::write(ConnectionHandle handle, Connection& connection, std::string& head,
                          ByteView body) {
  if (body.size() <= kJoined) {
    head.append(as_text(body));
    body = {};
  }
  write(handle, connection, as_bytes(head));
  if (!body.empty()) write(handle, connection, body);
}

void Carrier::Core::doom_largest(Shares& shares, std::size_t total, std::size_t goal) {
  std::sort(shares.begin(), shares.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [share, handle] : shares) {
    if (total <= goal) return;
    doom(handle, *connections_.find(handle));
    total -= share;
  }
}

// One source can fill a room with readers that do not read, and each has its share of memory. What
// was told is old by now, so everybody is asked again before anybody is cut.
void Carrier::Core::relieve_queues() {
  Shares waiting;
  connections_.for_each([&](ConnectionHandle handle, Connection& connection) {
    if (connection.queued == 0 || connection.doomed) return;
    write(handle, connection, {});
    if (connection.queued > 0) waiting.emplace_back(connection.share(), handle);
  });
  if (queued_ > kMaxQueuedTotal) doom_largest(waiting, queued_, kMaxQueuedTotal / 2);
}

// Half a message has no deadline on a WebSocket.
void Carrier::Core::relieve_memory() {
  Shares shares;
  connections_.for_each([&](ConnectionHandle handle, Connection& connection) {
    if (connection.unfinished > 0) shares.emplace_back(connection.unfinished, handle);
  });
  doom_largest(shares, unfinished_, kMaxUnfinishedTotal / 2);
}

void Carrier::Core::recount(Connection& connection) {
  std::size_t bytes = 0;
  if (connection.parser != nullptr) bytes += connection.parser->buffered();
  if (connection.reader != nullptr) bytes += connection.reader->buffered();
  if (connection.exchange != nullptr) {
    bytes += connection.exchange->request.body.size() + connection.exchange->pipelined.size();
  }
  unfinished_ -= connection.unfinished;
  connection.unfinished = static_cast<std::uint32_t>(bytes);
  unfinished_ += connection.unfinished;
}

// Closing while the peer still sends would reset the connection and take our last words with it.
void Carrier::Core::linger(Connection& connection) {
  connection.phase = Connection::Phase::kLingering;
  connection.parser.reset();
  arm(connection, kLingerTime);
}

void Carrier::Core::discard(ConnectionHandle handle, Connection& connection, ByteView bytes) {
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

void Carrier::Core::pass_time(Tick now, Outlet& outlet) {
  const Call call(*this, now, outlet);
  while (Timer* timer = wheel_.take_expired(now.mono)) {
    const ConnectionHandle handle = ConnectionHandle::unpack(timer->subject());
    Connection* connection = connections_.find(handle);
    CHECK(connection != nullptr);
    if (!connection->doomed) on_connection_timer(handle, *connection);
  }
  for (Endpoint* endpoint : endpoints_) {
    if (endpoint->next_deadline() <= now.mono) endpoint->on_time(now);
  }
}

MonoTime Carrier::Core::next_deadline() const {
  MonoTime next = wheel_.next();
  for (const Endpoint* endpoint : endpoints_) next = std::min(next, endpoint->next_deadline());
  return next;
}

void Carrier::Core::on_connection_timer(ConnectionHandle handle, Connection& connection) {
  switch (connection.phase) {
    case Connection::Phase::kReading:
      return on_request_timeout(handle, connection);
    case Connection::Phase::kAnswering:
    case Connection::Phase::kStreaming:
    case Connection::Phase::kLingering:
      return doom(handle, connection);
    case Connection::Phase::kWebSocket:
      return on_ping_due(handle, connection);
  }
}

void Carrier::Core::shut_down(Tick now, Outlet& outlet) {
  const Call call(*this, now, outlet);
  connections_.for_each([&](ConnectionHandle handle, Connection& connection) {
    if (connection.phase == Connection::Phase::kWebSocket &&
        connection.endpoint->farewell() == Endpoint::Farewell::kGoingAway) {
      send_frame(handle, connection, ws::Opcode::kClose,
                 ws::close_payload(ws::CloseCode::kGoingAway));
    }
    outlet.close(handle);
    connections_.erase(handle);
  });
  // Nobody is told that the others are away: everybody is going.
  per_source_.clear();
  queued_ = 0;
  unfinished_ = 0;
  doomed_.clear();
  gone_.clear();
  pipelined_.clear();
}

std::size_t Carrier::Core::websocket_count() {
  std::size_t count = 0;
  connections_.for_each([&](ConnectionHandle, const Connection& connection) {
    if (connection.phase == Connection::Phase::kWebSocket) ++count;
  });
  return count;
}

// Held requests, streams and WebSockets whose endpoint pings by itself last as long as it likes.
bool Carrier::Core::needs_deadline(const Connection& connection) {
  switch (connection.phase) {
    case Connection::Phase::kReading:
    case Connection::Phase::kLingering:
      return true;
    case Connection::Phase::kAnswering:
      return connection.exchange != nullptr && connection.exchange->stage == Exchange::Stage::kFile;
    case Connection::Phase::kWebSocket:
      return connection.endpoint != nullptr &&
             connection.endpoint->keep_alive() == Endpoint::KeepAlive::kPings;
    case Connection::Phase::kStreaming:
      break;
  }
  return false;
}

void Carrier::Core::audit(Findings& findings) {
  PerSource per_source;
  std::size_t queued = 0, unfinished = 0;
  connections_.for_each([&](ConnectionHandle, const Connection& connection) {
    ++per_source[connection.counts_for];
    queued += connection.share();
    unfinished += connection.unfinished;
    if (needs_deadline(connection) && !connection.timer.armed() && !connection.doomed) {
      findings.add("the connection with " + connection.remote.to_string() + " has no deadline");
    }
    const bool talks = connection.phase == Connection::Phase::kWebSocket;
    if (talks && (connection.endpoint == nullptr || connection.reader == nullptr)) {
      findings.add("the WebSocket of " + connection.remote.to_string() + " leads nowhere");
    }
  });
  if (per_source != per_source_) {
    findings.add("signaling's connections are counted for the wrong sources");
  }
  findings.expect_equal("bytes queued for signaling's connections", queued_, queued);
  findings.expect_equal("bytes of unfinished requests and messages", unfinished_, unfinished);
}

// --- the public face ---

Carrier::Carrier(Settings settings, Routes& routes)
    : core_(std::make_unique<Core>(std::move(settings), routes)) {}
Carrier::~Carrier() = default;

void Carrier::add(Endpoint& endpoint) { core_->add(endpoint); }
ConnectionHandle Carrier::on_connected(Tick now, const ConnectionOrigin& origin) {
  return core_->connect(now, origin);
}
void Carrier::on_bytes(Tick now, ConnectionHandle connection, ByteView bytes, Outlet& outlet) {
  core_->receive(now, connection, bytes, outlet);
}
void Carrier::on_disconnected(Tick now, ConnectionHandle connection, Outlet& outlet) {
  core_->disconnect(now, connection, outlet);
}
void Carrier::on_file(Tick now, ConnectionHandle connection, const FileAnswer& answer,
                      Outlet& outlet) {
  core_->file_arrived(now, connection, answer, outlet);
}
void Carrier::on_time(Tick now, Outlet& outlet) { core_->pass_time(now, outlet); }
MonoTime Carrier::next_deadline() const { return core_->next_deadline(); }
void Carrier::shut_down(Tick now, Outlet& outlet) { core_->shut_down(now, outlet); }
std::size_t Carrier::connection_count() const { return core_->connection_count(); }
std::size_t Carrier::websocket_count() const { return core_->websocket_count(); }
void Carrier::drain() { core_->drain(); }
void Carrier::audit(Findings& findings) const { core_->audit(findings); }
void Carrier::upgrade(ConnectionHandle connection, const Visit& visit, Endpoint& endpoint,
                      Sites sites) {
  core_->upgrade(connection, visit, endpoint, sites);
}
void Carrier::ask_for_file(ConnectionHandle connection, Folder folder, std::string_view path) {
  core_->ask_for_file(connection, folder, path);
}
void Carrier::begin_stream(ConnectionHandle connection, const http::Response& head,
                           Endpoint& endpoint, Endpoint::Tag tag) {
  core_->begin_stream(connection, head, endpoint, tag);
}
std::size_t Carrier::stream(ConnectionHandle connection, std::string_view bytes) {
  return core_->stream(connection, bytes);
}
void Carrier::send(ConnectionHandle connection, ws::Opcode opcode, std::string_view payload) {
  core_->send(connection, opcode, payload);
}
void Carrier::close(ConnectionHandle connection, ws::CloseCode code, std::string_view reason) {
  core_->close(connection, code, reason);
}
void Carrier::drop(ConnectionHandle connection) { core_->drop(connection); }
void Carrier::hold(ConnectionHandle connection, Endpoint& endpoint, Endpoint::Tag tag) {
  core_->hold(connection, endpoint, tag);
}
void Carrier::respond(ConnectionHandle connection, const http::Response& response) {
  core_->respond(connection, response);
}

}  // namespace turnpike::signaling
