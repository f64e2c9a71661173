// The raw relay: what one says the others hear, byte for byte, and nothing else is ever said.
#include "signaling/plain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/signaling/fake_wire.h"

namespace turnpike::signaling::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Plain : public ::testing::Test {
 protected:
  struct Page {
    ConnectionHandle connection;
    Endpoint::Tag tag = 0;
    unsigned refused = 0;  // status
  };
  explicit Plain(RoomTokens::Settings tokens = {})
      : tokens_(std::move(*RoomTokens::make(tokens))),
        relay_({.lobby_size = 8, .room_size = 3, .max_sockets = 20, .max_rooms = 6}, wire_, gate_) {
  }

  Page open(std::string_view target) {
    http::Request request;
    request.method = http::Method::kGet;
    request.target = target;
    const Visit visit{IpAddress::v4(192, 0, 2, 7), false, request};
    Page page;
    if (const auto refusal = relay_.refuse(now_, visit)) {
      page.refused = refusal->status;
      return page;
    }
    page.connection = wire_.connect();
    page.tag = relay_.on_open(now_, page.connection, visit);
    return page;
  }
  std::vector<Page> open_many(std::size_t count, std::string_view target) {
    std::vector<Page> pages;
    for (std::size_t i = 0; i < count; ++i) pages.push_back(open(target));
    return pages;
  }
  void say(const Page& page, std::string_view text, ws::Opcode opcode = ws::Opcode::kText) {
    relay_.on_message(now_, page.connection, page.tag, opcode, text);
  }
  std::vector<std::string> heard(const Page& page) { return wire_.take(page.connection); }
  void leave(const Page& page) { relay_.on_gone(now_, page.connection, page.tag); }

  FakeWire wire_;
  RoomTokens tokens_;
  Gate gate_{tokens_};
  PlainRelay relay_;
  Tick now_{MonoTime{seconds(1000)}, WallTime{seconds(1'700'000'000)}};
};
class PlainCrowd : public Plain, public ::testing::WithParamInterface<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Crowds, PlainCrowd, ::testing::Values(2, 3, 8));
class PlainWithTokens : public Plain {
 protected:
  PlainWithTokens() : Plain({.passwords = {"the password of the house"}}) {}
};

TEST_P(PlainCrowd, RelaysEveryByteToAllTheOthers) {
  const auto pages = open_many(GetParam(), "/");
  const Page elsewhere = open("/?room=1");
  for (const Page& page : pages) EXPECT_THAT(heard(page), IsEmpty()) << "no welcome";
  for (const Page& from : pages) {
    for (const std::string_view text : {R"( {"event":"_offer", "data":{"sdp":{"sdp":"v=0\r\n"}}} )",
                                        "not JSON", "", "\"\\ud800"}) {
      say(from, text);
      for (const Page& page : pages) {
        if (page.connection == from.connection) {
          EXPECT_THAT(heard(page), IsEmpty());
        } else {
          EXPECT_THAT(heard(page), ElementsAre(text));
        }
      }
    }
  }
  leave(pages[0]);
  for (const Page& page : pages) EXPECT_THAT(heard(page), IsEmpty()) << "no farewell";
  EXPECT_THAT(heard(elsewhere), IsEmpty());
}

TEST_F(Plain, TextStaysTextAndThereIsNothingElse) {
  const auto pages = open_many(2, "/");
  say(pages[0], "text");
  const auto& frames = wire_.line(pages[1].connection).frames;
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(frames[0].opcode, ws::Opcode::kText);
  EXPECT_FALSE(relay_.takes_binary()) << "pages would get a Blob where they expect JSON";
}

TEST_F(Plain, APathIsOnePlaceHoweverItIsEscaped) {
  const Page plain = open("/abc");
  const Page escaped = open("/%61b%63");
  say(plain, "x");
  EXPECT_THAT(heard(escaped), SizeIs(1));
}

TEST_F(Plain, PathAndQueryMakeTheRoom) {
  const std::vector<std::string> targets = {"/", "/?room=a", "/a", "/a?room=a", "/b?x=y"};
  std::vector<std::vector<Page>> rooms;
  for (const auto& target : targets) rooms.push_back(open_many(2, target));
  for (std::size_t i = 0; i < rooms.size(); ++i) {
    say(rooms[i][0], targets[i]);
    for (std::size_t k = 0; k < rooms.size(); ++k) {
      EXPECT_THAT(heard(rooms[k][1]), SizeIs(i == k ? 1 : 0)) << targets[i] << " " << targets[k];
    }
  }
  // Other parameters are not the room's.
  const Page late = open("/?t=1&room=a");
  say(late, "x");
  EXPECT_THAT(heard(rooms[1][0]), ElementsAre("x"));
}

TEST_F(Plain, RefusesBeyondItsLimits) {
  open_many(8, "/");
  EXPECT_EQ(open("/").refused, 503u);
  EXPECT_EQ(open("/?room=").refused, 503u) << "an empty name is none";
  const auto room = open_many(3, "/?room=a");
  EXPECT_EQ(open("/?room=a").refused, 503u);
  leave(room[1]);
  EXPECT_EQ(open("/?room=a").refused, 0u);
  const std::string longest(PlainRelay::kMaxRoomName, 'x');
  EXPECT_EQ(open("/?room=" + longest).refused, 0u);
  EXPECT_EQ(open("/?room=" + longest + "x").refused, 400u);
  const std::string path = "/" + std::string(PlainRelay::kMaxPath - 1, 'x');
  EXPECT_EQ(open(path).refused, 0u);
  EXPECT_EQ(open(path + "x").refused, 400u);
  EXPECT_EQ(open("/1").refused, 0u);
  EXPECT_EQ(open("/2").refused, 0u);
  EXPECT_EQ(open("/3").refused, 503u) << "the seventh room";
  EXPECT_EQ(open("/2").refused, 0u);
  EXPECT_EQ(relay_.socket_count(), 16u);
  open_many(3, "/1");
  open_many(2, "/2");
  EXPECT_EQ(relay_.socket_count(), 19u);
  EXPECT_EQ(open(path).refused, 0u);
  EXPECT_EQ(open(path).refused, 503u) << "the twenty-first socket";
}

TEST_F(Plain, ForgetsRoomsThatAreEmpty) {
  for (int i = 0; i < 100; ++i) leave(open("/" + std::to_string(i)));
  EXPECT_EQ(relay_.socket_count(), 0u);
  EXPECT_EQ(open("/again").refused, 0u);
}

TEST_F(Plain, DropsAndThenClosesWhoIsTooFast) {
  const auto pages = open_many(2, "/");
  for (std::uint32_t i = 0; i < Pace::kMessages.burst; ++i) say(pages[0], "x");
  EXPECT_THAT(heard(pages[1]), SizeIs(Pace::kMessages.burst));
  for (int i = 0; i < Pace::kMaxDropped - 1; ++i) say(pages[0], "x");
  EXPECT_THAT(heard(pages[1]), IsEmpty());
  EXPECT_TRUE(wire_.line(pages[0].connection).open());
  say(pages[0], "x");
  EXPECT_EQ(wire_.line(pages[0].connection).code, ws::CloseCode::kPolicy);
}

TEST_F(Plain, ChargesTheFanOutToTheSender) {
  const auto pages = open_many(8, "/");
  const std::string large(PlainRelay::kMaxMessage, 'x');  // 1 + 7 * 4 of 200
  for (int i = 0; i < 7; ++i) say(pages[0], large);
  EXPECT_THAT(heard(pages[1]), SizeIs(6));
}

TEST_F(PlainWithTokens, AsksForATokenBeforeTheHandshake) {
  EXPECT_EQ(open("/?room=a").refused, 401u);
  EXPECT_EQ(open("/?room=a&token=wrong").refused, 401u);
  const Page one = open("/?room=a&token=the+password+of+the+house");
  const Page two = open("/?room=a&token=the%20password%20of%20the%20house");
  EXPECT_EQ(one.refused, 0u);
  say(one, "x");
  EXPECT_THAT(heard(two), ElementsAre("x"));
}

}  // namespace
}  // namespace turnpike::signaling::testing
