#include "server/option_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "net/tls_context.h"
#include "server/option_values.h"

namespace turnpike::server {
namespace {

using enum OptionGroup;
using enum Arity;
using enum Secrecy;

// clang-format off
constexpr std::array kOptions = {
    Option{"listening-ip", "IP", kListening, kRepeatable, kPublic, "listening-ip", "all addresses",
           "Address to listen on, IPv4 or IPv6.",
           add_ip<&Config::listening_ips>},
    Option{"listening-port", "PORT", kListening, kOnce, kPublic, "listening-port", "3478",
           "UDP port for STUN and TURN, and TCP port on which STUN, TURN, TLS, HTTP and WebSocket "
           "are told apart.",
           set_number<&Config::listening_port, 0, 65535>},
    Option{"tls-listening-port", "PORT", kListening, kOnce, kPublic, "tls-listening-port", "5349",
           "TCP port that begins with TLS, then serves the same. Opened when there is a --cert; "
           "0 = none.",
           set_number<&Config::tls_listening_port, 0, 65535>},
    Option{"dtls", "", kListening, kFlag, kPublic, "dtls", "",
           "Speak DTLS, too, on the UDP ports of both numbers above. Needs a --cert. Browsers do "
           "not use it; other clients do.",
           set_switch<&Config::dtls, true>},
    Option{"no-udp", "", kListening, kFlag, kPublic, "no-udp", "",
           "Do not serve STUN and TURN over UDP. DTLS, too, is then on the TLS port alone.",
           set_switch<&Config::udp, false>},
    Option{"no-tcp", "", kListening, kFlag, kPublic, "no-tcp", "",
           "Do not open the TCP port of --listening-port. The TLS port and the others stay.",
           set_switch<&Config::tcp, false>},
    Option{"no-tls", "", kListening, kFlag, kPublic, "no-tls", "",
           "Do not speak TLS over TCP although there is a --cert.",
           set_switch<&Config::tls, false>},
    Option{"http-port", "PORT", kListening, kRepeatable, kPublic, "http-port", "",
           "Another TCP port, for plain HTTP and WebSocket only.",
           add_http_port},
    Option{"tcp-proxy-port", "PORT", kListening, kRepeatable, kPublic, "tcp-proxy-port", "",
           "Another TCP port, for load balancers: connections begin with a PROXY header (version 1 "
           "or 2), then speak what the listening port speaks. Only a --trusted-proxy may connect.",
           add_proxy_port},
    Option{"rfc5780", "", kListening, kFlag, kPublic, "rfc5780", "",
           "NAT behaviour discovery on the first two addresses of each family: answers may be "
           "asked for from the other address or port, to another port, and padded.",
           set_switch<&Config::rfc5780, true>},
    Option{"alt-listening-port", "PORT", kListening, kOnce, kPublic, "alt-listening-port",
           "--listening-port + 1",
           "The other UDP port of --rfc5780.",
           set_number<&Config::alt_listening_port, 1, 65535>},
    Option{"public-host", "NAME", kListening, kOnce, kPublic, "public-host",
           "the external or listening address",
           "What clients call this server: the host in stun:, turn:, turns: and http: URLs.",
           set_public_host},
    Option{"relay-ip", "IP", kRelaying, kRepeatable, kPublic, "relay-ip",
           "the --listening-ip, else the address that routes outward",
           "Address of this machine to relay from.",
           add_ip<&Config::relay_ips>},
    Option{"external-ip", "PUBLIC[/PRIVATE] | auto[:HOST[:PORT]]", kRelaying, kRepeatable, kPublic,
           "external-ip", "",
           "What the world calls a relay address, behind a 1:1 NAT as clouds have it. PRIVATE may "
           "be left out when there is one relay address of that family. At the start, auto:HOST "
           "asks the STUN server HOST for it, and auto alone the metadata service of the cloud.",
           add_external_ip},
    Option{"min-port", "PORT", kRelaying, kOnce, kPublic, "min-port", "49152",
           "First port to relay from.",
           set_number<&Config::min_port, 1, 65535>},
    Option{"max-port", "PORT", kRelaying, kOnce, kPublic, "max-port", "65535",
           "Last port to relay from.",
           set_number<&Config::max_port, 1, 65535>},
    Option{"allowed-peer-ip", "RANGE", kRelaying, kRepeatable, kPublic, "allowed-peer-ip", "",
           "Peers that clients may reach although they are private or denied: 10.1.0.0/16, "
           "192.0.2.7 or 192.0.2.1-192.0.2.9. Wins over --denied-peer-ip.",
           add_range<&Config::allowed_peers>},
    Option{"denied-peer-ip", "RANGE", kRelaying, kRepeatable, kPublic, "denied-peer-ip", "",
           "Further peers that nobody may reach. Private, loopback, link-local, multicast and "
           "reserved addresses are denied anyway, and so are this machine's own.",
           add_range<&Config::denied_peers>},
    Option{"user-quota", "N", kRelaying, kOnce, kPublic, "user-quota", "64",
           "Allocations that one user or room member may hold at once; 0 = unlimited.",
           set_quota_per_user},
    Option{"address-quota", "N", kRelaying, kOnce, kPublic, "address-quota", "0",
           "Allocations that clients of one address (IPv4) or /64 (IPv6) may hold at once; 0 = "
           "unlimited.",
           set_quota_per_address},
    Option{"total-quota", "N", kRelaying, kOnce, kPublic, "total-quota", "0",
           "Allocations that all of them together may hold; 0 = unlimited.",
           set_quota_total},
    Option{"max-permissions", "N", kRelaying, kOnce, kPublic, "max-permissions", "1024",
           "Peer addresses that one allocation may have permissions for at once.",
           set_number<&Config::max_permissions, 1, kMaxPeers>},
    Option{"max-channels", "N", kRelaying, kOnce, kPublic, "max-channels", "1024",
           "Channels that one allocation may have at once.",
           set_number<&Config::max_channels, 1, kMaxPeers>},
    Option{"max-bps", "BYTES", kRelaying, kOnce, kPublic, "max-bps", "0",
           "Bytes that one allocation may relay in a second, each way; datagrams beyond that are "
           "dropped, TCP connections slowed down. 0 = unlimited.",
           set_number<&Config::max_bps, 0, kMaxBytesPerSecond>},
    Option{"bps-capacity", "BYTES", kRelaying, kOnce, kPublic, "bps-capacity", "0",
           "Bytes that all of them together may relay in a second, each way; 0 = unlimited.",
           set_number<&Config::bps_capacity, 0, kMaxBytesPerSecond>},
    Option{"max-allocate-lifetime", "SECONDS", kRelaying, kOnce, kPublic, "max-allocate-lifetime",
           "3600",
           "Longest lifetime that an allocation is given before it must be refreshed.",
           set_number<&Config::max_allocate_lifetime, 1, kMaxLifetime>},
    Option{"permission-lifetime", "SECONDS", kRelaying, kOnce, kPublic, "permission-lifetime",
           "300",
           "How long a permission lasts. Clients expect the 300 seconds of RFC 8656.",
           set_number<&Config::permission_lifetime, 1, kMaxLifetime>},
    Option{"channel-lifetime", "SECONDS", kRelaying, kOnce, kPublic, "channel-lifetime", "600",
           "How long a channel lasts. Clients expect the 600 seconds of RFC 8656.",
           set_number<&Config::channel_lifetime, 1, kMaxLifetime>},
    Option{"unauthorized-ratelimit-rps", "N", kRelaying, kOnce, kPublic,
           "unauthorized-ratelimit-rps", "1000",
           "Replies a second to one address (IPv4) or /64 (IPv6) that has not authenticated, with "
           "bursts of twice as many; 0 = off.",
           set_number<&Config::unauthorized_replies_per_second, 0, kMaxRatePerSecond>},
    Option{"rfc5766-channel-numbers", "", kRelaying, kFlag, kPublic, "rfc5766-channel-numbers", "",
           "Accept channel numbers 0x4000-0x7FFF of RFC 5766, which old clients use, and not only "
           "0x4000-0x4FFF.",
           set_switch<&Config::rfc5766_channel_numbers, true>},
    Option{"alternate-server", "IP[:PORT][/NAME]", kRelaying, kRepeatable, kPublic,
           "alternate-server", "",
           "Send clients that want an allocation to another server (300 Try Alternate), up to 16 "
           "in turn. NAME is told to clients over TLS: the host of its certificate.",
           add_alternate_server},
    Option{"secure-stun", "", kRelaying, kFlag, kPublic, "secure-stun", "",
           "Answer Binding requests of clients with credentials only.",
           set_switch<&Config::secure_stun, true>},
    Option{"stun-backward-compatibility", "", kRelaying, kFlag, kPublic,
           "stun-backward-compatibility", "",
           "Answer Binding requests of RFC 3489, which have no magic cookie, over UDP.",
           set_switch<&Config::classic_stun, true>},
    Option{"no-software-attribute", "", kRelaying, kFlag, kPublic, "no-software-attribute", "",
           "Do not name the server in SOFTWARE attributes. They never tell its version.",
           set_switch<&Config::send_software, false>},
    Option{"fingerprint", "", kRelaying, kFlag, kPublic, "fingerprint", "",
           "Add FINGERPRINT to every answer, not only where the request has one.",
           set_switch<&Config::always_fingerprint, true>},
    Option{"mobility", "", kRelaying, kFlag, kPublic, "mobility", "",
           "Let clients whose address changes keep their allocation (RFC 8016).",
           set_switch<&Config::mobility, true>},
    Option{"tcp-relay", "", kRelaying, kFlag, kPublic, "tcp-relay", "",
           "Let clients relay TCP connections as well (RFC 6062). Every guest can then reach TCP "
           "services of the world from this server's address.",
           set_switch<&Config::tcp_relay, true>},
    Option{"allowed-tcp-peer-port", "PORT[-PORT]", kRelaying, kRepeatable, kPublic,
           "allowed-tcp-peer-port", "none below 1024",
           "Ports below 1024 that clients may connect to with --tcp-relay, such as 443.",
           add_tcp_peer_ports},
    Option{"no-udp-gso", "", kRelaying, kFlag, kPublic, "no-udp-gso", "",
           "Never hand trains of packets to the kernel (UDP_SEGMENT). For network drivers that "
           "damage them.",
           set_switch<&Config::segmentation, false>},
    Option{"realm", "NAME", kCredentials, kOnce, kPublic, "realm",
           "the --public-host, else turnpike",
           "Realm of the long-term credentials.",
           set_realm},
    Option{"static-auth-secret", "SECRET", kCredentials, kRepeatable, kSecret, "static-auth-secret",
           "generated, kept in the state directory",
           "Secret shared with the back ends that mint time-limited credentials (TURN REST). The "
           "first one signs, all are accepted: up to 8, for rotation.",
           add_shared_secret},
    Option{"static-auth-secret-file", "FILE", kCredentials, kRepeatable, kPublic,
           "static-auth-secret", "",
           "The same from a file, one secret a line.",
           add_shared_secrets_of_file},
    Option{"rest-api-separator", "CHARACTER", kCredentials, kOnce, kPublic, "rest-api-separator",
           ":",
           "What stands between expiry and name in the usernames that back ends mint.",
           set_rest_separator},
    Option{"stale-nonce", "SECONDS", kCredentials, kOnce, kPublic, "stale-nonce", "600",
           "How long a nonce is good for; clients get the next one with a 438. 60 to 3600.",
           set_number<&Config::nonce_seconds, 60, 3600>},
    Option{"strict-expiry", "", kCredentials, kFlag, kPublic, "strict-expiry",
           "",
           "End an allocation when the credential it was made or last refreshed with expires; "
           "without it the holder may refresh it for as long as it lives.",
           set_switch<&Config::strict_expiry, true>},
    Option{"user", "NAME:PASSWORD", kCredentials, kRepeatable, kSecret, "user", "",
           "A user with a fixed password, or with 0x and the 32 hexadecimal digits of the key "
           "MD5(name:realm:password), as turnadmin -k prints it. Prefer time-limited credentials.",
           add_user},
    Option{"user-file", "FILE", kCredentials, kRepeatable, kPublic, "user", "",
           "The same from a file, one NAME:PASSWORD a line.",
           add_users_of_file},
    Option{"oauth", "", kCredentials, kFlag, kPublic, "oauth", "",
           "Offer third-party authorization (RFC 7635): clients come with an access token that "
           "another server sealed with an --oauth-key.",
           set_switch<&Config::oauth, true>},
    Option{"oauth-key", "KID:BASE64", kCredentials, kRepeatable, kSecret, "oauth-key", "",
           "A key shared with an authorization server, 16 bytes (AES-128-GCM) or 32 (AES-256-GCM) "
           "in base64, and the name it has in tokens.",
           add_token_key},
    Option{"oauth-key-file", "FILE", kCredentials, kRepeatable, kPublic, "oauth-key", "",
           "The same from a file, one KID:BASE64 a line.",
           add_token_keys_of_file},
    Option{"server-name", "NAME", kCredentials, kOnce, kPublic, "server-name", "the realm",
           "What access tokens call this server.",
           set_server_name},
    Option{"auth-hook", "URL", kCredentials, kOnce, kPublic, "auth-hook", "",
           "Ask this HTTP or HTTPS service about users that are not configured: it is sent JSON by "
           "POST and answers with a password or a key.",
           set_auth_hook},
    Option{"auth-hook-ca", "FILE", kCredentials, kOnce, kPublic, "auth-hook-ca",
           "the system's",
           "Certificate authorities (PEM) that an https service must be certified by.",
           set_path<&Config::auth_hook_ca>},
    Option{"auth-hook-token", "TOKEN", kCredentials, kOnce, kSecret, "auth-hook-token", "",
           "Sent to the service as Authorization: Bearer TOKEN, so that it knows who asks.",
           set_auth_hook_token},
    Option{"auth-hook-token-file", "FILE", kCredentials, kOnce, kPublic, "auth-hook-token", "",
           "The same from a file.",
           set_auth_hook_token_of_file},
    Option{"auth-hook-timeout", "SECONDS", kCredentials, kOnce, kPublic, "auth-hook-timeout", "5",
           "How long the service may take for an answer, 1 to 30.",
           set_number<&Config::auth_hook_timeout, 1, 30>},
    Option{"auth-hook-cache", "SECONDS", kCredentials, kOnce, kPublic, "auth-hook-cache", "300",
           "How long an answer is good; the service may shorten it. That somebody is unknown is "
           "remembered for 10 seconds at most.",
           set_number<&Config::auth_hook_cache, 1, kMaxLifetime>},
    Option{"auth-hook-stale", "SECONDS", kCredentials, kOnce, kPublic, "auth-hook-stale", "600",
           "How much longer users are known while the service fails.",
           set_number<&Config::auth_hook_stale, 0, kMaxLifetime>},
    Option{"turn-jwt", "SECRET", kCredentials, kRepeatable, kSecret, "turn-jwt", "",
           "Take a JWT signed with this secret (HS256, 32 bytes at least) for the password of a "
           "relay user; the username is the token without its signature. Up to 8, for rotation.",
           add_turn_jwt_secret},
    Option{"turn-jwt-file", "FILE", kCredentials, kRepeatable, kPublic, "turn-jwt", "",
           "The same from a file, one secret a line.",
           add_turn_jwt_secrets_of_file},
    Option{"api-key", "KEY", kCredentials, kRepeatable, kSecret, "api-key",
           "generated, kept in the state directory",
           "Key with which a back end asks /api/ice for credentials.",
           add_api_key},
    Option{"api-key-file", "FILE", kCredentials, kRepeatable, kPublic, "api-key", "",
           "The same from a file, one key a line.",
           add_api_keys_of_file},
    Option{"open-rooms", "", kCredentials, kFlag, kPublic, "open-rooms", "",
           "Give relay credentials to everyone who joins a room, without key or invitation. Anyone "
           "who finds the server can then relay through it.",
           set_switch<&Config::open_rooms, true>},
    Option{"room-jwt", "SECRET", kRooms, kRepeatable, kSecret, "room-jwt",
           "rooms need no token",
           "Let only holders of a JWT into rooms, signed with this secret (HS256, 32 bytes at "
           "least) and naming the room: {\"room\": \"demo\", \"exp\": ...}. All keys are accepted: "
           "up to 8, for rotation.",
           add_room_jwt_key},
    Option{"room-jwt-file", "FILE", kRooms, kRepeatable, kPublic, "room-jwt", "",
           "The same from a file: one secret a line, or one public key for ES256 (PEM, P-256).",
           add_room_jwt_keys_of_file},
    Option{"room-key", "PASSWORD", kRooms, kRepeatable, kSecret, "room-key",
           "rooms need no password",
           "Let only those into rooms who know this password; it takes the place of a token and "
           "opens every room. Up to 8.",
           add_room_password},
    Option{"room-key-file", "FILE", kRooms, kRepeatable, kPublic, "room-key", "",
           "The same from a file, one password a line.",
           add_room_passwords_of_file},
    Option{"lobby-size", "N", kRooms, kOnce, kPublic, "lobby-size", "32",
           "Sockets that may be together where nobody names a room: the bare address of the plain "
           "WebSocket relay and of the Socket.IO broadcast.",
           set_number<&Config::lobby_size, 2, kMaxLobbySize>},
    Option{"no-echo", "", kRooms, kFlag, kPublic, "no-echo", "",
           "No echo endpoint: the member of the room \"echo\" that returns media and data, so that "
           "one person alone can try the way to this server and back.",
           set_switch<&Config::echo, false>},
    Option{"echo-max", "N", kRooms, kOnce, kPublic, "echo-max", "8",
           "Guests that have an echo at once, with 2.5 Mbit/s each; 2 of one address.",
           set_number<&Config::echo_max, 1, kMaxEchoes>},
    Option{"echo-time", "SECONDS", kRooms, kOnce, kPublic, "echo-time", "300",
           "How long a guest has an echo.",
           set_number<&Config::echo_time, kLeastEchoTime, kMostEchoTime>},
    Option{"cert", "FILE", kTls, kRepeatable, kPublic, "cert", "",
           "Certificate chain (PEM). Without it there is no TLS and no turns: URL. Of several, up "
           "to 64, a client gets the one for the name it asks for (SNI), else the first.",
           add_path<&Config::certificate_files>},
    Option{"pkey", "FILE", kTls, kRepeatable, kPublic, "pkey", "",
           "Private key of the certificate (PEM); of several, in the same order.",
           add_path<&Config::key_files>},
    Option{"acme-webroot", "DIR", kTls, kOnce, kPublic, "acme-webroot", "",
           "Answer HTTP-01 challenges of certificate authorities from "
           "DIR/.well-known/acme-challenge, where certbot, lego or uacme put them. Authorities ask "
           "port 80: --http-port 80.",
           set_path<&Config::acme_webroot>},
    Option{"static", "DIR", kWeb, kOnce, kPublic, "static", "",
           "Serve the files of a folder below the pages of the server itself.",
           set_path<&Config::static_dir>},
    Option{"allowed-origin", "ORIGIN", kWeb, kRepeatable, kPublic, "allowed-origin",
           "pages of this server",
           "Another site whose pages may open rooms and ask for credentials here, such as "
           "https://app.example.org. They need a key or an invitation all the same. The tutorials' "
           "protocols are open to every site until one is named here, then to the named ones.",
           add_allowed_origin},
    Option{"trusted-proxy", "RANGE", kWeb, kRepeatable, kPublic, "trusted-proxy", "nobody",
           "Reverse proxies and load balancers, such as 127.0.0.1 or 10.0.0.0/8: what they write "
           "into X-Forwarded-For, X-Forwarded-Proto and PROXY headers is believed.",
           add_range<&Config::trusted_proxies>},
    Option{"prometheus-port", "PORT", kMonitoring, kOnce, kPublic, "prometheus-port", "",
           "Port of /metrics, /stats, /healthz and /readyz for those who watch the server; 0 = "
           "none. Default: 9641, and none when that is taken.",
           set_metrics_port},
    Option{"prometheus-address", "IP", kMonitoring, kOnce, kPublic, "prometheus-address",
           "127.0.0.1", "Address of that port. Any but loopback needs a --prometheus-token.",
           set_metrics_ip},
    Option{"prometheus-token", "TOKEN", kMonitoring, kOnce, kSecret, "prometheus-token", "",
           "Answer /metrics only to those who send it: Authorization: Bearer TOKEN. /stats asks "
           "for it, too.",
           set_metrics_token},
    Option{"prometheus-token-file", "FILE", kMonitoring, kOnce, kPublic, "prometheus-token", "",
           "The same from a file.",
           set_metrics_token_of_file},
    Option{"public-stats", "", kMonitoring, kFlag, kPublic, "public-stats", "",
           "Serve /stats, the dashboard, on the ports of clients, too, over HTTPS. Needs a "
           "--prometheus-token, which the page asks for.",
           set_switch<&Config::public_stats, true>},

    Option{"log-level", "LEVEL", kLog, kOnce, kPublic, "log-level", "info",
           "The least that is logged: debug, info, warning or error.",
           set_log_level},
    Option{"log-format", "FORMAT", kLog, kOnce, kPublic, "log-format", "text",
           "text, or json: one object a line.",
           set_log_format},
    Option{"log-file", "FILE", kLog, kOnce, kPublic, "log-file", "standard error",
           "Log into a file. After rotation it is opened anew, on SIGHUP at once.",
           set_log_file},
    Option{"syslog", "", kLog, kFlag, kPublic, "syslog", "",
           "Log to syslog, as daemon.",
           set_syslog},
    Option{"log-allocations", "", kLog, kFlag, kPublic, "log-allocations", "",
           "Log a line for each allocation when it ends: whose it was, how long, how many bytes, "
           "and why it ended.",
           set_switch<&Config::log_allocations, true>},
    Option{"log-redact-addresses", "", kLog, kFlag, kPublic, "log-redact-addresses", "",
           "Cut every IP address in the log to its network: 192.0.2.x, 2001:db8::x.",
           set_log_redaction},

    Option{"config", "FILE", kProcess, kOnce, kPublic, "config", "",
           "Read options from a JSON file (comments allowed), {\"realm\": \"example.org\"}, or "
           "from coturn's turnserver.conf.",
           nullptr},
    Option{"state-dir", "DIR", kProcess, kOnce, kPublic, "state-dir",
           "/var/lib/turnpike for root and the system user, else $XDG_STATE_HOME/turnpike",
           "Where generated secrets are kept.",
           set_path<&Config::state_dir>},
    Option{"workers", "N", kProcess, kOnce, kPublic, "workers", "the CPUs this process may use",
           "Threads that relay.",
           set_number<&Config::workers, 0, kMaxWorkers>},
    Option{"wake-rest", "MICROSECONDS", kProcess, kOnce, kPublic, "wake-rest", "125",
           "How long a thread that many packets wake one by one may let them gather, which saves "
           "CPU time and delays them by so much; never while they are rare. 0 = never.",
           set_number<&Config::wake_rest, 0, kMaxWakeRest>},
    Option{"drain-deadline", "SECONDS", kProcess, kOnce, kPublic, "drain-deadline", "3600",
           "How long clients may stay after SIGUSR1, which lets nobody new in; then, or as soon as "
           "nobody is left, the server ends. 0 = as long as they like.",
           set_number<&Config::drain_deadline, 0, kMaxDrain>},
    Option{"admin-socket", "PATH", kProcess, kOnce, kPublic, "admin-socket",
           "turnpike.sock in systemd's RUNTIME_DIRECTORY, if there is one",
           "UNIX socket that turnpike ctl asks. Only the server's user and root may.",
           set_path<&Config::admin_socket>},
    Option{"proc-user", "NAME", kProcess, kOnce, kPublic, "proc-user",
           "turnpike, else nobody",
           "User to continue as when started as root, once ports are bound and files are read.",
           set_name<&Config::proc_user>},
    Option{"proc-group", "NAME", kProcess, kOnce, kPublic, "proc-group", "that user's group",
           "Group to continue as.",
           set_name<&Config::proc_group>},
    Option{"pidfile", "FILE", kProcess, kOnce, kPublic, "pidfile", "",
           "Write the number of the process into a file, and remove it at the end.",
           set_path<&Config::pid_file>},
    Option{"check-config", "", kProcess, kFlag, kPublic, "check-config", "",
           "Read everything that a start reads, say what is wrong or will surprise, and end: with "
           "2 where it would not start.",
           nullptr},
    Option{"print-config", "", kProcess, kFlag, kPublic, "print-config", "",
           "Print the effective configuration as a JSON file, with where each value comes from and "
           "without secrets, and end.",
           nullptr},
    Option{"help", "", kProcess, kFlag, kPublic, "help", "", "Show this text.", nullptr},
    Option{"version", "", kProcess, kFlag, kPublic, "version", "", "Show the version.", nullptr},
};
// clang-format on

}  // namespace

std::span<const Option> option_table() { return kOptions; }

const Option* find_option(std::string_view name) {
  const auto found = std::find_if(kOptions.begin(), kOptions.end(),
                                  [name](const Option& option) { return option.name == name; });
  return found == kOptions.end() ? nullptr : &*found;
}

std::string_view title(OptionGroup group) {
  switch (group) {
    case kListening:
      return "Listening";
    case kRelaying:
      return "Relaying";
    case kCredentials:
      return "Credentials";
    case kRooms:
      return "Rooms";
    case kTls:
      return "TLS";
    case kWeb:
      return "Web";
    case kMonitoring:
      return "Monitoring";
    case kLog:
      return "Log";
    case kProcess:
      return "Process";
  }
  return "";
}

bool asks_only(const Option& option) { return option.apply == nullptr && option.name != "config"; }

std::string environment_name(std::string_view option) {
  std::string name = "TURNPIKE_";
  for (const char c : option) {
    const bool lower = c >= 'a' && c <= 'z';
    name += c == '-' ? '_' : lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

std::uint16_t alternate_port(const Config& config) {
  if (config.alt_listening_port != 0) return config.alt_listening_port;
  return static_cast<std::uint16_t>(config.listening_port + 1);
}

namespace {

Expected<void> check_alternate_port(const Config& config) {
  const std::uint16_t alternate = alternate_port(config);
  if (config.listening_port == 0 || alternate == 0) {
    return failure(
        "--rfc5780 needs two fixed ports: pass --listening-port and --alt-listening-port");
  }
  const bool dtls = config.dtls && alternate == config.tls_listening_port;
  if (alternate == config.listening_port || dtls) {
    return failure(fmt::format("--alt-listening-port {} is taken by another option", alternate));
  }
  return {};
}

Expected<void> check_metrics(const Config& config) {
  if (!config.metrics_token.empty()) return {};
  if (!config.metrics_ip.is_loopback()) {
    return failure(
        "--prometheus-address is not loopback: whoever reaches it could read the metrics; pass "
        "--prometheus-token TOKEN too");
  }
  if (config.public_stats) {
    return failure(
        "--public-stats would show the server's figures to everybody: pass --prometheus-token "
        "TOKEN too");
  }
  return {};
}

Expected<void> check_certificates(const Config& config) {
  const std::size_t certificates = config.certificate_files.size();
  const std::size_t keys = config.key_files.size();
  if (certificates > net::TlsContext::kMaxCertificates) {
    return failure(fmt::format("--cert is given {} times: expected {} at most", certificates,
                               net::TlsContext::kMaxCertificates));
  }
  if (certificates == keys) return {};
  if (keys == 0) {
    return failure("--cert needs the private key that belongs to it: pass --pkey FILE too");
  }
  if (certificates == 0) {
    return failure("--pkey needs the certificate that belongs to it: pass --cert FILE too");
  }
  return failure(
      fmt::format("--cert is given {} times, --pkey {}: expected a key for each "
                  "certificate, in the same order",
                  certificates, keys));
}

Expected<void> check_auth_hook(const Config& config) {
  const bool named = !config.auth_hook_ca.empty() || !config.auth_hook_token.empty();
  if (named && !config.auth_hook) {
    return failure(
        fmt::format("{} is about the service of --auth-hook: pass its URL too",
                    config.auth_hook_ca.empty() ? "--auth-hook-token" : "--auth-hook-ca"));
  }
  if (!config.auth_hook_ca.empty() && !config.auth_hook->tls) {
    return failure("--auth-hook-ca is for https: the --auth-hook is plain http");
  }
  return {};
}

Expected<void> check_oauth(const Config& config) {
  if (config.oauth && config.token_keys.empty()) {
    return failure("--oauth needs a key to open tokens with: pass --oauth-key KID:BASE64 too");
  }
  if (!config.oauth && !config.token_keys.empty()) {
    return failure("--oauth-key is for access tokens, which --oauth offers: pass it too");
  }
  return {};
}

// Whether anybody can come in.
Expected<void> check_listeners(const Config& config) {
  const bool tls =
      config.tls && !config.certificate_files.empty() && config.tls_listening_port != 0;
  const bool dtls = config.dtls && config.tls_listening_port != 0;
  if (config.udp || config.tcp || tls || dtls) return {};
  return failure(
      "--no-udp and --no-tcp leave no port for clients: TLS needs --cert, --pkey and a "
      "--tls-listening-port");
}

// No two options name one port.
Expected<void> check_ports(const Config& config) {
  // A port of 0 is drawn by the kernel and collides with nothing.
  std::set<std::uint16_t> taken;
  const auto take = [&taken](std::uint16_t port) { return port == 0 || taken.insert(port).second; };
  take(config.listening_port);
  if (!config.certificate_files.empty() && !take(config.tls_listening_port)) {
    return failure(fmt::format(
        "--tls-listening-port {} is the --listening-port, which speaks TLS anyway: pass "
        "--tls-listening-port 0",
        config.tls_listening_port));
  }
  for (const std::uint16_t port : config.proxy_ports) {
    if (!take(port)) {
      return failure(fmt::format("--tcp-proxy-port {} is taken by another option", port));
    }
    if (config.trusted_proxies.empty()) {
      return failure(fmt::format(
          "--tcp-proxy-port {}: say whose PROXY headers are believed, --trusted-proxy RANGE",
          port));
    }
  }
  for (const std::uint16_t port : config.http_ports) {
    if (!take(port)) {
      return failure(fmt::format(
          "--http-port {} is taken by another option; the other ports speak HTTP anyway", port));
    }
  }
  return {};
}

}  // namespace

Expected<void> check_together(const Config& config) {
  if (config.min_port > config.max_port) {
    return failure(fmt::format("--min-port {} is above --max-port {}: there would be no relay port",
                               config.min_port, config.max_port));
  }
  if (auto checked = check_certificates(config); !checked) return checked;
  if (config.dtls && config.certificate_files.empty()) {
    return failure("--dtls needs a certificate: pass --cert FILE and --pkey FILE");
  }
  if (config.rfc5780) {
    if (auto checked = check_alternate_port(config); !checked) return checked;
  }
  if (auto checked = check_auth_hook(config); !checked) return checked;
  if (auto checked = check_listeners(config); !checked) return checked;
  if (auto checked = check_oauth(config); !checked) return checked;
  if (!config.tcp_relay && !config.allowed_tcp_peer_ports.empty()) {
    return failure("--allowed-tcp-peer-port is about TCP relaying: pass --tcp-relay too");
  }
  if (auto checked = check_metrics(config); !checked) return checked;
  return check_ports(config);
}

}  // namespace turnpike::server
