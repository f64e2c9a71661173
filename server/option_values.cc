#include "server/option_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/aes_gcm.h"
#include "server/hex_key.h"
#include "server/secret_file.h"
#include "signaling/jwt.h"
#include "signaling/room_tokens.h"

namespace turnpike::server {
namespace {

bool is_graphic(char c) { return c > 0x20 && c < 0x7F; }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }
bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

// RFC 1123 section 2.1; an underscore is tolerated because local resolvers do.
bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  for (const std::string_view label : split(text, '.')) {
    if (label.empty() || label.size() > 63) return false;
    if (label.front() == '-' || label.back() == '-') return false;
    const bool clean = std::all_of(label.begin(), label.end(), [](char c) {
      return is_letter_or_digit(c) || c == '-' || c == '_';
    });
    if (!clean) return false;
  }
  // "1.2.3" and "1.2.3.999" are addresses gone wrong; no top-level domain is a number.
  const std::string_view last = split(text, '.').back();
  return !std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// "0x" and exactly the digits of an MD5 key; anything else is a password.
std::optional<Md5Digest> derived_key(std::string_view text) {
  return text.starts_with("0x") ? read_hex_key(text.substr(2)) : std::nullopt;
}

// Applies `add` to every line and wipes it; the Error names the line, not what it says.
Applied add_lines(Config& config, SecretFile& file, Applied (*add)(Config&, std::string_view)) {
  Applied result;
  for (SecretLine& line : file.lines) {
    if (result) {
      if (auto added = add(config, line.text); !added) {
        result = failure(fmt::format("line {}: {}", line.number, added.error().message));
      }
    }
    wipe(line.text);
  }
  return result;
}

void note_readable(Config& config, std::string_view path, std::string_view option) {
  config.notices.push_back(
      fmt::format("every user of this machine can read {} (--{}): chmod 640 it", path, option));
}

Applied add_file(Config& config, std::string_view path, std::string_view option,
                 Applied (*add)(Config&, std::string_view)) {
  if (path.empty()) return failure("expected the path of a file");
  auto file = read_secret_file(std::string(path));
  if (!file) return unexpected(std::move(file.error()));
  Applied result = add_lines(config, *file, add);
  if (result && file->others_may_read) note_readable(config, path, option);
  return result;
}

Applied add_port(std::vector<std::uint16_t>& ports, std::string_view text) {
  const auto port = parse_decimal(text);
  if (!port || *port > 65535) return failure("expected a port number from 0 to 65535");
  ports.push_back(static_cast<std::uint16_t>(*port));
  return {};
}

}  // namespace

Expected<bool> parse_switch(std::string_view text) {
  constexpr std::array<std::string_view, 4> kOn = {"1", "true", "yes", "on"};
  constexpr std::array<std::string_view, 4> kOff = {"0", "false", "no", "off"};
  const auto is = [text](std::string_view word) { return equals_ignoring_case(text, word); };
  if (std::any_of(kOn.begin(), kOn.end(), is)) return true;
  if (std::any_of(kOff.begin(), kOff.end(), is)) return false;
  return failure("expected true or false");
}

Applied set_quota_per_user(Config& config, std::string_view text) {
  return set_number<&turn::QuotaLimits::per_user, 0, kMaxQuota>(config.quota, text);
}

Applied set_quota_per_address(Config& config, std::string_view text) {
  return set_number<&turn::QuotaLimits::per_address, 0, kMaxQuota>(config.quota, text);
}

Applied set_quota_total(Config& config, std::string_view text) {
  return set_number<&turn::QuotaLimits::total, 0, kMaxQuota>(config.quota, text);
}

Applied add_tcp_peer_ports(Config& config, std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_decimal(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_decimal(text.substr(dash + 1));
  if (!first || !last || *first < 1 || *first > *last || *last > 65535) {
    return failure("expected a port such as 443, or ports such as 80-89");
  }
  config.allowed_tcp_peer_ports.push_back(
      {static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)});
  return {};
}

Applied add_http_port(Config& config, std::string_view text) {
  return add_port(config.http_ports, text);
}

Applied add_proxy_port(Config& config, std::string_view text) {
  return add_port(config.proxy_ports, text);
}

namespace {

bool is_multicast(const IpAddress& ip) {
  const std::uint8_t first = ip.bytes()[0];
  return ip.is_v4() ? first >= 224 && first < 240 : first == 0xFF;
}

// What follows "auto": nothing, or ":HOST", ":HOST:PORT", ":[2001:db8::1]:3478".
Applied find_external_ip(Config& config, std::string_view rest) {
  config.find_external_ips = true;
  if (rest.empty()) return {};
  const auto expected = failure(
      "expected auto, or auto:HOST[:PORT] with a STUN server outside, for example "
      "auto:stun.example.org:3478");
  if (rest.front() != ':') return expected;
  rest.remove_prefix(1);
  StunServer server;
  if (const auto ip = IpAddress::parse(rest)) {
    server.host = ip->to_string();
  } else if (const auto address = Address::parse(rest)) {
    server = {address->ip.to_string(), address->port};
  } else {
    const auto parts = split(rest, ':');
    const auto port = parts.size() == 2 ? parse_decimal(parts[1]) : std::uint64_t{server.port};
    if (parts.size() > 2 || !is_host_name(parts[0]) || !port || *port > 65535) return expected;
    server = {to_lower(parts[0]), static_cast<std::uint16_t>(*port)};
  }
  if (server.port == 0) return expected;
  if (config.stun_servers.size() == kMaxStunServers) {
    return failure(fmt::format("expected at most {} STUN servers", kMaxStunServers));
  }
  config.stun_servers.push_back(std::move(server));
  return {};
}

}  // namespace

std::string StunServer::to_string() const {
  if (host.find(':') == std::string::npos) return fmt::format("{}:{}", host, port);
  return fmt::format("[{}]:{}", host, port);
}

Applied add_external_ip(Config& config, std::string_view text) {
  constexpr std::string_view kAuto = "auto";
  const auto parts = split(text, '/');
  if (to_lower(text.substr(0, kAuto.size())) == kAuto) {
    if (parts.size() == 1) return find_external_ip(config, text.substr(kAuto.size()));
    return failure("auto finds the public address of every relay address: pass it without PRIVATE");
  }
  const auto external = IpAddress::parse(parts[0]);
  std::optional<IpAddress> local;
  if (parts.size() == 2) local = IpAddress::parse(parts[1]);
  const bool readable = external && parts.size() <= 2 && (parts.size() == 1 || local);
  if (!readable) {
    return failure(
        "expected PUBLIC, PUBLIC/PRIVATE, auto or auto:STUNSERVER, for example "
        "203.0.113.10/10.0.0.4");
  }
  if (local && local->family() != external->family()) {
    return failure("both addresses must be of one family");
  }
  if (external->is_any() || (local && local->is_any())) {
    return failure("expected the addresses of this machine, not the wildcard");
  }
  if (is_multicast(*external) || (local && is_multicast(*local))) {
    return failure("expected the addresses of this machine, not a multicast group");
  }
  config.external_ips.push_back({*external, local});
  return {};
}

Applied set_realm(Config& config, std::string_view text) {
  if (text.empty() || has_control(text) || text.find('"') != std::string_view::npos ||
      !is_valid_utf8(text) || text.size() > kMaxRealm) {
    return failure(
        "expected a name such as example.org, no quotes and at most 64 bytes: with a longer one "
        "the challenge over UDP would be more than three times its request");
  }
  config.realm = std::string(text);
  return {};
}

Applied set_public_host(Config& config, std::string_view text) {
  if (const auto ip = IpAddress::parse(text); ip && !ip->is_any()) {
    config.public_host = ip->to_string();
    return {};
  }
  if (!is_host_name(text)) {
    return failure(
        "expected a host name or an address without scheme, port or path, for example "
        "turn.example.org (names outside ASCII in their xn-- form)");
  }
  config.public_host = to_lower(text);
  return {};
}

Applied add_allowed_origin(Config& config, std::string_view text) {
  const auto expected = failure(
      "expected scheme, host and perhaps a port as browsers send them, for example "
      "https://app.example.org");
  std::string origin = to_lower(text);
  const std::size_t scheme = origin.find("://");
  if (scheme == std::string::npos) return expected;
  const std::string_view kind = std::string_view(origin).substr(0, scheme);
  if (kind != "http" && kind != "https") return expected;
  std::string_view host = std::string_view(origin).substr(scheme + 3);
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.back() != ']') {
    const auto port = parse_decimal(host.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return expected;
    host = host.substr(0, colon);
  }
  const bool address = IpAddress::parse(host) && (host.front() == '[' || !host.ends_with(']'));
  if (!address && !is_host_name(host)) return expected;
  config.allowed_origins.push_back(std::move(origin));
  return {};
}

Applied add_user(Config& config, std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
    return failure("expected NAME:PASSWORD, for example alice:correct-horse");
  }
  const std::string_view name = text.substr(0, colon);
  if (has_control(text) || !is_valid_utf8(text) || name.size() > kMaxUserName) {
    return failure("expected NAME:PASSWORD in UTF-8, the name at most 508 bytes long");
  }
  const bool taken =
      std::any_of(config.users.begin(), config.users.end(),
                  [name](const turn::StaticUser& user) { return user.name == name; });
  if (taken) return failure("this name was given before: expected every user once");
  const std::string_view password = text.substr(colon + 1);
  if (const auto key = derived_key(password)) {
    config.users.push_back({std::string(name), {}, key});
  } else {
    config.users.push_back({std::string(name), std::string(password), {}});
  }
  return {};
}

Applied set_rest_separator(Config& config, std::string_view text) {
  if (text.size() != 1 || !is_graphic(text.front()) || is_letter_or_digit(text.front())) {
    return failure("expected one character that is no letter, digit or blank, for example |");
  }
  config.rest_separator = text.front();
  return {};
}

Applied add_alternate_server(Config& config, std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view place = text.substr(0, slash);
  turn::AlternateServer server;
  if (const auto ip = IpAddress::parse(place)) {
    server.address = {*ip, 3478};
  } else if (const auto address = Address::parse(place); address && address->port != 0) {
    server.address = *address;
  }
  const bool named = slash != std::string_view::npos;
  if (named) server.domain = to_lower(text.substr(slash + 1));
  if (server.address.port == 0 || server.address.ip.is_any() ||
      (named && !is_host_name(server.domain))) {
    return failure(
        "expected the address of a server, for example 192.0.2.7:3478, [2001:db8::7]:5349 or "
        "192.0.2.7:5349/turn2.example.org");
  }
  if (config.alternate_servers.size() == turn::kMaxAlternateServers) {
    return failure(fmt::format("expected at most {} servers", turn::kMaxAlternateServers));
  }
  config.alternate_servers.push_back(std::move(server));
  return {};
}

Applied add_users_of_file(Config& config, std::string_view path) {
  return add_file(config, path, "user-file", add_user);
}

Applied add_token_key(Config& config, std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view id = text.substr(0, colon);
  auto key = colon == std::string_view::npos ? std::nullopt : base64_decode(text.substr(colon + 1));
  if (!key || !AesGcm::is_key_size(key->size()) || id.empty() || id.size() > kMaxUserName ||
      has_control(id) || !is_valid_utf8(id)) {
    return failure(
        "expected KID:BASE64 with a key of 16 or 32 bytes, for example north: and what openssl "
        "rand -base64 32 prints");
  }
  const bool taken = std::any_of(config.token_keys.begin(), config.token_keys.end(),
                                 [id](const turn::TokenKey& other) { return other.id == id; });
  if (taken) return failure("this KID was given before: expected every key once");
  if (config.token_keys.size() == turn::kMaxTokenKeys) {
    return failure(fmt::format("expected at most {} keys", turn::kMaxTokenKeys));
  }
  config.token_keys.push_back({std::string(id), std::move(*key)});
  return {};
}

Applied add_token_keys_of_file(Config& config, std::string_view path) {
  return add_file(config, path, "oauth-key-file", add_token_key);
}

Applied set_server_name(Config& config, std::string_view text) {
  if (text.empty() || text.size() > kMaxRealm || has_control(text) || !is_valid_utf8(text)) {
    return failure("expected a name such as turn.example.org, at most 64 bytes");
  }
  config.server_name = std::string(text);
  return {};
}

Applied add_shared_secret(Config& config, std::string_view text) {
  if (text.empty() || text.size() > kMaxSecret || has_control(text)) {
    return failure("expected a secret of 1 to 1024 bytes (openssl rand -hex 32 makes a good one)");
  }
  if (config.shared_secrets.size() == turn::Credentials::kMaxSharedSecrets) {
    return failure(
        fmt::format("expected at most {} secrets: the first one signs, the others are "
                    "for rotation",
                    turn::Credentials::kMaxSharedSecrets));
  }
  config.shared_secrets.emplace_back(text);
  return {};
}

Applied add_shared_secrets_of_file(Config& config, std::string_view path) {
  return add_file(config, path, "static-auth-secret-file", add_shared_secret);
}

Applied add_api_key(Config& config, std::string_view text) {
  // It travels as a Bearer token (RFC 6750 section 2.1) or in a query.
  const bool clean = std::all_of(text.begin(), text.end(), is_graphic) &&
                     text.find_first_of(",\"") == std::string_view::npos;
  if (text.empty() || text.size() > kMaxSecret || !clean) {
    return failure("expected a key of printable ASCII without blanks, commas and quotes");
  }
  config.api_keys.emplace_back(text);
  return {};
}

Applied add_api_keys_of_file(Config& config, std::string_view path) {
  return add_file(config, path, "api-key-file", add_api_key);
}

Applied set_auth_hook(Config& config, std::string_view text) {
  auto url = parse_hook_url(text);
  if (!url) return unexpected(std::move(url.error()));
  if (!IpAddress::parse(url->host) && !is_host_name(url->host)) {
    return failure("expected a host name or an address before the path");
  }
  config.auth_hook = std::move(*url);
  return {};
}

Applied set_auth_hook_token(Config& config, std::string_view text) {
  const bool clean = std::all_of(text.begin(), text.end(), is_graphic);
  if (text.empty() || text.size() > kMaxSecret || !clean) {
    return failure("expected a token of printable ASCII without blanks, at most 1024 bytes");
  }
  if (!config.auth_hook_token.empty()) return failure("expected one token");
  config.auth_hook_token = std::string(text);
  return {};
}

Applied set_auth_hook_token_of_file(Config& config, std::string_view path) {
  return add_file(config, path, "auth-hook-token-file", set_auth_hook_token);
}

Applied add_turn_jwt_secret(Config& config, std::string_view text) {
  if (signaling::JwtKeys::is_pem(text)) {
    return failure(
        "expected a secret for HS256, not a key in PEM: the signature is part of the password, "
        "which this server must be able to make itself");
  }
  if (text.size() > kMaxSecret) return failure("expected a secret of 32 to 1024 bytes");
  if (auto tried = signaling::JwtKeys::make({std::string(text)}); !tried) {
    return failure(
        "expected a secret of at least 32 bytes, as HS256 demands (openssl rand -hex 32 makes a "
        "good one)");
  }
  if (config.turn_jwt_secrets.size() == turn::Credentials::kMaxSharedSecrets) {
    return failure(
        fmt::format("expected at most {} secrets", turn::Credentials::kMaxSharedSecrets));
  }
  config.turn_jwt_secrets.emplace_back(text);
  return {};
}

Applied add_turn_jwt_secrets_of_file(Config& config, std::string_view path) {
  return add_file(config, path, "turn-jwt-file", add_turn_jwt_secret);
}

Applied add_room_jwt_key(Config& config, std::string_view text) {
  if (text.size() > kMaxOptionFile) return failure("expected a shorter key");
  if (auto tried = signaling::RoomTokens::make({{std::string(text)}, {}}); !tried) {
    return failure(std::move(tried.error()));
  }
  if (config.room_jwt_keys.size() == kMaxRoomKeys) {
    return failure(fmt::format("expected at most {} keys", kMaxRoomKeys));
  }
  config.room_jwt_keys.emplace_back(text);
  return {};
}

// A secret has one line, a public key many.
Applied add_room_jwt_keys_of_file(Config& config, std::string_view path) {
  if (path.empty()) return failure("expected the path of a file");
  auto file = read_secret_file(std::string(path));
  if (!file) return unexpected(std::move(file.error()));
  if (file->lines.front().text.starts_with("-----BEGIN")) {
    std::string key;
    for (const SecretLine& line : file->lines) key.append(line.text).append("\n");
    return add_room_jwt_key(config, key);  // it is public: others may read it
  }
  Applied result = add_lines(config, *file, add_room_jwt_key);
  if (result && file->others_may_read) note_readable(config, path, "room-jwt-file");
  return result;
}

Applied add_room_password(Config& config, std::string_view text) {
  if (text.empty() || text.size() > kMaxSecret || has_control(text)) {
    return failure("expected a password of 1 to 1024 bytes");
  }
  if (config.room_passwords.size() == kMaxRoomKeys) {
    return failure(fmt::format("expected at most {} passwords", kMaxRoomKeys));
  }
  config.room_passwords.emplace_back(text);
  return {};
}

Applied add_room_passwords_of_file(Config& config, std::string_view path) {
  return add_file(config, path, "room-key-file", add_room_password);
}

Applied set_metrics_port(Config& config, std::string_view text) {
  const auto port = parse_decimal(text);
  if (!port || *port > 65535) return failure("expected a port number, or 0 for none");
  config.metrics_port = static_cast<std::uint16_t>(*port);
  return {};
}

Applied set_metrics_ip(Config& config, std::string_view text) {
  const auto ip = IpAddress::parse(text);
  if (!ip) return failure("expected an IP address such as 127.0.0.1 or 10.0.0.4");
  config.metrics_ip = *ip;
  return {};
}

Applied set_metrics_token(Config& config, std::string_view text) {
  const bool clean = std::all_of(text.begin(), text.end(), is_graphic);
  if (text.empty() || text.size() > kMaxSecret || !clean) {
    return failure("expected a token of printable ASCII without blanks");
  }
  config.metrics_token = std::string(text);
  return {};
}

Applied set_metrics_token_of_file(Config& config, std::string_view path) {
  return add_file(config, path, "prometheus-token-file", set_metrics_token);
}

}  // namespace turnpike::server
