// StatsPass: who may look at /stats. Whoever shows the token of --prometheus-token, and browsers,
// whose EventSource can send no header, by a cookie that the token was exchanged for: a time until
// which it is good and our MAC over it. Nothing is kept of those who have one; a restart makes them
// show the token again. Single thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/time.h"
#include "signaling/http.h"
#include "signaling/throttle.h"

namespace turnpike::server {

class StatsPass {
 public:
  static constexpr std::string_view kCookie = "turnpike_stats";
  static constexpr seconds kLife{12 * 3600};
  // Wrong tokens of one source prefix; then none of it is looked at, and right ones neither.
  static constexpr signaling::Rate kFailureRate{10, seconds(6)};

  // An empty token lets everybody in.
  StatsPass(std::string token, Random& random);

  enum class Verdict : std::uint8_t { kWelcome, kUnknown, kWrong, kTooOften };
  Verdict judge(Tick now, const IpAddress& source, const signaling::http::Request& request);
  bool asks_for_token() const { return !token_.empty(); }

  // For Set-Cookie, with its attributes. It goes to /stats alone and to no script.
  std::string cookie(WallTime now, bool secure) const;
  static std::string forgotten_cookie();

 private:
  std::string seal(std::string_view until) const;
  bool is_ours(std::string_view cookie, WallTime now) const;

  const std::string token_;
  std::array<std::uint8_t, 32> key_{};
  signaling::SourceThrottle failures_{kFailureRate};
};

}  // namespace turnpike::server
