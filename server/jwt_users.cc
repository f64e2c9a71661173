#include "server/jwt_users.h"

#include <utility>

#include "base/digest.h"

namespace turnpike::server {

turn::UserDirectory::Finding JwtUsers::find(const Question& question, Tick now) {
  using Status = turn::Credentials::Keys::Status;
  const auto jwt = signaling::take_apart_unsigned(question.username);
  if (!jwt) return others_ != nullptr ? others_->find(question, now) : Finding{};
  Finding finding;
  if (jwt->algorithm != "HS256") return finding;
  auto claims = signaling::parse_claims(jwt->payload, now.wall);
  if (!claims) return finding;
  name_ = std::move(claims->subject);
  finding.name = name_;
  finding.expires = claims->expires;
  finding.keys.status = Status::kKnown;
  for (const std::string& signature : keys_.signatures_of(question.username)) {
    std::string token(question.username);
    token.append(".").append(signature);
    finding.keys.keys[finding.keys.count++] =
        stun::long_term_key(question.algorithm, question.username, realm_, token);
    wipe(token);
  }
  return finding;
}

}  // namespace turnpike::server
