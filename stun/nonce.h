// Stateless nonces (RFC 8489 sections 9.2 and 14.10): the server keeps nothing until one returns.
//
//   "obMatJos2" + 4 base64 characters of 24 feature bits + base64url(time, 4 bytes | MAC, 12 bytes)
//
// The MAC covers the time, the feature bits and the client's transport address, so that a captured
// request is worth nothing from another address, and a nonce with edited feature bits is invalid:
// who took PASSWORD-ALGORITHMS out of a challenge on its way cannot clear the bit that tells of it
// (section 16.1.3).
// One key serves all workers of a process. Values only; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/digest.h"
#include "base/time.h"

namespace turnpike::stun {

// Security feature bits (section 18.1), bit 0 being the most significant of 24.
using NonceFeatures = std::uint32_t;
inline constexpr NonceFeatures kFeaturePasswordAlgorithms = 0x800000;
inline constexpr NonceFeatures kFeatureUsernameAnonymity = 0x400000;

// The feature bits that a nonce of any server announces; nullopt when it does not begin with the
// nonce cookie, as those of servers before RFC 8489.
std::optional<NonceFeatures> announced_features(std::string_view nonce);

class NonceSource {
 public:
  using Key = std::array<std::uint8_t, 32>;
  NonceSource(const Key& key, seconds lifetime) : key_(key), lifetime_(lifetime) {}

  // Exactly kLength characters, on the stack: no allocation before authentication.
  static constexpr std::size_t kLength = 9 + 4 + 22;
  struct Nonce {
    std::array<char, kLength> characters;
    std::string_view view() const { return {characters.data(), characters.size()}; }
  };
  Nonce make(WallTime now, const Address& client, NonceFeatures features = 0) const;
  // Whatever its features are: the MAC vouches for them.
  bool is_valid(std::string_view nonce, WallTime now, const Address& client) const;

 private:
  Key key_;
  seconds lifetime_;
};

}  // namespace turnpike::stun
