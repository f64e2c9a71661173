#include "net/interfaces.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace turnpike::net {
namespace {

TEST(Interfaces, LoopbackIsAmongThem) {
  const auto all = interface_addresses();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const InterfaceAddress& entry) {
    return entry.ip == IpAddress::loopback(Family::kIPv4) && !entry.link_local &&
           !entry.interface.empty();
  }));
}

TEST(Interfaces, LinkLocalAddressesAreMarked) {
  for (const InterfaceAddress& entry : interface_addresses()) {
    const std::string text = entry.ip.to_string();
    const bool looks_local = text.rfind("fe80:", 0) == 0 || text.rfind("169.254.", 0) == 0;
    EXPECT_EQ(entry.link_local, looks_local) << text;
  }
}

TEST(Interfaces, TheOutwardAddressIsOneOfThisMachine) {
  const auto all = interface_addresses();
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const auto outward = outward_address(family);
    if (!outward) continue;  // a machine without a route outward
    EXPECT_EQ(outward->family(), family);
    EXPECT_FALSE(outward->is_loopback());
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const InterfaceAddress& entry) {
      return entry.ip == *outward && !entry.link_local;
    })) << outward->to_string();
  }
}

TEST(Interfaces, AFamilyIsAvailableWhenThereIsAnAddressOfIt) {
  EXPECT_TRUE(family_available(Family::kIPv4));
  const auto all = interface_addresses();
  const bool has_v6 = std::any_of(all.begin(), all.end(),
                                  [](const InterfaceAddress& entry) { return !entry.ip.is_v4(); });
  EXPECT_EQ(family_available(Family::kIPv6), has_v6);
}

}  // namespace
}  // namespace turnpike::net
