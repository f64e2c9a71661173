#include "server/credential_judge.h"

#include "base/digest.h"
#include "stun/integrity.h"

namespace turnpike::server {

std::string_view judge_credential(const turn::Credentials& credentials, OtherUsers others,
                                  std::string_view username, std::string_view password,
                                  WallTime now) {
  const auto matches = [&](const turn::Credentials::Keys& keys) {
    const Md5Digest key = stun::long_term_key(username, credentials.realm(), password);
    bool found = false;
    for (const stun::Key& one : keys.all()) {
      if (equal_in_constant_time(one.bytes(), key)) found = true;
    }
    return found;
  };
  const turn::Credentials::Keys keys = credentials.keys_for(username, now);
  if (matches(keys)) return "good";
  const turn::Credentials::Keys ever =
      credentials.keys_for(username, now, turn::Credentials::Expired::kAccepted);
  if (matches(ever)) return "expired";
  if (others == OtherUsers::kSome) return "elsewhere";
  if (ever.count == 0) return "unknown-user";
  const turn::UserIdentity identity = credentials.identify(username);
  const bool over = identity.expires && *identity.expires <= now && keys.count == 0;
  return over ? "expired" : "wrong-password";
}

}  // namespace turnpike::server
