#include "base/address.h"

#include <gtest/gtest.h>

#include <array>
#include <unordered_set>

namespace turnpike {
namespace {

std::string reprint(std::string_view text) {
  const auto ip = IpAddress::parse(text);
  return ip ? ip->to_string() : "refused";
}

TEST(IpAddress, DefaultIsTheIPv4AnyAddress) {
  const IpAddress ip;
  EXPECT_TRUE(ip.is_any());
  EXPECT_TRUE(ip.is_v4());
  EXPECT_EQ(ip, IpAddress::any(Family::kIPv4));
  EXPECT_NE(ip, IpAddress::any(Family::kIPv6));
}

TEST(IpAddress, IPv4TextComesBackAsItWas) {
  for (const char* text : {"0.0.0.0", "255.255.255.255", "192.0.2.1", "10.0.0.255"}) {
    EXPECT_EQ(reprint(text), text);
  }
  EXPECT_EQ(IpAddress::parse("192.0.2.1")->v4_host_order(), 0xC0000201u);
  EXPECT_EQ(IpAddress::v4(0xC0000201u).to_string(), "192.0.2.1");
}

TEST(IpAddress, RefusesShortOctalAndOverflowingIPv4Forms) {
  for (const char* text : {"",          "1",         "1.2",       "1.2.3",       "1.2.3.4.5",
                           "256.1.1.1", "01.2.3.4",  "1.2.3.04",  "0x7f.0.0.1",  "1.2.3.4 ",
                           " 1.2.3.4",  "1..2.3",    "1.2.3.",    ".1.2.3",      "+1.2.3.4",
                           "-1.2.3.4",  "1.2.3.4/8", "[1.2.3.4]", "1.2.3.99999", "2130706433",
                           "1,2,3,4"}) {
    EXPECT_EQ(reprint(text), "refused") << text;
  }
}

// The examples of RFC 5952 sections 4 and 5, and the corners around "::".
TEST(IpAddress, PrintsIPv6InTheCanonicalForm) {
  struct Example {
    const char* text;
    const char* canonical;
  };
  for (const auto& [text, canonical] : std::array<Example, 20>{{
           {"2001:0db8::0001", "2001:db8::1"},
           {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
           {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
           {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
           {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
           {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
           {"2001:DB8::ABCD", "2001:db8::abcd"},
           {"::", "::"},
           {"0:0:0:0:0:0:0:0", "::"},
           {"::1", "::1"},
           {"1::", "1::"},
           {"1:0:0:0:0:0:0:0", "1::"},
           {"0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"},
           {"::1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"},
           {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
           {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
           {"::ffff:c000:201", "::ffff:192.0.2.1"},
           {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
           {"::fffe:192.0.2.1", "::fffe:c000:201"},
           {"[2001:db8::1]", "2001:db8::1"},
       }}) {
    EXPECT_EQ(reprint(text), canonical) << text;
  }
}

TEST(IpAddress, RefusesMalformedIPv6) {
  for (const char* text : {":",
                           ":::",
                           "1::2::3",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "12345::",
                           "::g",
                           "1:2:3:4:5:6:7:",
                           ":1:2:3:4:5:6:7",
                           "::1:2:3:4:5:6:7:8",
                           "1:2:3:4:5:6:7:8::",
                           "fe80::1%eth0",
                           "::1.2.3",
                           "::1.2.3.4.5",
                           "1.2.3.4::",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "[::1",
                           "::1]",
                           "[]",
                           "[[::1]]",
                           "::01.2.3.4",
                           "00001::",
                           "::1 "}) {
    EXPECT_EQ(reprint(text), "refused") << text;
  }
}

TEST(IpAddress, LoopbackIsTheWholeOf127AndOneIPv6Address) {
  EXPECT_TRUE(IpAddress::loopback(Family::kIPv4).is_loopback());
  EXPECT_TRUE(IpAddress::parse("127.255.255.255")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("128.0.0.1")->is_loopback());
  EXPECT_EQ(IpAddress::loopback(Family::kIPv6).to_string(), "::1");
  EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("::2")->is_loopback());
}

TEST(IpAddress, OrderIsByFamilyThenByBytes) {
  EXPECT_LT(*IpAddress::parse("255.255.255.255"), *IpAddress::parse("::"));
  EXPECT_LT(*IpAddress::parse("9.0.0.0"), *IpAddress::parse("10.0.0.0"));
  EXPECT_LT(*IpAddress::parse("2001:db8::ffff"), *IpAddress::parse("2001:db8::1:0"));
}

TEST(IpAddressDeathTest, HostOrderOfAnIPv6AddressIsOurFault) {
  EXPECT_DEATH((void)IpAddress::any(Family::kIPv6).v4_host_order(), "CHECK failed: is_v4");
}

TEST(Address, TextComesBackAsItWas) {
  for (const char* text : {"192.0.2.1:3478", "[2001:db8::1]:3478", "0.0.0.0:0", "[::]:65535"}) {
    const auto address = Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(Address, RefusesWhatIsNoAddressWithAPort) {
  for (const char* text : {"", ":", "192.0.2.1", "192.0.2.1:", ":3478", "192.0.2.1:65536",
                           "192.0.2.1:-1", "192.0.2.1:03478", "2001:db8::1:3478", "[2001:db8::1]",
                           "[2001:db8::1]:", "[2001:db8::1]3478", "[192.0.2.1]:3478",
                           "192.0.2.1:34 78", "example.org:3478", "192.0.2.1:123456"}) {
    EXPECT_FALSE(Address::parse(text)) << text;
  }
}

TEST(Address, HashTellsAddressesPortsAndFamiliesApart) {
  std::unordered_set<std::size_t> hashes;
  for (std::uint16_t port = 0; port < 1000; ++port) {
    hashes.insert(hash_value(Address{IpAddress::v4(10, 0, 0, 1), port}));
    hashes.insert(
        hash_value(Address{IpAddress::v4(10, 0, static_cast<std::uint8_t>(port), 2), port}));
    hashes.insert(hash_value(Address{*IpAddress::parse("::a00:1"), port}));
  }
  EXPECT_EQ(hashes.size(), 3000u);
  EXPECT_EQ(hash_value(*Address::parse("10.0.0.1:5")), hash_value(*Address::parse("10.0.0.1:5")));
}

TEST(IpRange, PrefixesBecomeTheirFirstAndLastAddress) {
  struct Example {
    const char *text, *first, *last;
  };
  for (const auto& [text, first, last] : std::array<Example, 10>{{
           {"10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
           {"10.1.2.3/8", "10.0.0.0", "10.255.255.255"},
           {"100.64.0.0/10", "100.64.0.0", "100.127.255.255"},
           {"0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
           {"192.0.2.1/32", "192.0.2.1", "192.0.2.1"},
           {"192.0.2.1", "192.0.2.1", "192.0.2.1"},
           {"192.0.2.1-192.0.2.9", "192.0.2.1", "192.0.2.9"},
           {"192.0.2.1-192.0.2.1", "192.0.2.1", "192.0.2.1"},
           {"fe80::/10", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
           {"::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
       }}) {
    const auto range = IpRange::parse(text);
    ASSERT_TRUE(range) << text;
    EXPECT_EQ(range->first.to_string(), first) << text;
    EXPECT_EQ(range->last.to_string(), last) << text;
  }
}

TEST(IpRange, ContainsItsEndsAndNothingOutside) {
  const IpRange range = *IpRange::parse("192.0.2.10-192.0.2.20");
  EXPECT_FALSE(range.contains(*IpAddress::parse("192.0.2.9")));
  EXPECT_TRUE(range.contains(*IpAddress::parse("192.0.2.10")));
  EXPECT_TRUE(range.contains(*IpAddress::parse("192.0.2.20")));
  EXPECT_FALSE(range.contains(*IpAddress::parse("192.0.2.21")));
  EXPECT_FALSE(IpRange::parse("0.0.0.0/0")->contains(*IpAddress::parse("::1")));
  EXPECT_FALSE(IpRange::parse("::/0")->contains(*IpAddress::parse("127.0.0.1")));
}

TEST(IpRange, SaysWhatIsWrong) {
  struct Example {
    const char *text, *reason;
  };
  for (const auto& [text, reason] : std::array<Example, 9>{{
           {"", "it is no address"},
           {"banana", "it is no address"},
           {"10.0.0.0/33", "the prefix must be 0 to 32"},
           {"10.0.0.0/", "the prefix must be 0 to 32"},
           {"10.0.0.0/08", "the prefix must be 0 to 32"},
           {"fe80::/129", "the prefix must be 0 to 128"},
           {"10.0.0/8", "what stands before '/' is no address"},
           {"10.0.0.2-10.0.0.1", "it ends before it begins"},
           {"10.0.0.2-::1", "different families"},
       }}) {
    const auto range = IpRange::parse(text);
    ASSERT_FALSE(range) << text;
    EXPECT_NE(range.error().message.find(reason), std::string::npos) << range.error().message;
    EXPECT_NE(range.error().message.find("'" + std::string(text) + "'"), std::string::npos);
  }
  EXPECT_FALSE(IpRange::parse("10.0.0.1-"));
  EXPECT_FALSE(IpRange::parse("-10.0.0.1"));
}

TEST(SourcePrefix, KeepsIPv4WholeAndCutsIPv6To64Bits) {
  EXPECT_EQ(source_prefix(*IpAddress::parse("192.0.2.77")).to_string(), "192.0.2.77");
  EXPECT_EQ(source_prefix(*IpAddress::parse("2001:db8:1:2:3:4:5:6")).to_string(), "2001:db8:1:2::");
}

}  // namespace
}  // namespace turnpike
