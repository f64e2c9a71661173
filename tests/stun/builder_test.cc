#include "stun/builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include "stun/integrity.h"

namespace turnpike::stun {
namespace {

const ByteView kKey = as_bytes("0123456789abcdef");

// How many bytes a message with these attributes takes; also checks that it fits exactly that room
// and does not fit one byte less.
std::size_t exact_size(const std::function<void(Builder&)>& write) {
  std::vector<std::uint8_t> ample(70000);
  Builder first(ample, Class::kRequest, Method::kBinding, {});
  write(first);
  const std::size_t size = first.finish().size();
  EXPECT_GE(size, kHeaderSize);

  std::vector<std::uint8_t> exact(size);
  Builder second(exact, Class::kRequest, Method::kBinding, {});
  write(second);
  const ByteView built = second.finish();
  EXPECT_EQ(built.size(), size);
  EXPECT_TRUE(MessageView::parse(built));
  EXPECT_TRUE(equal(built, ByteView(ample).first(size)));

  std::vector<std::uint8_t> tight(size - 1);
  Builder third(tight, Class::kRequest, Method::kBinding, {});
  write(third);
  EXPECT_TRUE(third.finish().empty());
  return size;
}

TEST(Builder, EveryAttributeFitsItsExactRoomAndNotOneByteLess) {
  const std::array<std::uint16_t, 3> types = {1, 2, 3};
  EXPECT_EQ(exact_size([](Builder&) {}), 20u);
  EXPECT_EQ(exact_size([](Builder& b) { b.text(Attribute::kRealm, "abcde"); }), 20u + 4 + 8);
  EXPECT_EQ(exact_size([](Builder& b) { b.flag(Attribute::kDontFragment); }), 20u + 4);
  EXPECT_EQ(exact_size([](Builder& b) { b.u32(Attribute::kLifetime, 1); }), 20u + 8);
  EXPECT_EQ(exact_size([](Builder& b) { b.u64(Attribute::kReservationToken, 1); }), 20u + 12);
  EXPECT_EQ(exact_size([](Builder& b) { b.channel_number(0x4000); }), 20u + 8);
  EXPECT_EQ(exact_size([](Builder& b) { b.requested_transport(17); }), 20u + 8);
  EXPECT_EQ(exact_size([](Builder& b) { b.error(ErrorCode::kBadRequest); }), 20u + 4 + 4 + 12);
  EXPECT_EQ(exact_size([&](Builder& b) { b.unknown_attributes(types); }), 20u + 4 + 8);
  EXPECT_EQ(exact_size([](Builder& b) { b.message_integrity(kKey); }), 20u + 24);
  EXPECT_EQ(exact_size([](Builder& b) { b.message_integrity_sha256(kKey); }), 20u + 36);
  EXPECT_EQ(exact_size([](Builder& b) { b.fingerprint(); }), 20u + 8);
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const std::size_t size = 20 + 4 + 4 + (family == Family::kIPv4 ? 4 : 16);
    const Address address{IpAddress::loopback(family), 1};
    EXPECT_EQ(exact_size([&](Builder& b) { b.xor_address(Attribute::kXorPeerAddress, address); }),
              size);
    EXPECT_EQ(exact_size([&](Builder& b) { b.plain_address(Attribute::kMappedAddress, address); }),
              size);
    EXPECT_EQ(exact_size([&](Builder& b) { b.requested_address_family(family); }), 20u + 8);
  }
}

TEST(Builder, OverflowIsStickyWhereverItHappens) {
  std::array<std::uint8_t, 40> room;
  Builder builder(room, Class::kRequest, Method::kBinding, {});
  builder.text(Attribute::kSoftware, "longer than what is left").flag(Attribute::kDontFragment);
  builder.message_integrity(kKey).message_integrity_sha256(kKey).fingerprint();
  EXPECT_TRUE(builder.finish().empty());
}

TEST(Builder, ARoomSmallerThanAHeaderOverflows) {
  std::array<std::uint8_t, 19> room;
  for (std::size_t size = 0; size <= room.size(); ++size) {
    Builder builder(MutableBytes(room).first(size), Class::kRequest, Method::kBinding, {});
    builder.flag(Attribute::kDontFragment).message_integrity(kKey).fingerprint();
    EXPECT_TRUE(builder.finish().empty());
  }
}

TEST(Builder, TheLongestMessageIsWhatTheLengthFieldHolds) {
  std::vector<std::uint8_t> room(100'000), value(65'528);
  Builder longest(room, Class::kIndication, Method::kData, {});
  longest.bytes(Attribute::kData, value);
  const ByteView built = longest.finish();
  EXPECT_EQ(built.size(), 20u + 65'532);
  EXPECT_TRUE(MessageView::parse(built));

  for (const std::size_t size : {65'529u, 65'535u, 65'536u, 65'540u, 131'072u}) {
    value.resize(size);
    std::vector<std::uint8_t> more(300'000);
    Builder builder(more, Class::kIndication, Method::kData, {});
    builder.bytes(Attribute::kData, value);
    EXPECT_TRUE(builder.finish().empty()) << size;
  }
}

TEST(Builder, PaddingIsZeroWhateverTheRoomHeldBefore) {
  for (std::size_t length = 0; length <= 8; ++length) {
    std::array<std::uint8_t, 40> room;
    room.fill(0xEE);
    Builder builder(room, Class::kRequest, Method::kBinding, {});
    builder.text(Attribute::kRealm, std::string(length, 'x'));
    const ByteView built = builder.finish();
    ASSERT_EQ(built.size() % 4, 0u);
    const ByteView padding = built.subspan(24 + length);
    EXPECT_TRUE(std::all_of(padding.begin(), padding.end(), [](auto byte) { return byte == 0; }));
    EXPECT_LT(padding.size(), 4u);
  }
}

TEST(Builder, AResponseTakesMethodAndTransactionFromItsRequest) {
  std::array<std::uint8_t, 20> request_room;
  TransactionId id;
  std::generate(id.begin(), id.end(), [n = std::uint8_t{1}]() mutable { return n++; });
  const ByteView request =
      Builder(request_room, Class::kRequest, Method::kCreatePermission, id).finish();
  std::array<std::uint8_t, 100> room;
  const auto response = MessageView::parse(
      Builder::response(room, Class::kError, *MessageView::parse(request)).finish());
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->is(Class::kError, Method::kCreatePermission));
  EXPECT_EQ(response->transaction_id(), id);
}

TEST(Builder, AnErrorCarriesItsCodeAndPhrase) {
  std::array<std::uint8_t, 100> room;
  Builder builder(room, Class::kError, Method::kAllocate, {});
  builder.error(ErrorCode::kAllocationQuotaReached);
  const auto message = MessageView::parse(builder.finish());
  ASSERT_TRUE(message);
  EXPECT_EQ(message->error_code()->code, 486);
  EXPECT_EQ(message->error_code()->reason, "Allocation Quota Reached");
}

TEST(Builder, UnknownAttributesAreAListOfTypes) {
  std::array<std::uint8_t, 100> room;
  const std::array<std::uint16_t, 3> types = {0x7f01, 0x0003, 0x7f02};
  Builder builder(room, Class::kError, Method::kBinding, {});
  builder.unknown_attributes(types);
  const auto message = MessageView::parse(builder.finish());
  ASSERT_TRUE(message);
  EXPECT_EQ(hex_encode(*message->value(Attribute::kUnknownAttributes)), "7f0100037f02");
}

TEST(Builder, BothIntegritiesAndTheFingerprintHoldTogether) {
  std::array<std::uint8_t, 200> room;
  Builder builder(room, Class::kSuccess, Method::kRefresh, {});
  builder.u32(Attribute::kLifetime, 600)
      .message_integrity(kKey)
      .message_integrity_sha256(kKey)
      .fingerprint();
  const auto message = MessageView::parse(builder.finish());
  ASSERT_TRUE(message);
  EXPECT_TRUE(verify_message_integrity(*message, kKey));
  EXPECT_TRUE(verify_message_integrity_sha256(*message, kKey));
  EXPECT_TRUE(message->has(Attribute::kFingerprint));
}

}  // namespace
}  // namespace turnpike::stun
