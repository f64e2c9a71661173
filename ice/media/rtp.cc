#include "ice/media/rtp.h"

namespace turnpike::media {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kStopId = 15;  // RFC 8285 section 4.2: nothing behind it is read

std::optional<ByteView> one_byte_element(ByteView extension, std::uint8_t id) {
  Reader in(extension);
  while (in.ok() && in.remaining() > 0) {
    const std::uint8_t head = in.u8();
    if (head == 0) continue;  // padding
    if (head >> 4 == kStopId) return std::nullopt;
    const ByteView data = in.bytes(std::size_t{head & 15u} + 1);
    if (in.ok() && head >> 4 == id) return data;
  }
  return std::nullopt;
}

std::optional<ByteView> two_byte_element(ByteView extension, std::uint8_t id) {
  Reader in(extension);
  while (in.ok() && in.remaining() > 0) {
    const std::uint8_t found = in.u8();
    if (found == 0) continue;
    const ByteView data = in.bytes(in.u8());
    if (in.ok() && found == id) return data;
  }
  return std::nullopt;
}

void patch(MutableBytes packet, std::size_t at, std::uint32_t value, std::size_t size) {
  Writer out(packet.subspan(at, size));
  if (size == 2) {
    out.u16(static_cast<std::uint16_t>(value));
  } else {
    out.u32(value);
  }
}

}  // namespace

std::optional<ByteView> RtpPacket::extension_of(std::uint8_t id) const {
  if (id == 0) return std::nullopt;
  if (extension_profile == kOneByteExtensions) return one_byte_element(extension, id);
  if ((extension_profile & 0xfff0) == kTwoByteExtensions) return two_byte_element(extension, id);
  return std::nullopt;
}

std::optional<RtpPacket> parse_rtp(ByteView packet) {
  Reader in(packet);
  const std::uint8_t first = in.u8();
  const std::uint8_t second = in.u8();
  RtpPacket rtp;
  rtp.marker = (second & 0x80) != 0;
  rtp.payload_type = second & 0x7f;
  rtp.sequence = in.u16();
  rtp.timestamp = in.u32();
  rtp.ssrc = in.u32();
  rtp.csrcs = in.bytes(std::size_t{first & 15u} * 4);
  if ((first & 0x10) != 0) {
    rtp.extension_profile = in.u16();
    rtp.extension = in.bytes(std::size_t{in.u16()} * 4);
  }
  if (!in.ok() || first >> 6 != kVersion || is_rtcp(packet)) return std::nullopt;
  ByteView payload = in.rest();
  if ((first & 0x20) != 0) {
    if (payload.empty() || payload.back() == 0 || payload.back() > payload.size()) {
      return std::nullopt;
    }
    rtp.padding = payload.back();
    payload = payload.first(payload.size() - rtp.padding);
  }
  rtp.payload = payload;
  return rtp;
}

bool write_rtp(Writer& out, const RtpPacket& packet) {
  const bool extended = packet.extension_profile != 0;
  if (packet.csrcs.size() % 4 != 0 || packet.csrcs.size() > 60 || packet.payload_type > 127 ||
      packet.extension.size() % 4 != 0 || packet.extension.size() / 4 > 0xffff) {
    return false;
  }
  out.u8(static_cast<std::uint8_t>(kVersion << 6 | (packet.padding > 0 ? 0x20 : 0) |
                                   (extended ? 0x10 : 0) | packet.csrcs.size() / 4));
  out.u8(static_cast<std::uint8_t>((packet.marker ? 0x80 : 0) | packet.payload_type));
  out.u16(packet.sequence);
  out.u32(packet.timestamp);
  out.u32(packet.ssrc);
  out.bytes(packet.csrcs);
  if (extended) {
    out.u16(packet.extension_profile);
    out.u16(static_cast<std::uint16_t>(packet.extension.size() / 4));
    out.bytes(packet.extension);
  }
  out.bytes(packet.payload);
  if (packet.padding > 0) {
    out.zeros(packet.padding - 1u);
    out.u8(packet.padding);
  }
  return out.ok();
}

void set_rtp_payload_type(MutableBytes packet, std::uint8_t payload_type) {
  if (packet.size() < kHeader) return;
  packet[1] = static_cast<std::uint8_t>((packet[1] & 0x80) | (payload_type & 0x7f));
}
void set_rtp_sequence(MutableBytes packet, std::uint16_t sequence) {
  if (packet.size() >= kHeader) patch(packet, 2, sequence, 2);
}
void set_rtp_timestamp(MutableBytes packet, std::uint32_t timestamp) {
  if (packet.size() >= kHeader) patch(packet, 4, timestamp, 4);
}
void set_rtp_ssrc(MutableBytes packet, std::uint32_t ssrc) {
  if (packet.size() >= kHeader) patch(packet, 8, ssrc, 4);
}

}  // namespace turnpike::media
