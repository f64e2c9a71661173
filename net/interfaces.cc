#include "net/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>

#include "net/bind.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"

namespace turnpike::net {
namespace {

bool is_link_local(const IpAddress& ip) {
  const ByteView bytes = ip.bytes();
  if (ip.is_v4()) return bytes[0] == 169 && bytes[1] == 254;  // RFC 3927
  return bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80;       // RFC 4291 section 2.5.6
}

// Somewhere outside: any address that only the default route leads to. Documentation addresses,
// so that nobody's address stands in a packet capture of a misconfigured host.
Address somewhere(Family family) {
  const char* text = family == Family::kIPv4 ? "198.51.100.1" : "2001:db8::1";
  return {*IpAddress::parse(text), 9};
}

}  // namespace

std::vector<InterfaceAddress> interface_addresses() {
  std::vector<InterfaceAddress> result;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return result;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    const auto family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const IpAddress ip = from_sockaddr(entry->ifa_addr).ip;
    result.push_back({entry->ifa_name, ip, is_link_local(ip)});
  }
  freeifaddrs(list);
  return result;
}

// Connecting a datagram socket only looks the route up.
std::optional<IpAddress> outward_address(Family family) {
  const int fd = open_socket(family, SOCK_DGRAM);
  if (fd < 0) return std::nullopt;
  const SocketAddress outside = to_sockaddr(somewhere(family));
  const bool routed = syscalls().connect(fd, outside.raw(), outside.length) == 0;
  const IpAddress ip = routed ? local_address_of(fd).ip : IpAddress();
  syscalls().close(fd);
  if (!routed || ip.is_any() || ip.is_loopback() || is_link_local(ip)) return std::nullopt;
  return ip;
}

bool family_available(Family family) {
  const Expected<int> fd = open_bound({IpAddress::any(family), 0}, SOCK_DGRAM, ReusePort::kNo);
  if (!fd) return false;
  syscalls().close(*fd);
  // Where IPv6 is switched off by sysctl the wildcard still binds, but there is no address at all.
  const auto addresses = interface_addresses();
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const InterfaceAddress& entry) { return entry.ip.family() == family; });
}

}  // namespace turnpike::net
