#include "net/rx_slots.h"

#include <netinet/udp.h>

#include <cerrno>
#include <cstring>

#include "net/sockaddr.h"
#include "net/syscalls.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace turnpike::net {

RxArena::RxArena() : slots_(std::make_unique<Slots>()) {}
RxArena::~RxArena() = default;

// Not zeroed: pages that no train ever reaches stay untouched.
RxArena::Slots::Slots() : payload_(new std::uint8_t[kSlots * kStride]) {
  for (unsigned i = 0; i < kSlots; ++i) {
    pieces_[i] = {payload_.get() + i * kStride, kPayload};
    msghdr& header = messages_[i].msg_hdr;
    header.msg_iov = &pieces_[i];
    header.msg_iovlen = 1;
    header.msg_name = &addresses_[i];
    header.msg_control = controls_[i].data();
  }
}

void RxArena::Slots::reset(unsigned index) {
  msghdr& header = messages_[index].msg_hdr;
  header.msg_namelen = sizeof addresses_[index];
  header.msg_controllen = kControl;
  header.msg_flags = 0;
}

int RxArena::Slots::receive(int fd, UdpStatistics& statistics) {
  for (unsigned i = 0; i < used_; ++i) reset(i);
  used_ = 0;
  int received = 0;
  do {
    ++statistics.receive_calls;
    received = syscalls().recvmmsg(fd, messages_.data(), kSlots, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received > 0) used_ = static_cast<unsigned>(received);
  return received;
}

RxArena::Slots::Received RxArena::Slots::take(int index, std::uint32_t& overflows,
                                              UdpStatistics& statistics) {
  const auto slot = static_cast<std::size_t>(index);
  msghdr& header = messages_[slot].msg_hdr;
  const ByteView bytes(payload_.get() + slot * kStride, messages_[slot].msg_len);
  int segment = 0;
  int traffic_class = 0;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level == SOL_UDP && item->cmsg_type == UDP_GRO) {
      std::memcpy(&segment, CMSG_DATA(item), sizeof segment);
    } else if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_TOS) {
      traffic_class = *CMSG_DATA(item);
    } else if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_TCLASS) {
      std::memcpy(&traffic_class, CMSG_DATA(item), sizeof traffic_class);
    } else if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_RXQ_OVFL) {
      std::uint32_t seen = 0;
      std::memcpy(&seen, CMSG_DATA(item), sizeof seen);
      statistics.receive_queue_overflows += seen - overflows;  // the kernel's counter may wrap
      overflows = seen;
    }
  }
  Received result{from_sockaddr(reinterpret_cast<const sockaddr*>(&addresses_[slot])),
                  Run::train(bytes, segment > 0 ? static_cast<std::uint32_t>(segment) : 0)};
  result.run.traffic_class = static_cast<std::uint8_t>(traffic_class);
  ++statistics.receive_runs;
  statistics.receive_datagrams += result.run.count;
  return result;
}

void prepare_udp(int fd, Family family, int receive_buffer) {
  const auto set = [fd](int level, int name, int value) {
    return syscalls().setsockopt(fd, level, name, &value, sizeof value) == 0;
  };
  set(SOL_UDP, UDP_GRO, 1);
  set(SOL_SOCKET, SO_RXQ_OVFL, 1);
  if (family == Family::kIPv4) {
    set(IPPROTO_IP, IP_RECVTOS, 1);
    set(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  } else {
    set(IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
  }
  // The forced form passes net.core.rmem_max and needs CAP_NET_ADMIN.
  if (!set(SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)) set(SOL_SOCKET, SO_RCVBUF, receive_buffer);
}

}  // namespace turnpike::net
