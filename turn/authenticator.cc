#include "turn/authenticator.h"

#include <tuple>

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::ErrorCode;

constexpr std::size_t kMaxUsername = 508;  // RFC 8489 section 14.3

Authenticator::Verdict refused(ErrorCode code) {
  Authenticator::Verdict verdict;
  verdict.code = code;
  return verdict;
}

// How the answer is signed is how the request was: RFC 8489 section 9.2.4 asks for the attribute
// that the client chose.
std::optional<stun::SigningKey::Integrity> integrity_of(const stun::MessageView& request) {
  using Integrity = stun::SigningKey::Integrity;
  if (request.has(Attribute::kMessageIntegritySha256)) return Integrity::kSha256;
  if (request.has(Attribute::kMessageIntegrity)) return Integrity::kSha1;
  return std::nullopt;
}

// Of two integrity attributes both must be right.
bool proves(const stun::MessageView& request, const stun::SigningKey& key) {
  if (!stun::verify(request, key)) return false;
  return key.integrity == stun::SigningKey::Integrity::kSha1 ||
         !request.has(Attribute::kMessageIntegrity) ||
         stun::verify_message_integrity(request, key.key.bytes());
}

// The key that made the request's integrity. Without any key the same work is done for nothing, so
// that an unknown user takes as long to refuse as a wrong password.
std::optional<stun::SigningKey> matching_key(const stun::MessageView& request,
                                             const Credentials::Keys& keys,
                                             stun::SigningKey::Integrity integrity) {
  if (keys.count == 0) {
    (void)proves(request, {stun::Key(Md5Digest{}), integrity});
    return std::nullopt;
  }
  for (const stun::Key& key : keys.all()) {
    const stun::SigningKey candidate{key, integrity};
    if (proves(request, candidate)) return candidate;
  }
  return std::nullopt;
}

// The algorithm that the request was made with. Neither attribute: MD5, as before RFC 8489.
// Otherwise both must be there, the list as we sent it with this nonce, and the choice in the list
// (section 9.2.4); anything else means that somebody edited something on the way (section 16.1.3).
std::optional<stun::PasswordAlgorithm> algorithm_of(const stun::MessageView& request,
                                                    std::string_view nonce) {
  const auto chosen = request.value(Attribute::kPasswordAlgorithm);
  const auto list = request.value(Attribute::kPasswordAlgorithms);
  if (!chosen && !list) return stun::PasswordAlgorithm::kMd5;
  const auto features = stun::announced_features(nonce);
  const bool offered = !features || (*features & stun::kFeaturePasswordAlgorithms) != 0;
  if (!chosen || !list || !offered || !equal(*list, stun::kPasswordAlgorithmList)) {
    return std::nullopt;
  }
  return stun::read_password_algorithm(*chosen);
}

}  // namespace

std::optional<std::string_view> Authenticator::username_of(const stun::MessageView& request) const {
  if (const auto username = request.text(Attribute::kUsername)) {
    const bool fits = !username->empty() && username->size() <= kMaxUsername;
    return fits ? username : std::nullopt;
  }
  const auto hash = request.value(Attribute::kUserhash);
  if (!hash || hash->size() != std::tuple_size_v<Sha256Digest>) return std::nullopt;
  return credentials_.username_of(*hash).value_or(std::string_view{});
}

// A token brings the key with it; USERNAME says with which of our keys it was sealed (RFC 7635
// section 7). Who made an allocation with one signs with its key from then on.
Authenticator::Candidates Authenticator::keys_of(const stun::MessageView& request,
                                                 std::string_view username,
                                                 stun::PasswordAlgorithm algorithm, Tick now,
                                                 const Session& session) {
  Candidates found;
  const auto use = [&found](const stun::Key& key) {
    found.keys.keys[0] = key;
    found.keys.count = 1;
    found.keys.status = Credentials::Keys::Status::kKnown;
    found.by_token = true;
  };
  const auto token = request.value(Attribute::kAccessToken);
  if (token && !token_keys_.empty()) {
    const auto key = token_keys_.find(username);
    const auto opened =
        key ? open_token(cipher_, *token, *key, token_keys_.server_name(), now.wall) : std::nullopt;
    if (!opened) return found;
    use(opened->mac_key);
    // coturn's clients sign with the first 16 octets of the 20; strong enough to let them in.
    constexpr std::size_t kShortened = 16;
    if (opened->mac_key.size == 20) {
      found.keys.keys[found.keys.count++] = stun::Key(opened->mac_key.bytes().first(kShortened));
    }
    found.expires = opened->expires;
    return found;
  }
  if (session.token_key != nullptr) {
    use(*session.token_key);
    return found;
  }
  found.keys = credentials_.keys_for(username, now.wall, session.expired, algorithm);
  found.expires = credentials_.identify(username).expires;
  return found;
}

// In the order of RFC 8489 section 9.2.4: what is missing, algorithms, user, integrity, nonce.
Authenticator::Verdict Authenticator::judge(const stun::MessageView& request, const Path& path,
                                            Tick now, const Session& session) {
  const auto integrity = integrity_of(request);
  if (!integrity) return refused(ErrorCode::kUnauthorized);
  const auto username = username_of(request);
  const auto realm = request.text(Attribute::kRealm);
  const auto nonce = request.text(Attribute::kNonce);
  if (!username || !realm || !nonce) return refused(ErrorCode::kBadRequest);
  const auto algorithm = algorithm_of(request, *nonce);
  if (!algorithm) return refused(ErrorCode::kBadRequest);

  Candidates found = keys_of(request, *username, *algorithm, now, session);
  if (found.keys.status == Credentials::Keys::Status::kPending) {
    Verdict pending;
    pending.kind = Verdict::Kind::kPending;
    return pending;
  }
  const std::string_view name = found.by_token ? *username : credentials_.identify(*username).name;
  if (*realm != credentials_.realm() || revocations_.contains(name, now.wall)) found.keys = {};
  const auto key = matching_key(request, found.keys, *integrity);
  if (!key) return refused(ErrorCode::kUnauthorized);
  if (!nonces_.is_valid(*nonce, now.wall, path.remote)) return refused(ErrorCode::kStaleNonce);
  Verdict verdict;
  verdict.kind = Verdict::Kind::kAuthenticated;
  verdict.name = name;
  verdict.key = *key;
  verdict.expires = found.expires;
  verdict.by_token = found.by_token;
  return verdict;
}

}  // namespace turnpike::turn
