// Who may allocate: static users and the shared-secret scheme of the TURN REST draft
// (username "expiry:name", password base64(HMAC-SHA1(secret, username))). Several secrets are valid
// at once, for rotation. Immutable after construction; shared by all workers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/time.h"

namespace turnpike::turn {

struct StaticUser {
  std::string name;
  std::string password;
};

// A username taken apart. "1767225600:alice" is alice until that second; a username without a
// decimal expiry before the first ':' is a plain name.
struct UserIdentity {
  std::string_view name;            // what quota, 441 and logs go by: a renewed credential is alice
  std::optional<WallTime> expires;  // nullopt for static users
};
UserIdentity identify(std::string_view username);

class Credentials {
 public:
  static constexpr std::size_t kMaxSharedSecrets = 8;

  struct Source {
    std::string realm;
    std::vector<StaticUser> users;
    std::vector<std::string> shared_secrets;  // at most kMaxSharedSecrets
  };
  explicit Credentials(Source source);

  const std::string& realm() const { return realm_; }

  // The long-term keys that would prove this username now: none (unknown or expired), or one for
  // each shared secret. kPending is for stores that must ask elsewhere first: the request is
  // dropped, and the client's retransmission finds the answer.
  struct Keys {
    enum class Status : std::uint8_t { kKnown, kUnknown, kPending };
    Status status = Status::kUnknown;
    std::array<Md5Digest, kMaxSharedSecrets + 1> md5;
    std::size_t count = 0;
    std::span<const Md5Digest> all() const { return {md5.data(), count}; }
  };
  // Expiry decides who may begin; who holds an allocation keeps it under the credential it was made
  // with (RFC 8656 knows no expiry; browsers cannot change the username of a live allocation).
  enum class Expired : std::uint8_t { kRefused, kAccepted };
  Keys keys_for(std::string_view username, WallTime now, Expired expired = Expired::kRefused) const;

 private:
  std::string realm_;
  std::map<std::string, Md5Digest, std::less<>> users_;
  std::vector<std::string> secrets_;
};

// The password that belongs to a REST username.
std::string rest_password(std::string_view secret, std::string_view username);

}  // namespace turnpike::turn
