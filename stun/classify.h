// What a packet is, from its first byte (RFC 7983 section 7; RFC 8656 section 12 narrows channels).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace turnpike::stun {

enum class PacketKind : std::uint8_t { kStun, kZrtp, kDtls, kChannelData, kRtp, kUnknown };

// 0..3 STUN, 16..19 ZRTP, 20..63 DTLS, 64..127 ChannelData (RFC 5766 numbers included; the relay
// decides which of them are bound), 128..191 RTP; everything else, and nothing at all, is unknown.
PacketKind classify(ByteView packet);

}  // namespace turnpike::stun
