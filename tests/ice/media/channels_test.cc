// Data channels between two sessions, in virtual time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ice/media/endpoint.h"

namespace turnpike::media {
namespace {

using ::testing::ElementsAre;
using Message = Endpoint::Message;

const sim::LinkQuality kGood{.loss = 0, .duplication = 0, .delay = milliseconds{20}};
const sim::LinkQuality kLossy{
    .loss = 0.05, .duplication = 0.02, .delay = milliseconds{20}, .jitter = milliseconds{30}};

class ChannelsTest : public ::testing::Test {
 protected:
  explicit ChannelsTest(sim::LinkQuality quality = kGood) : call_(5, quality) {
    call_.connect();
    call_.run(seconds{5});
    EXPECT_TRUE(call_.ann.connected && call_.bob.connected);
  }
  Endpoint& ann() { return call_.ann; }
  Endpoint& bob() { return call_.bob; }
  ChannelId open(const std::string& label, ChannelOptions options = {}) {
    const auto id = ann().open(label, std::move(options));
    EXPECT_TRUE(id);
    call_.run(seconds{3});
    return id.value_or(0);
  }
  Call call_;
};

class LossyChannelsTest : public ChannelsTest {
 protected:
  LossyChannelsTest() : ChannelsTest(kLossy) {}
};

TEST_F(ChannelsTest, OpenWithTheirOptionsOnBothSides) {
  ChannelOptions options;
  options.protocol = "soup";
  options.ordered = false;
  options.max_retransmits = 3;
  const ChannelId id = open("chat", options);
  options.label = "chat";
  EXPECT_EQ(id % 2, 0) << "the DTLS client has the even streams";
  ASSERT_EQ(bob().open_channels.size(), 1u);
  EXPECT_EQ(bob().open_channels.at(id), options);
  EXPECT_EQ(ann().open_channels.at(id), options);
  const auto other = bob().open("back");
  ASSERT_TRUE(other);
  EXPECT_EQ(*other % 2, 1);
  call_.run(seconds{1});
  EXPECT_EQ(ann().open_channels.at(*other).label, "back");
}

TEST_F(ChannelsTest, CarryTextAndBinaryAndEmptyMessages) {
  const ChannelId id = open("chat");
  ASSERT_TRUE(ann().say(id, "hello"));
  ASSERT_TRUE(ann().send_binary(id, std::string_view("\0\1", 2)));
  ASSERT_TRUE(ann().say(id, ""));
  ASSERT_TRUE(ann().send_binary(id, ""));
  ASSERT_TRUE(bob().say(id, "back"));
  call_.run(seconds{1});
  EXPECT_THAT(bob().messages, ElementsAre(Message{id, MessageKind::kText, "hello"},
                                          Message{id, MessageKind::kBinary, std::string("\0\1", 2)},
                                          Message{id, MessageKind::kText, ""},
                                          Message{id, MessageKind::kBinary, ""}));
  EXPECT_THAT(ann().messages, ElementsAre(Message{id, MessageKind::kText, "back"}));
}

TEST_F(ChannelsTest, OpenedBeforeDtlsIsUpTheyOpenThemselves) {
  Call call(9, kGood);
  call.connect();
  const auto id = call.ann.open("early");
  ASSERT_TRUE(id);
  EXPECT_FALSE(call.ann.say(*id, "too early"));
  call.run(seconds{2});
  EXPECT_TRUE(call.ann.open_channels.contains(*id));
  EXPECT_TRUE(call.bob.open_channels.contains(*id));
}

TEST_F(ChannelsTest, AgreedOnesNeedNoMessage) {
  ChannelOptions options;
  options.negotiated = 100;
  EXPECT_EQ(ann().open("agreed", options), 100);
  EXPECT_EQ(bob().open("agreed", options), 100);
  call_.run(seconds{1});
  ASSERT_TRUE(ann().open_channels.contains(100));
  ASSERT_TRUE(ann().say(100, "hi"));
  call_.run(seconds{1});
  EXPECT_THAT(bob().messages, ElementsAre(Message{100, MessageKind::kText, "hi"}));
  EXPECT_FALSE(ann().open("again", options)) << "the number is taken";
}

TEST_F(ChannelsTest, CloseIsHeardByBothAndTheNumberIsFreeAgain) {
  const ChannelId id = open("chat");
  bob().session().close_channel(bob().now(), id);
  bob().arm();
  call_.run(seconds{2});
  EXPECT_THAT(ann().closed_channels, ElementsAre(id));
  EXPECT_THAT(bob().closed_channels, ElementsAre(id));
  EXPECT_FALSE(ann().say(id, "anybody?"));
  EXPECT_EQ(open("again"), id);
  EXPECT_EQ(bob().open_channels.at(id).label, "again");
  ASSERT_TRUE(ann().say(id, "new"));
  call_.run(seconds{1});
  EXPECT_THAT(bob().messages, ElementsAre(Message{id, MessageKind::kText, "new"}));
}

TEST_F(ChannelsTest, WhatWasSentBeforeCloseArrives) {
  const ChannelId id = open("chat");
  const std::string big(100'000, 'x');
  ASSERT_TRUE(ann().say(id, big));
  ann().session().close_channel(ann().now(), id);
  EXPECT_FALSE(ann().say(id, "closed"));
  ann().arm();
  call_.run(seconds{5});
  ASSERT_EQ(bob().messages.size(), 1u);
  EXPECT_EQ(bob().messages[0].text, big);
  EXPECT_THAT(bob().closed_channels, ElementsAre(id));
}

TEST_F(ChannelsTest, HaveALimitOfTheirNumber) {
  std::size_t opened = 0;
  for (int i = 0; i < 300; ++i) {
    if (ann().open("c" + std::to_string(i))) ++opened;
  }
  call_.run(seconds{5});
  EXPECT_EQ(opened, Session::kMaxChannels);
  EXPECT_EQ(bob().open_channels.size(), Session::kMaxChannels);
  EXPECT_FALSE(bob().open("one more"));
}

TEST_F(ChannelsTest, MessagesTooLongForTheOtherSideAreRefused) {
  const ChannelId id = open("chat");
  EXPECT_FALSE(ann().say(id, std::string(262145, 'x')));
  EXPECT_TRUE(ann().say(id, std::string(262144, 'x')));
  call_.run(seconds{10});
  ASSERT_EQ(bob().messages.size(), 1u);
  EXPECT_EQ(bob().messages[0].text.size(), 262144u);
  EXPECT_EQ(ann().session().buffered(), 0u);
}

TEST_F(ChannelsTest, WhenTheBufferIsFullTheySayWhenThereIsRoomAgain) {
  const ChannelId id = open("bulk");
  const std::string block(64 * 1024, 'b');
  std::size_t accepted = 0;
  while (ann().send_binary(id, block)) ++accepted;
  EXPECT_GE(accepted, 10u);
  EXPECT_GT(ann().session().buffered(), 500'000u);
  EXPECT_EQ(ann().writable, 0u);
  call_.run(seconds{60});
  EXPECT_GE(ann().writable, 1u);
  EXPECT_EQ(bob().messages.size(), accepted);
  EXPECT_EQ(ann().session().buffered(), 0u);
  EXPECT_LE(ann().biggest, 1200u);
}

TEST_F(LossyChannelsTest, LoseNothingAndKeepTheOrder) {
  const ChannelId id = open("chat");
  std::size_t sent = 0;
  for (int i = 0; i < 500; ++i) {
    if (ann().say(id, std::to_string(i))) ++sent;
    call_.run(milliseconds{10});
  }
  ASSERT_TRUE(ann().send_binary(id, std::string(200'000, 'z')));
  call_.run(seconds{60});
  EXPECT_EQ(sent, 500u);
  ASSERT_EQ(bob().messages.size(), 501u);
  for (std::size_t i = 0; i < 500; ++i) EXPECT_EQ(bob().messages[i].text, std::to_string(i));
  EXPECT_EQ(bob().messages[500].text, std::string(200'000, 'z'));
}

TEST_F(LossyChannelsTest, WithoutRetransmissionsSomeAreLostAndTheRestArrives) {
  ChannelOptions options;
  options.ordered = false;
  options.max_retransmits = 0;
  const ChannelId id = open("game", options);
  for (int i = 0; i < 500; ++i) {
    ann().say(id, std::to_string(i));
    call_.run(milliseconds{10});
  }
  call_.run(seconds{10});
  EXPECT_LT(bob().messages.size(), 500u);
  EXPECT_GT(bob().messages.size(), 420u);
}

TEST(ChannelsOfTheDead, AreClosedWhenThePeerIsGone) {
  Call call(2, kGood);
  call.connect();
  call.run(seconds{1});
  const auto id = call.ann.open("chat");
  call.run(seconds{1});
  call.bob.muted = true;
  ASSERT_TRUE(call.ann.say(*id, "anybody?"));
  call.run(minutes{5});
  EXPECT_THAT(call.ann.closed_channels, ElementsAre(*id));
  EXPECT_FALSE(call.ann.ended) << "media may go on";
}

}  // namespace
}  // namespace turnpike::media
