// How the text of an option becomes a value in the Config: one function a kind, pointed to by the
// option table. Their errors say what is expected; they never repeat what they were given, because
// it may be a secret. Pure, but for the functions that read a file of secrets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/expected.h"
#include "base/text.h"
#include "server/config.h"

namespace turnpike::server {

using Applied = Expected<void>;

inline constexpr std::uint32_t kMaxQuota = 1'000'000;
inline constexpr std::uint32_t kMaxPeers = 4096;  // permissions or channels of one allocation
inline constexpr std::uint64_t kMaxBytesPerSecond = 1'000'000'000'000;
inline constexpr std::uint32_t kMaxLifetime = 86400;
inline constexpr std::uint32_t kMaxDrain = 7 * 86400;
inline constexpr std::uint32_t kMaxRatePerSecond = 1'000'000;
// RFC 8489 section 14.3.
inline constexpr std::size_t kMaxUserName = 508;
// So that the challenge is not longer than three times the shortest Allocate request.
inline constexpr std::size_t kMaxRealm = 64;
inline constexpr std::size_t kMaxSecret = 1024;

// "1", "true", "yes", "on" and their opposites, in any case.
Expected<bool> parse_switch(std::string_view text);

template <auto kMember, std::uint64_t kLeast, std::uint64_t kMost>
Applied set_number(auto& config, std::string_view text) {
  const auto number = parse_decimal(text);
  if (!number || *number < kLeast || *number > kMost) {
    return failure("expected a number from " + std::to_string(kLeast) + " to " +
                   std::to_string(kMost));
  }
  using Number = std::remove_reference_t<decltype(config.*kMember)>;
  config.*kMember = static_cast<Number>(*number);
  return {};
}

template <auto kMember, bool kMeaning>
Applied set_switch(Config& config, std::string_view text) {
  const auto on = parse_switch(text);
  if (!on) return unexpected(on.error());
  config.*kMember = *on ? kMeaning : !kMeaning;
  return {};
}

template <auto kMember>
Applied set_path(Config& config, std::string_view text) {
  if (text.empty()) return failure("expected the path of a file or folder");
  config.*kMember = std::string(text);
  return {};
}

template <auto kMember>
Applied add_path(Config& config, std::string_view text) {
  if (text.empty()) return failure("expected the path of a file or folder");
  (config.*kMember).emplace_back(text);
  return {};
}

template <auto kMember>
Applied set_name(Config& config, std::string_view text) {
  if (text.empty()) return failure("expected a name");
  config.*kMember = std::string(text);
  return {};
}

template <auto kMember>
Applied add_ip(Config& config, std::string_view text) {
  const auto ip = IpAddress::parse(text);
  if (!ip) return failure("expected an IP address such as 192.0.2.1 or 2001:db8::1");
  (config.*kMember).push_back(*ip);
  return {};
}

template <auto kMember>
Applied add_range(Config& config, std::string_view text) {
  auto range = IpRange::parse(text);
  if (!range) return unexpected(std::move(range.error()));
  (config.*kMember).push_back(*range);
  return {};
}

Applied set_log_level(Config& config, std::string_view text);
Applied set_log_format(Config& config, std::string_view text);
Applied set_log_file(Config& config, std::string_view text);
Applied set_syslog(Config& config, std::string_view text);
Applied set_log_redaction(Config& config, std::string_view text);
Applied set_quota_per_user(Config& config, std::string_view text);
Applied add_tcp_peer_ports(Config& config, std::string_view text);
Applied set_quota_total(Config& config, std::string_view text);
Applied set_quota_per_address(Config& config, std::string_view text);
Applied add_http_port(Config& config, std::string_view text);
Applied add_proxy_port(Config& config, std::string_view text);
Applied add_external_ip(Config& config, std::string_view text);
Applied set_realm(Config& config, std::string_view text);
Applied set_public_host(Config& config, std::string_view text);
Applied add_allowed_origin(Config& config, std::string_view text);

Applied add_alternate_server(Config& config, std::string_view text);
Applied set_rest_separator(Config& config, std::string_view text);
Applied add_token_key(Config& config, std::string_view text);
Applied add_token_keys_of_file(Config& config, std::string_view path);
Applied set_server_name(Config& config, std::string_view text);
Applied add_user(Config& config, std::string_view text);
Applied add_users_of_file(Config& config, std::string_view path);
Applied add_shared_secret(Config& config, std::string_view text);
Applied add_shared_secrets_of_file(Config& config, std::string_view path);
Applied add_api_key(Config& config, std::string_view text);
Applied add_api_keys_of_file(Config& config, std::string_view path);
Applied add_turn_jwt_secret(Config& config, std::string_view text);
Applied add_turn_jwt_secrets_of_file(Config& config, std::string_view path);
Applied set_auth_hook(Config& config, std::string_view text);
Applied set_auth_hook_token(Config& config, std::string_view text);
Applied set_auth_hook_token_of_file(Config& config, std::string_view path);
Applied add_room_jwt_key(Config& config, std::string_view text);
Applied add_room_jwt_keys_of_file(Config& config, std::string_view path);
Applied add_room_password(Config& config, std::string_view text);
Applied add_room_passwords_of_file(Config& config, std::string_view path);
Applied set_metrics_port(Config& config, std::string_view text);
Applied set_metrics_ip(Config& config, std::string_view text);
Applied set_metrics_token(Config& config, std::string_view text);
Applied set_metrics_token_of_file(Config& config, std::string_view path);

}  // namespace turnpike::server
