#include "server/sniff.h"

#include <gtest/gtest.h>

namespace turnpike::server {
namespace {

TEST(Sniff, EveryFirstByteHasExactlyOneMeaning) {
  for (int byte = 0; byte < 256; ++byte) {
    const Protocol protocol = sniff(static_cast<std::uint8_t>(byte));
    if (byte == 0x16) {
      EXPECT_EQ(protocol, Protocol::kTls);
    } else if (byte >= 'A' && byte <= 'Z') {
      EXPECT_EQ(protocol, Protocol::kHttp) << byte;
    } else if (byte <= 0x03 || (byte >= 0x40 && byte <= 0x7F)) {
      EXPECT_EQ(protocol, Protocol::kTurn) << byte;
    } else {
      EXPECT_EQ(protocol, Protocol::kUnknown) << byte;
    }
  }
}

TEST(Sniff, TheListeningPortAdmitsEverythingWeSpeak) {
  EXPECT_EQ(admit_plain(PortKind::kAny, 0x16, Certificate::kHave), Protocol::kTls);
  EXPECT_EQ(admit_plain(PortKind::kAny, 0x00, Certificate::kHave), Protocol::kTurn);
  EXPECT_EQ(admit_plain(PortKind::kAny, 'G', Certificate::kHave), Protocol::kHttp);
  EXPECT_EQ(admit_plain(PortKind::kAny, 0xFF, Certificate::kHave), Protocol::kUnknown);
}

TEST(Sniff, WithoutACertificateTlsIsUnknown) {
  EXPECT_EQ(admit_plain(PortKind::kAny, 0x16, Certificate::kNone), Protocol::kUnknown);
  EXPECT_EQ(admit_plain(PortKind::kAny, 0x00, Certificate::kNone), Protocol::kTurn);
}

TEST(Sniff, TheTlsPortAdmitsOnlyTls) {
  EXPECT_EQ(admit_plain(PortKind::kTlsOnly, 0x16, Certificate::kHave), Protocol::kTls);
  EXPECT_EQ(admit_plain(PortKind::kTlsOnly, 0x00, Certificate::kHave), Protocol::kUnknown);
  EXPECT_EQ(admit_plain(PortKind::kTlsOnly, 'G', Certificate::kHave), Protocol::kUnknown);
}

TEST(Sniff, AnHttpPortAdmitsOnlyHttp) {
  EXPECT_EQ(admit_plain(PortKind::kHttp, 'P', Certificate::kHave), Protocol::kHttp);
  EXPECT_EQ(admit_plain(PortKind::kHttp, 0x00, Certificate::kHave), Protocol::kUnknown);
  EXPECT_EQ(admit_plain(PortKind::kHttp, 0x16, Certificate::kHave), Protocol::kUnknown);
}

TEST(Sniff, TlsInsideTlsIsRefused) {
  EXPECT_EQ(admit_decrypted(0x16), Protocol::kUnknown);
  EXPECT_EQ(admit_decrypted(0x01), Protocol::kTurn);
  EXPECT_EQ(admit_decrypted('O'), Protocol::kHttp);
}

TEST(Sniff, OnlyAlpnNamesOfOursDecide) {
  EXPECT_EQ(protocol_of_alpn("stun.turn"), Protocol::kTurn);
  EXPECT_EQ(protocol_of_alpn("stun.nat-discovery"), Protocol::kTurn);
  EXPECT_EQ(protocol_of_alpn("http/1.1"), Protocol::kHttp);
  EXPECT_EQ(protocol_of_alpn(""), Protocol::kUnknown);
  EXPECT_EQ(protocol_of_alpn("h2"), Protocol::kUnknown);
}

}  // namespace
}  // namespace turnpike::server
