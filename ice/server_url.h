// What an iceServers list names: a STUN or TURN server by its URL (RFC 7064, RFC 7065). Plain
// values; resolving the host is the owner's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/expected.h"

namespace turnpike::ice {

enum class ServerKind : std::uint8_t { kStun, kTurn };
enum class ServerTransport : std::uint8_t { kUdp, kTcp, kTls, kDtls };
std::string_view name_of(ServerTransport transport);  // "udp", "tcp", "tls", "dtls"

struct ServerUrl {
  ServerKind kind = ServerKind::kStun;
  ServerTransport transport = ServerTransport::kUdp;
  std::string host;  // a name, or an IP address without brackets
  std::uint16_t port = 3478;

  bool operator==(const ServerUrl&) const = default;
};
// "turns:turn.example.org:5349?transport=tcp". Without a port it is 3478, with "turns" and "stuns"
// 5349; without a transport it is UDP, with "turns" and "stuns" TCP. The Error says what is wrong.
Expected<ServerUrl> parse_server_url(std::string_view text);

}  // namespace turnpike::ice
