// What the authorisation service (--auth-hook) is asked and what it answers, as text:
//
//   POST /path  {"username", "realm", "client", "transport", "server"}
//   200         {"password": "..."} or {"key": "MD5(username:realm:password) in hex"},
//               "ttl" (seconds) and "expires" (seconds since 1970) if it likes
//   403, 404    an unknown user; {"ttl"} if it likes
//
// Anything else is a failure. Values only; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/digest.h"
#include "base/expected.h"
#include "base/time.h"
#include "turn/path.h"

namespace turnpike::server {

inline constexpr std::size_t kMaxHookPassword = 1024;

// Where the service listens.
struct HookUrl {
  bool tls = false;
  std::string host;  // a name, or an address without brackets
  std::uint16_t port = 0;
  std::string target = "/";

  std::string host_header() const;
  bool operator==(const HookUrl&) const = default;
};
// http://host[:port][/path]; the Error says what is expected.
Expected<HookUrl> parse_hook_url(std::string_view text);

struct HookUser {
  Md5Digest key{};
  std::optional<WallTime> expires;
};

struct HookAnswer {
  enum class Kind : std::uint8_t { kKnown, kUnknown, kFailed };
  Kind kind = Kind::kFailed;
  HookUser user;                // of kKnown
  std::optional<seconds> life;  // how long the answer is good, if the service says so
  std::string failure;          // of kFailed: a sentence for the operator, without secrets
};

struct HookQuery {
  std::string_view username;  // valid UTF-8
  std::string_view realm;
  const turn::Path& path;
};
std::string hook_body(const HookQuery& query);
HookAnswer read_hook_answer(unsigned status, std::string_view body, std::string_view username,
                            std::string_view realm, WallTime now);

}  // namespace turnpike::server
