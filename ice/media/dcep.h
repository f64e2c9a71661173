// The Data Channel Establishment Protocol (RFC 8832): its two messages. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace turnpike::media {

// SCTP payload protocol identifiers (RFC 8831 section 8).
inline constexpr std::uint32_t kPpidDcep = 50;
inline constexpr std::uint32_t kPpidText = 51;
inline constexpr std::uint32_t kPpidBinary = 53;
inline constexpr std::uint32_t kPpidEmptyText = 56;
inline constexpr std::uint32_t kPpidEmptyBinary = 57;

struct ChannelOptions {
  std::string label;
  std::string protocol;
  bool ordered = true;
  // At most one of them: messages are given up after so many retransmissions, or so long.
  std::optional<std::uint32_t> max_retransmits;
  std::optional<std::uint32_t> max_lifetime_ms;
  std::uint16_t priority = 256;  // RFC 8831 section 6.4: normal
  // Agreed on by other means: no message opens it, both sides say the same number.
  std::optional<std::uint16_t> negotiated;
  bool operator==(const ChannelOptions&) const = default;
};

inline constexpr std::size_t kMaxLabel = 65535;  // and of a protocol, in bytes

// Empty when label or protocol is too long.
std::vector<std::uint8_t> write_channel_open(const ChannelOptions& options);
std::optional<ChannelOptions> parse_channel_open(ByteView message);
std::vector<std::uint8_t> write_channel_ack();
bool is_channel_ack(ByteView message);

}  // namespace turnpike::media
