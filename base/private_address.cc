#include "base/private_address.h"

#include <algorithm>
#include <vector>

namespace turnpike {

bool is_private(const IpAddress& ip) {
  static const std::vector<IpRange> ranges = [] {
    std::vector<IpRange> list;
    for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                             "169.254.0.0/16", "fc00::/7", "fe80::/10"}) {
      list.push_back(*IpRange::parse(text));
    }
    return list;
  }();
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const IpRange& range) { return range.contains(ip); });
}

}  // namespace turnpike
