// Peer rules: every way to write an address that must not be reached.
#include "turn/policy.h"

#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using Verdict = PeerPolicy::Verdict;

PeerPolicy::Rules rules(std::vector<std::string_view> allowed, std::vector<std::string_view> denied,
                        std::vector<IpAddress> own = {}) {
  PeerPolicy::Rules made;
  for (const auto text : allowed) made.allowed.push_back(*IpRange::parse(text));
  for (const auto text : denied) made.denied.push_back(*IpRange::parse(text));
  made.own = std::move(own);
  return made;
}

TEST(PeerPolicy, DeniesWhatTheRegistriesReserve) {
  const PeerPolicy policy;
  for (const char* text : {
           // loopback, this host, link-local and metadata
           "127.0.0.1",
           "127.8.9.10",
           "127.255.255.255",
           "0.0.0.0",
           "0.1.2.3",
           "169.254.169.254",
           "::",
           "::1",
           "fd00:ec2::254",
           "fe80::1",
           "febf::1",
           "fec0::1",
           // private and shared
           "10.0.0.0",
           "10.255.255.255",
           "172.16.0.0",
           "172.31.255.255",
           "192.168.0.1",
           "100.64.0.0",
           "100.127.255.255",
           "fc00::1",
           "fdff::1",
           // documentation, benchmarking, protocol assignments, reserved
           "192.0.0.1",
           "192.0.0.170",
           "192.0.2.1",
           "198.18.0.1",
           "198.19.255.255",
           "198.51.100.7",
           "203.0.113.7",
           "192.88.99.1",
           "240.0.0.1",
           "255.255.255.255",
           "2001:db8::1",
           "3fff::1",
           "100::1",
           "2001:2::1",
           "2001:10::1",
           "5f00::1",
           "4000::1",
           "f000::1",
           // multicast
           "224.0.0.1",
           "239.255.255.255",
           "ff02::1",
           "ff0e::1",
       }) {
    EXPECT_EQ(policy.judge(ip(text)), Verdict::kDenied) << text;
  }
}

TEST(PeerPolicy, DeniesWhatIsHiddenInsideAnIPv6Address) {
  const PeerPolicy policy;
  for (const char* text : {
           // IPv4-mapped
           "::ffff:127.0.0.1",
           "::ffff:0.0.0.0",
           "::ffff:169.254.169.254",
           "::ffff:10.1.2.3",
           // IPv4-compatible and SIIT, whatever they hold
           "::127.0.0.1",
           "::8.8.8.8",
           "::ffff:0:127.0.0.1",
           "::ffff:0:8.8.8.8",
           // NAT64: the local-use prefix always, the well-known one by what it holds
           "64:ff9b:1::1",
           "64:ff9b:1::8.8.8.8",
           "64:ff9b::127.0.0.1",
           "64:ff9b::10.0.0.1",
           "64:ff9b::169.254.169.254",
           "64:ff9b::",
           // 6to4 and Teredo, whatever they hold
           "2002:7f00:1::1",
           "2002:808:808::1",
           "2001::1",
           "2001:0:4136:e378:8000:63bf:3fff:fdd2",
       }) {
    EXPECT_EQ(policy.judge(ip(text)), Verdict::kDenied) << text;
  }
}

TEST(PeerPolicy, AllowsThePublicInternet) {
  const PeerPolicy policy;
  for (const char* text : {"8.8.8.8",         "1.0.0.1",          "9.255.255.255",
                           "11.0.0.0",        "100.63.255.255",   "100.128.0.0",
                           "126.255.255.255", "128.0.0.1",        "169.253.255.255",
                           "172.15.255.255",  "172.32.0.0",       "192.0.1.1",
                           "192.167.1.1",     "192.169.0.1",      "198.17.1.1",
                           "198.20.0.0",      "223.255.255.255",  "2600::1",
                           "2a00:1450::1",    "2001:200::1",      "2001:4860:4860::8888",
                           "2003::1",         "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"}) {
    EXPECT_EQ(policy.judge(ip(text)), Verdict::kAllowed) << text;
  }
}

TEST(PeerPolicy, AllowedByNameWinsOverDenied) {
  const PeerPolicy policy(rules({"10.1.0.0/16", "::1"}, {"10.0.0.0/8", "8.8.8.0/24"}));
  EXPECT_EQ(policy.judge(ip("10.1.2.3")), Verdict::kAllowed);
  EXPECT_EQ(policy.judge(ip("::ffff:10.1.2.3")), Verdict::kAllowed);
  EXPECT_EQ(policy.judge(ip("::1")), Verdict::kAllowed);
  EXPECT_EQ(policy.judge(ip("10.2.0.0")), Verdict::kDenied);
  EXPECT_EQ(policy.judge(ip("8.8.8.8")), Verdict::kDenied);
  EXPECT_EQ(policy.judge(ip("8.8.9.8")), Verdict::kAllowed);
}

TEST(PeerPolicy, WhatIsEmbeddedMustBeAllowedTooForItself) {
  const PeerPolicy outer_only(rules({"2002::/16", "64:ff9b:1::/48"}, {"8.8.8.0/24"}));
  EXPECT_EQ(outer_only.judge(ip("2002:a00:1::1")), Verdict::kDenied);     // 10.0.0.1
  EXPECT_EQ(outer_only.judge(ip("2002:909:909::1")), Verdict::kAllowed);  // 9.9.9.9
  EXPECT_EQ(outer_only.judge(ip("2002:808:808::1")), Verdict::kDenied);
  EXPECT_EQ(outer_only.judge(ip("64:ff9b::8.8.8.8")), Verdict::kDenied);
  const PeerPolicy both(rules({"2002::/16", "10.0.0.0/8"}, {}));
  EXPECT_EQ(both.judge(ip("2002:a00:1::1")), Verdict::kAllowed);
}

TEST(PeerPolicy, OwnAddressesAreOwnUnlessNamed) {
  const auto own = std::vector{ip("10.0.0.5"), ip("5.5.5.5"), ip("2600::5")};
  const PeerPolicy policy(rules({}, {}, own));
  for (const IpAddress& each : own) EXPECT_EQ(policy.judge(each), Verdict::kOwn);
  EXPECT_EQ(policy.judge(ip("::ffff:5.5.5.5")), Verdict::kOwn);
  // Through a translator its port could not be checked.
  EXPECT_EQ(policy.judge(ip("64:ff9b::5.5.5.5")), Verdict::kDenied);
  EXPECT_EQ(PeerPolicy(rules({"5.5.5.5"}, {}, own)).judge(ip("5.5.5.5")), Verdict::kAllowed);
  EXPECT_EQ(PeerPolicy(rules({}, {"5.5.5.5"}, own)).judge(ip("5.5.5.5")), Verdict::kDenied);
}

TEST(EmbeddedIpv4, IsFoundInEveryForm) {
  const IpAddress inside = ip("9.8.7.6");
  for (const char* text : {"::ffff:9.8.7.6", "::9.8.7.6", "::ffff:0:9.8.7.6", "64:ff9b::9.8.7.6",
                           "64:ff9b:1::9.8.7.6", "2002:908:706::", "2001:0:1:2:3:4:f6f7:f8f9"}) {
    EXPECT_EQ(embedded_ipv4(ip(text)), inside) << text;
  }
  for (const char* text : {"::", "::1", "2600::9.8.7.6", "9.8.7.6", "64:ff9b:2::9.8.7.6"}) {
    EXPECT_EQ(embedded_ipv4(ip(text)), std::nullopt) << text;
  }
}

TEST(Canonical, OnlyMappedAddressesBecomeIPv4) {
  EXPECT_EQ(canonical(ip("::ffff:9.8.7.6")), ip("9.8.7.6"));
  for (const char* text : {"::9.8.7.6", "64:ff9b::9.8.7.6", "2600::1", "9.8.7.6"}) {
    EXPECT_EQ(canonical(ip(text)), ip(text));
  }
}

// The same through the front door: no form gets a permission on a relay of either family.
TEST(PeerPolicy, IsAskedByEveryRequestThatNamesAPeer) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  ASSERT_TRUE(guest.allocate([](auto& b) { b.requested_address_family(Family::kIPv6); }).success());
  for (const char* text : {"::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "2002::1",
                           "2001::1", "fe80::1", "ff02::1", "fd00:ec2::254"}) {
    EXPECT_EQ(guest.permit({{ip(text), 80}}).code(), 403) << text;
    EXPECT_EQ(guest.bind(0x4000, {ip(text), 80}).code(), 403) << text;
  }
  EXPECT_EQ(guest.permit({address("[::ffff:8.8.8.8]:80")}).code(), 443);
  EXPECT_EQ(house.server->audit().permissions, 0u);
}

}  // namespace
}  // namespace turnpike::turn
