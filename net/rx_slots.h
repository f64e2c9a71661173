// What recvmmsg fills: the inside of RxArena, for the sockets of net/ only. Worker thread only.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>

#include "base/address.h"
#include "base/run.h"
#include "net/udp_socket.h"

namespace turnpike::net {

struct RxArena::Slots {
  // GRO makes trains of at most 65535 bytes. The slots are not a multiple of 4096 bytes apart, so
  // that the first lines of all sixteen do not compete for the same cache sets.
  static constexpr std::size_t kPayload = 65536;
  static constexpr std::size_t kStride = kPayload + 256;
  static constexpr std::size_t kControl = 128;  // GRO, traffic class and overflows need 72

  Slots();

  // One recvmmsg. The number of messages, or -1 with errno set (never EINTR).
  int receive(int fd, UdpStatistics& statistics);

  struct Received {
    Address from;
    Run run;
  };
  // Message `index` of the last receive(). `overflows` is the socket's count as last seen.
  Received take(int index, std::uint32_t& overflows, UdpStatistics& statistics);

 private:
  void reset(unsigned index);

  std::array<mmsghdr, kSlots> messages_{};
  std::array<iovec, kSlots> pieces_{};
  std::array<sockaddr_in6, kSlots> addresses_{};
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControl>, kSlots> controls_{};
  std::unique_ptr<std::uint8_t[]> payload_;
  unsigned used_ = kSlots;
};

// The options both kinds of UDP socket share: GRO, traffic class, overflow counter, no DF, and a
// receive buffer. What an older kernel refuses is done without.
void prepare_udp(int fd, Family family, int receive_buffer);

}  // namespace turnpike::net
