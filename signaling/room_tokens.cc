#include "signaling/room_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/digest.h"
#include "signaling/jwt.h"

namespace turnpike::signaling {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxRooms = 64;  // that one token names

// "room": a name, or a list of them. nullopt: there is something else.
std::optional<std::vector<std::string>> rooms_of(const json& claims) {
  std::vector<std::string> rooms;
  const auto claim = claims.find("room");
  if (claim == claims.end()) return rooms;
  if (claim->is_string()) {
    rooms.push_back(*claim);
  } else if (claim->is_array() && claim->size() <= kMaxRooms) {
    for (const json& room : *claim) {
      if (!room.is_string()) return std::nullopt;
      rooms.push_back(room);
    }
  } else {
    return std::nullopt;
  }
  std::erase(rooms, "");
  return rooms;
}

TokenFault fault_of(JwtFault fault) {
  switch (fault) {
    case JwtFault::kMalformed:
      return TokenFault::kMalformed;
    case JwtFault::kForged:
      return TokenFault::kForged;
    case JwtFault::kExpired:
      return TokenFault::kExpired;
    case JwtFault::kNotYet:
      return TokenFault::kNotYet;
  }
  return TokenFault::kMalformed;
}

Expected<RoomGrant, TokenFault> read_grant(std::string_view payload, WallTime now) {
  const auto claims = strict_object(payload);
  if (!claims) return unexpected(TokenFault::kMalformed);
  auto common = read_claims(*claims, now);
  if (!common) return unexpected(fault_of(common.error()));
  RoomGrant grant;
  grant.expires = common->expires;
  grant.subject = std::move(common->subject);
  auto rooms = rooms_of(*claims);
  if (!rooms) return unexpected(TokenFault::kMalformed);
  if (rooms->empty()) return unexpected(TokenFault::kNoRoom);
  grant.rooms = std::move(*rooms);
  return grant;
}

}  // namespace

bool RoomGrant::admits(std::string_view room) const {
  return std::any_of(rooms.begin(), rooms.end(), [room](std::string_view name) {
    if (!name.ends_with('*')) return name == room;
    name.remove_suffix(1);
    return room.starts_with(name);
  });
}

std::string_view to_sentence(TokenFault fault) {
  switch (fault) {
    case TokenFault::kMissing:
      return "rooms here need a token or the room password";
    case TokenFault::kMalformed:
      return "this is neither a room token nor the room password";
    case TokenFault::kForged:
      return "the room token is not signed with a key of this server";
    case TokenFault::kExpired:
      return "the room token has expired";
    case TokenFault::kNotYet:
      return "the room token is not valid yet";
    case TokenFault::kNoRoom:
      return "the room token names no room";
    case TokenFault::kTooManyWrong:
      return "too many wrong tokens came from your address; wait a minute";
  }
  return "";
}

struct RoomTokens::Keys {
  JwtKeys jwt;
  std::vector<Sha256Digest> passwords;  // their digests

  // Digests, all of them: neither the length nor a common prefix shows in the time of the answer.
  bool is_password(std::string_view text) const {
    const Sha256Digest digest = sha256(as_bytes(text));
    bool found = false;
    for (const Sha256Digest& password : passwords) {
      found = equal_in_constant_time(password, digest) || found;
    }
    return found;
  }
};

RoomTokens::RoomTokens() : keys_(std::make_unique<const Keys>()) {}
RoomTokens::~RoomTokens() = default;
RoomTokens::RoomTokens(RoomTokens&&) noexcept = default;
RoomTokens& RoomTokens::operator=(RoomTokens&&) noexcept = default;

Expected<RoomTokens, std::string> RoomTokens::make(const Settings& settings) {
  auto keys = std::make_unique<Keys>();
  auto jwt = JwtKeys::make(settings.jwt_keys);
  if (!jwt) return unexpected(std::move(jwt.error()));
  keys->jwt = std::move(*jwt);
  for (const std::string& password : settings.passwords) {
    if (password.empty() || password.size() > kMaxToken) {
      return unexpected(std::string("expected a password of 1 to 4096 bytes"));
    }
    keys->passwords.push_back(sha256(as_bytes(password)));
  }
  RoomTokens tokens;
  tokens.keys_ = std::move(keys);
  return tokens;
}

bool RoomTokens::required() const { return !keys_->jwt.empty() || !keys_->passwords.empty(); }

Expected<RoomGrant, TokenFault> RoomTokens::judge(std::string_view token, WallTime now) const {
  if (!required()) return RoomGrant{{"*"}, {}, {}};
  if (token.empty()) return unexpected(TokenFault::kMissing);
  if (token.size() > kMaxToken) return unexpected(TokenFault::kMalformed);
  if (keys_->is_password(token)) return RoomGrant{{"*"}, {}, {}};
  const auto jwt = take_apart(token);
  if (!jwt) return unexpected(TokenFault::kMalformed);
  if (!keys_->jwt.has_signed(*jwt)) return unexpected(TokenFault::kForged);
  return read_grant(jwt->payload, now);
}

bool RoomTokens::admits(std::string_view token, std::string_view room, WallTime now) const {
  if (!required()) return true;
  const auto grant = judge(token, now);
  return grant && grant->admits(room);
}

}  // namespace turnpike::signaling
