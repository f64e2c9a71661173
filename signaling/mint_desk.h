// The one desk at which HTTP requests ask for relay credentials, whatever shape the answer has: who
// may (an API key, an invitation, a room token; never an origin alone), for how long, and under
// which name. Wrong proofs have a price for their source, and so have many right ones of guests.
// Single thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/digest.h"
#include "base/expected.h"
#include "base/random.h"
#include "base/time.h"
#include "signaling/ice_servers.h"
#include "signaling/invitation.h"
#include "signaling/room_tokens.h"
#include "signaling/throttle.h"

namespace turnpike::signaling {

// What a proof is worth.
struct Permit {
  enum class Holder : std::uint8_t { kBackEnd, kGuest };
  Holder holder = Holder::kGuest;
  std::string key_id;  // the relay's quota counts by it
  seconds most{0};     // no credential lives longer
};

struct MintWish {
  std::optional<std::string> name;  // back ends may choose it
  std::optional<seconds> ttl;
};

class MintDesk {
 public:
  // Wrong proofs from one source prefix; then only API keys are looked at, which always pass: back
  // ends may share an address, or a proxy, with whoever guesses.
  static constexpr Rate kFailureRate{30, seconds(1)};
  // Credentials for guests of one source prefix.
  static constexpr Rate kGuestRate{60, seconds(1)};

  struct Parts {
    const std::vector<std::string>& keys;
    const Minter& minter;
    const InvitationSigner& signer;
    const RoomTokens* tokens = nullptr;  // none, or not required: no token opens anything
    Random& random;
  };
  explicit MintDesk(Parts parts);

  // The keys that Parts refers to, and the minter, have become others.
  void renew(const RoomTokens* tokens);

  enum class Accepts : std::uint8_t { kKeys, kAll };
  enum class Denial : std::uint8_t { kWrong, kTooOften };
  // `proof` may be empty: nothing was shown.
  Expected<Permit, Denial> admit(Tick now, const IpAddress& source, std::string proof,
                                 Accepts accepts);
  MintedCredential mint(Tick now, const Permit& permit, const MintWish& wish);

  const Minter& minter() const { return parts_.minter; }

  // What a refused client should wait (Retry-After).
  static constexpr std::string_view kRetryAfter = "30";

 private:
  struct KeyHash {
    Sha256Digest digest;
    std::string id;
  };
  const KeyHash* find_key(std::string_view proof) const;
  std::optional<Permit> guest(WallTime now, std::string_view proof) const;

  Parts parts_;
  std::vector<KeyHash> keys_;
  SourceThrottle failures_{kFailureRate};
  SourceThrottle guests_{kGuestRate};
};

// A number of seconds in decimal; nullopt: no credential could live that long, or it is no number.
std::optional<seconds> read_ttl(std::string_view text);
std::optional<seconds> read_ttl(std::optional<std::uint64_t> number);
// Text without control characters, in UTF-8, not empty.
bool is_credential_name(std::string_view name);

// RFC 9725 section 4.6: `Link: <turn:...>; rel="ice-server"; username="..."; ...`, one header for
// each URL. Empty for a username that a header cannot carry.
std::vector<std::string> ice_links(const IceUrls& urls, const MintedCredential& credential);

}  // namespace turnpike::signaling
