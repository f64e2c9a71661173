// JwtUsers: TURN users whose password is a JSON Web Token (--turn-jwt). Whoever holds a secret of
// ours makes the token and gives its holder
//
//   username    header.payload             the token without its signature
//   credential  header.payload.signature   the token
//
// The username says who it is and until when; the signature, which never travels, proves it, for
// this server can make it as well. That is why there are only HS256 secrets here: with a public key
// the signature could be checked, but not made. Nothing is kept; one for each worker.
#pragma once

#include <string>

#include "signaling/jwt.h"
#include "turn/user_directory.h"

namespace turnpike::server {

class JwtUsers final : public turn::UserDirectory {
 public:
  // `keys` outlives it and has at most Credentials::kMaxSharedSecrets secrets. `others` (may be
  // null) is asked about usernames that are no token.
  JwtUsers(const signaling::JwtKeys& keys, std::string realm, turn::UserDirectory* others)
      : keys_(keys), realm_(std::move(realm)), others_(others) {}

  Finding find(const Question& question, Tick now) override;

 private:
  const signaling::JwtKeys& keys_;
  const std::string realm_;
  turn::UserDirectory* const others_;
  std::string name_;  // of the last finding
};

}  // namespace turnpike::server
