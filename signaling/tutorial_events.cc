#include "signaling/tutorial_events.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "signaling/http.h"
#include "signaling/json_text.h"

namespace turnpike::signaling {

namespace {

using socketio::SocketHandle;

// What the rooms of each tutorial are called in the one table of rooms: their names may be the
// same. No namespace has a line break in it.
enum class Kind : char { kRoom = '1', kLobby = '2', kPair = '3' };

std::string room_key(Kind kind, std::string_view name_space, std::string_view name) {
  std::string key(1, static_cast<char>(kind));
  key.append(name_space).push_back('\n');
  return key.append(name);
}

std::string_view room_of_key(std::string_view key) {
  return key.substr(std::min(key.find('\n') + 1, key.size()));
}

// A room's name is the string form of whatever JSON value the page calls it by.
std::optional<std::string> room_name(std::string_view value) {
  if (value.size() > TutorialEvents::kMaxRoomText) return std::nullopt;
  if (auto text = json_string(value)) return text;
  return std::string(value);
}

// The token a client shows: in Socket.IO's auth, or in the address.
std::string token_of(const socketio::Greeting& greeting) {
  if (const auto auth = JsonObject::parse(greeting.auth)) {
    const auto value = auth->find("token");
    if (auto token = value ? json_string(*value) : std::nullopt) return *token;
  }
  for (const std::string_view query : {greeting.namespace_query, greeting.query}) {
    if (auto token = http::query_value(query, "token")) return *token;
  }
  return {};
}

std::string query_room(const socketio::Greeting& greeting) {
  for (const std::string_view query : {greeting.namespace_query, greeting.query}) {
    if (auto room = http::query_value(query, "room")) return *room;
  }
  return {};
}

constexpr std::string_view kNotAdmitted = "the token is not for this room, or has expired";
constexpr std::string_view kNoRoomLeft = "the room is full";
constexpr std::string_view kTooManyRooms = "too many rooms were opened from your address";
constexpr std::string_view kBadRoom = "a room's name has at most 256 bytes";

// For templates, which take no literals.
constexpr char kReceiveOffer[] = "receiveOffer", kOffer[] = "offer";
constexpr char kReceiveAnswer[] = "receiveAnswer", kAnswer[] = "answer";
constexpr char kReceiveCandidate[] = "receiveCandidate", kCandidate[] = "candidate";

}  // namespace

// One socket of a page.
struct TutorialEvents::Visitor {
  struct Seat {
    std::string key;
    std::string room;  // JSON text, as this page calls it
  };
  Pace pace;
  std::optional<RoomGrant> grant;  // when tokens are required
  std::string lobby;               // the key; empty: none, or left for good
  bool spoke = false;              // to the lobby
  std::uint32_t rooms = 0;         // of 001
  std::vector<Seat> seats;         // in rooms of 003
};

TutorialEvents::TutorialEvents(Settings settings, Wire& wire, Random& random, Gate& gate)
    : settings_([&settings, &gate] {
        auto& members = settings.socketio.rooms.members;
        members = std::max<std::size_t>({members, kMaxMembers, settings.lobby_size});
        settings.socketio.rooms.shares = &gate.rooms();
        return settings;
      }()),
      gate_(gate),
      visitors_(settings_.socketio.max_sockets),
      server_(settings_.socketio, wire, random, *this) {}

TutorialEvents::~TutorialEvents() = default;

// --- coming and going ---

std::optional<socketio::Refusal> TutorialEvents::refuse(Tick now,
                                                        const socketio::Greeting& greeting) {
  if (!gate_.asks()) return std::nullopt;
  const auto grant = gate_.judge(now, greeting.source, token_of(greeting));
  if (grant) return std::nullopt;
  return socketio::Refusal{std::string(to_sentence(grant.error())), {}};
}

std::uint64_t TutorialEvents::on_connect(Tick now, SocketHandle socket,
                                         const socketio::Greeting& greeting) {
  const VisitorHandle handle = visitors_.emplace();
  Visitor* visitor = visitors_.find(handle);
  if (visitor == nullptr) return 0;  // the server has no more sockets than these
  if (gate_.asks()) {
    if (auto grant = gate_.judge(now, greeting.source, token_of(greeting)))
      visitor->grant = std::move(*grant);
  }
  // Clients of protocol 4 are on "/" whether they want or not. Who asks for another namespace is
  // not here for that one.
  if (const auto main = server_.tag(greeting.main)) {
    Visitor* unasked = visitors_.find(VisitorHandle::unpack(*main));
    if (unasked != nullptr && !unasked->spoke) leave_lobby(greeting.main, *unasked);
  }
  const std::string room = query_room(greeting);
  const std::string_view wanted = room.empty() ? greeting.name_space.substr(1) : room;
  if (room.size() > kMaxRoomText || !admits(now, *visitor, wanted)) return handle.pack();
  visitor->lobby = room_key(Kind::kLobby, greeting.name_space, room);
  enter_lobby(socket, *visitor);
  return handle.pack();
}

// Pages of 001 say only once which room they want; the others begin anew by themselves. The rest of
// a room of 003 has been told `bye`.
bool TutorialEvents::keeps(Tick, SocketHandle, std::uint64_t tag) {
  const Visitor* visitor = visitors_.find(VisitorHandle::unpack(tag));
  return visitor != nullptr && visitor->rooms > 0 && visitor->seats.empty();
}

// With the token that it shows now, which must open the rooms that it is in.
bool TutorialEvents::may_return(Tick now, SocketHandle socket, std::uint64_t tag,
                                const socketio::Greeting& greeting) {
  Visitor* visitor = visitors_.find(VisitorHandle::unpack(tag));
  if (visitor == nullptr) return false;
  if (!gate_.asks()) return true;
  auto grant = gate_.judge(now, greeting.source, token_of(greeting));
  if (!grant) return false;
  for (const std::string& key : server_.rooms_of(socket)) {
    if (!grant->admits(room_of_key(key))) return false;
  }
  visitor->grant = std::move(*grant);
  return true;
}

void TutorialEvents::on_disconnect(Tick now, SocketHandle socket, std::uint64_t tag) {
  const auto handle = VisitorHandle::unpack(tag);
  const Visitor* visitor = visitors_.find(handle);
  if (visitor == nullptr) return;
  if (settings_.bye_on_disconnect) {
    const std::string id = own_id(socket);
    for (const Visitor::Seat& seat : visitor->seats) {
      const std::array<std::string_view, 2> args = {seat.room, id};
      server_.emit_all(now, server_.members(seat.key), {.name = "bye", .args = args}, socket);
    }
  }
  visitors_.erase(handle);
}

// --- events ---

TutorialEvents::Handler TutorialEvents::handler_of(std::string_view event) {
  static constexpr std::array<Meaning, 10> kMeanings = {{
      {"joinRoom", &TutorialEvents::join_room},
      {"sendOffer", &TutorialEvents::pass_on<kReceiveOffer, kOffer>},
      {"sendAnswer", &TutorialEvents::pass_on<kReceiveAnswer, kAnswer>},
      {"sendCandidate", &TutorialEvents::pass_on<kReceiveCandidate, kCandidate>},
      {"offer", &TutorialEvents::to_lobby},
      {"answer", &TutorialEvents::to_lobby},
      {"onicecandidate", &TutorialEvents::to_lobby},
      {"join", &TutorialEvents::join_pair},
      {"leave", &TutorialEvents::leave_pair},
      {"message", &TutorialEvents::message},
  }};
  for (const Meaning& meaning : kMeanings) {
    if (meaning.event == event) return meaning.handler;
  }
  return nullptr;
}

void TutorialEvents::on_event(Tick now, SocketHandle socket, std::uint64_t tag,
                              const socketio::Event& event) {
  Visitor* visitor = visitors_.find(VisitorHandle::unpack(tag));
  if (visitor == nullptr) return;
  Call call{now, socket, *visitor, event};
  const Handler handler = handler_of(event.name);
  if (handler != nullptr && !event.args.empty()) (this->*handler)(call);
  // What meant nothing counts as well. The visitor is still there: only other sockets may have
  // gone.
  if (!call.judged) passes(call, 0);
}

bool TutorialEvents::passes(Call& call, std::size_t recipients) {
  std::size_t bytes = 0;
  for (const std::string_view arg : call.event.args) bytes += arg.size();
  for (const std::string_view attachment : call.event.attachments) bytes += attachment.size();
  call.judged = true;
  const Pace::Judgement judgement = call.visitor.pace.judge(call.now.mono, bytes, recipients);
  if (judgement == Pace::Judgement::kAbuse) server_.close(call.now, call.socket);
  return judgement == Pace::Judgement::kPass;
}

std::size_t TutorialEvents::others_in(std::string_view room, SocketHandle socket) const {
  return server_.members(room).size() - (server_.contains(room, socket) ? 1 : 0);
}

bool TutorialEvents::admits(Tick now, const Visitor& visitor, std::string_view room) const {
  if (!gate_.asks()) return true;
  if (!visitor.grant || !visitor.grant->admits(room)) return false;
  const auto& expires = visitor.grant->expires;
  return !expires || now.wall < *expires + RoomTokens::kLeeway;
}

void TutorialEvents::answer(const Call& call, std::string_view fault) {
  if (!call.event.ack) return;
  std::string text;
  if (fault.empty()) {
    text = "null";
  } else {
    append_json_string(text, fault);
  }
  const std::array<std::string_view, 1> args = {text};
  server_.ack(call.now, call.socket, *call.event.ack, args);
}

std::string TutorialEvents::own_id(SocketHandle socket) const {
  std::string text;
  append_json_string(text, server_.id(socket));
  return text;
}

// --- 001 ---

void TutorialEvents::join_room(Call& call) {
  const auto name = room_name(call.event.args.front());
  leave_lobby(call.socket, call.visitor);
  if (!passes(call, 1)) return;
  if (!name) return answer(call, kBadRoom);
  if (!admits(call.now, call.visitor, *name)) return answer(call, kNotAdmitted);
  const std::string key = room_key(Kind::kRoom, server_.name_space(call.socket), *name);
  if (!server_.contains(key, call.socket)) make_space(call.now, key);
  const bool full = server_.members(key).size() >= kMaxMembers;
  if (full && !server_.contains(key, call.socket)) return answer(call, kNoRoomLeft);
  const socketio::JoinOutcome outcome = server_.join(call.socket, key);
  if (outcome == socketio::JoinOutcome::kJoined) ++call.visitor.rooms;
  if (outcome == socketio::JoinOutcome::kTooManyOfSource) return answer(call, kTooManyRooms);
  const bool inside = server_.contains(key, call.socket);
  answer(call, inside ? std::string_view() : kNoRoomLeft);
}

// Whoever is only expected back yields to whoever is here.
void TutorialEvents::make_space(Tick now, std::string_view room) {
  const auto members = server_.members(room);
  if (members.size() < kMaxMembers) return;
  const auto away = std::find_if(members.begin(), members.end(),
                                 [this](SocketHandle who) { return server_.is_away(who); });
  if (away != members.end()) server_.disconnect(now, *away);
}

template <const auto& event_name, const auto& key>
void TutorialEvents::pass_on(Call& call) {
  leave_lobby(call.socket, call.visitor);
  const auto object = JsonObject::parse(call.event.args.front());
  const auto room = object ? object->find("room") : std::nullopt;
  const auto name = room ? room_name(*room) : std::nullopt;
  if (!name) return;
  const std::string group = room_key(Kind::kRoom, server_.name_space(call.socket), *name);
  // Its pages may send without having joined, where anybody could have.
  if (!server_.contains(group, call.socket) && !admits(call.now, call.visitor, *name)) return;
  const std::size_t recipients = others_in(group, call.socket);
  if (recipients == 0 || !passes(call, recipients)) return;
  std::string text = "{";
  if (const auto value = object->find(key)) {
    append_json_string(text, key);
    text.append(":").append(*value);
  }
  text.push_back('}');
  const std::array<std::string_view, 1> args = {text};
  server_.emit_all(call.now, server_.members(group),
                   {.name = event_name, .args = args, .attachments = call.event.attachments},
                   call.socket);
}

// --- 002 ---

bool TutorialEvents::enter_lobby(SocketHandle socket, const Visitor& visitor) {
  if (visitor.lobby.empty()) return false;
  if (server_.contains(visitor.lobby, socket)) return true;
  if (server_.members(visitor.lobby).size() >= settings_.lobby_size) return false;
  return server_.join(socket, visitor.lobby) == socketio::JoinOutcome::kJoined;
}

void TutorialEvents::leave_lobby(SocketHandle socket, Visitor& visitor) {
  if (visitor.lobby.empty()) return;
  server_.leave(socket, visitor.lobby);
  visitor.lobby.clear();
}

void TutorialEvents::to_lobby(Call& call) {
  if (!enter_lobby(call.socket, call.visitor)) return;
  call.visitor.spoke = true;
  const std::size_t recipients = others_in(call.visitor.lobby, call.socket);
  if (recipients == 0 || !passes(call, recipients)) return;
  server_.emit_all(call.now, server_.members(call.visitor.lobby),
                   {.name = call.event.name,
                    .args = call.event.args.first(1),
                    .attachments = call.event.attachments},
                   call.socket);
}

void TutorialEvents::to_socket(Call& call) {
  const auto object = JsonObject::parse(call.event.args.front());
  const auto channel = object ? object->find("channel") : std::nullopt;
  const auto id = channel ? json_string(*channel) : std::nullopt;
  if (!id) return;
  const SocketHandle target = server_.find(server_.name_space(call.socket), *id);
  if (!target || target == call.socket) return;
  // An id is no way around a room that asks for a token.
  const std::string& lobby = call.visitor.lobby;
  if (gate_.asks() && (lobby.empty() || !server_.contains(lobby, target))) return;
  if (!passes(call, 1)) return;
  const std::array<std::string_view, 1> args = {object->find("message").value_or("null")};
  server_.emit_all(call.now, {&target, 1},
                   {.name = "message", .args = args, .attachments = call.event.attachments});
}

// --- 003 ---

// Both 002 and 003 have an event of this name.
void TutorialEvents::message(Call& call) {
  if (call.event.args.size() >= 2) return to_pair(call);
  to_socket(call);
}

void TutorialEvents::join_pair(Call& call) {
  const std::string_view room = call.event.args.front();
  const auto name = room_name(room);
  leave_lobby(call.socket, call.visitor);
  if (!passes(call, kRoomOfTwo)) return;
  if (!name) return answer(call, kBadRoom);
  if (!admits(call.now, call.visitor, *name)) return answer(call, kNotAdmitted);
  const std::string key = room_key(Kind::kPair, server_.name_space(call.socket), *name);
  const std::string id = own_id(call.socket);
  const std::array<std::string_view, 2> args = {room, id};
  if (!server_.contains(key, call.socket)) {
    if (server_.members(key).size() >= kRoomOfTwo) {
      server_.emit(call.now, call.socket, {.name = "full", .args = args});
      return answer(call, kNoRoomLeft);
    }
    const socketio::JoinOutcome outcome = server_.join(call.socket, key);
    if (outcome == socketio::JoinOutcome::kTooManyOfSource) return answer(call, kTooManyRooms);
    if (outcome != socketio::JoinOutcome::kJoined) return answer(call, kNoRoomLeft);
    call.visitor.seats.push_back({key, std::string(room)});
  }
  server_.emit(call.now, call.socket, {.name = "joined", .args = args});
  server_.emit_all(call.now, server_.members(key),
                   {.name = "otherjoin", .args = std::span(args).first(1)}, call.socket);
  answer(call, {});
}

void TutorialEvents::leave_pair(Call& call) {
  const std::string_view room = call.event.args.front();
  const auto name = room_name(room);
  if (!name || !passes(call, kRoomOfTwo)) return;
  const std::string key = room_key(Kind::kPair, server_.name_space(call.socket), *name);
  const std::string id = own_id(call.socket);
  const std::array<std::string_view, 2> args = {room, id};
  if (server_.contains(key, call.socket)) {
    server_.emit_all(call.now, server_.members(key), {.name = "bye", .args = args}, call.socket);
  }
  // Also to whoever was not inside: its page waits for this before it disconnects.
  server_.emit(call.now, call.socket, {.name = "leaved", .args = args});
  server_.leave(call.socket, key);
  std::erase_if(call.visitor.seats, [&key](const Visitor::Seat& seat) { return seat.key == key; });
}

void TutorialEvents::to_pair(Call& call) {
  const auto name = room_name(call.event.args.front());
  if (!name) return;
  const std::string key = room_key(Kind::kPair, server_.name_space(call.socket), *name);
  if (!server_.contains(key, call.socket)) return;  // only who is inside speaks inside
  const std::size_t recipients = others_in(key, call.socket);
  if (recipients == 0 || !passes(call, recipients)) return;
  server_.emit_all(
      call.now, server_.members(key),
      {.name = "message", .args = call.event.args.first(2), .attachments = call.event.attachments},
      call.socket);
}

}  // namespace turnpike::signaling
