#include "signaling/scaledrone.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "base/check.h"
#include "signaling/pace.h"

namespace turnpike::signaling {

namespace {

constexpr std::string_view kObservable = "observable-";
constexpr std::size_t kIdBytes = 9;  // random ones of a client's or a message's id: 12 characters

// A name of a channel or room; nullopt when there is none that can be one.
std::optional<std::string> name_in(const JsonObject& object, std::string_view member) {
  const auto text = object.find(member);
  auto name = text ? json_string(*text) : std::nullopt;
  if (!name || name->empty() || name->size() > ScaleDrone::kMaxName) return std::nullopt;
  return name;
}

// Rooms belong to their channel; the length keeps the two names apart.
std::string room_key(std::string_view channel, std::string_view room) {
  std::string key = std::to_string(channel.size());
  key.append(":").append(channel).append(room);
  return key;
}

std::string member_text(std::string_view id, std::string_view auth_data,
                        std::string_view client_data) {
  std::string text = R"({"id":")";
  text.append(id).append("\"");
  // What a member did not say is left out: the SDK would show a null to the page.
  if (!auth_data.empty()) text.append(R"(,"authData":)").append(auth_data);
  if (!client_data.empty()) text.append(R"(,"clientData":)").append(client_data);
  return text.append("}");
}

std::string push_head(std::string_view type, std::string_view room_text) {
  std::string text = R"({"type":")";
  return text.append(type).append(R"(","room":)").append(room_text);
}

// What the token is called there, with the real service's words where they are known.
std::string_view token_error(std::string_view token, TokenFault fault) {
  if (fault == TokenFault::kMalformed && std::count(token.begin(), token.end(), '.') != 2) {
    return "JWT does not have 3 parts";
  }
  return to_sentence(fault);
}

}  // namespace

struct ScaleDrone::Socket {
  ConnectionHandle connection;
  IpAddress source;
  std::string channel;  // empty: no handshake yet
  std::string id;
  std::string member;  // as the others are told: {"id":...}
  std::string client_data;
  std::optional<RoomGrant> grant;  // the token that was shown
  Pace pace;
  std::uint32_t wrong_tokens = 0;
  std::vector<RoomHandle> rooms;
};

struct ScaleDrone::Room {
  std::string key;
  std::string name;  // as JSON
  SourceMark opener;
  bool observable = false;
  std::vector<SocketHandle> members;  // in the order of joining
  std::deque<std::string> history;    // of each message what follows "room" or "index"
  std::size_t history_bytes = 0;
};

struct ScaleDrone::Request {
  JsonObject object;
  std::size_t size = 0;
  std::string callback;  // as JSON; empty: no answer is wanted. The first one is 0.
};

ScaleDrone::ScaleDrone(Settings settings, Wire& wire, Random& random, Gate& gate)
    : settings_(std::move(settings)),
      wire_(wire),
      random_(random),
      gate_(gate),
      history_shares_(settings_.max_history_of_source),
      sockets_(settings_.max_sockets),
      rooms_(settings_.max_rooms) {}

ScaleDrone::~ScaleDrone() = default;

Endpoint::Tag ScaleDrone::on_open(Tick now, ConnectionHandle connection, const Visit& visit) {
  const SocketHandle handle = sockets_.emplace();
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) {
    wire_.drop(connection);  // the SDK tries again later
    return 0;
  }
  socket->connection = connection;
  socket->source = visit.source;
  if (gate_.asks()) {
    const auto token = http::query_value(visit.request.query(), "token");
    auto grant = gate_.judge(now, visit.source, token.value_or(""));
    if (grant) socket->grant = std::move(*grant);
  }
  return handle.pack();
}

void ScaleDrone::on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode,
                            std::string_view payload) {
  const SocketHandle handle = SocketHandle::unpack(tag);
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  auto object = JsonObject::parse(payload);
  if (!object) return wire_.close(connection, ws::CloseCode::kUnsupportedData, "not a JSON object");
  Request request{std::move(*object), payload.size(), {}};
  if (const auto callback = request.object.find("callback"); callback && json_uint(*callback)) {
    request.callback = *callback;
  }
  const auto type_text = request.object.find("type");
  const std::string type =
      (type_text ? json_string(*type_text) : std::nullopt).value_or(std::string());
  if (type == "publish") return publish(now, handle, *socket, request);
  if (type == "subscribe") return subscribe(now, handle, *socket, request);
  if (!passes(now, *socket, request, payload.size())) return;
  if (type == "handshake") return handshake(*socket, request);
  if (type == "authenticate") return authenticate(now, *socket, request);
  if (type == "unsubscribe") return unsubscribe(handle, *socket, request);
  answer(*socket, request, "Unknown type of request");
}

void ScaleDrone::on_gone(Tick, ConnectionHandle, Tag tag) {
  const SocketHandle handle = SocketHandle::unpack(tag);
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  for (const RoomHandle room : std::exchange(socket->rooms, {})) leave(handle, *socket, room);
  sockets_.erase(handle);
}

// --- requests ---

void ScaleDrone::handshake(Socket& socket, const Request& request) {
  if (!socket.channel.empty()) return answer(socket, request, "The handshake is done already");
  auto channel = name_in(request.object, "channel");
  const bool known = channel && (settings_.channels.empty() ||
                                 std::find(settings_.channels.begin(), settings_.channels.end(),
                                           *channel) != settings_.channels.end());
  if (!known) return answer(socket, request, "Channel not found");
  const std::string_view data = request.object.find("client_data").value_or("null");
  if (data.size() > kMaxClientData) return answer(socket, request, "The client data is too large");
  if (data != "null") socket.client_data = data;
  socket.channel = std::move(*channel);
  socket.id = random_.token(kIdBytes);
  describe(socket);
  std::string text = "{";
  if (!request.callback.empty()) text.append(R"("callback":)").append(request.callback).append(",");
  text.append(R"("client_id":")").append(socket.id).append("\"");
  if (gate_.asks() && !socket.grant) text.append(R"(,"require_auth":true)");
  send(socket, text.append("}"));
}

void ScaleDrone::authenticate(Tick now, Socket& socket, const Request& request) {
  if (socket.channel.empty()) return answer(socket, request, "The handshake comes first");
  if (!gate_.asks()) return answer(socket, request);
  const auto text = request.object.find("token");
  const std::string token = (text ? json_string(*text) : std::nullopt).value_or(std::string());
  auto grant = gate_.judge(now, socket.source, token);
  if (!grant) {
    answer(socket, request, token_error(token, grant.error()));
    if (++socket.wrong_tokens >= kMaxWrongTokens) {
      wire_.close(socket.connection, ws::CloseCode::kPolicy, "too many wrong tokens");
    }
    return;
  }
  // Others have been told who this is.
  if (!socket.rooms.empty()) return answer(socket, request, "Authenticate before you subscribe");
  socket.grant = std::move(*grant);
  describe(socket);
  answer(socket, request);
}

void ScaleDrone::subscribe(Tick now, SocketHandle handle, Socket& socket, const Request& request) {
  const auto name = name_in(request.object, "room");
  const RoomHandle standing = name ? find_room(room_key(socket.channel, *name)) : RoomHandle{};
  const std::size_t history = wanted_history(request.object);
  if (!passes(now, socket, request, cost_of_joining(socket, standing, history))) return;
  if (socket.channel.empty()) return answer(socket, request, "The handshake comes first");
  if (!name) return answer(socket, request, "No such room can be");
  if (!admits(now, socket, *name)) return answer(socket, request, "Unauthorized");
  if (standing && std::count(socket.rooms.begin(), socket.rooms.end(), standing) != 0) {
    // The SDK has a fresh room of that name now, which waits for its members.
    answer(socket, request);
    return welcome(socket, *rooms_.find(standing), history);
  }
  if (socket.rooms.size() >= kMaxSubscriptions) {
    return answer(socket, request, "Too many rooms for one client");
  }
  if (!standing && !gate_.rooms().has(SourceMark(socket.source))) {
    return answer(socket, request, "Too many rooms from your address");
  }
  const RoomHandle place = standing ? standing : open_room(socket, *name);
  Room* room = rooms_.find(place);
  if (room == nullptr) return answer(socket, request, "Too many rooms");
  if (room->members.size() >= std::max<std::size_t>(settings_.room_size, 1)) {
    return answer(socket, request, "The room is full");
  }
  room->members.push_back(handle);
  socket.rooms.push_back(place);
  answer(socket, request);
  // The newcomer knows the members before anything they say, and they know it before it can speak.
  welcome(socket, *room, history);
  announce(*room, "observable_member_join", socket, handle);
}

void ScaleDrone::publish(Tick now, SocketHandle handle, Socket& socket, const Request& request) {
  const auto name = name_in(request.object, "room");
  Room* room = name ? rooms_.find(find_room(room_key(socket.channel, *name))) : nullptr;
  const std::size_t recipients = room == nullptr ? 1 : room->members.size();
  if (!passes(now, socket, request, request.size, recipients)) return;
  if (socket.channel.empty()) return answer(socket, request, "The handshake comes first");
  const auto message = request.object.find("message");
  if (!name) return answer(socket, request, "No such room can be");
  if (!message) return answer(socket, request, "No message");
  if (!admits(now, socket, *name)) return answer(socket, request, "Unauthorized");
  if (room != nullptr) {
    // Its members look the author up among those they were told of, and find nobody.
    if (room->observable &&
        std::find(room->members.begin(), room->members.end(), handle) == room->members.end()) {
      return answer(socket, request, "Subscribe to an observable room before you publish");
    }
    std::string tail = R"(,"message":)";
    tail.append(*message).append(R"(,"client_id":")").append(socket.id);
    tail.append(R"(","id":")").append(random_.token(kIdBytes)).append(R"(","timestamp":)");
    tail.append(std::to_string(now.wall.since_epoch.count())).append("}");
    const std::string text = push_head("publish", room->name) + tail;
    for (const SocketHandle member : room->members) send(*sockets_.find(member), text);
    remember(*room, std::move(tail));
  }
  if (!request.callback.empty()) answer(socket, request);
}

void ScaleDrone::unsubscribe(SocketHandle handle, Socket& socket, const Request& request) {
  const auto name = name_in(request.object, "room");
  if (name) {
    const RoomHandle room = find_room(room_key(socket.channel, *name));
    if (room && std::erase(socket.rooms, room) != 0) leave(handle, socket, room);
  }
  if (!request.callback.empty()) answer(socket, request);
}

bool ScaleDrone::admits(Tick now, const Socket& socket, std::string_view room) const {
  if (!gate_.asks()) return true;
  if (!socket.grant || !socket.grant->admits(room)) return false;
  return !socket.grant->expires || now.wall < *socket.grant->expires + RoomTokens::kLeeway;
}

bool ScaleDrone::passes(Tick now, Socket& socket, const Request& request, std::size_t bytes,
                        std::size_t recipients) {
  switch (socket.pace.judge(now.mono, bytes, recipients)) {
    case Pace::Judgement::kPass:
      return true;
    case Pace::Judgement::kDrop:
      // Who waits for an answer gets one; who does not is spared an error for each message.
      if (!request.callback.empty()) answer(socket, request, "Too many messages");
      return false;
    case Pace::Judgement::kAbuse:
      wire_.close(socket.connection, ws::CloseCode::kPolicy, "too many messages");
      return false;
  }
  return false;
}

// --- rooms ---

ScaleDrone::RoomHandle ScaleDrone::find_room(std::string_view key) const {
  const auto found = names_.find(key);
  return found == names_.end() ? RoomHandle{} : found->second;
}

ScaleDrone::RoomHandle ScaleDrone::open_room(const Socket& opener, std::string_view name) {
  const RoomHandle handle = rooms_.emplace();
  Room* room = rooms_.find(handle);
  if (room == nullptr) return {};
  room->opener = SourceMark(opener.source);
  gate_.rooms().take(room->opener);
  room->key = room_key(opener.channel, name);
  append_json_string(room->name, name);
  room->observable = name.starts_with(kObservable);
  names_.emplace(room->key, handle);
  return handle;
}

std::size_t ScaleDrone::wanted_history(const JsonObject& request) {
  std::uint64_t wanted = 0;
  // The SDK says it in both words.
  for (const std::string_view word : {"history_count", "history"}) {
    if (const auto text = request.find(word))
      wanted = std::max(wanted, json_uint(*text).value_or(0));
  }
  return static_cast<std::size_t>(std::min<std::uint64_t>(wanted, kMaxHistory));
}

// The bytes that a subscription sets in motion.
std::size_t ScaleDrone::cost_of_joining(const Socket& socket, RoomHandle handle,
                                        std::size_t history) const {
  const Room* room = rooms_.find(handle);
  if (room == nullptr) return 0;
  std::size_t bytes = history == 0 ? 0 : room->history_bytes;
  if (!room->observable) return bytes;
  for (const SocketHandle member : room->members) {
    bytes += sockets_.find(member)->member.size() + socket.member.size();
  }
  return bytes;
}

void ScaleDrone::welcome(const Socket& socket, const Room& room, std::size_t history) {
  if (room.observable) {
    std::string text = push_head("observable_members", room.name).append(R"(,"data":[)");
    for (const SocketHandle member : room.members) {
      if (text.back() != '[') text.push_back(',');
      text.append(sockets_.find(member)->member);
    }
    send(socket, text.append("]}"));
  }
  // The newest message first.
  const std::size_t count = std::min(history, room.history.size());
  for (std::size_t index = 0; index < count; ++index) {
    std::string text = push_head("history_message", room.name).append(R"(,"index":)");
    text.append(std::to_string(index)).append(room.history[room.history.size() - 1 - index]);
    send(socket, text);
  }
}

void ScaleDrone::leave(SocketHandle handle, const Socket& socket, RoomHandle place) {
  Room* room = rooms_.find(place);
  CHECK(room != nullptr);  // it stands as long as somebody is inside
  std::erase(room->members, handle);
  announce(*room, "observable_member_leave", socket, handle);
  if (!room->members.empty()) return;
  while (!room->history.empty()) forget_first(*room);
  gate_.rooms().give_back(room->opener);
  names_.erase(room->key);
  rooms_.erase(place);
}

// To all but the one it is about.
void ScaleDrone::announce(const Room& room, std::string_view what, const Socket& about,
                          SocketHandle about_handle) {
  if (!room.observable) return;
  std::string text = push_head(what, room.name);
  text.append(R"(,"data":)").append(about.member).append("}");
  for (const SocketHandle member : room.members) {
    if (member != about_handle) send(*sockets_.find(member), text);
  }
}

void ScaleDrone::remember(Room& room, std::string tail) {
  const std::size_t most = std::min(kMaxRoomHistory, settings_.max_history);
  const auto has_space = [&] {
    return room.history.size() < kMaxHistory && room.history_bytes + tail.size() <= most &&
           history_bytes_ + tail.size() <= settings_.max_history &&
           history_shares_.has(room.opener, tail.size());
  };
  // What a room remembers is without gaps: it gives up its own oldest, or has no memory at all.
  while (!has_space() && !room.history.empty()) forget_first(room);
  if (!has_space()) return;
  history_shares_.take(room.opener, tail.size());
  room.history_bytes += tail.size();
  history_bytes_ += tail.size();
  room.history.push_back(std::move(tail));
}

void ScaleDrone::forget_first(Room& room) {
  const std::size_t size = room.history.front().size();
  room.history_bytes -= size;
  history_bytes_ -= size;
  history_shares_.give_back(room.opener, size);
  room.history.pop_front();
}

// --- to the clients ---

void ScaleDrone::describe(Socket& socket) {
  std::string auth_data;
  if (socket.grant && !socket.grant->subject.empty()) {
    auth_data = R"({"user":)";
    append_json_string(auth_data, socket.grant->subject);
    auth_data.push_back('}');
  }
  socket.member = member_text(socket.id, auth_data, socket.client_data);
}

void ScaleDrone::answer(const Socket& socket, const Request& request, std::string_view error) {
  std::string text = "{";
  if (!request.callback.empty()) text.append(R"("callback":)").append(request.callback);
  if (!error.empty()) {
    if (text.size() > 1) text.push_back(',');
    text.append(R"("error":)");
    append_json_string(text, error);
  }
  send(socket, text.append("}"));
}

void ScaleDrone::send(const Socket& socket, std::string_view text) {
  wire_.send(socket.connection, ws::Opcode::kText, text);
}

}  // namespace turnpike::signaling
