#include "signaling/room_tokens.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/signature.h"
#include "base/text.h"
#include "signaling/json_text.h"

namespace turnpike::signaling {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxRooms = 64;  // that one token names
// RFC 7518 section 3.2: at least the size of the hash, or the key is the weaker part.
constexpr std::size_t kLeastSecret = 32;
// NumericDate (RFC 7519 section 2) beyond which a token counts as everlasting: the year 5138.
constexpr double kMaxDate = 1e11;

constexpr std::string_view kPemMark = "-----BEGIN";

// A JSON object that names every member once (RFC 7515 section 4, RFC 7519 section 4): two readers
// must never see two different tokens. nullopt for anything else.
std::optional<json> strict_object(std::string_view text) {
  if (!is_valid_utf8(text) || !is_json(text)) return std::nullopt;
  bool twice = false;
  std::set<std::string> names;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1) {
      twice = twice || !names.insert(parsed.get<std::string>()).second;
    }
    return true;
  };
  json object = json::parse(text, watch, false);
  if (twice || !object.is_object()) return std::nullopt;
  return object;
}

// RFC 7519 section 2: seconds since 1970, perhaps with a fraction. nullopt: no such number.
std::optional<WallTime> numeric_date(const json& value) {
  if (!value.is_number()) return std::nullopt;
  const double date = value.get<double>();
  if (!std::isfinite(date)) return std::nullopt;
  const double whole = std::floor(std::clamp(date, 0.0, kMaxDate));
  return WallTime{seconds(static_cast<std::int64_t>(whole))};
}

struct Jwt {
  std::string_view signed_text;  // header and payload as they stand in the token
  std::string algorithm;
  std::string payload;
  std::string signature;
};

// RFC 7515 section 3.1, the compact form.
std::optional<Jwt> take_apart(std::string_view token) {
  const auto parts = split(token, '.');
  if (parts.size() != 3) return std::nullopt;
  const auto header = base64url_decode(parts[0]);
  auto payload = base64url_decode(parts[1]);
  auto signature = base64url_decode(parts[2]);
  if (!header || !payload || !signature) return std::nullopt;
  const auto fields = strict_object(*header);
  if (!fields) return std::nullopt;
  // RFC 7515 section 4.1.11: an extension that must be understood, and none is.
  if (fields->contains("crit")) return std::nullopt;
  const auto algorithm = fields->find("alg");
  if (algorithm == fields->end() || !algorithm->is_string()) return std::nullopt;
  return Jwt{token.substr(0, parts[0].size() + 1 + parts[1].size()), algorithm->get<std::string>(),
             std::move(*payload), std::move(*signature)};
}

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

Expected<RoomGrant, TokenFault> read_claims(std::string_view payload, WallTime now) {
  const auto claims = strict_object(payload);
  if (!claims) return unexpected(TokenFault::kMalformed);
  RoomGrant grant;
  if (const auto date = claims->find("exp"); date != claims->end()) {
    grant.expires = numeric_date(*date);
    if (!grant.expires) return unexpected(TokenFault::kMalformed);
    if (*grant.expires + RoomTokens::kLeeway <= now) return unexpected(TokenFault::kExpired);
  }
  if (const auto date = claims->find("nbf"); date != claims->end()) {
    const auto begins = numeric_date(*date);
    if (!begins) return unexpected(TokenFault::kMalformed);
    if (now + RoomTokens::kLeeway < *begins) return unexpected(TokenFault::kNotYet);
  }
  if (const auto subject = claims->find("sub"); subject != claims->end()) {
    if (!subject->is_string()) return unexpected(TokenFault::kMalformed);
    grant.subject = *subject;
  }
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

// The kind of a key decides the algorithm, never the token: a public key is no HMAC secret, and
// "none" is nothing (RFC 8725 sections 2.1 and 3.1).
struct RoomTokens::Keys {
  struct Secret {
    std::string text;
    explicit Secret(std::string_view secret) : text(secret) {}
    Secret(Secret&&) = default;
    Secret& operator=(Secret&&) = default;
    ~Secret() { wipe(text); }
  };
  std::vector<Secret> secrets;          // HS256
  std::vector<Es256Key> public_keys;    // ES256
  std::vector<Sha256Digest> passwords;  // their digests

  bool is_signed(const Jwt& jwt) const {
    if (jwt.algorithm == "HS256") {
      return std::any_of(secrets.begin(), secrets.end(), [&jwt](const Secret& secret) {
        const auto mac = hmac_sha256(as_bytes(secret.text), {as_bytes(jwt.signed_text)});
        return equal_in_constant_time(mac, as_bytes(jwt.signature));
      });
    }
    if (jwt.algorithm != "ES256") return false;
    return std::any_of(public_keys.begin(), public_keys.end(), [&jwt](const Es256Key& key) {
      return key.verifies(jwt.signed_text, as_bytes(jwt.signature));
    });
  }

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
  for (const std::string& text : settings.jwt_keys) {
    if (text.find(kPemMark) != std::string::npos) {
      auto key = Es256Key::from_pem(text);
      if (!key) {
        return unexpected(
            std::string("expected a public key on the curve P-256 (openssl ec "
                        "-pubout writes it: -----BEGIN PUBLIC KEY-----)"));
      }
      keys->public_keys.push_back(std::move(*key));
      continue;
    }
    if (text.size() < kLeastSecret) {
      return unexpected(
          std::string("expected a secret of at least 32 bytes, as HS256 demands (openssl rand "
                      "-hex 32 makes a good one), or a public key in PEM"));
    }
    keys->secrets.emplace_back(text);
  }
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

bool RoomTokens::required() const {
  return !keys_->secrets.empty() || !keys_->public_keys.empty() || !keys_->passwords.empty();
}

Expected<RoomGrant, TokenFault> RoomTokens::judge(std::string_view token, WallTime now) const {
  if (!required()) return RoomGrant{{"*"}, {}, {}};
  if (token.empty()) return unexpected(TokenFault::kMissing);
  if (token.size() > kMaxToken) return unexpected(TokenFault::kMalformed);
  if (keys_->is_password(token)) return RoomGrant{{"*"}, {}, {}};
  const auto jwt = take_apart(token);
  if (!jwt) return unexpected(TokenFault::kMalformed);
  if (!keys_->is_signed(*jwt)) return unexpected(TokenFault::kForged);
  return read_claims(jwt->payload, now);
}

bool RoomTokens::admits(std::string_view token, std::string_view room, WallTime now) const {
  if (!required()) return true;
  const auto grant = judge(token, now);
  return grant && grant->admits(room);
}

}  // namespace turnpike::signaling
