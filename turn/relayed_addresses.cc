#include "turn/relayed_addresses.h"

namespace turnpike::turn {

IpAddress ExternalAddresses::to_external(const IpAddress& local) const {
  for (const Mapping& mapping : mappings_) {
    if (mapping.local == local) return mapping.external;
  }
  return local;
}

IpAddress ExternalAddresses::to_local(const IpAddress& external) const {
  for (const Mapping& mapping : mappings_) {
    if (mapping.external == external) return mapping.local;
  }
  return external;
}

}  // namespace turnpike::turn
