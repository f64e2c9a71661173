#include "ice/server_url.h"

#include <charconv>
#include <optional>

namespace turnpike::ice {
namespace {

constexpr std::uint16_t kPlainPort = 3478, kSecurePort = 5349;
constexpr std::size_t kMaxHost = 255;

struct Scheme {
  std::string_view name;
  ServerKind kind;
  bool secure;
};
constexpr Scheme kSchemes[] = {{"stun:", ServerKind::kStun, false},
                               {"stuns:", ServerKind::kStun, true},
                               {"turn:", ServerKind::kTurn, false},
                               {"turns:", ServerKind::kTurn, true}};

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, port);
  if (result.ec != std::errc{} || result.ptr != end || port == 0) return std::nullopt;
  return port;
}

// "host", "host:port", "[2001:db8::1]:port"; false when it is none of them.
bool take_authority(std::string_view text, ServerUrl& url) {
  std::size_t colon = text.find(':');
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return false;
    url.host = text.substr(1, bracket - 1);
    colon = bracket + 1;
    if (colon < text.size() && text[colon] != ':') return false;
    if (colon == text.size()) colon = std::string_view::npos;
  } else {
    url.host = text.substr(0, colon);
  }
  if (url.host.empty() || url.host.size() > kMaxHost) return false;
  if (colon == std::string_view::npos) return true;
  const auto port = parse_port(text.substr(colon + 1));
  url.port = port.value_or(0);
  return port.has_value();
}

}  // namespace

std::string_view name_of(ServerTransport transport) {
  constexpr std::string_view kNames[] = {"udp", "tcp", "tls", "dtls"};
  return kNames[static_cast<std::size_t>(transport)];
}

Expected<ServerUrl> parse_server_url(std::string_view text) {
  const std::string quoted = "\"" + std::string(text.substr(0, kMaxHost)) + "\"";
  for (const Scheme& scheme : kSchemes) {
    if (!text.starts_with(scheme.name)) continue;
    ServerUrl url{.kind = scheme.kind, .port = scheme.secure ? kSecurePort : kPlainPort};
    text.remove_prefix(scheme.name.size());
    const std::size_t query = text.find('?');
    std::string_view transport = scheme.secure ? "tcp" : "udp";
    if (query != std::string_view::npos) {
      constexpr std::string_view kTransport = "transport=";
      transport = text.substr(query + 1);
      if (!transport.starts_with(kTransport))
        return failure(quoted + ": only transport= may follow ?");
      transport.remove_prefix(kTransport.size());
    }
    if (!take_authority(text.substr(0, query), url)) {
      return failure(quoted + " must name a host, and a port from 1 to 65535 or none");
    }
    if (transport != "udp" && transport != "tcp") {
      return failure(quoted + ": the transport must be udp or tcp");
    }
    if (transport == "udp") {
      url.transport = scheme.secure ? ServerTransport::kDtls : ServerTransport::kUdp;
    } else {
      url.transport = scheme.secure ? ServerTransport::kTls : ServerTransport::kTcp;
    }
    return url;
  }
  return failure(quoted + " must begin with stun:, stuns:, turn: or turns:");
}

}  // namespace turnpike::ice
