#include "signaling/engineio.h"

#include <algorithm>

#include "base/check.h"
#include "signaling/engineio_core.h"

namespace turnpike::signaling::engineio {

// --- the server's face ---

Server::Server(Settings settings, Wire& wire, Random& random, Application& application)
    : core_(std::make_unique<Core>(settings, *this, wire, random, application)) {}

Server::~Server() = default;

void Server::on_request(Tick now, ConnectionHandle connection, const Visit& visit) {
  core_->enter(now, [&] { core_->on_request(now, connection, visit); });
}

std::size_t Server::max_message() const { return core_->settings().max_payload; }

bool Server::belongs_to_kept(const Visit& visit) const {
  return !http::query_value(visit.request.query(), "sid").value_or("").empty();
}

void Server::drain() { core_->stop_beginning(); }
std::size_t Server::polling_count() const { return core_->polling_count(); }

std::optional<http::Response> Server::refuse(Tick now, const Visit& visit) {
  return core_->enter(now, [&] { return core_->refuse(now, visit); });
}

Endpoint::Tag Server::on_open(Tick now, ConnectionHandle connection, const Visit& visit) {
  return core_->enter(now, [&] { return core_->open_socket(now, connection, visit); });
}

void Server::on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                        std::string_view payload) {
  core_->enter(now, [&] { core_->on_frame(now, connection, tag, opcode, payload); });
}

void Server::on_gone(Tick now, ConnectionHandle connection, Tag tag) {
  core_->enter(now, [&] { core_->on_gone(now, connection, tag); });
}

void Server::on_time(Tick now) {
  core_->enter(now, [&] { core_->on_time(now); });
}

MonoTime Server::next_deadline() const { return core_->next_deadline(); }

void Server::send(Tick now, SessionHandle session, Kind kind, std::string_view payload) {
  core_->send_all(now, {&session, 1}, kind, payload);
}

void Server::send_all(Tick now, std::span<const SessionHandle> sessions, Kind kind,
                      std::string_view payload) {
  core_->send_all(now, sessions, kind, payload);
}

void Server::close(Tick now, SessionHandle session) { core_->close(now, session); }

IpAddress Server::source(SessionHandle session) const { return core_->source(session); }

std::size_t Server::session_count() const { return core_->live(); }

// --- a session's life ---

Server::Core::Core(Settings settings, Server& server, Wire& wire, Random& random,
                   Application& application)
    : settings_(settings),
      server_(server),
      wire_(wire),
      random_(random),
      application_(application),
      sessions_(settings.max_sessions) {}

std::optional<Server::Core::Refusal> Server::Core::room_for(const Visit& visit) const {
  if (draining_ || sessions_.size() >= sessions_.maximum()) return Refusal{Error::kForbidden, 503};
  if (visit.source.is_loopback()) return std::nullopt;
  const auto found = by_prefix_.find(source_prefix(visit.source));
  if (found == by_prefix_.end() || found->second < settings_.max_sessions_per_source) {
    return std::nullopt;
  }
  return Refusal{Error::kForbidden, 403};
}

std::size_t Server::Core::polling_count() {
  std::size_t count = 0;
  sessions_.for_each([&](SessionHandle, const Session& session) {
    if (session.phase == Session::Phase::kPolling) ++count;
  });
  return count;
}

SessionHandle Server::Core::begin(Tick now, const Visit& visit, const Wish& wish) {
  const SessionHandle handle = sessions_.emplace();
  Session* session = sessions_.find(handle);
  if (session == nullptr) return {};
  do {
    const std::string sid = random_.token(Session::kSidBytes);
    CHECK(sid.size() == session->sid_text.size());
    std::copy(sid.begin(), sid.end(), session->sid_text.begin());
  } while (by_sid_.contains(session->sid()));
  by_sid_.emplace(session->sid(), handle);
  session->version = wish.version;
  session->base64_only = wish.base64;
  session->source = visit.source;
  if (!visit.source.is_loopback()) {
    session->source = source_prefix(visit.source);
    ++by_prefix_[session->source];
  }
  session->timer.name(kBeat, handle.pack());
  start_beating(now, *session);
  return handle;
}

std::string Server::Core::open_data(const Session& session) const {
  const bool polls = session.phase == Session::Phase::kPolling;
  std::string data = "{\"sid\":\"";
  data.append(session.sid()).append("\",\"upgrades\":[");
  if (polls) data += "\"websocket\"";
  data += "],\"pingInterval\":" + std::to_string(settings_.ping_interval.count());
  data += ",\"pingTimeout\":" + std::to_string(settings_.ping_timeout.count());
  if (session.version == Version::k4) {
    data += ",\"maxPayload\":" + std::to_string(settings_.max_payload);
  }
  return data += "}";
}

void Server::Core::end(Tick now, SessionHandle handle, Session& session, CloseReason reason) {
  if (!lives(session)) return;
  session.reason = reason;
  session.timer.disarm();
  if (session.phase == Session::Phase::kWebSocket) {
    end_socket(session, reason);
  } else {
    end_polling(now, session, reason);
  }
  if (session.phase == Session::Phase::kEnded) forget(session);
  ended_.push_back(handle);
}

void Server::Core::end_socket(Session& session, CloseReason reason) {
  session.phase = Session::Phase::kEnded;
  const ConnectionHandle socket = std::exchange(session.socket, {});
  if (!socket) return;  // it was the socket that ended
  switch (reason) {
    case CloseReason::kPingTimeout:
      return wire_.drop(socket);  // nobody would answer a close frame
    case CloseReason::kParseError:
    case CloseReason::kTransportError:
    case CloseReason::kTooSlow:
      return wire_.close(socket, ws::CloseCode::kPolicy);
    default:
      return wire_.close(socket, ws::CloseCode::kNormal);
  }
}

void Server::Core::end_polling(Tick now, Session& session, CloseReason reason) {
  Polling& polling = *session.polling;
  drop_probe(session);
  const bool held = static_cast<bool>(polling.poll.connection);
  if (reason == CloseReason::kClosedByServer) {
    append(polling, {Type::kClose, Kind::kText, {}});
    if (!held) {  // the next GET learns of it
      session.phase = Session::Phase::kParting;
      ++parting_;
      wheel_.arm(session.timer, now.mono + kPartingTime);
      return;
    }
    flush_poll(session);
  } else if (held) {
    answer_poll(session, reason == CloseReason::kClosedByClient ? Type::kNoop : Type::kClose);
  }
  clear_queue(polling);
  session.phase = Session::Phase::kEnded;
}

void Server::Core::finish_parting(SessionHandle handle, Session& session) {
  session.timer.disarm();
  clear_queue(*session.polling);
  session.phase = Session::Phase::kEnded;
  --parting_;
  forget(session);
  ended_.push_back(handle);
}

void Server::Core::forget(Session& session) {
  by_sid_.erase(session.sid());
  if (session.source.is_loopback()) return;
  const auto found = by_prefix_.find(session.source);
  if (--found->second == 0) by_prefix_.erase(found);
}

void Server::Core::clear_queue(Polling& polling) {
  queued_total_ -= polling.queued;
  polling.queued = 0;
  std::vector<Polling::Waiting>().swap(polling.queue);
}

void Server::Core::drain(Tick now) {
  while (!to_flush_.empty() || !ended_.empty()) {
    while (!to_flush_.empty()) {
      Session* session = sessions_.find(to_flush_.back());
      to_flush_.pop_back();
      if (session != nullptr && session->polling) flush_poll(*session);
    }
    if (ended_.empty()) return;
    const SessionHandle handle = ended_.back();
    ended_.pop_back();
    Session* session = sessions_.find(handle);
    if (session == nullptr) continue;
    if (!session->told) {
      session->told = true;
      application_.on_close(now, handle, session->tag, session->reason);
    }
    if (session->phase == Session::Phase::kEnded) sessions_.erase(handle);
  }
}

// --- time ---

void Server::Core::start_beating(Tick now, Session& session) {
  const Duration patience = session.version == Version::k4
                                ? Duration(settings_.ping_interval)
                                : settings_.ping_interval + settings_.ping_timeout;
  session.awaits_pong = false;
  wheel_.arm(session.timer, now.mono + patience);
}

// Pings keep their pace, whatever the timers and the client took of it.
void Server::Core::ping_again(Tick now, Session& session) {
  const MonoTime sent = session.timer.deadline() - settings_.ping_timeout;
  session.awaits_pong = false;
  wheel_.arm(session.timer, std::max(sent + settings_.ping_interval, now.mono));
}

void Server::Core::beat(Tick now, SessionHandle handle, Session& session) {
  if (session.phase == Session::Phase::kParting) return finish_parting(handle, session);
  if (session.version == Version::k3 || session.awaits_pong) {
    return end(now, handle, session, CloseReason::kPingTimeout);
  }
  // The timer's grain is not given away, but a loop that stood still is not the client's fault.
  const MonoTime due = session.timer.deadline();
  const MonoTime sent = now.mono - due < kTimerGrain ? due : now.mono;
  session.awaits_pong = true;
  wheel_.arm(session.timer, sent + settings_.ping_timeout);
  send_packet(now, handle, session, {Type::kPing, Kind::kText, {}});
}

void Server::Core::on_time(Tick now) {
  while (Timer* timer = wheel_.take_expired(now.mono)) {
    const auto handle = SessionHandle::unpack(timer->subject());
    Session* session = sessions_.find(handle);
    if (session == nullptr) continue;
    if (timer->kind() == kProbeTime) {
      drop_probe(*session);
    } else {
      beat(now, handle, *session);
    }
  }
}

MonoTime Server::Core::next_deadline() const {
  if (!ended_.empty()) return MonoTime{};  // the application closed or sent from outside
  return wheel_.next();
}

// --- packets, in and out ---

void Server::Core::heard(Tick now, Session& session) {
  if (session.version == Version::k3) start_beating(now, session);
}

void Server::Core::take_packet(Tick now, SessionHandle handle, Session& session,
                               const Packet& packet) {
  heard(now, session);
  const bool client_pings = session.version == Version::k3;
  switch (packet.type) {
    case Type::kPing:
      if (!client_pings) return end(now, handle, session, CloseReason::kTransportError);
      return send_packet(now, handle, session, {Type::kPong, Kind::kText, {}});
    case Type::kPong:
      if (client_pings) return end(now, handle, session, CloseReason::kTransportError);
      if (session.awaits_pong) ping_again(now, session);
      return;
    case Type::kMessage:
      return application_.on_message(now, handle, session.tag, packet.kind, packet.data);
    case Type::kClose:
      return end(now, handle, session, CloseReason::kClosedByClient);
    case Type::kOpen:
    case Type::kUpgrade:
    case Type::kNoop:
      return;
  }
}

void Server::Core::send_all(Tick now, std::span<const SessionHandle> sessions, Kind kind,
                            std::string_view payload) {
  const Packet packet{Type::kMessage, kind, payload};
  Frames frames;
  for (const SessionHandle handle : sessions) {
    Session* session = sessions_.find(handle);
    if (session == nullptr || !lives(*session)) continue;
    if (session->phase == Session::Phase::kWebSocket) {
      send_frame(*session, packet, frames);
    } else {
      enqueue(now, handle, *session, packet);
    }
  }
}

void Server::Core::send_packet(Tick now, SessionHandle handle, Session& session,
                               const Packet& packet) {
  if (session.phase == Session::Phase::kPolling) return enqueue(now, handle, session, packet);
  Frames frames;
  send_frame(session, packet, frames);
}

void Server::Core::send_frame(const Session& session, const Packet& packet, Frames& frames) {
  if (packet.kind == Kind::kBinary && session.version == Version::k4) {
    return wire_.send(session.socket, ws::Opcode::kBinary, packet.data);
  }
  const bool text = packet.kind == Kind::kText;
  std::string& frame = text ? frames.text : frames.binary3;
  if (frame.empty()) frame = encode_frame(session.version, packet);
  wire_.send(session.socket, text ? ws::Opcode::kText : ws::Opcode::kBinary, frame);
}

void Server::Core::append(Polling& polling, const Packet& packet) {
  polling.queue.push_back({packet.type, packet.kind, std::string(packet.data)});
  polling.queued += packet.data.size() + kPacketCost;
  queued_total_ += packet.data.size() + kPacketCost;
}

void Server::Core::enqueue(Tick now, SessionHandle handle, Session& session, const Packet& packet) {
  Polling& polling = *session.polling;
  if (polling.queued + packet.data.size() + kPacketCost > settings_.max_queued ||
      queued_total_ + packet.data.size() + kPacketCost > settings_.max_queued_total) {
    return end(now, handle, session, CloseReason::kTooSlow);
  }
  const bool first = polling.queue.empty();
  append(polling, packet);
  if (!polling.poll.connection) return;
  if (depth_ == 0) return flush_poll(session);
  if (first) to_flush_.push_back(handle);  // what one call makes leaves in one answer
}

void Server::Core::close(Tick now, SessionHandle handle) {
  Session* session = sessions_.find(handle);
  if (session != nullptr) end(now, handle, *session, CloseReason::kClosedByServer);
}

}  // namespace turnpike::signaling::engineio
