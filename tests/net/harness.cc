#include "tests/net/harness.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/random.h"
#include "net/bind.h"
#include "net/sockaddr.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace turnpike::net {

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

std::string text_of(ByteView bytes) { return std::string(as_text(bytes)); }

Bytes pattern(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  SeededRandom random(seed);
  random.fill(bytes);
  return bytes;
}

bool turn_until(Loop& loop, const std::function<bool()>& condition) {
  bool late = false;
  LoopTimer guard(loop, [&late] { late = true; });
  guard.arm(loop.tick().mono + seconds(10));
  while (!condition()) {
    if (late) return false;
    loop.run_once();
  }
  return true;
}

Descriptor::~Descriptor() { close(); }

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  close();
  fd_ = other.take();
  return *this;
}

int Descriptor::take() { return std::exchange(fd_, -1); }

void Descriptor::close() {
  if (fd_ >= 0) ::close(take());
}

UdpSocket::UdpSocket(const IpAddress& ip) {
  const auto fd = open_bound({ip, 0}, SOCK_DGRAM, ReusePort::kNo);
  EXPECT_TRUE(fd) << fd.error().message;
  fd_ = Descriptor(*fd);
  local_ = local_address_of(*fd);
  const int on = 1;
  ::setsockopt(*fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  if (!ip.is_v4()) ::setsockopt(*fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
  const int buffer = 4 << 20;
  if (::setsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0) {
    ::setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  }
}

void UdpSocket::send(const Address& to, ByteView bytes) {
  const SocketAddress address = to_sockaddr(to);
  ASSERT_EQ(::sendto(fd(), bytes.data(), bytes.size(), 0, address.raw(), address.length),
            static_cast<ssize_t>(bytes.size()))
      << std::strerror(errno);
}

bool UdpSocket::send_train(const Address& to, ByteView bytes, std::uint16_t segment) {
  SocketAddress address = to_sockaddr(to);
  iovec piece{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof segment)> control{};
  msghdr message{};
  message.msg_name = address.raw();
  message.msg_namelen = address.length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* item = CMSG_FIRSTHDR(&message);
  item->cmsg_level = SOL_UDP;
  item->cmsg_type = UDP_SEGMENT;
  item->cmsg_len = CMSG_LEN(sizeof segment);
  std::memcpy(CMSG_DATA(item), &segment, sizeof segment);
  return ::sendmsg(fd(), &message, 0) == static_cast<ssize_t>(bytes.size());
}

std::optional<UdpSocket::Received> UdpSocket::receive() {
  pollfd readable{fd(), POLLIN, 0};
  ::poll(&readable, 1, 5000);
  return receive_now();
}

std::optional<UdpSocket::Received> UdpSocket::receive_now() {
  Received result;
  result.bytes.resize(65536);
  SocketAddress from;
  iovec piece{result.bytes.data(), result.bytes.size()};
  alignas(cmsghdr) std::array<char, 64> control{};
  msghdr message{};
  message.msg_name = from.raw();
  message.msg_namelen = sizeof from.storage;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(fd(), &message, MSG_DONTWAIT);
  if (size < 0) return std::nullopt;
  result.bytes.resize(static_cast<std::size_t>(size));
  result.from = from_sockaddr(from.raw());
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr;
       item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_type == IP_TOS && item->cmsg_level == IPPROTO_IP) {
      result.traffic_class = *CMSG_DATA(item);
    }
    if (item->cmsg_type == IPV6_TCLASS && item->cmsg_level == IPPROTO_IPV6) {
      std::memcpy(&result.traffic_class, CMSG_DATA(item), sizeof result.traffic_class);
    }
  }
  return result;
}

bool kernel_segments_and_merges() {
  UdpSocket socket;
  const int on = 1;
  return ::setsockopt(socket.fd(), SOL_UDP, UDP_GRO, &on, sizeof on) == 0 &&
         socket.send_train(socket.local(), Bytes(16), 8);
}

TcpPair::TcpPair() {
  const auto listener =
      open_bound({IpAddress::loopback(Family::kIPv4), 0}, SOCK_STREAM, ReusePort::kNo);
  EXPECT_TRUE(listener);
  const Descriptor listening(*listener);
  EXPECT_EQ(::listen(*listener, 1), 0);
  const SocketAddress address = to_sockaddr(local_address_of(*listener));
  theirs = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(theirs.get(), address.raw(), address.length), 0);
  int on = 1;
  ::ioctl(theirs.get(), FIONBIO, &on);
  pollfd readable{*listener, POLLIN, 0};
  ::poll(&readable, 1, 5000);
  ours = Descriptor(::accept4(*listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  EXPECT_GE(ours.get(), 0);
  for (const int fd : {ours.get(), theirs.get()}) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
}

std::size_t Peer::send(ByteView bytes) {
  const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void Peer::read_available() {
  std::array<std::uint8_t, 65536> room;
  for (;;) {
    const ssize_t count = ::recv(fd(), room.data(), room.size(), MSG_DONTWAIT);
    if (count > 0) {
      received.insert(received.end(), room.begin(), room.begin() + count);
      continue;
    }
    closed = closed || count == 0;
    reset = reset || (count < 0 && errno != EAGAIN);
    return;
  }
}

void Peer::shut_down_sending() { ::shutdown(fd(), SHUT_WR); }

}  // namespace turnpike::net
