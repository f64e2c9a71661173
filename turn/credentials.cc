#include "turn/credentials.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/text.h"
#include "stun/integrity.h"

namespace turnpike::turn {

namespace {

std::optional<WallTime> parse_expiry(std::string_view text) {
  const auto number = parse_decimal(text);
  using Seconds = std::chrono::seconds::rep;
  if (!number || *number > static_cast<std::uint64_t>(std::numeric_limits<Seconds>::max())) {
    return std::nullopt;
  }
  return WallTime{std::chrono::seconds(static_cast<Seconds>(*number))};
}

}  // namespace

// A bare expiry, or one with an empty name, is nobody's renewal: the whole username is its name,
// so that strangers without a name do not share a quota or each other's allocations.
UserIdentity identify(std::string_view username) {
  const std::size_t colon = username.find(':');
  const auto expires = parse_expiry(username.substr(0, colon));
  if (!expires) return {username, std::nullopt};
  if (colon == std::string_view::npos || colon + 1 == username.size()) return {username, expires};
  return {username.substr(colon + 1), expires};
}

Credentials::Credentials(Source source)
    : realm_(std::move(source.realm)), secrets_(std::move(source.shared_secrets)) {
  CHECK(secrets_.size() <= kMaxSharedSecrets);
  for (StaticUser& user : source.users) {
    users_.insert_or_assign(user.name, stun::long_term_key(user.name, realm_, user.password));
    wipe(user.password);
  }
}

Credentials::Keys Credentials::keys_for(std::string_view username, WallTime now,
                                        Expired expired) const {
  Keys keys;
  if (const auto user = users_.find(username); user != users_.end()) {
    keys.md5[keys.count++] = user->second;
  }
  const UserIdentity identity = identify(username);
  if (identity.expires && (now < *identity.expires || expired == Expired::kAccepted)) {
    for (const std::string& secret : secrets_) {
      std::string password = rest_password(secret, username);
      keys.md5[keys.count++] = stun::long_term_key(username, realm_, password);
      wipe(password);
    }
  }
  if (keys.count > 0) keys.status = Keys::Status::kKnown;
  return keys;
}

std::string rest_password(std::string_view secret, std::string_view username) {
  return base64_encode(hmac_sha1(as_bytes(secret), {as_bytes(username)}));
}

}  // namespace turnpike::turn
