#include <utility>

#include "signaling/engineio_core.h"

namespace turnpike::signaling::engineio {

namespace {

constexpr std::string_view kProbe = "probe";

}  // namespace

std::optional<http::Response> Server::Core::refuse(Tick now, const Visit& visit) {
  std::optional<Refusal> refusal;
  const auto wish = judge(now, visit);
  if (!wish) {
    refusal = wish.error();
  } else if (wish->transport != Transport::kWebSocket) {
    refusal = Refusal{Error::kBadRequest};
  } else if (!wish->session) {
    refusal = room_for(visit);
  }
  if (!refusal) return std::nullopt;
  http::Response response;
  response.status = refusal->status;
  response.content_type = "text/html";
  response.body = message_of(refusal->error);
  response.no_store = true;
  response.close = true;
  return response;
}

Endpoint::Tag Server::Core::open_socket(Tick now, ConnectionHandle connection, const Visit& visit) {
  const auto wish = judge(now, visit);
  const SessionHandle known = wish ? wish->session : SessionHandle{};
  if (Session* session = sessions_.find(known)) {
    return open_probe(now, connection, known, *session);
  }
  const SessionHandle handle = wish ? begin(now, visit, *wish) : SessionHandle{};
  Session* session = sessions_.find(handle);
  if (session == nullptr) {
    wire_.close(connection, ws::CloseCode::kPolicy);
    return 0;
  }
  session->phase = Session::Phase::kWebSocket;
  session->socket = connection;
  send_packet(now, handle, *session, {Type::kOpen, Kind::kText, open_data(*session)});
  session->tag = application_.on_open(now, handle, {wish->version, session->sid(), visit});
  return handle.pack();
}

Endpoint::Tag Server::Core::open_probe(Tick now, ConnectionHandle connection, SessionHandle handle,
                                       Session& session) {
  if (session.phase != Session::Phase::kPolling || session.polling->probe) {
    wire_.close(connection, ws::CloseCode::kNormal);
    return 0;
  }
  session.polling->probe = connection;
  wheel_.arm(session.polling->probe_timer, now.mono + settings_.upgrade_timeout);
  return handle.pack();
}

std::optional<Packet> Server::Core::decode_frame(const Session& session, ws::Opcode opcode,
                                                 std::string_view payload) {
  if (opcode == ws::Opcode::kBinary) return decode_binary(session.version, payload);
  return decode_text(session.version, payload, scratch_);
}

void Server::Core::on_frame(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                            std::string_view payload) {
  const auto handle = SessionHandle::unpack(tag);
  Session* session = sessions_.find(handle);
  if (session == nullptr || !lives(*session)) return;
  const auto packet = decode_frame(*session, opcode, payload);
  if (session->phase == Session::Phase::kPolling) {
    if (session->polling->probe != connection) return;
    if (!packet) return drop_probe(*session);
    return on_probe_frame(now, handle, *session, *packet);
  }
  if (session->socket != connection) return;
  if (!packet) return end(now, handle, *session, CloseReason::kParseError);
  take_packet(now, handle, *session, *packet);
}

void Server::Core::on_probe_frame(Tick now, SessionHandle handle, Session& session,
                                  const Packet& packet) {
  if (packet == Packet{Type::kPing, Kind::kText, kProbe}) {
    Polling& polling = *session.polling;
    heard(now, session);
    wire_.send(polling.probe, ws::Opcode::kText,
               encode_frame(session.version, {Type::kPong, Kind::kText, kProbe}));
    polling.probed = true;
    // The client waits for the GET to come back before it sends the upgrade packet.
    if (polling.poll.connection && polling.queue.empty()) answer_poll(session, Type::kNoop);
  } else if (packet == Packet{Type::kUpgrade, Kind::kText, {}}) {
    heard(now, session);
    upgrade(now, handle, session);
  } else {
    drop_probe(session);
  }
}

void Server::Core::upgrade(Tick now, SessionHandle handle, Session& session) {
  if (session.polling->poll.connection) answer_poll(session, Type::kNoop);
  const std::unique_ptr<Polling> polling = std::move(session.polling);
  session.phase = Session::Phase::kWebSocket;
  session.socket = polling->probe;
  for (const Polling::Waiting& waiting : polling->queue) {
    send_packet(now, handle, session, {waiting.type, waiting.kind, waiting.data});
  }
  clear_queue(*polling);
}

void Server::Core::drop_probe(Session& session) {
  Polling& polling = *session.polling;
  polling.probe_timer.disarm();
  polling.probed = false;
  const ConnectionHandle probe = std::exchange(polling.probe, {});
  if (probe) wire_.close(probe, ws::CloseCode::kNormal);
}

void Server::Core::on_gone(Tick now, ConnectionHandle connection, Tag tag) {
  const auto handle = SessionHandle::unpack(tag);
  Session* session = sessions_.find(handle);
  if (session == nullptr || !lives(*session)) return;
  if (session->phase == Session::Phase::kWebSocket) {
    if (session->socket != connection) return;
    session->socket = {};
    return end(now, handle, *session, CloseReason::kTransportClose);
  }
  Polling& polling = *session->polling;
  if (polling.probe == connection) {
    polling.probe = {};
    drop_probe(*session);
  } else if (polling.poll.connection == connection) {
    polling.poll = {};
    end(now, handle, *session, CloseReason::kTransportClose);
  }
}

}  // namespace turnpike::signaling::engineio
