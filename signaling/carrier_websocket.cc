#include <utility>

#include "signaling/carrier_core.h"
#include "signaling/response.h"

namespace turnpike::signaling {

namespace {

// Of WebSockets that are closed as soon as they are open: nothing is said on them.
class Nobody final : public Endpoint {
 public:
  std::size_t max_message() const override { return 0; }
  Tag on_open(Tick, ConnectionHandle, const Visit&) override { return 0; }
  void on_message(Tick, ConnectionHandle, Tag, ws::Opcode, std::string_view) override {}
  void on_gone(Tick, ConnectionHandle, Tag) override {}
};
Nobody nobody;

}  // namespace

void Carrier::Core::refuse_upgrade(ConnectionHandle handle, http::Response refusal) {
  refusal.close = true;
  respond(handle, refusal);
}

void Carrier::Core::upgrade(ConnectionHandle handle, const Visit& visit, Endpoint& endpoint,
                            Sites sites) {
  Connection* connection = connections_.find(handle);
  Exchange* exchange = open_exchange(connection);
  if (exchange == nullptr || exchange->stage != Exchange::Stage::kHandling) return;
  // CORS does not cover WebSockets: here the server itself must look at the Origin.
  if (!admits(sites, visit.request, settings_.allowed_origins)) {
    return refuse_upgrade(handle,
                          http::text_response(403, "pages of this site are not welcome here\n"));
  }
  const ws::Handshake handshake = ws::judge_handshake(visit.request);
  if (handshake.status != 101) {
    http::Response refusal =
        http::text_response(handshake.status, "this path speaks WebSocket, version 13\n");
    if (handshake.status == 426) {
      refusal.headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
    }
    return refuse_upgrade(handle, std::move(refusal));
  }
  // A page learns the code of a close frame, but nothing of a handshake that was refused.
  const bool unwelcome = draining_ && !endpoint.belongs_to_kept(visit);
  if (auto refusal = unwelcome ? std::nullopt : endpoint.refuse(now_, visit)) {
    return refuse_upgrade(handle, std::move(*refusal));
  }
  if (const IpAddress source = source_prefix(visit.source); source != connection->counts_for) {
    if (is_full(source) && !visit.source.is_loopback()) {
      return refuse_upgrade(handle, http::text_response(503, "too many connections from there\n"));
    }
    count_for(*connection, source);
  }
  http::Response welcome;
  welcome.status = 101;
  welcome.headers = {{"Upgrade", "websocket"},
                     {"Connection", "Upgrade"},
                     {"Sec-WebSocket-Accept", handshake.accept}};
  write(handle, *connection, as_bytes(http::serialise_head(welcome, &visit.request, now_.wall)));
  exchange->stage = Exchange::Stage::kAnswered;
  connection->phase = Connection::Phase::kWebSocket;
  connection->reader = std::make_unique<ws::Reader>();
  connection->endpoint = unwelcome ? &nobody : &endpoint;
  if (unwelcome) {
    return close_websocket(handle, *connection, ws::CloseCode::kTryAgainLater, "draining");
  }
  if (endpoint.keep_alive() == Endpoint::KeepAlive::kPings) arm(*connection, kPingInterval);
  const Endpoint::Tag tag = endpoint.on_open(now_, handle, visit);
  connection->tag = tag;
  // Closed before it had a name.
  for (Gone& gone : gone_) {
    if (gone.handle == handle) gone.tag = tag;
  }
}

void Carrier::Core::on_websocket(ConnectionHandle handle, ByteView bytes) {
  ws::Message message;
  while (true) {
    Connection* connection = connections_.find(handle);
    if (connection == nullptr || connection->doomed) return;
    if (connection->phase != Connection::Phase::kWebSocket) {
      return discard(handle, *connection, bytes);
    }
    const ws::Limits limits{connection->endpoint->max_message()};
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

void Carrier::Core::on_framing_error(ConnectionHandle handle, Connection& connection) {
  const ws::CloseCode code = connection.reader->failure();
  connection.reader.reset();  // no frame after this one can be found
  if (code == ws::CloseCode::kTooLarge) {
    connection.endpoint->on_too_large(now_, handle, connection.tag);
  }
  close_websocket(handle, connection, code);
}

void Carrier::Core::on_frame(ConnectionHandle handle, Connection& connection,
                             const ws::Message& message) {
  connection.unanswered = 0;
  const bool binary = message.opcode == ws::Opcode::kBinary;
  if (binary && !connection.endpoint->takes_binary()) {
    return close_websocket(handle, connection, ws::CloseCode::kUnsupportedData);
  }
  if (!binary && message.opcode != ws::Opcode::kText) {
    return on_control_frame(handle, connection, message);
  }
  connection.endpoint->on_message(now_, handle, connection.tag, message.opcode, message.payload);
}

void Carrier::Core::on_control_frame(ConnectionHandle handle, Connection& connection,
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
  if (connection.endpoint->keep_alive() == Endpoint::KeepAlive::kPings) {
    connection.endpoint->on_pong(now_, handle, connection.tag, message.payload);
  }
}

void Carrier::Core::on_ping_due(ConnectionHandle handle, Connection& connection) {
  if (connection.unanswered >= kMaxUnansweredPings) return doom(handle, connection);
  ++connection.unanswered;
  send_frame(handle, connection, ws::Opcode::kPing,
             connection.endpoint->ping_payload(connection.tag));
  arm(connection, kPingInterval);
}

void Carrier::Core::send_frame(ConnectionHandle handle, Connection& connection, ws::Opcode opcode,
                               std::string_view payload) {
  scratch_.clear();
  ws::append_frame_head(scratch_, opcode, payload.size());
  write(handle, connection, scratch_, as_bytes(payload));
  if (connection.queued > kMaxQueuedBytes) doom(handle, connection);
}

void Carrier::Core::close_websocket(ConnectionHandle handle, Connection& connection,
                                    ws::CloseCode code, std::string_view reason) {
  if (connection.phase != Connection::Phase::kWebSocket || connection.doomed) return;
  send_frame(handle, connection, ws::Opcode::kClose, ws::close_payload(code, reason));
  linger(connection);
  end_conversation(handle, connection);
}

// --- the endpoints' words ---

void Carrier::Core::send(ConnectionHandle handle, ws::Opcode opcode, std::string_view payload) {
  Connection* connection = connections_.find(handle);
  if (connection == nullptr || connection->phase != Connection::Phase::kWebSocket) return;
  if (!connection->doomed) send_frame(handle, *connection, opcode, payload);
}

void Carrier::Core::close(ConnectionHandle handle, ws::CloseCode code, std::string_view reason) {
  if (Connection* connection = connections_.find(handle)) {
    close_websocket(handle, *connection, code, reason);
  }
}

void Carrier::Core::drop(ConnectionHandle handle) {
  Connection* connection = connections_.find(handle);
  if (connection == nullptr) return;
  const bool conversation = connection->phase == Connection::Phase::kWebSocket ||
                            connection->phase == Connection::Phase::kStreaming;
  if (conversation) doom(handle, *connection);
}

}  // namespace turnpike::signaling
