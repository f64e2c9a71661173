#include "tools/load/turn_load_sockets.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace turnpike::load {
namespace {

constexpr unsigned kPlainSlots = 64, kTrainSlots = 16;
constexpr std::size_t kPlainSlot = 2048, kTrainSlot = 65536;

std::uint64_t ns_of(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t read_clock(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return ns_of(time);
}

}  // namespace

std::uint64_t now_ns() { return read_clock(CLOCK_MONOTONIC); }
std::uint64_t wall_ns() { return read_clock(CLOCK_REALTIME); }
std::uint64_t own_cpu_time() { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

Tick tick_of(std::uint64_t now) {
  return {MonoTime{Duration(static_cast<std::int64_t>(now))}, WallTime{seconds{0}}};
}

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool note_arrivals(int fd) {
  const int on = 1;
  return ::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) == 0;
}

Expected<int> open_udp(const UdpWish& wish) {
  const int domain = wish.from.ip.is_v4() ? AF_INET : AF_INET6;
  const int fd = ::socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure(std::string("no more sockets: ") + std::strerror(errno));
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wish.receive_buffer, sizeof wish.receive_buffer);
  const int on = 1;
  if (wish.trains == Trains::kYes && ::setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0) {
    ::close(fd);
    return failure("this kernel has no UDP_GRO: --trains is not possible");
  }
  const net::SocketAddress from = net::to_sockaddr(wish.from);
  if (::bind(fd, from.raw(), from.length) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return failure("cannot bind " + wish.from.to_string() + ": " + std::strerror(error));
}

IpAddress later_ip(const IpAddress& ip, unsigned steps) {
  if (!ip.is_v4()) return ip;
  return IpAddress::v4(ip.v4_host_order() + steps);
}

MutableBytes Outbox::add(int fd, const net::SocketAddress* to, std::size_t size) {
  if (fd != fd_ || used_ + size > room_.size()) flush();
  fd_ = fd;
  const MutableBytes room(room_.data() + used_, size);
  if (trains_ == Trains::kYes && count_ > 0) {
    Message& last = messages_[count_ - 1];
    if (last.to == to && last.segment == size && last.packets < kTrainPackets &&
        last.size + size <= kTrainBytes) {
      last.size += size;
      ++last.packets;
      used_ += size;
      return room;
    }
  }
  if (count_ == kMessages) {
    flush();
    return add(fd, to, size);
  }
  messages_[count_++] = {to, used_, size, size, 1};
  used_ += size;
  return room;
}

void Outbox::flush() {
  // Not cleared as a whole: most flushes are of a few messages.
  std::array<mmsghdr, kMessages> headers;
  std::array<iovec, kMessages> pieces;
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t))> bytes;
  };
  std::array<Control, kMessages> control;
  for (std::size_t i = 0; i < count_; ++i) {
    const Message& message = messages_[i];
    pieces[i] = {room_.data() + message.at, message.size};
    headers[i] = {};
    msghdr& header = headers[i].msg_hdr;
    header.msg_iov = &pieces[i];
    header.msg_iovlen = 1;
    if (message.to != nullptr) {
      header.msg_name = const_cast<sockaddr*>(message.to->raw());
      header.msg_namelen = message.to->length;
    }
    if (message.packets < 2) continue;
    header.msg_control = control[i].bytes.data();
    header.msg_controllen = sizeof control[i].bytes;
    cmsghdr* segment = CMSG_FIRSTHDR(&header);
    segment->cmsg_level = IPPROTO_UDP;
    segment->cmsg_type = UDP_SEGMENT;
    segment->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(message.segment);
    std::memcpy(CMSG_DATA(segment), &size, sizeof size);
  }
  for (std::size_t at = 0; at < count_;) {
    const int sent = ::sendmmsg(fd_, &headers[at], static_cast<unsigned>(count_ - at), 0);
    if (sent > 0) {
      at += static_cast<std::size_t>(sent);
    } else if (errno != EINTR) {
      refused_ += messages_[at++].packets;  // lost on the way, as the report will say
    }
  }
  count_ = used_ = 0;
}

Inbox::Inbox(Trains trains) : Inbox(trains, trains == Trains::kYes ? kTrainSlots : kPlainSlots) {}

Inbox::Inbox(Trains trains, unsigned slots, Stamps stamps)
    : trains_(trains), stamps_(stamps), slot_(trains == Trains::kYes ? kTrainSlot : kPlainSlot) {
  bytes_.resize(slots * slot_);
  names_.resize(slots);
  control_.resize(slots);
  pieces_.resize(slots);
  messages_.resize(slots);
  touched_ = slots;
  for (unsigned i = 0; i < slots; ++i) {
    pieces_[i] = {bytes_.data() + i * slot_, slot_};
    messages_[i].msg_hdr = {};
    messages_[i].msg_hdr.msg_name = &names_[i];
    messages_[i].msg_hdr.msg_iov = &pieces_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

unsigned Inbox::fill(int fd) {
  for (unsigned i = 0; i < touched_; ++i) {
    messages_[i].msg_hdr.msg_namelen = sizeof(sockaddr_in6);
    if (trains_ == Trains::kNo && stamps_ == Stamps::kNo) continue;
    messages_[i].msg_hdr.msg_control = control_[i].bytes.data();
    messages_[i].msg_hdr.msg_controllen = sizeof control_[i].bytes;
  }
  const int count = ::recvmmsg(fd, messages_.data(), slots(), 0, nullptr);
  // The kernel writes only to the slots that it fills, and to the first when it fills none.
  touched_ = count > 0 ? static_cast<unsigned>(count) : 1;
  return count > 0 ? static_cast<unsigned>(count) : 0;
}

std::size_t Inbox::segment_of(msghdr& header, std::size_t whole) const {
  if (trains_ == Trains::kNo) return whole;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != IPPROTO_UDP || part->cmsg_type != UDP_GRO) continue;
    int segment = 0;
    std::memcpy(&segment, CMSG_DATA(part), sizeof segment);
    if (segment > 0) return static_cast<std::size_t>(segment);
  }
  return whole;
}

std::uint64_t Inbox::arrival_of(msghdr& header) const {
  if (stamps_ == Stamps::kNo) return 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec time{};
    std::memcpy(&time, CMSG_DATA(part), sizeof time);
    return ns_of(time);
  }
  return 0;
}

}  // namespace turnpike::load
