#include "ice/media/dcep.h"

#include "base/text.h"

namespace turnpike::media {
namespace {

constexpr std::uint8_t kOpen = 3;
constexpr std::uint8_t kAck = 2;
// Channel types (RFC 8832 section 5.1).
constexpr std::uint8_t kReliable = 0;
constexpr std::uint8_t kRetransmits = 1;
constexpr std::uint8_t kLifetime = 2;
constexpr std::uint8_t kUnordered = 0x80;

}  // namespace

std::vector<std::uint8_t> write_channel_open(const ChannelOptions& options) {
  if (options.label.size() > kMaxLabel || options.protocol.size() > kMaxLabel) return {};
  std::uint8_t type = kReliable;
  std::uint32_t parameter = 0;
  if (options.max_retransmits) {
    type = kRetransmits;
    parameter = *options.max_retransmits;
  } else if (options.max_lifetime_ms) {
    type = kLifetime;
    parameter = *options.max_lifetime_ms;
  }
  if (!options.ordered) type |= kUnordered;
  std::vector<std::uint8_t> message(12 + options.label.size() + options.protocol.size());
  Writer out(message);
  out.u8(kOpen);
  out.u8(type);
  out.u16(options.priority);
  out.u32(parameter);
  out.u16(static_cast<std::uint16_t>(options.label.size()));
  out.u16(static_cast<std::uint16_t>(options.protocol.size()));
  out.bytes(as_bytes(options.label));
  out.bytes(as_bytes(options.protocol));
  return message;
}

std::optional<ChannelOptions> parse_channel_open(ByteView message) {
  Reader in(message);
  if (in.u8() != kOpen) return std::nullopt;
  const std::uint8_t type = in.u8();
  ChannelOptions options;
  options.priority = in.u16();
  const std::uint32_t parameter = in.u32();
  const std::uint16_t label = in.u16();
  const std::uint16_t protocol = in.u16();
  options.label = as_text(in.bytes(label));
  options.protocol = as_text(in.bytes(protocol));
  if (!in.ok() || in.remaining() > 0) return std::nullopt;
  if (!is_valid_utf8(options.label) || !is_valid_utf8(options.protocol)) return std::nullopt;
  options.ordered = (type & kUnordered) == 0;
  switch (type & ~kUnordered) {
    case kReliable:
      return options;
    case kRetransmits:
      options.max_retransmits = parameter;
      return options;
    case kLifetime:
      options.max_lifetime_ms = parameter;
      return options;
    default:
      return std::nullopt;
  }
}

std::vector<std::uint8_t> write_channel_ack() { return {kAck}; }
bool is_channel_ack(ByteView message) { return message.size() == 1 && message[0] == kAck; }

}  // namespace turnpike::media
