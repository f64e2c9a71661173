#include "server/hook_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "server/hex_key.h"
#include "server/transport_name.h"
#include "signaling/jwt.h"
#include "stun/integrity.h"

namespace turnpike::server {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMaxSeconds = 100'000'000'000;  // the year 5138

HookAnswer failed(std::string why) {
  HookAnswer answer;
  answer.failure = std::move(why);
  return answer;
}

// False: it is there and no number of seconds.
bool read_seconds(const json& object, const char* name, std::optional<seconds>& value) {
  const auto found = object.find(name);
  if (found == object.end()) return true;
  if (!found->is_number_unsigned()) return false;
  const auto number = std::min(found->get<std::uint64_t>(), kMaxSeconds);
  value = seconds(static_cast<seconds::rep>(number));
  return true;
}

// Exactly one of password and key.
std::optional<Md5Digest> read_credential(json& object, std::string_view username,
                                         std::string_view realm) {
  const auto password = object.find("password");
  const auto key = object.find("key");
  if ((password == object.end()) == (key == object.end())) return std::nullopt;
  if (key != object.end()) {
    return key->is_string() ? read_hex_key(key->get_ref<std::string&>()) : std::nullopt;
  }
  if (!password->is_string()) return std::nullopt;
  auto& text = password->get_ref<std::string&>();
  if (text.empty() || text.size() > kMaxHookPassword) return std::nullopt;
  const Md5Digest digest = stun::long_term_key(username, realm, text);
  wipe(text);
  return digest;
}

}  // namespace

std::string HookUrl::host_header() const {
  const bool v6 = host.find(':') != std::string::npos;
  const std::string name = v6 ? "[" + host + "]" : host;
  return port == (tls ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

Expected<HookUrl> parse_hook_url(std::string_view text) {
  const auto expected =
      failure("expected the address of a service, such as https://auth.example.org/turn");
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return expected;
  HookUrl url;
  url.tls = equals_ignoring_case(text.substr(0, scheme), "https");
  if (!url.tls && !equals_ignoring_case(text.substr(0, scheme), "http")) return expected;
  text.remove_prefix(scheme + 3);
  const std::size_t end = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, end);
  std::string_view target = text.substr(end);
  const bool clean =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (!clean || target.find('#') != std::string_view::npos) return expected;
  if (authority.find('@') != std::string_view::npos) {
    return failure("expected no password in the address: pass --auth-hook-token-file FILE");
  }
  url.port = url.tls ? 443 : 80;
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    const auto port = parse_decimal(authority.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return expected;
    url.port = static_cast<std::uint16_t>(*port);
    authority = authority.substr(0, colon);
  }
  if (authority.size() > 2 && authority.front() == '[' && authority.back() == ']') {
    authority = authority.substr(1, authority.size() - 2);
    if (!IpAddress::parse(authority)) return expected;
  }
  if (authority.empty() || authority.find_first_of("[]\"<>\\^`{|}") != std::string_view::npos) {
    return expected;
  }
  url.host = std::string(authority);
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return url;
}

std::string hook_body(const HookQuery& query) {
  const json body = {{"username", query.username},
                     {"realm", query.realm},
                     {"client", query.path.remote.to_string()},
                     {"transport", name_of(query.path.transport)},
                     {"server", query.path.local.to_string()}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

HookAnswer read_hook_answer(unsigned status, std::string_view body, std::string_view username,
                            std::string_view realm, WallTime now) {
  HookAnswer answer;
  auto object = signaling::strict_object(body);
  if (status == 403 || status == 404) {
    answer.kind = HookAnswer::Kind::kUnknown;
    if (object && !read_seconds(*object, "ttl", answer.life)) answer.life.reset();
    return answer;
  }
  if (status != 200) return failed(fmt::format("it answered with status {}", status));
  if (!object) return failed("its answer is no JSON object");
  std::optional<seconds> expires;
  if (!read_seconds(*object, "ttl", answer.life) || !read_seconds(*object, "expires", expires)) {
    return failed(R"(its answer has a "ttl" or "expires" that is no number of seconds)");
  }
  const auto key = read_credential(*object, username, realm);
  if (!key) {
    return failed(R"(its answer has neither "password" (1 to 1024 bytes) nor "key" (32 hex )"
                  R"(digits), or both)");
  }
  answer.kind = HookAnswer::Kind::kKnown;
  answer.user.key = *key;
  if (!expires) return answer;
  answer.user.expires = WallTime{*expires};
  const seconds left = *answer.user.expires - now;
  if (left <= seconds(0)) {
    answer.kind = HookAnswer::Kind::kUnknown;
    return answer;
  }
  answer.life = std::min(answer.life.value_or(left), left);
  return answer;
}

}  // namespace turnpike::server
