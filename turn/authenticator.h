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

namespace turnpike::turn {

class Authenticator {
 public:
  // All outlive it.
  Authenticator(const Credentials& credentials, const TokenKeys& token_keys,
                const Revocations& revocations, const stun::NonceSource& nonces)
      : credentials_(credentials),
        token_keys_(token_keys),
        revocations_(revocations),
        nonces_(nonces) {}

  struct Verdict {
    enum class Kind : std::uint8_t { kAuthenticated, kRefused, kPending };
    Kind kind = Kind::kRefused;
    stun::ErrorCode code = stun::ErrorCode::kUnauthorized;  // when refused: 400, 401 or 438
    // When authenticated: who (borrowed from the message or from the credentials), and what signs
    // the answer.
    std::string_view name;
    stun::SigningKey key;
    std::optional<WallTime> expires;  // when the credential does
    bool by_token = false;            // the key came in an ACCESS-TOKEN
  };
  // What is known of the allocation that a request is about.
  struct Session {
    Credentials::Expired expired = Credentials::Expired::kRefused;
    // The key of the access token it was made with, for the requests that come without the token.
    const stun::Key* token_key = nullptr;
  };
  Verdict judge(const stun::MessageView& request, const Path& path, Tick now,
                const Session& session);

  // The username of a request, given or hashed; borrowed. Empty: an unknown hash.
  std::optional<std::string_view> username_of(const stun::MessageView& request) const;

 private:
  struct Candidates {
    Credentials::Keys keys;
    std::optional<WallTime> expires;
    bool by_token = false;
  };
  Candidates keys_of(const stun::MessageView& request, std::string_view username,
                     stun::PasswordAlgorithm algorithm, Tick now, const Session& session);

  const Credentials& credentials_;
  const TokenKeys& token_keys_;
  const Revocations& revocations_;
  const stun::NonceSource& nonces_;
  AesGcm cipher_;
};

}  // namespace turnpike::turn
