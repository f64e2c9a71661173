#include "server/coturn_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace turnpike::server {
namespace {

using enum Verdict;
using enum KeyForm;

std::string_view word(bool on) { return on ? "true" : "false"; }

Expected<Translation> as_switch(std::string_view text) {
  const auto on = parse_coturn_switch(text);
  if (!on) return unexpected(on.error());
  return Translation{{std::string(word(*on))}, {}};
}

Expected<Translation> inverted(std::string_view text) {
  const auto on = parse_coturn_switch(text);
  if (!on) return unexpected(on.error());
  return Translation{{std::string(word(!*on))}, {}};
}

// Bare it is coturn's default; 0 is "never ends" there.
Expected<Translation> nonce_lifetime(std::string_view text) {
  if (text.empty()) return Translation{{"600"}, {}};
  const auto seconds = parse_decimal(text);
  if (!seconds) return failure("expected a number of seconds");
  if (*seconds == 0) return Translation{{"3600"}, "a nonce always ends here: taken as 3600"};
  if (*seconds < 60) return Translation{{"60"}, "taken as 60, the least here"};
  if (*seconds > 3600) return Translation{{"3600"}, "taken as 3600, the most here"};
  return Translation{{std::string(text)}, {}};
}

// 0 is coturn's word for one thread.
Expected<Translation> threads(std::string_view text) {
  return Translation{{text == "0" ? "1" : std::string(text)}, {}};
}

Expected<Translation> alternate_port(std::string_view text) {
  if (text == "0") return Translation{};
  return Translation{{std::string(text)}, {}};
}

Expected<Translation> limit_of_challenges(std::string_view text) {
  const auto on = parse_coturn_switch(text);
  if (!on) return unexpected(on.error());
  return *on ? Translation{} : Translation{{"0"}, {}};
}

Expected<Translation> loopback_peers(std::string_view text) {
  const auto on = parse_coturn_switch(text);
  if (!on) return unexpected(on.error());
  if (!*on) return Translation{};
  return Translation{{"127.0.0.0/8", "::1"}, {}};
}

Expected<Translation> debugging(std::string_view text) {
  const auto on = parse_coturn_switch(text);
  if (!on) return unexpected(on.error());
  return *on ? Translation{{"debug"}, {}} : Translation{};
}

Expected<Translation> log_target(std::string_view text) {
  if (text == "syslog") return Translation{{"true"}, {}, "syslog"};
  if (text == "stdout" || text == "-") return Translation{{}, "the log is on standard error"};
  return Translation{{std::string(text)}, {}};
}

Expected<Translation> log_level(std::string_view text) {
  const bool control = equals_ignoring_case(text, "control");
  return Translation{{control ? "info" : std::string(text)}, {}};
}

constexpr std::string_view kDatabase =
    "this server reads no user database: give users with user= or a --user-file, or time-limited "
    "credentials with static-auth-secret=";
constexpr std::string_view kTlsFloor = "TLS 1.2 is the least here";
constexpr std::string_view kCli = "there is no telnet console here";
constexpr std::string_view kWebAdmin = "there is no web administration here";
constexpr std::string_view kMetrics = "metrics are plain HTTP here, at /metrics of their port";
constexpr std::string_view kKeyExchange =
    "key exchange is by elliptic curves here, without such parameters";
constexpr std::string_view kMultiplex = "every allocation has a port of its own here (RFC 8656)";
constexpr std::string_view kAlways = "always so here";

// clang-format off
constexpr std::array kKeys = {
    // Listening.
    CoturnKey{"listening-port", kAccepted, kText, "listening-port", ""},
    CoturnKey{"tls-listening-port", kAccepted, kText, "tls-listening-port", ""},
    CoturnKey{"listening-ip", kAccepted, kText, "listening-ip", ""},
    CoturnKey{"alt-listening-port", kAccepted, kText, "alt-listening-port",
              "with `rfc5780`; 0 is the next port", alternate_port},
    CoturnKey{"alt-tls-listening-port", kWarned, kText, "",
              "NAT behaviour discovery is over UDP without DTLS here"},
    CoturnKey{"aux-server", kWarned, kText, "",
              "no further TURN port is opened: TURN is on listening-port and tls-listening-port"},
    CoturnKey{"udp-self-balance", kWarned, kSwitch, "",
              "the kernel spreads clients over the workers here"},
    CoturnKey{"tcp-proxy-port", kAccepted, kText, "tcp-proxy-port",
              "needs `trusted-proxy=RANGE`, too: whose PROXY headers are believed"},
    CoturnKey{"listening-device", kWarned, kText, "",
              "sockets are bound to addresses, not to devices: use listening-ip"},
    CoturnKey{"no-udp", kAccepted, kSwitch, "no-udp", "", as_switch},
    CoturnKey{"no-tcp", kAccepted, kSwitch, "no-tcp",
              "pages and WebSocket are then on the TLS port and each `http-port`", as_switch},
    CoturnKey{"no-tls", kAccepted, kSwitch, "no-tls", "", as_switch},
    CoturnKey{"no-dtls", kAccepted, kSwitch, "dtls", "DTLS is off unless `dtls`", inverted},
    CoturnKey{"dtls", kAccepted, kSwitch, "dtls", "", as_switch},
    CoturnKey{"rfc5780", kAccepted, kSwitch, "rfc5780", "", as_switch},
    CoturnKey{"no-rfc5780", kAccepted, kSwitch, "rfc5780", "off unless `rfc5780`", inverted},
    CoturnKey{"acme-redirect", kWarned, kText, "",
              "requests below /.well-known/acme-challenge/ are not redirected"},
    CoturnKey{"respond-http-unsupported", kWarned, kSwitch, "", "this server speaks HTTP"},
    // Relaying.
    CoturnKey{"relay-ip", kAccepted, kText, "relay-ip", ""},
    CoturnKey{"relay-device", kWarned, kText, "",
              "sockets are bound to addresses, not to devices: use relay-ip"},
    CoturnKey{"external-ip", kAccepted, kText, "external-ip", "`PUBLIC` or `PUBLIC/PRIVATE`"},
    CoturnKey{"min-port", kAccepted, kText, "min-port", ""},
    CoturnKey{"max-port", kAccepted, kText, "max-port", ""},
    CoturnKey{"no-udp-relay", kWarned, kSwitch, "", "UDP is relayed as well"},
    CoturnKey{"no-tcp-relay", kAccepted, kSwitch, "tcp-relay",
              "TCP relaying is off unless `tcp-relay`", inverted},
    CoturnKey{"denied-peer-ip", kAccepted, kText, "denied-peer-ip",
              "also in CIDR form; private, loopback, link-local, multicast and own addresses are "
              "denied anyway"},
    CoturnKey{"allowed-peer-ip", kAccepted, kText, "allowed-peer-ip", "also in CIDR form"},
    CoturnKey{"no-multicast-peers", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"no-loopback-peers", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"allow-loopback-peers", kMapped, kSwitch, "allowed-peer-ip",
              "127.0.0.0/8 and ::1; a warning says what that opens", loopback_peers},
    CoturnKey{"user-quota", kAccepted, kText, "user-quota", ""},
    CoturnKey{"total-quota", kAccepted, kText, "total-quota", ""},
    CoturnKey{"max-bps", kAccepted, kText, "max-bps", "bytes a second, each way"},
    CoturnKey{"bps-capacity", kAccepted, kText, "bps-capacity", "bytes a second, each way"},
    CoturnKey{"max-allocate-lifetime", kAccepted, kText, "max-allocate-lifetime", ""},
    CoturnKey{"channel-lifetime", kAccepted, kText, "channel-lifetime", ""},
    CoturnKey{"permission-lifetime", kAccepted, kText, "permission-lifetime", ""},
    CoturnKey{"max-allocate-timeout", kWarned, kText, "",
              "connections that do not allocate are closed after a time of our own"},
    CoturnKey{"unauthorized-ratelimit", kMapped, kSwitch, "unauthorized-ratelimit-rps",
              "on anyway; off is a rate of 0", limit_of_challenges},
    CoturnKey{"unauthorized-ratelimit-rps", kAccepted, kText, "unauthorized-ratelimit-rps", ""},
    CoturnKey{"mobility", kAccepted, kSwitch, "mobility", "", as_switch},
    CoturnKey{"keep-address-family", kWarned, kSwitch, "",
              "clients that do not ask for a family are relayed from IPv4 (RFC 8656)"},
    CoturnKey{"allocation-default-address-family", kWarned, kText, "",
              "clients that do not ask for a family are relayed from IPv4 (RFC 8656)"},
    CoturnKey{"rfc5766-channel-numbers", kAccepted, kSwitch, "rfc5766-channel-numbers", "",
              as_switch},
    CoturnKey{"alternate-server", kAccepted, kText, "alternate-server", ""},
    CoturnKey{"udp-alternate-server", kWarned, kText, "",
              "alternate-server is for all transports: clients are not sent there"},
    CoturnKey{"tcp-alternate-server", kWarned, kText, "",
              "alternate-server is for all transports: clients are not sent there"},
    CoturnKey{"tls-alternate-server", kWarned, kText, "",
              "alternate-server is for all transports: clients are not sent there"},
    CoturnKey{"server-relay", kRefused, kSwitch, "",
              "it would relay what arrives from anybody, without a permission: remove it"},
    CoturnKey{"multiplex-peer", kWarned, kSwitch, "", kMultiplex},
    CoturnKey{"multiplex-peer-port", kWarned, kText, "", kMultiplex},
    // Binding requests and attributes.
    CoturnKey{"secure-stun", kAccepted, kSwitch, "secure-stun", "", as_switch},
    CoturnKey{"stun-only", kWarned, kSwitch, "", "TURN is served as well"},
    CoturnKey{"no-stun", kWarned, kSwitch, "", "Binding requests are answered as well"},
    CoturnKey{"fingerprint", kAccepted, kSwitch, "fingerprint", "", as_switch},
    CoturnKey{"no-software-attribute", kAccepted, kSwitch, "no-software-attribute",
              "SOFTWARE never tells the version anyway", as_switch},
    CoturnKey{"prod", kAccepted, kSwitch, "no-software-attribute",
              "the former name of `no-software-attribute`", as_switch},
    CoturnKey{"software-attribute", kMapped, kSwitch, "no-software-attribute", "the opposite",
              inverted},
    CoturnKey{"stun-backward-compatibility", kAccepted, kSwitch, "stun-backward-compatibility", "",
              as_switch},
    CoturnKey{"rfc3489-compatibility", kMapped, kSwitch, "stun-backward-compatibility", "",
              as_switch},
    CoturnKey{"no-stun-backward-compatibility", kAccepted, kSwitch, "stun-backward-compatibility",
              "off unless `stun-backward-compatibility`", inverted},
    CoturnKey{"response-origin-only-with-rfc5780", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"check-origin-consistency", kWarned, kSwitch, "", "ORIGIN is not looked at"},
    CoturnKey{"include-reason-string", kAccepted, kSwitch, "", kAlways},
    // Credentials.
    CoturnKey{"lt-cred-mech", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"use-auth-secret", kAccepted, kSwitch, "",
              "always so here, beside the users; without `static-auth-secret` the secret of the "
              "state directory is used"},
    CoturnKey{"static-auth-secret", kAccepted, kText, "static-auth-secret",
              "up to 8, the first one signs"},
    CoturnKey{"rest-api-separator", kAccepted, kText, "rest-api-separator", ""},
    CoturnKey{"user", kAccepted, kText, "user", "`NAME:PASSWORD` or `NAME:0xKEY`"},
    CoturnKey{"realm", kAccepted, kText, "realm", "at most 64 bytes"},
    CoturnKey{"server-name", kAccepted, kText, "server-name", ""},
    CoturnKey{"oauth", kAccepted, kSwitch, "oauth",
              "needs `oauth-key=KID:BASE64`, too, as there is no database", as_switch},
    CoturnKey{"no-auth", kRefused, kSwitch, "",
              "this server relays for nobody without credentials: remove it; for rooms that give "
              "everyone credentials there is --open-rooms"},
    CoturnKey{"stale-nonce", kAccepted, kOptional, "stale-nonce",
              "bare it is 600; 60 to 3600, what is outside is taken as the nearest",
              nonce_lifetime},
    CoturnKey{"stateless-nonce", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"stateless-nonce-secret", kWarned, kText, "",
              "nonces are signed with a key made of the first static-auth-secret, so that servers "
              "with the same secret know each other's"},
    CoturnKey{"userdb", kRefused, kText, "", kDatabase},
    CoturnKey{"db", kRefused, kText, "", kDatabase},
    CoturnKey{"psql-userdb", kRefused, kText, "", kDatabase},
    CoturnKey{"sql-userdb", kRefused, kText, "", kDatabase},
    CoturnKey{"mysql-userdb", kRefused, kText, "", kDatabase},
    CoturnKey{"mongo-userdb", kRefused, kText, "", kDatabase},
    CoturnKey{"redis-userdb", kRefused, kText, "", kDatabase},
    CoturnKey{"redis-statsdb", kWarned, kText, "", "no events are written to Redis"},
    CoturnKey{"secret-key-file", kWarned, kText, "", "it is about passwords in a database"},
    CoturnKey{"no-auth-pings", kWarned, kSwitch, "", "it is about a database"},
    CoturnKey{"no-dynamic-ip-list", kWarned, kSwitch, "", "it is about a database"},
    CoturnKey{"no-dynamic-realms", kWarned, kSwitch, "", "it is about a database"},
    // TLS.
    CoturnKey{"cert", kAccepted, kText, "cert",
              "relative paths begin at the working directory and are searched nowhere else"},
    CoturnKey{"pkey", kAccepted, kText, "pkey", ""},
    CoturnKey{"pkey-pwd", kRefused, kText, "",
              "encrypted private keys are not read: openssl pkey -in KEY -out NEW writes one "
              "without a password"},
    CoturnKey{"cipher-list", kWarned, kText, "", "the ciphers are chosen here"},
    CoturnKey{"ec-curve-name", kWarned, kText, "", "the curves are chosen here"},
    CoturnKey{"dh-file", kWarned, kText, "", kKeyExchange},
    CoturnKey{"dh566", kWarned, kSwitch, "", kKeyExchange},
    CoturnKey{"dh1066", kWarned, kSwitch, "", kKeyExchange},
    CoturnKey{"dh2066", kWarned, kSwitch, "", kKeyExchange},
    CoturnKey{"CA-file", kWarned, kText, "", "TURN clients are not asked for certificates"},
    CoturnKey{"raw-public-keys", kWarned, kSwitch, "", "clients get a certificate"},
    CoturnKey{"no-sslv2", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"no-sslv3", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"tlsv1", kWarned, kSwitch, "", kTlsFloor},
    CoturnKey{"tlsv1_1", kWarned, kSwitch, "", kTlsFloor},
    CoturnKey{"no-tlsv1", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"no-tlsv1_1", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"no-tlsv1_2", kWarned, kSwitch, "", "TLS 1.2 is spoken as well"},
    // Process.
    CoturnKey{"relay-threads", kMapped, kText, "workers", "0 is one thread", threads},
    CoturnKey{"cpus", kMapped, kText, "workers", "", threads},
    CoturnKey{"sock-buf-size", kWarned, kText, "", "socket buffers have a size of our own"},
    CoturnKey{"udp-recvmmsg", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"udp-gso", kMapped, kSwitch, "no-udp-gso", "the opposite", inverted},
    CoturnKey{"ne", kWarned, kText, "", "there is one network engine"},
    CoturnKey{"proc-user", kAccepted, kText, "proc-user", ""},
    CoturnKey{"proc-group", kAccepted, kText, "proc-group", ""},
    CoturnKey{"pidfile", kAccepted, kText, "pidfile", ""},
    CoturnKey{"daemon", kWarned, kSwitch, "", "run it from systemd"},
    CoturnKey{"drain-min-allocations", kWarned, kText, "", "there is no such threshold"},
    // Logs, metrics, administration.
    CoturnKey{"verbose", kMapped, kSwitch, "log-allocations", "", as_switch},
    CoturnKey{"Verbose", kMapped, kSwitch, "log-level", "debug", debugging},
    CoturnKey{"log-file", kAccepted, kText, "log-file",
              "`syslog` is `--syslog`, `stdout` standard error", log_target},
    CoturnKey{"syslog", kAccepted, kSwitch, "syslog", "", as_switch},
    CoturnKey{"syslog-facility", kWarned, kText, "", "the facility is daemon"},
    CoturnKey{"simple-log", kAccepted, kSwitch, "",
              "always so here: the log file has the name that was given"},
    CoturnKey{"no-stdout-log", kAccepted, kSwitch, "",
              "always so here: the log goes to one place"},
    CoturnKey{"new-log-timestamp", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"new-log-timestamp-format", kWarned, kText, "",
              "times are those of ISO 8601, in UTC"},
    CoturnKey{"log-min-level", kMapped, kText, "log-level", "`CONTROL` is info", log_level},
    CoturnKey{"log-binding", kWarned, kSwitch, "", "Binding requests are not logged"},
    CoturnKey{"prometheus", kAccepted, kSwitch, "", "always, on 127.0.0.1:9641"},
    CoturnKey{"prometheus-port", kAccepted, kText, "prometheus-port", ""},
    CoturnKey{"prometheus-address", kWarned, kText, "",
              "metrics stay on 127.0.0.1 unless --prometheus-address comes with a token"},
    CoturnKey{"prometheus-path", kWarned, kText, "", kMetrics},
    CoturnKey{"prometheus-tls", kWarned, kSwitch, "", kMetrics},
    CoturnKey{"prometheus-cert", kWarned, kText, "", kMetrics},
    CoturnKey{"prometheus-key", kWarned, kText, "", kMetrics},
    CoturnKey{"prometheus-username-labels", kWarned, kSwitch, "",
              "metrics never have a label for every user"},
    CoturnKey{"cli", kWarned, kSwitch, "", kCli},
    CoturnKey{"no-cli", kAccepted, kSwitch, "", kAlways},
    CoturnKey{"cli-ip", kWarned, kText, "", kCli},
    CoturnKey{"cli-port", kWarned, kText, "", kCli},
    CoturnKey{"cli-password", kWarned, kText, "", kCli},
    CoturnKey{"cli-max-output-sessions", kWarned, kText, "", kCli},
    CoturnKey{"web-admin", kWarned, kSwitch, "", kWebAdmin},
    CoturnKey{"web-admin-ip", kWarned, kText, "", kWebAdmin},
    CoturnKey{"web-admin-port", kWarned, kText, "", kWebAdmin},
    CoturnKey{"web-admin-listen-on-workers", kWarned, kSwitch, "", kWebAdmin},
};

constexpr std::array kDefaults = {
    CoturnDefault{"user-quota", "0",
                  "unlimited: where all clients share one user, as many tutorials have it, a limit "
                  "for each user is one for all of them"},
};
// clang-format on

}  // namespace

std::span<const CoturnKey> coturn_keys() { return kKeys; }

const CoturnKey* find_coturn_key(std::string_view name) {
  const auto found = std::find_if(kKeys.begin(), kKeys.end(),
                                  [name](const CoturnKey& key) { return key.name == name; });
  return found == kKeys.end() ? nullptr : &*found;
}

std::string_view to_word(Verdict verdict) {
  switch (verdict) {
    case kAccepted:
      return "accepted";
    case kMapped:
      return "mapped";
    case kWarned:
      return "warned";
    case kRefused:
      return "refused";
  }
  return "";
}

std::span<const CoturnDefault> coturn_defaults() { return kDefaults; }

Expected<bool> parse_coturn_switch(std::string_view text) {
  if (text.empty()) return true;
  const char first = text.front();
  if (std::string_view("0nNfF").find(first) != std::string_view::npos) return false;
  if (std::string_view("yYtT").find(first) != std::string_view::npos) return true;
  if (first >= '1' && first <= '9') return true;
  if (equals_ignoring_case(text, "off")) return false;
  if (equals_ignoring_case(text, "on")) return true;
  return failure("expected nothing, or a boolean: on or off, yes or no, true or false, 1 or 0");
}

}  // namespace turnpike::server
