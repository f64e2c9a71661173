// What addresses this machine has, and which one routes outward.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"

namespace turnpike::net {

struct InterfaceAddress {
  std::string interface;
  IpAddress ip;
  bool link_local = false;
};
// Addresses of interfaces that are up, loopback included.
std::vector<InterfaceAddress> interface_addresses();
// The source address the kernel would use towards the outside; nothing is sent. nullopt when no
// route of that family leads outward.
std::optional<IpAddress> outward_address(Family family);
// Whether sockets of this family can be made and bound at all (a container without IPv6 cannot).
bool family_available(Family family);

}  // namespace turnpike::net
