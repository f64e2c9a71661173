// Between base's Address and the kernel's sockaddr. Any thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/address.h"

namespace turnpike::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_sockaddr(const Address& address);
// The same into memory that the caller has (at least a sockaddr_in6); answers the length.
socklen_t write_sockaddr(const Address& address, sockaddr_in6& room);
// IPv4-mapped IPv6 becomes IPv4. CHECKs the family: only AF_INET and AF_INET6 sockets exist here.
Address from_sockaddr(const sockaddr* address);
// 0.0.0.0:0 when the kernel has no answer: the descriptor is not bound, the peer is gone already.
Address local_address_of(int fd);
Address remote_address_of(int fd);

}  // namespace turnpike::net
