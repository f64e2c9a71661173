#include "signaling/plain.h"

#include <algorithm>

namespace turnpike::signaling {

namespace {

// A room as the address names it.
struct Place {
  std::string key;   // of the table of rooms
  std::string name;  // for tokens
  bool is_common = false;
  bool is_valid = true;
};

Place place_of(const http::Request& request) {
  const std::string_view path = request.path();
  const std::string room = http::query_value(request.query(), "room").value_or("");
  Place place;
  place.is_valid = path.size() <= PlainRelay::kMaxPath && room.size() <= PlainRelay::kMaxRoomName;
  place.is_common = room.empty() && path == "/";
  // However it is escaped, it is one place.
  const auto decoded = http::percent_decode(path);
  place.is_valid = place.is_valid && decoded;
  if (!decoded) return place;
  place.name = room.empty() ? decoded->substr(1) : room;
  place.key = std::to_string(decoded->size()) + " " + *decoded + room;
  return place;
}

}  // namespace

struct PlainRelay::Socket {
  ConnectionHandle connection;
  std::string room;  // the key
  Pace pace;
};

PlainRelay::PlainRelay(Settings settings, Wire& wire, Gate& gate)
    : wire_(wire),
      settings_(settings),
      gate_(gate),
      sockets_(settings.max_sockets),
      rooms_({.groups = settings.max_rooms,
              .members = std::max(settings.lobby_size, settings.room_size),
              .shares = &gate.rooms()}) {}

PlainRelay::~PlainRelay() = default;

std::optional<http::Response> PlainRelay::refuse(Tick now, const Visit& visit) {
  const Place place = place_of(visit.request);
  if (!place.is_valid) return http::text_response(400, "the room's name is too long or broken\n");
  if (gate_.asks()) {
    const std::string token = http::query_value(visit.request.query(), "token").value_or("");
    const auto grant = gate_.judge(now, visit.source, token);
    if (!grant && grant.error() == TokenFault::kTooManyWrong)
      return http::text_response(429, std::string(to_sentence(grant.error())) + "\n");
    if (!grant || !grant->admits(place.name)) {
      return http::text_response(401, "this room needs a token: add ?token= to the address\n");
    }
  }
  const std::size_t inside = rooms_.members(place.key).size();
  const std::size_t most = place.is_common ? settings_.lobby_size : settings_.room_size;
  if (inside >= most) return http::text_response(503, "the room is full\n");
  if (sockets_.size() >= sockets_.maximum() ||
      (inside == 0 && rooms_.size() >= settings_.max_rooms)) {
    return http::text_response(503, "the server is full\n");
  }
  if (inside == 0 && !rooms_.may_open(SourceMark(visit.source))) {
    return http::text_response(429, "too many rooms were opened from your address\n");
  }
  return std::nullopt;
}

Endpoint::Tag PlainRelay::on_open(Tick, ConnectionHandle connection, const Visit& visit) {
  const Handle<Socket> handle = sockets_.emplace();
  Socket* socket = sockets_.find(handle);
  if (socket != nullptr) {
    socket->connection = connection;
    socket->room = place_of(visit.request).key;
    if (rooms_.join(socket->room, handle, SourceMark(visit.source)) ==
        Groups<Socket>::Outcome::kJoined) {
      return handle.pack();
    }
    sockets_.erase(handle);
  }
  // Full meanwhile: refuse() had left room.
  wire_.close(connection, ws::CloseCode::kPolicy);
  return 0;
}

void PlainRelay::on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                            std::string_view payload) {
  const auto handle = Handle<Socket>::unpack(tag);
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  const auto members = rooms_.members(socket->room);
  const auto judgement = socket->pace.judge(now.mono, payload.size(), members.size() - 1);
  if (judgement == Pace::Judgement::kAbuse) wire_.close(connection, ws::CloseCode::kPolicy);
  if (judgement != Pace::Judgement::kPass) return;
  for (const Handle<Socket> member : members) {
    if (member == handle) continue;
    if (const Socket* other = sockets_.find(member)) wire_.send(other->connection, opcode, payload);
  }
}

void PlainRelay::on_gone(Tick, ConnectionHandle, Tag tag) {
  const auto handle = Handle<Socket>::unpack(tag);
  const Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  rooms_.leave(socket->room, handle);
  sockets_.erase(handle);
}

}  // namespace turnpike::signaling
