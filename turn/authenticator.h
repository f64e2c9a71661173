// Authenticator: the long-term credential mechanism as a server runs it (RFC 8489 section 9.2.4),
// without memory of anybody. Owned by one worker's server; single thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "stun/attributes.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/nonce.h"
#include "turn/access_token.h"
#include "turn/credentials.h"
#include "turn/path.h"
#include "turn/revocations.h"
#include "turn/user_directory.h"

namespace turnpike::turn {

class Authenticator {
 public:
  // All outlive it.
  struct Sources {
    const Credentials& credentials;
    const TokenKeys& token_keys;
    const Revocations& revocations;
    const stun::NonceSource& nonces;
    UserDirectory* users = nullptr;  // null: nobody else knows any
  };
  explicit Authenticator(const Sources& sources) : sources_(sources) {}

  // Why credentials were refused. Requests without any have not failed: they ask for a challenge.
  // Only logs and metrics tell them apart, never an answer.
  enum class Failure : std::uint8_t {
    kUnknownUser,   // or another realm
    kBadIntegrity,  // a wrong password or access token
    kExpired,
    kRevoked,  // its member has left
    kStaleNonce,
    kNone,
  };
  static constexpr std::size_t kFailures = static_cast<std::size_t>(Failure::kNone);

  struct Verdict {
    enum class Kind : std::uint8_t { kAuthenticated, kRefused, kPending };
    Kind kind = Kind::kRefused;
    stun::ErrorCode code = stun::ErrorCode::kUnauthorized;  // when refused: 400, 401, 438 or 500
    Failure failure = Failure::kNone;
    // When authenticated: who (borrowed from the message, from the credentials or from the
    // session), and what signs the answer.
    std::string_view name;
    stun::SigningKey key;
    std::optional<WallTime> expires;  // when the credential does
    bool by_token = false;            // the key came in an ACCESS-TOKEN
    // The key cannot be looked up again when it is needed: who has an allocation with it keeps it.
    bool from_elsewhere = false;
  };
  // What is known of the allocation that a request is about.
  struct Session {
    Credentials::Expired expired = Credentials::Expired::kRefused;
    // What it was made with, if Credentials does not know that, and its holder's name.
    const KeptCredential* kept = nullptr;
    std::string_view holder;
  };
  Verdict judge(const stun::MessageView& request, const Path& path, Tick now,
                const Session& session);

  // The username of a request, given or hashed; borrowed. Empty: an unknown hash.
  std::optional<std::string_view> username_of(const stun::MessageView& request) const;

 private:
  struct Candidates {
    Credentials::Keys keys;
    std::string_view name;
    std::optional<WallTime> expires;
    bool by_token = false;
    bool from_elsewhere = false;
  };
  Candidates keys_of(const stun::MessageView& request, std::string_view username,
                     stun::PasswordAlgorithm algorithm, Tick now, const Session& session);
  bool knows_only_others(const Candidates& found, std::string_view username) const;
  // Why no key of these was right.
  Failure failure_of(const Candidates& found, Tick now) const;
  void ask_others(Candidates& found, const UserDirectory::Question& question, Tick now);

  const Sources sources_;
  AesGcm cipher_;
};

}  // namespace turnpike::turn
