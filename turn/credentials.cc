#include "turn/credentials.h"

#include <algorithm>
#include <limits>

#include "base/base64.h"
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

// On the stack: whoever sends a username makes us compute one.
class RestPassword {
 public:
  RestPassword(std::string_view secret, std::string_view username) {
    base64_encode(hmac_sha1(as_bytes(secret), {as_bytes(username)}), characters_);
  }
  ~RestPassword() {
    wipe({reinterpret_cast<std::uint8_t*>(characters_.data()), characters_.size()});
  }
  RestPassword(const RestPassword&) = delete;
  RestPassword& operator=(const RestPassword&) = delete;
  std::string_view text() const { return {characters_.data(), characters_.size()}; }

 private:
  std::array<char, 28> characters_;
};

}  // namespace

// A bare expiry, or one with an empty name, is nobody's renewal: the whole username is its name,
// so that strangers without a name do not share a quota or each other's allocations.
UserIdentity identify(std::string_view username, char separator) {
  const std::size_t found = username.find(separator);
  const std::size_t colon = found == std::string_view::npos ? username.find(':') : found;
  const auto expires = parse_expiry(username.substr(0, colon));
  if (!expires) return {username, std::nullopt};
  if (colon == std::string_view::npos || colon + 1 == username.size()) return {username, expires};
  return {username.substr(colon + 1), expires};
}

Credentials::Credentials(Source source)
    : realm_(std::move(source.realm)),
      secrets_(std::move(source.shared_secrets)),
      separator_(source.separator),
      offers_algorithms_(source.offer_algorithms),
      announces_userhash_(source.announce_userhash) {
  CHECK(secrets_.size() <= kMaxSharedSecrets);
  for (StaticUser& user : source.users) {
    User known;
    if (user.key) {
      known.md5 = *user.key;
      offers_algorithms_ = false;
    } else {
      known.md5 = stun::long_term_key(user.name, realm_, user.password);
      known.sha256 = stun::long_term_key_sha256(user.name, realm_, user.password);
    }
    const auto place = users_.insert_or_assign(user.name, known).first;
    by_hash_.insert_or_assign(stun::userhash(user.name, realm_), place->first);
    wipe(user.password);
  }
}

std::optional<std::string_view> Credentials::username_of(ByteView userhash) const {
  Sha256Digest hash;
  if (userhash.size() != hash.size()) return std::nullopt;
  std::copy(userhash.begin(), userhash.end(), hash.begin());
  const auto found = by_hash_.find(hash);
  return found == by_hash_.end() ? std::nullopt : std::optional(found->second);
}

Credentials::Keys Credentials::keys_for(std::string_view username, WallTime now, Expired expired,
                                        stun::PasswordAlgorithm algorithm) const {
  Keys keys;
  if (const auto user = users_.find(username); user != users_.end()) {
    keys.status = Keys::Status::kKnown;
    if (algorithm == stun::PasswordAlgorithm::kMd5) {
      keys.keys[keys.count++] = stun::Key(user->second.md5);
    } else if (user->second.sha256) {
      keys.keys[keys.count++] = stun::Key(*user->second.sha256);
    }
  }
  const UserIdentity identity = identify(username);
  if (identity.expires && (now < *identity.expires || expired == Expired::kAccepted)) {
    for (const std::string& secret : secrets_) {
      RestPassword password(secret, username);
      keys.keys[keys.count++] = stun::long_term_key(algorithm, username, realm_, password.text());
    }
  }
  if (keys.count > 0) keys.status = Keys::Status::kKnown;
  return keys;
}

std::string rest_password(std::string_view secret, std::string_view username) {
  return std::string(RestPassword(secret, username).text());
}

}  // namespace turnpike::turn
