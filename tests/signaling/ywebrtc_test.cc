#include "signaling/ywebrtc.h"

#include <gtest/gtest.h>

#include "tests/signaling/dialect_world.h"

namespace turnpike::signaling::testing {

namespace {

using Texts = std::vector<std::string>;

struct World {
  explicit World(YWebrtc::Settings settings = {}) : ywebrtc(settings, wire, gate) {}
  Client join(std::string_view topics) {
    const Client client = open(wire, ywebrtc, "/y-webrtc");
    say(ywebrtc, client, R"({"type":"subscribe","topics":)" + std::string(topics) + "}");
    return client;
  }
  Texts heard(const Client& client) { return wire.take(client.connection); }

  FakeWire wire;
  RoomTokens tokens;
  Gate gate{tokens};
  YWebrtc ywebrtc;
};

TEST(YWebrtcDialect, EachTopicCountsLikeAMessage) {
  World world;
  const auto topics = [](int from, int count) {
    std::string list = "[";
    for (int i = from; i < from + count; ++i)
      list += (i > from ? ",\"t" : "\"t") + std::to_string(i) + '"';
    return list + "]";
  };
  const Client ann = world.join(topics(0, 120));
  EXPECT_EQ(world.ywebrtc.topic_count(), 120u);
  say(world.ywebrtc, ann, R"({"type":"unsubscribe","topics":)" + topics(0, 120) + "}");
  say(world.ywebrtc, ann, R"({"type":"subscribe","topics":)" + topics(200, 120) + "}");
  EXPECT_LT(world.ywebrtc.topic_count(), 120u) << "bursts of 200";
  EXPECT_GT(world.ywebrtc.topic_count(), 70u);
}

TEST(YWebrtcDialect, SubscribersHearTheMessageAsItCameWithTheirNumber) {
  World world;
  const Client ann = world.join(R"(["a","b"])");
  const Client ben = world.join(R"(["a"])");
  const Client cai = world.join(R"(["b"])");
  say(world.ywebrtc, ann, R"({"type":"publish","topic":"a","data":{"x" : 1.0} })");
  const Texts expected{R"({"type":"publish","topic":"a","data":{"x" : 1.0} ,"clients":2})"};
  EXPECT_EQ(world.heard(ann), expected);
  EXPECT_EQ(world.heard(ben), expected);
  EXPECT_TRUE(world.heard(cai).empty());
  say(world.ywebrtc, ann, R"({"type":"publish","clients":99,"topic":"a"})");
  EXPECT_EQ(world.heard(ben), (Texts{R"({"type":"publish","clients":2,"topic":"a"})"}));
  say(world.ywebrtc, ann, R"({"type":"unsubscribe","topics":["a",7]})");
  world.ywebrtc.on_gone(kStart, cai.connection, cai.tag);
  world.heard(ann);
  say(world.ywebrtc, ann, R"({"type":"publish","topic":"a"})");
  EXPECT_EQ(world.heard(ben), (Texts{R"({"type":"publish","topic":"a","clients":1})"}));
  EXPECT_TRUE(world.heard(ann).empty());
}

TEST(YWebrtcDialect, APingIsAnsweredAndNonsenseIsNot) {
  World world;
  const Client ann = world.join("[]");
  say(world.ywebrtc, ann, R"({"type":"ping"})");
  EXPECT_EQ(world.heard(ann), (Texts{R"({"type":"pong"})"}));
  for (const char* text :
       {R"({"type":"publish"})", R"({"type":5})", "{}", R"({"type":"subscribe","topics":5})"}) {
    say(world.ywebrtc, ann, text);
  }
  EXPECT_TRUE(world.heard(ann).empty());
  EXPECT_FALSE(world.wire.line(ann.connection).closed);
  say(world.ywebrtc, ann, "[]");
  EXPECT_TRUE(world.wire.line(ann.connection).closed);
}

TEST(YWebrtcDialect, TopicsAndSubscriptionsAreBounded) {
  World world({.topic_size = 1});
  world.join(R"(["a"])");
  const Client ben = world.join(R"(["a"])");
  say(world.ywebrtc, ben, R"({"type":"publish","topic":"a"})");
  EXPECT_TRUE(world.heard(ben).empty()) << "there was no place";
  for (std::size_t i = 0; i <= YWebrtc::kMaxTopics; ++i) {
    say(world.ywebrtc, ben, R"({"type":"subscribe","topics":["t)" + std::to_string(i) + R"("]})",
        later(milliseconds(100) * i));
  }
  EXPECT_EQ(world.ywebrtc.topic_count(), 1 + YWebrtc::kMaxTopics);
  world.ywebrtc.on_gone(kStart, ben.connection, ben.tag);
  EXPECT_EQ(world.ywebrtc.topic_count(), 1u);
}

}  // namespace

}  // namespace turnpike::signaling::testing
