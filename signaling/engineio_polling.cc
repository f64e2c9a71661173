#include <algorithm>

#include "base/text.h"
#include "signaling/engineio_core.h"

namespace turnpike::signaling::engineio {

namespace {

using http::Method;
using http::Response;

Response answer(std::string_view content_type, std::string body) {
  Response response;
  response.content_type = content_type;
  response.body = std::move(body);
  response.no_store = true;
  response.readers = Response::Readers::kCaller;
  return response;
}

Response preflight() {
  Response response = answer({}, {});
  response.status = 204;
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET,POST");
  response.headers.emplace_back("Access-Control-Allow-Headers", "Content-Type");
  return response;
}

bool is_octet_stream(const http::Request& request) {
  const auto type = request.header("content-type").value_or("");
  return equals_ignoring_case(trim(type.substr(0, type.find(';'))), "application/octet-stream");
}

std::string digits_of(std::string_view text, std::size_t most) {
  std::string digits;
  for (const char c : text) {
    if (c >= '0' && c <= '9' && digits.size() < most) digits += c;
  }
  return digits;
}

}  // namespace

std::string_view Server::Core::message_of(Error error) {
  static constexpr std::array<std::string_view, 6> kMessages = {
      "Transport unknown", "Session ID unknown", "Bad handshake method",
      "Bad request",       "Forbidden",          "Unsupported protocol version"};
  return kMessages[static_cast<std::size_t>(error)];
}

Response Server::Core::error_response(const Refusal& refusal) {
  const int code = static_cast<int>(refusal.error);
  std::string body = "{\"code\":" + std::to_string(code) + ",\"message\":\"";
  body.append(message_of(refusal.error)).append("\"}");
  Response response = answer("application/json", std::move(body));
  response.status = refusal.status;
  return response;
}

Expected<Server::Core::Wish, Server::Core::Refusal> Server::Core::judge(Tick now,
                                                                        const Visit& visit) {
  const auto refuse = [](Error error) { return unexpected(Refusal{error}); };
  const std::string_view query = visit.request.query();
  Wish wish;
  const auto transport = http::query_value(query, "transport").value_or("");
  if (transport == "websocket") {
    wish.transport = Transport::kWebSocket;
  } else if (transport != "polling") {
    return refuse(Error::kUnknownTransport);
  }
  const auto version = http::query_value(query, "EIO").value_or("");
  if (version != "3" && version != "4") return refuse(Error::kUnsupportedVersion);
  wish.version = version == "3" ? Version::k3 : Version::k4;
  wish.base64 = !http::query_value(query, "b64").value_or("").empty();
  if (const auto index = http::query_value(query, "j")) {
    wish.jsonp = digits_of(*index, kMaxJsonpIndex);
  }
  const auto sid = http::query_value(query, "sid").value_or("");
  if (sid.empty()) return wish;
  wish.session = find_sid(now, sid);
  const Session* session = sessions_.find(wish.session);
  if (session == nullptr) return refuse(Error::kUnknownSid);
  if (session->version != wish.version) return refuse(Error::kBadRequest);
  return wish;
}

SessionHandle Server::Core::find_sid(Tick now, std::string_view sid) {
  const auto found = by_sid_.find(sid);
  if (found == by_sid_.end()) return {};
  const SessionHandle handle = found->second;
  Session& session = *sessions_.find(handle);
  // Timers come late by their grain; whoever asks by name meets the session as it should be.
  while (session.timer.armed() && session.timer.deadline() <= now.mono) {
    session.timer.disarm();
    beat(now, handle, session);
  }
  return session.phase == Session::Phase::kEnded ? SessionHandle{} : handle;
}

void Server::Core::on_request(Tick now, ConnectionHandle connection, const Visit& visit) {
  const Method method = visit.request.method;
  if (method == Method::kOptions) return wire_.respond(connection, preflight());
  auto wish = judge(now, visit);
  if (!wish) return wire_.respond(connection, error_response(wish.error()));
  const auto refuse = [&](Refusal refusal) { wire_.respond(connection, error_response(refusal)); };
  Session* session = sessions_.find(wish->session);
  if (session == nullptr) {
    if (method != Method::kGet) return refuse({Error::kBadMethod});
    if (wish->transport != Transport::kPolling) return refuse({Error::kBadRequest});
    if (const auto full = room_for(visit)) return refuse(*full);
    return open_polling(now, connection, visit, *wish);
  }
  if (wish->transport != Transport::kPolling || session->phase == Session::Phase::kWebSocket) {
    return refuse({Error::kBadRequest});
  }
  if (method == Method::kGet) {
    on_poll(now, connection, wish->session, *session, std::move(*wish));
  } else if (method == Method::kPost) {
    on_post(now, connection, visit.request, wish->session, *session, *wish);
  } else {
    refuse({Error::kBadRequest});
  }
}

void Server::Core::open_polling(Tick now, ConnectionHandle connection, const Visit& visit,
                                const Wish& wish) {
  const SessionHandle handle = begin(now, visit, wish);
  Session& session = *sessions_.find(handle);
  session.polling = std::make_unique<Polling>();
  session.polling->probe_timer.name(kProbeTime, handle.pack());
  append(*session.polling, {Type::kOpen, Kind::kText, open_data(session)});
  session.tag = application_.on_open(now, handle, {wish.version, session.sid(), visit});
  if (session.phase == Session::Phase::kEnded) {  // it was sent too much
    return wire_.respond(connection, error_response({Error::kForbidden, 503}));
  }
  on_poll(now, connection, handle, session, Wish(wish));
}

void Server::Core::on_poll(Tick now, ConnectionHandle connection, SessionHandle handle,
                           Session& session, Wish&& wish) {
  Polling& polling = *session.polling;
  if (polling.poll.connection) {  // one at a time
    end(now, handle, session, CloseReason::kTransportError);
    return wire_.respond(connection, error_response({Error::kBadRequest}));
  }
  polling.poll = {connection, wish.base64, std::move(wish.jsonp)};
  if (!polling.queue.empty()) {
    flush_poll(session);
  } else if (polling.probed) {
    answer_poll(session, Type::kNoop);
  } else {
    wire_.hold(connection, server_, handle.pack());
  }
  if (session.phase == Session::Phase::kParting) finish_parting(handle, session);
}

void Server::Core::on_post(Tick now, ConnectionHandle connection, const http::Request& request,
                           SessionHandle handle, Session& session, const Wish& wish) {
  if (request.body.size() > settings_.max_payload) {
    Response response = answer("text/plain; charset=UTF-8", {});
    response.status = 413;
    response.close = true;
    return wire_.respond(connection, response);
  }
  const bool binary = is_octet_stream(request);
  CloseReason reason = CloseReason::kParseError;
  bool good = false;
  if (binary && session.version == Version::k4) {
    reason = CloseReason::kTransportError;
  } else if (binary) {
    good = take_body(now, handle, session, BodyFormat::kBinary, request.body);
  } else if (wish.jsonp) {
    const auto body = unwrap_jsonp(request.body);
    good = body && take_body(now, handle, session, BodyFormat::kText, *body);
  } else {
    good = take_body(now, handle, session, BodyFormat::kText, request.body);
  }
  if (good) return wire_.respond(connection, answer("text/html", "ok"));
  end(now, handle, session, reason);
  wire_.respond(connection, error_response({Error::kBadRequest}));
}

bool Server::Core::take_body(Tick now, SessionHandle handle, Session& session, BodyFormat format,
                             std::string_view body) {
  if (format == BodyFormat::kText && !is_valid_utf8(body)) return false;
  PayloadReader reader(session.version, format, body);
  Packet packet;
  while (lives(session)) {  // also the application may end it
    switch (reader.next(packet)) {
      case PayloadReader::Status::kBad:
        return false;
      case PayloadReader::Status::kEnd:
        return true;
      case PayloadReader::Status::kPacket:
        take_packet(now, handle, session, packet);
    }
  }
  return true;
}

void Server::Core::flush_poll(Session& session) {
  Polling& polling = *session.polling;
  if (!polling.poll.connection || polling.queue.empty()) return;
  std::vector<Packet> packets;
  packets.reserve(polling.queue.size());
  for (const Polling::Waiting& waiting : polling.queue) {
    packets.push_back({waiting.type, waiting.kind, waiting.data});
  }
  answer_poll(session, packets);
  clear_queue(polling);
}

void Server::Core::answer_poll(Session& session, Type type) {
  const Packet packet{type, Kind::kText, {}};
  answer_poll(session, {&packet, 1});
}

void Server::Core::answer_poll(Session& session, std::span<const Packet> packets) {
  const Polling::Poll poll = std::exchange(session.polling->poll, {});
  const bool binary =
      session.version == Version::k3 && !session.base64_only && !poll.base64 && !poll.jsonp &&
      std::any_of(packets.begin(), packets.end(),
                  [](const Packet& packet) { return packet.kind == Kind::kBinary; });
  std::string body =
      encode_payload(session.version, binary ? BodyFormat::kBinary : BodyFormat::kText, packets);
  if (poll.jsonp) {
    body = wrap_jsonp(*poll.jsonp, body);
    return wire_.respond(poll.connection,
                         answer("text/javascript; charset=UTF-8", std::move(body)));
  }
  wire_.respond(
      poll.connection,
      answer(binary ? "application/octet-stream" : "text/plain; charset=UTF-8", std::move(body)));
}

}  // namespace turnpike::signaling::engineio
