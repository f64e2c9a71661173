// UserDirectory: users that Credentials does not list, because somebody else knows them: a service
// that is asked by HTTP, or a token that says of itself who its holder is. The driver's side brings
// it, one for each worker; it is asked from inside a turn::Server input and must not call back into
// the server. Single thread.
//
// It is asked only once a request has come with a valid nonce, that is from its own address, and
// never about the holder of an allocation: an allocation keeps the key that it was made with.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"
#include "stun/integrity.h"
#include "turn/credentials.h"
#include "turn/path.h"

namespace turnpike::turn {

class UserDirectory {
 public:
  struct Question {
    std::string_view username;
    stun::PasswordAlgorithm algorithm = stun::PasswordAlgorithm::kMd5;
    const Path& path;
    ByteView message;  // the request that must wait if there is no answer yet
  };
  struct Finding {
    // kPending: the directory has kept the message, or one like it from the same path, and will
    // bring it to on_client() again. kFailed: nobody can be asked now.
    Credentials::Keys keys;
    std::string_view name;            // what quota and logs go by; borrowed until the next question
    std::optional<WallTime> expires;  // when the credential does
  };

  virtual ~UserDirectory() = default;
  virtual Finding find(const Question& question, Tick now) = 0;
};

}  // namespace turnpike::turn
