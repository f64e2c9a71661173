// Why the relay refuses a user name and password, for the connection test: the relay itself says
// the same 401 to everybody (RFC 8489 section 9.2.4), so that nobody can find out who is a user.
// Values only.
#pragma once

#include <string_view>

#include "base/time.h"
#include "turn/credentials.h"

namespace turnpike::server {

// Whether users can be known who are in no configuration: by a hook or by tokens.
enum class OtherUsers : std::uint8_t { kNone, kSome };

// "good", "expired", "wrong-password", "unknown-user" or "elsewhere": that cannot be told here.
std::string_view judge_credential(const turn::Credentials& credentials, OtherUsers others,
                                  std::string_view username, std::string_view password,
                                  WallTime now);

}  // namespace turnpike::server
