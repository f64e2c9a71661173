#include <array>
#include <utility>

#include "base/check.h"
#include "signaling/response.h"
#include "signaling/service_core.h"

namespace turnpike::signaling {

namespace {

constexpr std::size_t kSequenceBytes = 8;

ws::CloseCode close_code(Dismissal why) {
  switch (why) {
    case Dismissal::kLeft:
      return ws::CloseCode::kLeft;
    case Dismissal::kRemoved:
      return ws::CloseCode::kRemoved;
    case Dismissal::kResumedElsewhere:
      return ws::CloseCode::kResumedElsewhere;
  }
  return ws::CloseCode::kNormal;
}

}  // namespace

void Service::Core::upgrade(ConnectionHandle handle, const http::Request& request) {
  // CORS does not cover WebSockets: here the server itself must look at the Origin.
  if (judge_site(request, settings_.allowed_origins) == Site::kForeign) {
    http::Response refusal = http::text_response(403, "pages of this site are not welcome here\n");
    refusal.close = true;
    return respond(handle, &request, refusal);
  }
  const ws::Handshake handshake = ws::judge_handshake(request);
  if (handshake.status != 101) {
    http::Response refusal =
        http::text_response(handshake.status, "this path speaks WebSocket, version 13\n");
    refusal.close = true;
    if (handshake.status == 426) {
      refusal.headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
    }
    return respond(handle, &request, refusal);
  }
  Connection& connection = *connections_.find(handle);
  http::Response welcome;
  welcome.status = 101;
  welcome.headers = {{"Upgrade", "websocket"},
                     {"Connection", "Upgrade"},
                     {"Sec-WebSocket-Accept", handshake.accept}};
  write(handle, connection, as_bytes(http::serialise_head(welcome, &request, now_.wall)));
  connection.phase = Connection::Phase::kWebSocket;
  connection.reader = std::make_unique<ws::Reader>();
  connection.peer = peers_.emplace();
  Peer* peer = peers_.find(connection.peer);
  CHECK(peer != nullptr);  // one for each connection at most
  peer->dialect = &native_;
  peer->carrier = handle.pack();
  arm(connection, kPingInterval);
}

void Service::Core::on_websocket(ConnectionHandle handle, ByteView bytes) {
  ws::Message message;
  while (true) {
    Connection* connection = connections_.find(handle);
    if (connection == nullptr || connection->doomed) return;
    if (connection->phase != Connection::Phase::kWebSocket) {
      return discard(handle, *connection, bytes);
    }
    const Peer* peer = peers_.find(connection->peer);
    CHECK(peer != nullptr);
    const ws::Limits limits{peer->dialect->max_message()};
    switch (connection->reader->feed(bytes, limits, message)) {
      case ws::Reader::Status::kNeedsMore:
        return;
      case ws::Reader::Status::kFailed:
        return on_framing_error(handle, *connection);
      case ws::Reader::Status::kMessage:
        on_frame(handle, *connection, message);
    }
  }
}

void Service::Core::on_framing_error(ConnectionHandle handle, Connection& connection) {
  const ws::CloseCode code = connection.reader->failure();
  connection.reader.reset();  // no frame after this one can be found
  if (code == ws::CloseCode::kTooLarge) {
    const Peer& peer = *peers_.find(connection.peer);
    const std::string encoded =
        peer.dialect->encode(Failure{ErrorCode::kTooLarge, "a message has at most 64 KiB", {}});
    std::string text;
    if (!encoded.empty()) peer.dialect->address(encoded, 0, text);
    if (!text.empty()) send_frame(handle, connection, ws::Opcode::kText, text);
  }
  close_websocket(handle, connection, code);
}

void Service::Core::on_frame(ConnectionHandle handle, Connection& connection,
                             const ws::Message& message) {
  connection.unanswered = 0;
  if (message.opcode == ws::Opcode::kBinary) {
    return close_websocket(handle, connection, ws::CloseCode::kUnsupportedData);
  }
  if (message.opcode != ws::Opcode::kText) return on_control_frame(handle, connection, message);
  const PeerHandle peer = connection.peer;
  const Verdict verdict = converse(now_, peer, *peers_.find(peer), message.payload, hub_, *this);
  if (verdict == Verdict::kAbuse) close_websocket(handle, connection, ws::CloseCode::kPolicy);
}

void Service::Core::on_control_frame(ConnectionHandle handle, Connection& connection,
                                     const ws::Message& message) {
  if (message.opcode == ws::Opcode::kClose) {
    const ws::CloseReading reading = ws::read_close(message.payload);
    if (!reading.valid) return close_websocket(handle, connection, reading.code);
    send_frame(handle, connection, ws::Opcode::kClose, ws::close_payload(reading.code));
    return doom(handle, connection);
  }
  if (!connection.control_frames.take(now_.mono, kControlFrameRate)) {
    return close_websocket(handle, connection, ws::CloseCode::kPolicy);
  }
  if (message.opcode == ws::Opcode::kPing) {
    return send_frame(handle, connection, ws::Opcode::kPong, message.payload);
  }
  // Frames arrive in order, so whoever answers a ping has taken in all that was sent before it.
  turnpike::Reader in(as_bytes(message.payload));
  const std::uint64_t sequence = in.u64();
  if (!in.ok() || in.remaining() != 0) return;
  hub_.confirm(peers_.find(connection.peer)->member, connection.peer, sequence);
}

void Service::Core::on_ping_due(ConnectionHandle handle, Connection& connection) {
  if (connection.unanswered >= kMaxUnansweredPings) return doom(handle, connection);
  ++connection.unanswered;
  std::array<std::uint8_t, kSequenceBytes> payload;
  turnpike::Writer out(payload);
  out.u64(hub_.last_sequence(peers_.find(connection.peer)->member));
  send_frame(handle, connection, ws::Opcode::kPing, as_text(payload));
  arm(connection, kPingInterval);
}

void Service::Core::send_frame(ConnectionHandle handle, Connection& connection, ws::Opcode opcode,
                               std::string_view payload) {
  scratch_.clear();
  ws::append_frame_head(scratch_, opcode, payload.size());
  scratch_.append(payload);
  write(handle, connection, as_bytes(scratch_));
  if (connection.queued > kMaxQueuedBytes) doom(handle, connection);
}

void Service::Core::close_websocket(ConnectionHandle handle, Connection& connection,
                                    ws::CloseCode code) {
  if (connection.phase != Connection::Phase::kWebSocket) return;
  send_frame(handle, connection, ws::Opcode::kClose, ws::close_payload(code));
  linger(connection);
  release_peer(connection);
}

// --- the hub's words ---

void Service::Core::deliver(PeerHandle peer_handle, std::string_view text) {
  const Peer* peer = peers_.find(peer_handle);
  if (peer == nullptr) return;
  const ConnectionHandle handle = ConnectionHandle::unpack(peer->carrier);
  Connection* connection = connections_.find(handle);
  CHECK(connection != nullptr);
  if (connection->phase != Connection::Phase::kWebSocket) return;
  send_frame(handle, *connection, ws::Opcode::kText, text);
}

void Service::Core::dismiss(PeerHandle peer_handle, Dismissal why) {
  const Peer* peer = peers_.find(peer_handle);
  if (peer == nullptr) return;
  const ConnectionHandle handle = ConnectionHandle::unpack(peer->carrier);
  Connection* connection = connections_.find(handle);
  CHECK(connection != nullptr);
  // The hub knows that this peer is gone; it is not to be called back.
  peers_.erase(peer_handle);
  connection->peer = {};
  close_websocket(handle, *connection, close_code(why));
}

void Service::Core::revoke(std::string_view name, WallTime until) { outlet_->revoke(name, until); }

}  // namespace turnpike::signaling
