// Between base's Address and the kernel's sockaddr.
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
// IPv4-mapped IPv6 becomes IPv4. CHECKs the family: only AF_INET and AF_INET6 sockets exist here.
Address from_sockaddr(const sockaddr* address);
Address local_address_of(int fd);

}  // namespace turnpike::net
