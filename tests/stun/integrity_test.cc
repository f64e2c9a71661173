#include "stun/integrity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "stun/builder.h"

namespace turnpike::stun {
namespace {

const ByteView kKey = as_bytes("0123456789abcdef");

// A message whose integrity attribute has the given length and starts with the right HMAC.
template <typename Hmac>
std::vector<std::uint8_t> with_integrity_of_length(Attribute attribute, std::size_t length,
                                                   Hmac&& hmac) {
  std::vector<std::uint8_t> head(200), room(200);
  Builder prefix(head, Class::kRequest, Method::kRefresh, {});
  prefix.u32(Attribute::kLifetime, 600);
  const ByteView before = prefix.finish();
  const std::size_t after_header = before.size() - kHeaderSize + 4 + length;
  std::vector<std::uint8_t> hashed(before.begin(), before.end());
  hashed[2] = 0, hashed[3] = static_cast<std::uint8_t>(after_header);
  const auto digest = hmac(kKey, ByteView(hashed));
  std::vector<std::uint8_t> value(digest.begin(), digest.end());
  value.resize(length);
  Builder builder(room, Class::kRequest, Method::kRefresh, {});
  builder.u32(Attribute::kLifetime, 600).bytes(attribute, value);
  const ByteView built = builder.finish();
  return {built.begin(), built.end()};
}

TEST(MessageIntegrity, OnlyTwentyBytesWillDo) {
  for (const std::size_t length : {0u, 4u, 16u, 20u, 24u, 32u}) {
    const auto bytes = with_integrity_of_length(
        Attribute::kMessageIntegrity, length,
        [](ByteView key, ByteView message) { return hmac_sha1(key, {message}); });
    const auto message = MessageView::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_EQ(verify_message_integrity(*message, kKey), length == 20) << length;
  }
}

TEST(MessageIntegritySha256, ATruncatedValueIsRefused) {
  for (const std::size_t length : {0u, 4u, 16u, 20u, 28u, 32u, 36u}) {
    const auto bytes = with_integrity_of_length(
        Attribute::kMessageIntegritySha256, length,
        [](ByteView key, ByteView message) { return hmac_sha256(key, {message}); });
    const auto message = MessageView::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_EQ(verify_message_integrity_sha256(*message, kKey), length == 32) << length;
  }
}

TEST(MessageIntegrity, IsAbsentInAMessageWithoutIt) {
  std::array<std::uint8_t, 100> room;
  const auto message =
      MessageView::parse(Builder(room, Class::kRequest, Method::kBinding, {}).finish());
  EXPECT_FALSE(verify_message_integrity(*message, kKey));
  EXPECT_FALSE(verify_message_integrity_sha256(*message, kKey));
}

TEST(MessageIntegrity, HoldsWhateverFollowsIt) {
  std::array<std::uint8_t, 200> room;
  Builder builder(room, Class::kRequest, Method::kRefresh, {});
  builder.u32(Attribute::kLifetime, 600).message_integrity(kKey);
  builder.text(Attribute::kSoftware, "added on the way");
  const auto message = MessageView::parse(builder.finish());
  ASSERT_TRUE(message);
  EXPECT_TRUE(verify_message_integrity(*message, kKey));
  EXPECT_FALSE(message->has(Attribute::kSoftware));
}

TEST(MessageIntegrity, CoversEveryBitBeforeIt) {
  std::array<std::uint8_t, 200> room;
  Builder builder(room, Class::kRequest, Method::kRefresh, {});
  builder.text(Attribute::kRealm, "example.org").message_integrity(kKey);
  const ByteView built = builder.finish();
  for (std::size_t bit = 0; bit < built.size() * 8; ++bit) {
    std::vector<std::uint8_t> bytes(built.begin(), built.end());
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    const auto message = MessageView::parse(bytes);
    EXPECT_FALSE(message && verify_message_integrity(*message, kKey)) << bit;
  }
}

TEST(LongTermKey, IsTheDigestOfTheThreeJoinedByColons) {
  EXPECT_EQ(long_term_key("user", "realm", "pass"), md5(as_bytes("user:realm:pass")));
  EXPECT_EQ(long_term_key_sha256("user", "realm", "pass"), sha256(as_bytes("user:realm:pass")));
  EXPECT_EQ(userhash("user", "realm"), sha256(as_bytes("user:realm")));
  // The worked example of RFC 8489 section 9.2.2.
  EXPECT_EQ(hex_encode(long_term_key("user", "realm", "pass")), "8493fbc53ba582fb4c044c456bdc40eb");
}

TEST(Fingerprint, IsTheCrcOfTheCheckTextXoredWithStun) {
  // CRC-32's published check value: "123456789" gives 0xCBF43926.
  EXPECT_EQ(fingerprint_of(as_bytes("123456789")), 0xCBF43926u ^ 0x5354554Eu);
  EXPECT_EQ(fingerprint_of({}), 0x5354554Eu);
}

// Eight bytes a step must give what one byte a step gives.
TEST(Fingerprint, AgreesWithTheBitwiseDefinitionAtEveryLength) {
  std::vector<std::uint8_t> bytes;
  for (int length = 0; length < 70; ++length) {
    std::uint32_t crc = 0xFFFFFFFF;
    for (const std::uint8_t byte : bytes) {
      crc ^= byte;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
    }
    EXPECT_EQ(fingerprint_of(bytes), ~crc ^ 0x5354554Eu) << length;
    bytes.push_back(static_cast<std::uint8_t>(length * 37 + 11));
  }
}

}  // namespace
}  // namespace turnpike::stun
