#include "server/stats_pass.h"

#include <utility>

#include "base/digest.h"
#include "base/text.h"
#include "signaling/api.h"

namespace turnpike::server {
namespace {

constexpr std::string_view kAttributes = "; Path=/stats; HttpOnly; SameSite=Strict";

// The value of our cookie; nullopt without one.
std::optional<std::string_view> cookie_of(const signaling::http::Request& request) {
  const auto header = request.header("cookie");
  if (!header) return std::nullopt;
  for (std::string_view pair : split(*header, ';')) {
    pair = trim(pair);
    const std::string_view name = pair.substr(0, pair.find('='));
    if (name == StatsPass::kCookie && name.size() < pair.size())
      return pair.substr(name.size() + 1);
  }
  return std::nullopt;
}

}  // namespace

StatsPass::StatsPass(std::string token, Random& random) : token_(std::move(token)) {
  random.fill(key_);
}

StatsPass::Verdict StatsPass::judge(Tick now, const IpAddress& source,
                                    const signaling::http::Request& request) {
  if (token_.empty()) return Verdict::kWelcome;
  const std::string proof = signaling::bearer_proof(request, {});
  if (proof.empty()) {
    const auto cookie = cookie_of(request);
    return cookie && is_ours(*cookie, now.wall) ? Verdict::kWelcome : Verdict::kUnknown;
  }
  if (!failures_.has_token(now.mono, source)) return Verdict::kTooOften;
  if (equal_in_constant_time(sha256(as_bytes(token_)), sha256(as_bytes(proof)))) {
    return Verdict::kWelcome;
  }
  (void)failures_.take(now.mono, source);
  return Verdict::kWrong;
}

std::string StatsPass::seal(std::string_view until) const {
  return base64url_encode(hmac_sha256(key_, {as_bytes("turnpike stats "), as_bytes(until)}));
}

bool StatsPass::is_ours(std::string_view cookie, WallTime now) const {
  const std::size_t dot = cookie.find('.');
  if (dot == std::string_view::npos) return false;
  const std::string_view until = cookie.substr(0, dot);
  const std::string seal_of_it = seal(until);
  if (!equal_in_constant_time(as_bytes(cookie.substr(dot + 1)), as_bytes(seal_of_it))) return false;
  const auto end = parse_decimal(until);
  return end && now.since_epoch.count() < static_cast<std::int64_t>(*end);
}

std::string StatsPass::cookie(WallTime now, bool secure) const {
  const std::string until = std::to_string((now + kLife).since_epoch.count());
  std::string text(kCookie);
  text.append("=").append(until).append(".").append(seal(until)).append(kAttributes);
  text.append("; Max-Age=").append(std::to_string(kLife.count()));
  return secure ? text + "; Secure" : text;
}

std::string StatsPass::forgotten_cookie() {
  return std::string(kCookie).append("=").append(kAttributes).append("; Max-Age=0");
}

}  // namespace turnpike::server
