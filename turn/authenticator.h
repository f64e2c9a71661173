// Authenticator: the long-term credential mechanism as a server runs it (RFC 8489 section 9.2.4),
// without memory of anybody. Owned by one worker's server; single thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/digest.h"
#include "base/time.h"
#include "stun/attributes.h"
#include "stun/message.h"
#include "stun/nonce.h"
#include "turn/credentials.h"
#include "turn/path.h"
#include "turn/revocations.h"

namespace turnpike::turn {

class Authenticator {
 public:
  // Both outlive it.
  Authenticator(const Credentials& credentials, const Revocations& revocations,
                const stun::NonceSource& nonces)
      : credentials_(credentials), revocations_(revocations), nonces_(nonces) {}

  struct Verdict {
    enum class Kind : std::uint8_t { kAuthenticated, kRefused, kPending };
    Kind kind = Kind::kRefused;
    stun::ErrorCode code = stun::ErrorCode::kUnauthorized;  // when refused: 400, 401 or 438
    std::string_view name;  // when authenticated: who (borrowed from the message),
    Md5Digest key{};        // and what signs the answer
  };
  Verdict judge(const stun::MessageView& request, const Path& path, Tick now,
                Credentials::Expired expired) const;

 private:
  const Credentials& credentials_;
  const Revocations& revocations_;
  const stun::NonceSource& nonces_;
};

}  // namespace turnpike::turn
