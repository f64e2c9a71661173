#include "net/sockaddr.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "net/syscalls.h"

namespace turnpike::net {

SocketAddress to_sockaddr(const Address& address) {
  SocketAddress result;
  sockaddr_in6 room{};
  result.length = write_sockaddr(address, room);
  std::memcpy(&result.storage, &room, result.length);
  return result;
}

socklen_t write_sockaddr(const Address& address, sockaddr_in6& room) {
  const ByteView ip = address.ip.bytes();
  if (address.ip.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, ip.data(), ip.size());
    std::memcpy(&room, &v4, sizeof v4);
    return sizeof v4;
  }
  room = sockaddr_in6{};
  room.sin6_family = AF_INET6;
  room.sin6_port = htons(address.port);
  std::memcpy(&room.sin6_addr, ip.data(), ip.size());
  return sizeof room;
}

Address from_sockaddr(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    return {IpAddress::v4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  }
  CHECK(address->sa_family == AF_INET6);
  sockaddr_in6 v6{};
  std::memcpy(&v6, address, sizeof v6);
  const std::uint8_t* bytes = v6.sin6_addr.s6_addr;
  const std::uint16_t port = ntohs(v6.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    return {IpAddress::v4(bytes[12], bytes[13], bytes[14], bytes[15]), port};
  }
  std::array<std::uint8_t, 16> ip;
  std::copy_n(bytes, ip.size(), ip.begin());
  return {IpAddress::v6(ip), port};
}

Address local_address_of(int fd) {
  SocketAddress local;
  local.length = sizeof local.storage;
  if (syscalls().getsockname(fd, local.raw(), &local.length) != 0) return {};
  if (local.raw()->sa_family == AF_UNIX) return {};
  return from_sockaddr(local.raw());
}

Address remote_address_of(int fd) {
  SocketAddress remote;
  remote.length = sizeof remote.storage;
  if (syscalls().getpeername(fd, remote.raw(), &remote.length) != 0) return {};
  if (remote.raw()->sa_family == AF_UNIX) return {};
  return from_sockaddr(remote.raw());
}

}  // namespace turnpike::net
