// What an ICMP error said of a datagram that we sent: the values of the ICMP header, which mean
// different things for IPv4 and IPv6. A value.
#pragma once

#include <cstdint>

namespace turnpike {

struct IcmpError {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t mtu = 0;  // of the next hop, when a datagram was too big for it; else 0
};

// IPv4: destination unreachable, fragmentation needed. IPv6: packet too big.
inline constexpr IcmpError kIcmpFragmentationNeeded{3, 4, 0};
inline constexpr IcmpError kIcmpPacketTooBig{2, 0, 0};

}  // namespace turnpike
