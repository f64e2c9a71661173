// RTP packets (RFC 3550 section 5.1) and their header extensions (RFC 8285): views of what came,
// and a writer. Plain values.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace turnpike::media {

// RFC 5761 section 4: RTP and RTCP on one port are told apart by the second byte.
constexpr bool is_rtcp(ByteView packet) {
  return packet.size() >= 2 && packet[1] >= 192 && packet[1] <= 223;
}

// Every view points into the packet that was parsed.
struct RtpPacket {
  static constexpr std::uint16_t kOneByteExtensions = 0xbede;
  static constexpr std::uint16_t kTwoByteExtensions = 0x1000;  // with four bits for the application

  bool marker = false;
  std::uint8_t payload_type = 0;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0;
  ByteView csrcs;  // four bytes each, at most 15
  std::uint16_t extension_profile = 0;
  ByteView extension;        // whole words; empty when there is none
  ByteView payload;          // without padding
  std::uint8_t padding = 0;  // bytes of it, the last one counted

  // An element of one- or two-byte extensions. Empty elements are found as empty views.
  std::optional<ByteView> extension_of(std::uint8_t id) const;
};

std::optional<RtpPacket> parse_rtp(ByteView packet);
// The whole packet. False: no room, or the extension is not whole words.
bool write_rtp(Writer& out, const RtpPacket& packet);

// In a packet that parse_rtp() has accepted, to send it on.
void set_rtp_payload_type(MutableBytes packet, std::uint8_t payload_type);
void set_rtp_sequence(MutableBytes packet, std::uint16_t sequence);
void set_rtp_timestamp(MutableBytes packet, std::uint32_t timestamp);
void set_rtp_ssrc(MutableBytes packet, std::uint32_t ssrc);

}  // namespace turnpike::media
