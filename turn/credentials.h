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
#include "stun/integrity.h"

namespace turnpike::turn {

struct StaticUser {
  std::string name;
  std::string password;
  // MD5(name ":" realm ":" password) in place of the password, so that a configuration file need
  // not hold it.
  std::optional<Md5Digest> key{};
};

// A username taken apart. "1767225600:alice" is alice until that second; a username without a
// decimal expiry before the first ':' is a plain name. Where back ends use another separator, it is
// looked for first; what this server mints has a ':'.
struct UserIdentity {
  std::string_view name;            // what quota, 441 and logs go by: a renewed credential is alice
  std::optional<WallTime> expires;  // nullopt for static users
};
UserIdentity identify(std::string_view username, char separator = ':');

class Credentials {
 public:
  static constexpr std::size_t kMaxSharedSecrets = 8;

  struct Source {
    std::string realm;
    std::vector<StaticUser> users;
    std::vector<std::string> shared_secrets;  // at most kMaxSharedSecrets
    char separator = ':';                     // between expiry and name of a REST username
    // Ask for hashes of usernames. Only static users are found that way; who has another name is
    // asked for the name itself when it is refused, which costs a round trip.
    bool announce_userhash = false;
    // False where a UserDirectory may know users by nothing but their MD5 key.
    bool offer_algorithms = true;
  };
  explicit Credentials(Source source);
  Credentials(Credentials&&) = default;
  Credentials& operator=(Credentials&&) = default;

  const std::string& realm() const { return realm_; }

  UserIdentity identify(std::string_view username) const {
    return turn::identify(username, separator_);
  }
  // Whether to offer the choice of RFC 8489 section 9.2.4: not when a user has nothing but an MD5
  // key, whom the choice of SHA-256 would lock out.
  bool offers_algorithms() const { return offers_algorithms_; }
  bool announces_userhash() const { return announces_userhash_; }
  // The static user that a USERHASH stands for; borrowed.
  std::optional<std::string_view> username_of(ByteView userhash) const;

  // The long-term keys that would prove this username now: none (unknown or expired), or one for
  // each shared secret. kPending and kFailed are a UserDirectory's, which may have to ask elsewhere
  // first.
  struct Keys {
    enum class Status : std::uint8_t { kKnown, kUnknown, kPending, kFailed };
    Status status = Status::kUnknown;
    std::array<stun::Key, kMaxSharedSecrets + 1> keys;
    std::size_t count = 0;
    std::span<const stun::Key> all() const { return {keys.data(), count}; }
  };
  // Expiry decides who may begin; who holds an allocation keeps it under the credential it was made
  // with (RFC 8656 knows no expiry; browsers cannot change the username of a live allocation).
  enum class Expired : std::uint8_t { kRefused, kAccepted };
  Keys keys_for(std::string_view username, WallTime now, Expired expired = Expired::kRefused,
                stun::PasswordAlgorithm algorithm = stun::PasswordAlgorithm::kMd5) const;

 private:
  struct User {
    Md5Digest md5{};
    std::optional<Sha256Digest> sha256;  // none where only the MD5 key is known
  };

  std::string realm_;
  std::map<std::string, User, std::less<>> users_;
  std::map<Sha256Digest, std::string_view> by_hash_;  // views of the keys of users_
  std::vector<std::string> secrets_;
  char separator_ = ':';
  bool offers_algorithms_ = true;
  bool announces_userhash_ = false;
};

// What an allocation was made or last refreshed with, where that cannot be looked up again when it
// is needed: an access token's key, or that of a user whom a UserDirectory knows.
struct KeptCredential {
  std::string username;
  stun::Key key;
  std::optional<WallTime> expires;
  bool by_token = false;
};

// The password that belongs to a REST username.
std::string rest_password(std::string_view secret, std::string_view username);

}  // namespace turnpike::turn
