#include "stun/nonce.h"

#include <gtest/gtest.h>

#include <string>

namespace turnpike::stun {
namespace {

constexpr NonceSource::Key kKey = {1, 2, 3, 4, 5, 6, 7, 8};
constexpr WallTime kNow{seconds(1'800'000'000)};
constexpr seconds kLifetime{600};

const NonceSource& source() {
  static const NonceSource instance(kKey, kLifetime);
  return instance;
}
const Address kClient = *Address::parse("192.0.2.1:40000");

std::string make(WallTime now = kNow, const Address& client = kClient) {
  return std::string(source().make(now, client).view());
}

TEST(Nonce, ItsMakerTakesItBack) {
  EXPECT_TRUE(source().is_valid(make(), kNow, kClient));
  const Address ipv6 = *Address::parse("[2001:db8::1]:40000");
  EXPECT_TRUE(source().is_valid(make(kNow, ipv6), kNow, ipv6));
}

// RFC 8489 section 9.2: the nonce cookie, then 24 feature bits; section 14.10: fewer than 128
// characters of qdtext.
TEST(Nonce, HasTheCookieTheFeatureBitsAndPlainCharacters) {
  const std::string nonce = make();
  EXPECT_EQ(nonce.size(), NonceSource::kLength);
  EXPECT_LT(nonce.size(), 128u);
  EXPECT_EQ(nonce.substr(0, 13), "obMatJos2AAAA");
  for (const char c : nonce) EXPECT_TRUE(std::isalnum(c) || c == '-' || c == '_') << c;
}

TEST(Nonce, IsWorthNothingFromAnotherAddress) {
  const std::string nonce = make();
  for (const char* other :
       {"192.0.2.1:40001", "192.0.2.2:40000", "[::ffff:192.0.2.1]:40000", "[c000:201::]:40000"}) {
    EXPECT_FALSE(source().is_valid(nonce, kNow, *Address::parse(other))) << other;
  }
}

TEST(Nonce, NoCharacterCanBeEdited) {
  const std::string nonce = make();
  for (std::size_t at = 0; at < nonce.size(); ++at) {
    for (const char c : {'A', 'B', 'Q', 'z', '0', '-', '_', '+', '=', '\0'}) {
      std::string edited = nonce;
      edited[at] = c;
      EXPECT_EQ(source().is_valid(edited, kNow, kClient), edited == nonce) << at << c;
    }
  }
}

TEST(Nonce, AnnouncesTheFeaturesItWasMadeWith) {
  for (const auto& [features, text] : {std::pair<NonceFeatures, const char*>{0, "AAAA"},
                                       {kFeaturePasswordAlgorithms, "gAAA"},
                                       {kFeatureUsernameAnonymity, "QAAA"},
                                       {0xC00000, "wAAA"}}) {
    const std::string nonce(source().make(kNow, kClient, features).view());
    EXPECT_EQ(nonce.substr(9, 4), text);
    EXPECT_EQ(announced_features(nonce), features);
    EXPECT_TRUE(source().is_valid(nonce, kNow, kClient));
  }
  for (const char* foreign : {"", "obMatJos2", "obMatJos2AAA", "obMatJos3AAAA", "obMatJos2A*AA"}) {
    EXPECT_EQ(announced_features(foreign), std::nullopt) << foreign;
  }
}

// The bid-down attack of RFC 8489 section 16.1.3.
TEST(Nonce, EditedFeatureBitsMakeItInvalid) {
  for (const char* features : {"AAAC", "gAAA", "wAAA", "BAAA", "AAAB", "////"}) {
    std::string edited = make();
    edited.replace(9, 4, features);
    EXPECT_FALSE(source().is_valid(edited, kNow, kClient)) << features;
  }
}

TEST(Nonce, IsValidUntilItsLifetimeIsOverAndNotBeforeItWasMade) {
  const std::string nonce = make();
  EXPECT_TRUE(source().is_valid(nonce, kNow + (kLifetime - seconds(1)), kClient));
  EXPECT_FALSE(source().is_valid(nonce, kNow + kLifetime, kClient));
  EXPECT_FALSE(source().is_valid(nonce, kNow + kLifetime * 1000, kClient));
  EXPECT_FALSE(source().is_valid(nonce, WallTime{kNow.since_epoch - seconds(1)}, kClient));
}

TEST(Nonce, AnyOtherLengthIsInvalid) {
  const std::string nonce = make();
  for (std::size_t size = 0; size < nonce.size(); ++size) {
    EXPECT_FALSE(source().is_valid(nonce.substr(0, size), kNow, kClient)) << size;
  }
  EXPECT_FALSE(source().is_valid(nonce + "A", kNow, kClient));
  EXPECT_FALSE(source().is_valid(nonce + std::string(10'000, 'A'), kNow, kClient));
}

TEST(Nonce, AnotherKeyMakesAnotherNonce) {
  NonceSource::Key other_key = kKey;
  other_key[31] ^= 1;
  const NonceSource other(other_key, kLifetime);
  EXPECT_NE(other.make(kNow, kClient).view(), make());
  EXPECT_FALSE(other.is_valid(make(), kNow, kClient));
}

}  // namespace
}  // namespace turnpike::stun
