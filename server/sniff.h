// Which protocol a connection speaks, from its first byte (RFC 7983 section 7 for STUN and TLS; a
// request line of HTTP begins with a method in upper case). Decided once and for good: a
// connection never changes its protocol afterwards, whatever its bytes look like. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/plan.h"

namespace turnpike::server {

enum class Protocol : std::uint8_t { kUnknown, kTls, kTurn, kHttp };

// 0x16, a TLS handshake record: TLS. 0x00..0x03: STUN. Upper-case letters: HTTP. The rest of
// 0x40..0x7F: ChannelData. Letters lie within the channel numbers' range; they go to HTTP because
// no connection can begin with ChannelData: a channel needs an allocation first.
Protocol sniff(std::uint8_t first_byte);

// What the port's kind makes of it: kUnknown closes the connection. `kHave` tells whether the
// server has a certificate at all.
enum class Certificate : std::uint8_t { kNone, kHave };
Protocol admit_plain(PortKind kind, std::uint8_t first_byte, Certificate certificate);
// Inside TLS, when no ALPN decided: TLS within TLS is nothing we speak.
Protocol admit_decrypted(std::uint8_t first_byte);
// `stun.turn`, `stun.nat-discovery` (RFC 7443 section 3) and `http/1.1` decide for good; kUnknown
// leaves it to the first byte.
Protocol protocol_of_alpn(std::string_view alpn);

}  // namespace turnpike::server
