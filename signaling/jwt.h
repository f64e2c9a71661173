// JSON Web Tokens (RFC 7519) in their compact form, HS256 and ES256: what the tokens of rooms and
// those of TURN users have in common. The kind of a key decides the algorithm, never the token: a
// public key is no HMAC secret, and "none" is nothing (RFC 8725 sections 2.1 and 3.1). Keys are
// immutable, no I/O; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/time.h"

namespace turnpike::signaling {

inline constexpr seconds kJwtLeeway{30};  // between two clocks

enum class JwtFault : std::uint8_t {
  kMalformed,
  kForged,  // signature or algorithm is wrong
  kExpired,
  kNotYet,
};

struct Jwt {
  std::string_view signed_text;  // header and payload as they stand in the token; borrowed
  std::string algorithm;
  std::string payload;
  std::string signature;  // empty where only the signed text was given
};
// "header.payload.signature" (RFC 7515 section 3.1); nullopt when it is none, or when it has an
// extension that must be understood.
std::optional<Jwt> take_apart(std::string_view token);
// "header.payload", the part that is signed.
std::optional<Jwt> take_apart_unsigned(std::string_view signed_text);

// A JSON object that names every member once (RFC 7515 section 4, RFC 7519 section 4): two readers
// must never see two different tokens. nullopt for anything else.
std::optional<nlohmann::json> strict_object(std::string_view text);

struct JwtClaims {
  std::optional<WallTime> expires;
  std::string subject;  // "sub"; may be empty
};
// "exp", "nbf" and "sub", and whether the token is of this time.
Expected<JwtClaims, JwtFault> read_claims(const nlohmann::json& claims, WallTime now);
Expected<JwtClaims, JwtFault> parse_claims(std::string_view payload, WallTime now);

class JwtKeys {
 public:
  // Each an HS256 secret or an ES256 public key (PEM, P-256). The Error is a sentence for the
  // operator: a key that is none.
  static Expected<JwtKeys, std::string> make(const std::vector<std::string>& keys);
  // Whether the text is meant as a public key.
  static bool is_pem(std::string_view key);
  JwtKeys();
  ~JwtKeys();
  JwtKeys(JwtKeys&&) noexcept;
  JwtKeys& operator=(JwtKeys&&) noexcept;

  bool empty() const;
  bool has_signed(const Jwt& jwt) const;
  // What each secret would sign this text with (HS256), in base64url.
  std::vector<std::string> signatures_of(std::string_view signed_text) const;

 private:
  struct Keys;
  std::unique_ptr<const Keys> keys_;
};

}  // namespace turnpike::signaling
