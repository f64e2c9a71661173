#include "turn/authenticator.h"

#include <algorithm>

#include "stun/integrity.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::ErrorCode;

constexpr std::size_t kMaxUsername = 508;  // RFC 8489 section 14.3

Authenticator::Verdict refused(ErrorCode code) {
  return {Authenticator::Verdict::Kind::kRefused, code, {}, {}};
}

// The key that made the request's MESSAGE-INTEGRITY. Without any key the same work is done for
// nothing, so that an unknown user takes as long to refuse as a wrong password.
const Md5Digest* matching_key(const stun::MessageView& request, const Credentials::Keys& keys) {
  constexpr Md5Digest kNobody{};
  if (keys.count == 0) {
    (void)stun::verify_message_integrity(request, kNobody);
    return nullptr;
  }
  const auto all = keys.all();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Md5Digest& key) {
    return stun::verify_message_integrity(request, key);
  });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

// In the order of RFC 8489 section 9.2.4: what is missing, algorithms, user, integrity, nonce.
Authenticator::Verdict Authenticator::judge(const stun::MessageView& request, const Path& path,
                                            Tick now, Credentials::Expired expired) const {
  if (!request.has(Attribute::kMessageIntegrity)) return refused(ErrorCode::kUnauthorized);
  const auto username = request.text(Attribute::kUsername);
  const auto realm = request.text(Attribute::kRealm);
  const auto nonce = request.text(Attribute::kNonce);
  if (!username || !realm || !nonce) return refused(ErrorCode::kBadRequest);
  if (username->empty() || username->size() > kMaxUsername) return refused(ErrorCode::kBadRequest);
  // Our challenges offer no list to choose from, so naming one means somebody edited something on
  // the way (section 16.1.3).
  if (request.has(Attribute::kPasswordAlgorithm) || request.has(Attribute::kPasswordAlgorithms)) {
    return refused(ErrorCode::kBadRequest);
  }

  Credentials::Keys keys = credentials_.keys_for(*username, now.wall, expired);
  if (keys.status == Credentials::Keys::Status::kPending) {
    return {Verdict::Kind::kPending, ErrorCode::kUnauthorized, {}, {}};
  }
  const std::string_view name = identify(*username).name;
  if (*realm != credentials_.realm() || revocations_.contains(name, now.wall)) keys = {};
  const Md5Digest* key = matching_key(request, keys);
  if (key == nullptr) return refused(ErrorCode::kUnauthorized);
  if (!nonces_.is_valid(*nonce, now.wall, path.remote)) return refused(ErrorCode::kStaleNonce);
  return {Verdict::Kind::kAuthenticated, ErrorCode::kUnauthorized, name, *key};
}

}  // namespace turnpike::turn
