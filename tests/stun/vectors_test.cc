// The published vectors, read and written: RFC 5769 sections 2.1 to 2.4, RFC 8489 appendix B.1.
#include "tests/vectors/stun.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "stun/builder.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "tests/vectors/hex.h"

namespace turnpike::stun {
namespace {

TransactionId id_of(std::string_view hex) {
  TransactionId id;
  const auto bytes = from_hex(hex);
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return id;
}

const TransactionId kShortTermId = id_of("b7e7a701bc34d686fa87dfae");
const TransactionId kLongTermId = id_of("78ad3433c6ad72c029da412e");
const ByteView kPassword = as_bytes(vectors::kShortTermPassword);

TEST(Rfc5769, SampleRequestReads) {
  const auto bytes = from_hex(vectors::kSampleRequest);
  const auto message = MessageView::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->is(Class::kRequest, Method::kBinding));
  EXPECT_EQ(message->transaction_id(), kShortTermId);
  EXPECT_EQ(message->text(Attribute::kSoftware), "STUN test client");
  EXPECT_EQ(message->text(Attribute::kUsername), vectors::kShortTermUsername);
  EXPECT_EQ(message->u32(Attribute::kPriority), 0x6e0001ffu);
  EXPECT_EQ(hex_encode(*message->value(Attribute::kIceControlled)), "932ff9b151263b36");
  EXPECT_TRUE(verify_message_integrity(*message, kPassword));
  EXPECT_FALSE(verify_message_integrity(*message, as_bytes("VOkJxbRl1RmTxUk/WvJxBu")));
}

TEST(Rfc5769, SampleIPv4ResponseReads) {
  const auto bytes = from_hex(vectors::kSampleResponseIPv4);
  const auto message = MessageView::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->is(Class::kSuccess, Method::kBinding));
  EXPECT_EQ(message->xor_address(Attribute::kXorMappedAddress), Address::parse("192.0.2.1:32853"));
  EXPECT_EQ(message->text(Attribute::kSoftware), "test vector");
  EXPECT_TRUE(verify_message_integrity(*message, kPassword));
}

TEST(Rfc5769, SampleIPv6ResponseReads) {
  const auto bytes = from_hex(vectors::kSampleResponseIPv6);
  const auto message = MessageView::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->xor_address(Attribute::kXorMappedAddress),
            Address::parse("[2001:db8:1234:5678:11:2233:4455:6677]:32853"));
  EXPECT_TRUE(verify_message_integrity(*message, kPassword));
}

TEST(Rfc5769, SampleLongTermRequestReads) {
  const auto bytes = from_hex(vectors::kSampleLongTermRequest);
  const auto message = MessageView::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text(Attribute::kUsername), vectors::kLongTermUsername);
  EXPECT_EQ(message->text(Attribute::kNonce), "f//499k954d6OL34oL9FSTvy64sA");
  EXPECT_EQ(message->text(Attribute::kRealm), vectors::kLongTermRealm);
  const auto key = long_term_key(vectors::kLongTermUsername, vectors::kLongTermRealm,
                                 vectors::kLongTermPassword);
  EXPECT_TRUE(verify_message_integrity(*message, key));
  EXPECT_FALSE(verify_message_integrity_sha256(*message, key));
}

TEST(Rfc8489, SampleUserhashRequestReads) {
  const auto bytes = from_hex(vectors::kSampleUserhashRequest);
  const auto message = MessageView::parse(bytes);
  ASSERT_TRUE(message);
  const auto hash = userhash(vectors::kLongTermUsername, vectors::kLongTermRealm);
  EXPECT_TRUE(equal(*message->value(Attribute::kUserhash), hash));
  const auto key = long_term_key_sha256(vectors::kLongTermUsername, vectors::kLongTermRealm,
                                        vectors::kLongTermPassword);
  EXPECT_TRUE(verify_message_integrity_sha256(*message, key));
  EXPECT_FALSE(verify_message_integrity(*message, key));
}

// The RFC pads 2.1 with spaces and we with zeros, and the checks cover the padding: so what must
// come out again is everything but the padding, and both checks must hold over ours.
TEST(Rfc5769, SampleRequestIsBuiltAgainButForItsPadding) {
  std::array<std::uint8_t, 200> room;
  Builder builder(room, Class::kRequest, Method::kBinding, kShortTermId);
  builder.text(Attribute::kSoftware, "STUN test client")
      .u32(Attribute::kPriority, 0x6e0001ff)
      .u64(Attribute::kIceControlled, 0x932ff9b151263b36)
      .text(Attribute::kUsername, vectors::kShortTermUsername)
      .message_integrity(kPassword)
      .fingerprint();
  const ByteView built = builder.finish();
  const auto original = from_hex(vectors::kSampleRequest);
  ASSERT_EQ(built.size(), original.size());
  const std::size_t padding_at = original.size() - 8 - 24 - 3;
  EXPECT_TRUE(equal(built.first(padding_at), ByteView(original).first(padding_at)));
  const auto message = MessageView::parse(built);
  ASSERT_TRUE(message);
  EXPECT_TRUE(verify_message_integrity(*message, kPassword));
}

TEST(Rfc5769, SampleLongTermRequestIsBuiltByteForByte) {
  std::array<std::uint8_t, 200> room;
  Builder builder(room, Class::kRequest, Method::kBinding, kLongTermId);
  builder.text(Attribute::kUsername, vectors::kLongTermUsername)
      .text(Attribute::kNonce, "f//499k954d6OL34oL9FSTvy64sA")
      .text(Attribute::kRealm, vectors::kLongTermRealm)
      .message_integrity(long_term_key(vectors::kLongTermUsername, vectors::kLongTermRealm,
                                       vectors::kLongTermPassword));
  EXPECT_EQ(hex_encode(builder.finish()), hex_encode(from_hex(vectors::kSampleLongTermRequest)));
}

TEST(Rfc8489, SampleUserhashRequestIsBuiltByteForByte) {
  std::array<std::uint8_t, 200> room;
  Builder builder(room, Class::kRequest, Method::kBinding, kLongTermId);
  builder.bytes(Attribute::kUserhash, userhash(vectors::kLongTermUsername, vectors::kLongTermRealm))
      .text(Attribute::kNonce, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
      .text(Attribute::kRealm, vectors::kLongTermRealm)
      .u32(Attribute::kPasswordAlgorithm, 0x00020000)
      .message_integrity_sha256(long_term_key_sha256(
          vectors::kLongTermUsername, vectors::kLongTermRealm, vectors::kLongTermPassword));
  EXPECT_EQ(hex_encode(builder.finish()), hex_encode(from_hex(vectors::kSampleUserhashRequest)));
}

// Any single bit that flips anywhere is noticed, by the fingerprint or by parsing.
TEST(Rfc5769, NoFlippedBitGoesUnnoticed) {
  const auto original = from_hex(vectors::kSampleResponseIPv6);
  for (std::size_t bit = 0; bit < original.size() * 8; ++bit) {
    auto bytes = original;
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    const auto message = MessageView::parse(bytes);
    if (!message) continue;
    // What parses lost its FINGERPRINT, by its own type or by a length that swallowed it. Then the
    // HMAC tells, unless the bit lies behind what it covers.
    EXPECT_FALSE(message->has(Attribute::kFingerprint)) << bit;
    EXPECT_EQ(verify_message_integrity(*message, kPassword), bit / 8 >= original.size() - 8) << bit;
  }
}

}  // namespace
}  // namespace turnpike::stun
