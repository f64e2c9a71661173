#include "stun/behavior.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "stun/builder.h"

namespace turnpike::stun {
namespace {

Address at(std::string_view text) { return *Address::parse(text); }

// Listeners 4 to 7: two addresses, known outside by others, with two ports each.
Behavior square_of_four() {
  Behavior behavior;
  behavior.add({{{{{4, at("10.0.0.1:3478"), at("192.0.2.1:3478")},
                   {5, at("10.0.0.1:3479"), at("192.0.2.1:3479")}}},
                 {{{6, at("10.0.0.2:3478"), at("192.0.2.2:3478")},
                   {7, at("10.0.0.2:3479"), at("192.0.2.2:3479")}}}}});
  return behavior;
}

Expected<Behavior::Answer, ErrorCode> judge(std::uint16_t listener,
                                            const std::function<void(Builder&)>& write) {
  static std::array<std::uint8_t, 4096> room;
  Builder builder(room, Class::kRequest, Method::kBinding, {});
  write(builder);
  return square_of_four().judge(*MessageView::parse(builder.finish()), listener);
}

void change(Builder& builder, std::uint32_t flags) {
  builder.u32(Attribute::kChangeRequest, flags);
}

TEST(Behavior, IsOfferedOnItsFourCornersOnly) {
  const Behavior behavior = square_of_four();
  for (std::uint16_t listener = 0; listener < 12; ++listener) {
    EXPECT_EQ(behavior.offered_on(listener), listener >= 4 && listener <= 7);
  }
  EXPECT_TRUE(Behavior().empty());
}

// RFC 5780 section 6.1, Table 1, from every corner.
TEST(Behavior, TheAnswerLeavesFromTheChangedAddressPortOrBoth) {
  for (std::uint16_t corner = 0; corner < 4; ++corner) {
    const auto listener = static_cast<std::uint16_t>(4 + corner);
    const auto from = [listener](std::uint32_t flags) {
      const auto answer = judge(listener, [flags](Builder& b) { change(b, flags); });
      EXPECT_TRUE(answer);
      return answer ? answer->from.listener - 4 : -1;
    };
    EXPECT_EQ(from(0), corner);
    EXPECT_EQ(from(2), corner ^ 1) << "change port";
    EXPECT_EQ(from(4), corner ^ 2) << "change IP";
    EXPECT_EQ(from(6), corner ^ 3) << "both";
    EXPECT_EQ(from(0xFFFFFFF9), corner) << "other bits mean nothing";
    EXPECT_EQ(judge(listener, [](Builder&) {})->from.listener - 4, corner);
  }
}

TEST(Behavior, OriginIsWhereItLeavesFromAndOtherIsOppositeToWhereItWasAsked) {
  const auto plain = judge(4, [](Builder&) {});
  EXPECT_EQ(plain->origin, at("192.0.2.1:3478"));
  EXPECT_EQ(plain->other, at("192.0.2.2:3479"));
  const auto changed = judge(4, [](Builder& b) { change(b, 4); });
  EXPECT_EQ(changed->origin, at("192.0.2.2:3478"));
  EXPECT_EQ(changed->other, at("192.0.2.2:3479"));
  EXPECT_EQ(changed->from.local, at("10.0.0.2:3478"));
  EXPECT_EQ(judge(7, [](Builder&) {})->other, at("192.0.2.1:3478"));
}

TEST(Behavior, ResponsePortIsReadWithAndWithoutItsPadding) {
  const std::vector<std::uint8_t> two = {0x13, 0x88}, four = {0x13, 0x88, 0, 0};
  for (const auto& value : {two, four}) {
    const auto answer = judge(4, [&](Builder& b) { b.bytes(Attribute::kResponsePort, value); });
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->to_port, 5000);
  }
  EXPECT_EQ(judge(4, [](Builder&) {})->to_port, std::nullopt);
}

TEST(Behavior, PaddingIsGivenBackUpToALimit) {
  const std::vector<std::uint8_t> padding(Behavior::kMaxPadding + 4);
  const auto answered = [&](std::size_t size) {
    return judge(4,
                 [&](Builder& b) { b.bytes(Attribute::kPadding, ByteView(padding).first(size)); })
        ->padding;
  };
  EXPECT_EQ(answered(0), 0u);
  EXPECT_EQ(answered(100), 100u);
  EXPECT_EQ(answered(Behavior::kMaxPadding), Behavior::kMaxPadding);
  EXPECT_EQ(answered(Behavior::kMaxPadding + 1), Behavior::kMaxPadding);
  EXPECT_EQ(judge(4, [](Builder&) {})->padding, std::nullopt);
}

TEST(Behavior, WhatCannotBeReadOrDoneTogetherIsABadRequest) {
  const std::vector<std::uint8_t> three(3), none, zero(4), port = {0x13, 0x88, 0, 0};
  const auto refused = [](const std::function<void(Builder&)>& write) {
    const auto answer = judge(4, write);
    return !answer && answer.error() == ErrorCode::kBadRequest;
  };
  EXPECT_TRUE(refused([&](Builder& b) { b.bytes(Attribute::kChangeRequest, three); }));
  EXPECT_TRUE(refused([&](Builder& b) { b.bytes(Attribute::kChangeRequest, none); }));
  EXPECT_TRUE(refused([&](Builder& b) { b.bytes(Attribute::kResponsePort, three); }));
  EXPECT_TRUE(refused([&](Builder& b) { b.bytes(Attribute::kResponsePort, zero); }));
  EXPECT_TRUE(refused([&](Builder& b) {
    b.bytes(Attribute::kResponsePort, port).bytes(Attribute::kPadding, three);
  }));
}

}  // namespace
}  // namespace turnpike::stun
