// Run: what travels between sockets and the relay. One datagram, or a train of datagrams of equal
// size as the kernel's GRO delivers them (the last one may be shorter). It borrows the bytes of a
// receive buffer and is valid only during the call it is passed to.
//
//        data                 data + stride
//         |<------ size ------>|   |<------ size ------>|   |<- last_size ->|
//         [ segment 0          ]xxx[ segment 1          ]xxx[ segment 2     ]
//
// A stride larger than the size skips what lies between payloads: a train of ChannelData messages
// becomes a train of payloads without copying, by data += 4 and size -= 4.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"

namespace turnpike {

enum class DontFragment : std::uint8_t { kUnset, kSet };

struct Run {
  const std::uint8_t* data = nullptr;
  std::uint32_t size = 0;       // bytes of every segment but the last
  std::uint32_t last_size = 0;  // bytes of the last segment, at most size
  std::uint32_t stride = 0;     // bytes from one segment's start to the next
  std::uint32_t count = 0;
  std::uint8_t traffic_class = 0;  // DSCP << 2 | ECN, as in the IP header
  DontFragment dont_fragment = DontFragment::kUnset;

  static Run one(ByteView bytes) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    return {bytes.data(), size, size, size, 1};
  }
  // `bytes` as received with a GRO segment size: trains of `segment` bytes, the last may be short.
  static Run train(ByteView bytes, std::uint32_t segment) {
    if (segment == 0 || bytes.size() <= segment) return one(bytes);
    const auto total = static_cast<std::uint32_t>(bytes.size());
    const std::uint32_t count = (total + segment - 1) / segment;
    return {bytes.data(), segment, total - (count - 1) * segment, segment, count};
  }

  std::uint32_t size_of(std::uint32_t index) const { return index + 1 == count ? last_size : size; }
  ByteView segment(std::uint32_t index) const {
    return {data + std::size_t{index} * stride, size_of(index)};
  }
  // Segments [first, first + number) as a run of their own.
  Run slice(std::uint32_t first, std::uint32_t number) const {
    CHECK(number > 0 && first + number <= count);
    Run part = *this;
    part.data = data + std::size_t{first} * stride;
    part.count = number;
    part.last_size = size_of(first + number - 1);
    if (number == 1) part.size = part.last_size;
    return part;
  }
  std::uint64_t total_bytes() const {
    return count == 0 ? 0 : std::uint64_t{size} * (count - 1) + last_size;
  }
};

}  // namespace turnpike
