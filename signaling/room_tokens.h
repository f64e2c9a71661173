// Room tokens: what a room asks of whoever enters it, in any dialect, when the operator wants that
// (--room-jwt, --room-key); without either every room is open. A token is a JWT (HS256 or ES256,
// RFC 7519) that names its rooms, or the shared password, which opens all of them. Immutable, no
// I/O; any thread.
//
//   {"room": "demo" | ["demo", "team-*"] | "*", "sub": "Ada", "exp": 1767225600, "nbf": ...}
//
// How a token travels is each dialect's: `?token=` of the address that opens a WebSocket or an
// Engine.IO session, "token" in the native join, Socket.IO's auth {"token": ...}, ScaleDrone's
// authenticate, `Authorization: Bearer` of HTTP requests.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/time.h"
#include "signaling/jwt.h"

namespace turnpike::signaling {

struct RoomGrant {
  std::vector<std::string> rooms;  // names; a final '*' stands for anything
  std::string subject;             // what the token calls its holder; may be empty
  std::optional<WallTime> expires;
  bool admits(std::string_view room) const;
};

enum class TokenFault : std::uint8_t {
  kMissing,
  kMalformed,  // not a JWT and not the password
  kForged,     // signature or algorithm is wrong
  kExpired,
  kNotYet,
  kNoRoom,        // names no room at all
  kTooManyWrong,  // came from this source: not looked at (gate.h)
};
std::string_view to_sentence(TokenFault fault);

class RoomTokens {
 public:
  static constexpr std::size_t kMaxToken = 4096;  // bytes
  static constexpr seconds kLeeway = kJwtLeeway;  // between two clocks

  struct Settings {
    // An HS256 secret, or an ES256 public key (PEM, P-256); several for rotation.
    std::vector<std::string> jwt_keys;
    std::vector<std::string> passwords;
  };
  // The Error is a sentence for the operator: a key that is none.
  static Expected<RoomTokens, std::string> make(const Settings& settings);
  RoomTokens();  // every room is open
  ~RoomTokens();
  RoomTokens(RoomTokens&&) noexcept;
  RoomTokens& operator=(RoomTokens&&) noexcept;

  // False: every room is open and nobody needs a token.
  bool required() const;
  Expected<RoomGrant, TokenFault> judge(std::string_view token, WallTime now) const;
  // The common question: may the holder of this token (may be empty) enter this room?
  bool admits(std::string_view token, std::string_view room, WallTime now) const;

 private:
  struct Keys;
  std::unique_ptr<const Keys> keys_;
};

}  // namespace turnpike::signaling
