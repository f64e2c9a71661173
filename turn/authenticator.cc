#include "turn/authenticator.h"

#include <tuple>

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::ErrorCode;

constexpr std::size_t kMaxUsername = 508;  // RFC 8489 section 14.3

Authenticator::Verdict refused(ErrorCode code,
                               Authenticator::Failure failure = Authenticator::Failure::kNone) {
  Authenticator::Verdict verdict;
  verdict.code = code;
  verdict.failure = failure;
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
  return sources_.credentials.username_of(*hash).value_or(std::string_view{});
}

// A token brings the key with it; USERNAME says with which of our keys it was sealed (RFC 7635
// section 7). Who made an allocation with one signs with its key from then on.
Authenticator::Candidates Authenticator::keys_of(const stun::MessageView& request,
                                                 std::string_view username,
                                                 stun::PasswordAlgorithm algorithm, Tick now,
                                                 const Session& session) {
  Candidates found;
  found.name = username;
  const auto use = [&found](const stun::Key& key) {
    found.keys.keys[0] = key;
    found.keys.count = 1;
    found.keys.status = Credentials::Keys::Status::kKnown;
  };
  const auto token = request.value(Attribute::kAccessToken);
  if (token && !sources_.token_keys.empty()) {
    const auto key = sources_.token_keys.find(username);
    const auto opened =
        key ? open_token(cipher_, *token, *key, sources_.token_keys.server_name(), now.wall)
            : std::nullopt;
    found.keys.status = Credentials::Keys::Status::kKnown;  // if to nobody: none else is asked
    if (!opened) return found;
    use(opened->mac_key);
    // coturn's clients sign with the first 16 octets of the 20; strong enough to let them in.
    constexpr std::size_t kShortened = 16;
    if (opened->mac_key.size == 20) {
      found.keys.keys[found.keys.count++] = stun::Key(opened->mac_key.bytes().first(kShortened));
    }
    found.expires = opened->expires;
    found.by_token = found.from_elsewhere = true;
    return found;
  }
  if (session.kept != nullptr) {
    use(session.kept->key);
    found.name = session.holder;
    found.expires = session.kept->expires;
    found.by_token = session.kept->by_token;
    return found;
  }
  found.keys = sources_.credentials.keys_for(username, now.wall, session.expired, algorithm);
  const UserIdentity identity = sources_.credentials.identify(username);
  found.name = identity.name;
  found.expires = identity.expires;
  return found;
}

Authenticator::Failure Authenticator::failure_of(const Candidates& found, Tick now) const {
  if (sources_.revocations.contains(found.name, now.wall)) return Failure::kRevoked;
  if (found.keys.status == Credentials::Keys::Status::kKnown) return Failure::kBadIntegrity;
  return found.expires && *found.expires <= now.wall ? Failure::kExpired : Failure::kUnknownUser;
}

bool Authenticator::knows_only_others(const Candidates& found, std::string_view username) const {
  return sources_.users != nullptr && !username.empty() &&
         found.keys.status == Credentials::Keys::Status::kUnknown;
}

void Authenticator::ask_others(Candidates& found, const UserDirectory::Question& question,
                               Tick now) {
  UserDirectory::Finding finding = sources_.users->find(question, now);
  found.keys = finding.keys;
  found.name = finding.name.empty() ? question.username : finding.name;
  found.expires = finding.expires;
  found.from_elsewhere = true;
}

// In the order of RFC 8489 section 9.2.4: what is missing, algorithms, user, integrity, nonce. But
// nobody else is asked about a user before the nonce has shown that the sender is where he says.
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

  const bool realm_is_ours = *realm == sources_.credentials.realm();
  Candidates found = keys_of(request, *username, *algorithm, now, session);
  if (realm_is_ours && knows_only_others(found, *username)) {
    if (!sources_.nonces.is_valid(*nonce, now.wall, path.remote)) {
      return refused(ErrorCode::kStaleNonce, Failure::kStaleNonce);
    }
    ask_others(found, {*username, *algorithm, path, request.bytes()}, now);
  }
  using Status = Credentials::Keys::Status;
  // A datagram is sent again by itself; nobody repeats what was said on a connection.
  const bool failed = found.keys.status == Status::kFailed;
  if (failed && is_stream(path.transport)) return refused(ErrorCode::kServerError);
  if (failed || found.keys.status == Status::kPending) {
    Verdict pending;
    pending.kind = Verdict::Kind::kPending;
    return pending;
  }
  const Failure failure = realm_is_ours ? failure_of(found, now) : Failure::kUnknownUser;
  if (!realm_is_ours || failure == Failure::kRevoked) found.keys = {};
  const auto key = matching_key(request, found.keys, *integrity);
  if (!key) return refused(ErrorCode::kUnauthorized, failure);
  if (!sources_.nonces.is_valid(*nonce, now.wall, path.remote)) {
    return refused(ErrorCode::kStaleNonce, Failure::kStaleNonce);
  }
  Verdict verdict;
  verdict.kind = Verdict::Kind::kAuthenticated;
  verdict.name = found.name;
  verdict.key = *key;
  verdict.expires = found.expires;
  verdict.by_token = found.by_token;
  verdict.from_elsewhere = found.from_elsewhere;
  return verdict;
}

}  // namespace turnpike::turn
