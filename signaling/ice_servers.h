// Minting: what a client pastes into RTCPeerConnection, with credentials that the relay verifies
// statelessly (the TURN REST draft: username "expiry:name", password base64(HMAC-SHA1)). One
// function mints for everybody; who may ask is decided by the caller. Immutable settings, no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/time.h"

namespace turnpike::signaling {

// The URLs that are true: only ports really bound, `turns:` only when a certificate matches the
// host (server/ decides that), the host from configuration and never from a request.
struct IceUrls {
  std::vector<std::string> stun;  // without credentials
  std::vector<std::string> turn;  // "turn:h:3478?transport=udp", ..., "turns:h:5349?transport=tcp"
};

struct MintedCredential {
  std::string username;  // "1767225600:member-9fK...~1a2b3c4d"
  std::string name;      // the part after the expiry: what the relay counts and revokes by
  std::string password;
  seconds ttl{0};
  WallTime expires;
};

class Minter {
 public:
  static constexpr seconds kMaxKeyTtl{86400};    // with an API key
  static constexpr seconds kMaxMemberTtl{3600};  // for a room member, renewed while inside
  Minter(std::string secret, IceUrls urls) : secret_(std::move(secret)), urls_(std::move(urls)) {}

  // `name` is cut to what a username may hold; `key_id` (8 hexadecimal digits) is appended after
  // "~": the relay's quota counts by it.
  MintedCredential mint(std::string_view name, std::string_view key_id, seconds ttl,
                        WallTime now) const;
  // [{"urls":[...stun]},{"urls":[...turn],"username":...,"credential":...}]
  nlohmann::json ice_servers(const MintedCredential& credential) const;
  // 8 hexadecimal digits that name a key or an invitation. They travel in usernames, so they are
  // keyed: a weak key cannot be guessed from them.
  std::string key_id(std::string_view key) const;
  const IceUrls& urls() const { return urls_; }

 private:
  std::string secret_;
  IceUrls urls_;
};

}  // namespace turnpike::signaling
