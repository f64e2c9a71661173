#include "signaling/peerjs.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/text.h"
#include "signaling/json_text.h"
#include "signaling/pace.h"

namespace turnpike::signaling {

namespace {

constexpr std::uint32_t kAliveTimer = 0;
constexpr std::uint32_t kQueueTimer = 1;
// What one peer may say to another. The rest is between a peer and the server.
constexpr std::array<std::string_view, 5> kRelayed{"OFFER", "ANSWER", "CANDIDATE", "LEAVE",
                                                   "EXPIRE"};

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= PeerJs::kMaxId && is_valid_utf8(id);
}

std::string message_text(std::string_view type, std::string_view src, std::string_view dst,
                         std::optional<std::string_view> payload) {
  std::string text = R"({"type":")";
  text.append(type).append(R"(","src":)");
  append_json_string(text, src);
  text.append(R"(,"dst":)");
  append_json_string(text, dst);
  if (payload) text.append(R"(,"payload":)").append(*payload);
  return text.append("}");
}

std::string_view without_slash(std::string_view path) {
  return path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
}

// What is asked for: the last part of /peerjs/id or /peerjs/<key>/id. The server behind a client's
// `path` may have any key here; only the WebSocket's is judged.
std::string_view method_of(std::string_view path) {
  path = without_slash(path);
  if (!path.starts_with("/peerjs")) return {};
  const auto parts = split(path.substr(1), '/');
  return parts.size() == 2 || parts.size() == 3 ? parts.back() : std::string_view();
}

http::Response readable_by_all(http::Response response) {
  response.readers = http::Response::Readers::kCaller;
  response.no_store = true;
  return response;
}

}  // namespace

struct PeerJs::Peer {
  ConnectionHandle connection;
  SourceMark source;
  std::string id;
  Sha256Digest token;  // whoever has it is the same peer, come back
  Pace pace;
  std::size_t waiting = 0;  // bytes that it left for absent peers
  Timer alive;
};

struct PeerJs::Queue {
  struct Message {
    std::string from;
    PeerHandle author;  // stale when it has gone
    SourceMark source;
    std::string text;
  };
  std::string to;
  SourceMark opener;
  std::vector<Message> messages;
  std::size_t bytes = 0;
  Timer expiry;
};

PeerJs::PeerJs(Settings settings, Wire& wire, Random& random, Gate& gate)
    : settings_(std::move(settings)),
      wire_(wire),
      random_(random),
      gate_(gate),
      peer_shares_(settings_.max_peers_of_source),
      peers_(settings_.max_peers),
      queues_(kMaxWaitingPeers) {}

PeerJs::~PeerJs() = default;

bool PeerJs::is_socket_path(std::string_view path) {
  path = without_slash(path);
  return path == "/peerjs" || path == "/peerjs/peerjs";
}

// --- HTTP ---

void PeerJs::on_request(Tick now, ConnectionHandle connection, const Visit& visit) {
  wire_.respond(connection, readable_by_all(answer(now, visit)));
}

http::Response PeerJs::answer(Tick now, const Visit& visit) {
  const http::Request& request = visit.request;
  const auto method = request.method;
  if (method == http::Method::kOptions) {
    http::Response allowed = http::text_response(204, "");
    allowed.headers.emplace_back("Access-Control-Allow-Methods", "GET, HEAD");
    return allowed;
  }
  if (method != http::Method::kGet && method != http::Method::kHead) {
    http::Response refused = http::text_response(405, "this is only for reading\n");
    refused.headers.emplace_back("Allow", "GET, HEAD, OPTIONS");
    return refused;
  }
  if (without_slash(request.path()) == "/peerjs") {
    http::Response about;
    about.content_type = "application/json";
    about.body =
        R"({"name":"PeerJS Server","description":"Turnpike's signaling for PeerJS clients."})";
    return about;
  }
  const std::string_view asked = method_of(request.path());
  // The client takes the whole body for the id.
  if (asked == "id") return http::text_response(200, fresh_id());
  if (asked != "peers") return http::text_response(404, "there is nothing here\n");
  const auto token = http::query_value(request.query(), "token").value_or("");
  const bool may_ask = !gate_.asks() || gate_.judge(now, visit.source, token).has_value();
  if (!settings_.allow_discovery || !may_ask) {
    return http::text_response(401, "nobody is listed here\n");
  }
  http::Response list;
  list.content_type = "application/json";
  list.body = "[";
  peers_.for_each([&list](PeerHandle, const Peer& peer) {
    if (list.body.size() > 1) list.body.push_back(',');
    append_json_string(list.body, peer.id);
  });
  list.body.push_back(']');
  return list;
}

// A random UUID (RFC 9562 section 5.4): the client accepts nothing that begins or ends with '-'.
std::string PeerJs::fresh_id() {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<std::uint8_t, 16> bytes;
  random_.fill(bytes);
  bytes[6] = static_cast<std::uint8_t>(0x40 | (bytes[6] & 0x0f));
  bytes[8] = static_cast<std::uint8_t>(0x80 | (bytes[8] & 0x3f));
  std::string id;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id.push_back('-');
    id.push_back(kDigits[bytes[i] >> 4]);
    id.push_back(kDigits[bytes[i] & 15]);
  }
  return id;
}

// --- WebSocket ---

Endpoint::Tag PeerJs::on_open(Tick now, ConnectionHandle connection, const Visit& visit) {
  const std::string_view query = visit.request.query();
  const auto key = http::query_value(query, "key").value_or("");
  const auto id = http::query_value(query, "id").value_or("");
  const auto token = http::query_value(query, "token").value_or("");
  if (key.empty() || token.empty() || !is_id(id)) {
    return turn_away(connection, "ERROR", "No id, token, or key supplied to websocket server");
  }
  if (key != settings_.key) return turn_away(connection, "ERROR", "Invalid key provided");
  const auto grant = gate_.judge(now, visit.source, token);
  if (!grant && grant.error() == TokenFault::kTooManyWrong) {
    return turn_away(connection, "ERROR", to_sentence(grant.error()));
  }
  if (!grant || !grant->admits(id)) {
    return turn_away(connection, "ERROR", "Invalid token provided");
  }
  const Sha256Digest digest = sha256(as_bytes(token));
  if (const Peer* there = find_peer(id)) {
    if (!equal_in_constant_time(there->token, digest)) {
      return turn_away(connection, "ID-TAKEN", "ID is taken");
    }
    // The same peer, come back before the server missed it.
    wire_.close(there->connection, ws::CloseCode::kNormal, "connected anew");
    retire(names_.find(id)->second);
  }
  const SourceMark source(visit.source);
  if (!peer_shares_.has(source)) {
    return turn_away(connection, "ERROR", "Too many peers from your address");
  }
  const PeerHandle handle = peers_.emplace();
  Peer* peer = peers_.find(handle);
  if (peer == nullptr) {
    return turn_away(connection, "ERROR", "Server has reached its concurrent user limit");
  }
  peer_shares_.take(source);
  peer->source = source;
  peer->connection = connection;
  peer->id = id;
  peer->token = digest;
  peer->alive.name(kAliveTimer, handle.pack());
  wheel_.arm(peer->alive, now.mono + settings_.alive_timeout);
  names_.emplace(id, handle);
  wire_.send(connection, ws::Opcode::kText, R"({"type":"OPEN"})");
  hand_over(*peer);
  return handle.pack();
}

// Says why and ends the connection, which has no peer.
Endpoint::Tag PeerJs::turn_away(ConnectionHandle connection, std::string_view type,
                                std::string_view why) {
  std::string text = R"({"type":")";
  text.append(type).append(R"(","payload":{"msg":)");
  append_json_string(text, why);
  wire_.send(connection, ws::Opcode::kText, text.append("}}"));
  wire_.close(connection, ws::CloseCode::kNormal);
  return 0;
}

void PeerJs::on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode,
                        std::string_view payload) {
  const PeerHandle handle = PeerHandle::unpack(tag);
  Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  wheel_.arm(peer->alive, now.mono + settings_.alive_timeout);
  switch (peer->pace.judge(now.mono, payload.size())) {
    case Pace::Judgement::kPass:
      break;
    case Pace::Judgement::kDrop:
      return;
    case Pace::Judgement::kAbuse:
      return wire_.close(connection, ws::CloseCode::kPolicy, "too many messages");
  }
  const auto message = JsonObject::parse(payload);
  if (!message) {
    return wire_.close(connection, ws::CloseCode::kUnsupportedData, "not a JSON object");
  }
  const auto type_text = message->find("type");
  const auto type = type_text ? json_string(*type_text) : std::nullopt;
  if (!type || std::find(kRelayed.begin(), kRelayed.end(), *type) == kRelayed.end()) return;
  const auto to_text = message->find("dst");
  const auto to = to_text ? json_string(*to_text) : std::nullopt;
  if (*type == "LEAVE" && !to_text) {  // of the server itself
    wire_.close(connection, ws::CloseCode::kNormal);
    return retire(handle);
  }
  if (!to || !is_id(*to)) return;
  // The author is who wrote it, whatever "src" says.
  relay(now, *peer, *type, *to, message_text(*type, peer->id, *to, message->find("payload")));
}

void PeerJs::on_gone(Tick, ConnectionHandle, Tag tag) { retire(PeerHandle::unpack(tag)); }

void PeerJs::on_time(Tick now) {
  while (Timer* timer = wheel_.take_expired(now.mono)) {
    if (timer->kind() == kQueueTimer) {
      expire(QueueHandle::unpack(timer->subject()));
      continue;
    }
    const PeerHandle handle = PeerHandle::unpack(timer->subject());
    wire_.close(peers_.find(handle)->connection, ws::CloseCode::kNormal, "no heartbeat");
    retire(handle);
  }
}

// --- peers and what waits for them ---

PeerJs::Peer* PeerJs::find_peer(std::string_view id) {
  const auto found = names_.find(id);
  return found == names_.end() ? nullptr : peers_.find(found->second);
}

void PeerJs::retire(PeerHandle handle) {
  const Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  names_.erase(peer->id);
  peer_shares_.give_back(peer->source);
  peers_.erase(handle);
}

void PeerJs::relay(Tick now, Peer& from, std::string_view type, std::string_view to,
                   std::string text) {
  if (const Peer* peer = find_peer(to)) {
    return wire_.send(peer->connection, ws::Opcode::kText, text);
  }
  if (type != "LEAVE" && type != "EXPIRE") keep(now, from, to, std::move(text));
}

void PeerJs::keep(Tick now, Peer& from, std::string_view to, std::string text) {
  const bool has_space = waiting_bytes_ + text.size() <= kMaxWaitingBytes &&
                         from.waiting + text.size() <= kMaxWaitingOfPeer &&
                         byte_shares_.has(from.source, text.size());
  Queue* queue = has_space ? queues_.find(queue_for(now, from, to)) : nullptr;
  if (queue == nullptr || queue->messages.size() >= kMaxWaiting) return tell_expired(to, from.id);
  queue->bytes += text.size();
  waiting_bytes_ += text.size();
  from.waiting += text.size();
  byte_shares_.take(from.source, text.size());
  queue->messages.push_back({from.id, names_.find(from.id)->second, from.source, std::move(text)});
}

PeerJs::QueueHandle PeerJs::queue_for(Tick now, const Peer& from, std::string_view to) {
  if (const auto found = waiting_.find(to); found != waiting_.end()) return found->second;
  if (!queue_shares_.has(from.source)) return {};
  const QueueHandle handle = queues_.emplace();
  Queue* queue = queues_.find(handle);
  if (queue == nullptr) return {};
  queue_shares_.take(from.source);
  queue->opener = from.source;
  queue->to = to;
  queue->expiry.name(kQueueTimer, handle.pack());
  wheel_.arm(queue->expiry, now.mono + kExpiry);
  waiting_.emplace(queue->to, handle);
  return handle;
}

// `to` wrote to `from`, who has not come.
void PeerJs::tell_expired(std::string_view from, std::string_view to) {
  const Peer* peer = find_peer(to);
  if (peer == nullptr) return;
  wire_.send(peer->connection, ws::Opcode::kText, message_text("EXPIRE", from, to, std::nullopt));
}

void PeerJs::hand_over(const Peer& peer) {
  const auto found = waiting_.find(peer.id);
  if (found == waiting_.end()) return;
  const QueueHandle handle = found->second;
  for (const Queue::Message& message : queues_.find(handle)->messages) {
    wire_.send(peer.connection, ws::Opcode::kText, message.text);
  }
  drop_queue(handle);
}

// Each of those who wrote is told once.
void PeerJs::expire(QueueHandle handle) {
  const Queue* queue = queues_.find(handle);
  if (queue == nullptr) return;
  std::vector<std::string_view> told;
  for (const Queue::Message& message : queue->messages) {
    if (std::find(told.begin(), told.end(), message.from) != told.end()) continue;
    told.push_back(message.from);
    tell_expired(queue->to, message.from);
  }
  drop_queue(handle);
}

void PeerJs::drop_queue(QueueHandle handle) {
  const Queue* queue = queues_.find(handle);
  for (const Queue::Message& message : queue->messages) {
    byte_shares_.give_back(message.source, message.text.size());
    if (Peer* author = peers_.find(message.author)) author->waiting -= message.text.size();
  }
  queue_shares_.give_back(queue->opener);
  waiting_bytes_ -= queue->bytes;
  waiting_.erase(queue->to);
  queues_.erase(handle);
}

}  // namespace turnpike::signaling
