// Clients of protocol 5 that lose their connection and come back as the same ones.
#include "signaling/pace.h"
#include "tests/signaling/socketio_app.h"

namespace turnpike::signaling::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SocketIoRecovery : public SocketIoTest {
 protected:
  explicit SocketIoRecovery(socketio::Settings settings = {}) : SocketIoTest(settings) {}
  static std::string offset_of(const std::string& packet) {
    const auto last = packet.rfind(",\"");
    return packet.substr(last + 2, packet.size() - last - 4);
  }
  // A connection that comes back; hears its CONNECT and what follows.
  Page come_back(const Page& page, std::string_view offset, std::string_view name_space = "") {
    Page again = open(4);
    std::string text = "0" + std::string(name_space) + "{\"pid\":\"" + page.pid + "\"";
    if (!offset.empty()) text.append(",\"offset\":").append(offset);
    say(again, text + "}");
    return again;
  }
  static std::string quoted(const std::string& text) { return "\"" + text + "\""; }
};

TEST_F(SocketIoRecovery, RestoresIdRoomsAndMissedEvents) {
  const Page page = enter(4);
  server_.join(application_.sockets[0], "room");
  broadcast("a", {"1"});
  broadcast("a", {"2"});
  const auto before = heard_with_offsets(page);
  ASSERT_THAT(before, SizeIs(2));
  cut(page);
  broadcast("a", {"3"});
  broadcast("b", {"4"});
  // Of what was sent before the loss the second one had not arrived.
  const Page again = come_back(page, quoted(offset_of(before[0])));
  EXPECT_THAT(heard(again), ElementsAre(page.first, "2[\"a\",2]", "2[\"a\",3]", "2[\"b\",4]"));
  EXPECT_THAT(server_.members("room"), ElementsAre(application_.sockets[0]));
  EXPECT_THAT(application_.sockets, SizeIs(1)) << "the application notices nothing";
  EXPECT_THAT(application_.gone, IsEmpty());
  say(again, "2[\"c\"]");
  EXPECT_THAT(application_.events, ElementsAre("1 c"));
  broadcast("d", {});
  EXPECT_THAT(heard(again), ElementsAre("2[\"d\"]"));
}

TEST_F(SocketIoRecovery, ComesBackMoreThanOnce) {
  Page page = enter(4);
  for (int i = 0; i < 3; ++i) {
    cut(page);
    broadcast("a", {});
    Page again = come_back(page, quoted("nonsense"));
    EXPECT_THAT(heard(again), ElementsAre(page.first, "2[\"a\"]")) << i;
    again.pid = page.pid;
    again.first = page.first;
    page = again;
  }
}

TEST_F(SocketIoRecovery, WithoutOffsetNothingHadArrived) {
  const Page page = enter(4);
  broadcast("a", {});
  cut(page);
  EXPECT_THAT(heard(come_back(page, "")), ElementsAre(page.first, "2[\"a\"]"));
}

TEST_F(SocketIoRecovery, NonsenseOffsetsGetWhatCameAfterTheLoss) {
  for (const std::string_view offset : {"\"room\"", "\"\"", "\"o-aaaaaaaa-1\"", "\"o-\""}) {
    const Page page = enter(4);
    const socketio::SocketHandle socket = application_.sockets.back();
    server_.emit_all(now(), {&socket, 1}, {.name = "before"});
    cut(page);
    server_.emit_all(now(), {&socket, 1}, {.name = "after"});
    EXPECT_THAT(heard(come_back(page, offset)), ElementsAre(page.first, "2[\"after\"]")) << offset;
  }
}

TEST_F(SocketIoRecovery, OffsetsThatAreNoTextAreNone) {
  for (const std::string_view offset : {"7", "null", "{}", "[\"a\"]", "\"\\ud800\""}) {
    const Page page = enter(4);
    const socketio::SocketHandle socket = application_.sockets.back();
    server_.emit_all(now(), {&socket, 1}, {.name = "before"});
    cut(page);
    EXPECT_THAT(heard(come_back(page, offset)), ElementsAre(page.first, "2[\"before\"]")) << offset;
  }
}

TEST_F(SocketIoRecovery, OffsetsFromTheFutureAreNonsenseToo) {
  const Page page = enter(4);
  broadcast("a", {});
  const std::string offset = offset_of(heard_with_offsets(page).back());
  cut(page);
  broadcast("b", {});
  for (const std::string_view wrong : {"9999", "x", "99999999999999999999999"}) {
    const Page again = come_back(page, quoted(offset + std::string(wrong)));
    EXPECT_THAT(heard(again), ElementsAre(page.first, "2[\"b\"]")) << wrong;
    cut(again);
    broadcast("b", {});
  }
}

TEST_F(SocketIoRecovery, DoesNotKeepWhatIsSaidToOneOnly) {
  const Page page = enter(4);
  const auto first = application_.sockets[0];
  server_.emit(now(), first, {.name = "direct"});
  EXPECT_THAT(heard_with_offsets(page), ElementsAre("2[\"direct\"]"));
  cut(page);
  server_.emit(now(), first, {.name = "direct"});
  EXPECT_THAT(heard(come_back(page, "")), ElementsAre(page.first));
}

TEST_F(SocketIoRecovery, EndsAfterTwoMinutes) {
  const Page page = enter(4);
  cut(page);
  pass(seconds(119));
  EXPECT_THAT(application_.gone, IsEmpty());
  EXPECT_TRUE(server_.is_away(application_.sockets[0]));
  pass(seconds(2));
  EXPECT_THAT(application_.gone, ElementsAre(1));
  const auto packets = heard(come_back(page, ""));
  ASSERT_THAT(packets, SizeIs(1));
  EXPECT_NE(packets[0], page.first) << "a new one";
  EXPECT_THAT(application_.sockets, SizeIs(2));
}

TEST_F(SocketIoRecovery, ForgetsWhatNobodyCanHaveMissed) {
  const Page page = enter(4);
  broadcast("old", {});
  const std::string old = offset_of(heard_with_offsets(page).back());
  const auto live = [&](seconds time) {
    for (seconds passed{0}; passed < time; passed += seconds(5)) {
      pass(seconds(5));
      pong(page);
    }
  };
  live(seconds(160));
  broadcast("new", {});
  live(seconds(10));
  cut(page);
  const Page again = come_back(page, quoted(old));
  EXPECT_THAT(heard(again), ElementsAre(page.first, "2[\"new\"]")) << "it has seen the old one";
  cut(again);
  EXPECT_NE(heard(come_back(page, "")).at(0), page.first) << "who has not cannot be served";
}

TEST_F(SocketIoRecovery, KeepsForAWholeWindowWhatGotLostInADeadConnection) {
  const Page page = enter(4);
  broadcast("a", {});
  pass(seconds(40));
  cut(page);
  pass(seconds(119));
  EXPECT_THAT(heard(come_back(page, "")), ElementsAre(page.first, "2[\"a\"]"));
}

TEST_F(SocketIoRecovery, OnlyWhereTheApplicationKeepsIt) {
  application_.keeping = false;
  const Page page = enter(4);
  cut(page);
  EXPECT_THAT(application_.gone, ElementsAre(1));
  heard(come_back(page, ""));
  EXPECT_THAT(application_.sockets, SizeIs(2));
}

TEST_F(SocketIoRecovery, NotForWhoSaidGoodbyeOrBrokeTheRules) {
  const Page left = enter(4);
  say(left, "1");
  EXPECT_THAT(application_.gone, ElementsAre(1));
  const Page rude = enter(4);
  say(rude, "rude");
  settle();
  EXPECT_THAT(application_.gone, ElementsAre(1, 2));
  const Page beating = enter(4);  // it is the server that pings
  server().on_message(now(), beating.connection, beating.tag, ws::Opcode::kText, "2");
  settle();
  EXPECT_THAT(application_.gone, ElementsAre(1, 2, 3));
}

// Clients whose poll has failed close their session and begin another.
TEST_F(SocketIoRecovery, AClosePacketIsNoGoodbye) {
  const Page closed = enter(4);
  server().on_message(now(), closed.connection, closed.tag, ws::Opcode::kText, "1");
  settle();
  EXPECT_THAT(application_.gone, IsEmpty());
}

TEST_F(SocketIoRecovery, TakesOverFromAConnectionThatIsNotKnownToBeDead) {
  const Page page = enter(4);
  broadcast("a", {});
  broadcast("b", {});
  const auto seen = heard_with_offsets(page);
  const Page again = come_back(page, quoted(offset_of(seen[0])));
  EXPECT_THAT(heard(again), ElementsAre(page.first, "2[\"b\"]"));
  EXPECT_FALSE(is_open(page));
  EXPECT_THAT(application_.gone, IsEmpty());
  broadcast("c", {});
  EXPECT_THAT(heard(again), ElementsAre("2[\"c\"]"));
}

TEST_F(SocketIoRecovery, APidOpensOnlyItsOwnNamespace) {
  const Page page = enter(4, "/chat");
  cut(page);
  EXPECT_NE(heard(come_back(page, "")).at(0), page.first);
  EXPECT_EQ(heard(come_back(page, "", "/chat,")).at(0), page.first);
}

TEST_F(SocketIoRecovery, AsksTheApplicationAgain) {
  const Page page = enter(4);
  cut(page);
  application_.refusal = socketio::Refusal{"expired", {}};
  EXPECT_THAT(heard(come_back(page, "")), ElementsAre(R"(4{"message":"expired"})"));
}

TEST_F(SocketIoRecovery, GivesUpWhenTooMuchWasMissed) {
  const Page page = enter(4);
  cut(page);
  for (std::size_t i = 0; i < socketio::Server::kMaxKept; ++i) broadcast("a", {});
  const Page again = come_back(page, "");
  EXPECT_THAT(heard(again), SizeIs(1 + socketio::Server::kMaxKept));
  cut(again);
  for (std::size_t i = 0; i <= socketio::Server::kMaxKept; ++i) broadcast("a", {});
  EXPECT_NE(heard(come_back(page, "")).at(0), page.first);
  EXPECT_THAT(application_.gone, ElementsAre(1)) << "the old one is over";
}

TEST_F(SocketIoRecovery, GivesUpWhenTooManyBytesWereMissed) {
  const Page page = enter(4);
  const std::string large = "\"" + std::string(socketio::Server::kMaxKeptBytes / 2, 'x') + "\"";
  cut(page);
  broadcast("a", {large});
  broadcast("b", {large});
  EXPECT_NE(heard(come_back(page, "")).at(0), page.first);
}

TEST_F(SocketIoRecovery, BoundsWhatIsKeptForAllTogether) {
  const std::string large = "\"" + std::string(socketio::Server::kMaxKeptBytes - 256, 'x') + "\"";
  const std::size_t most = socketio::Server::kMaxKeptTotal / socketio::Server::kMaxKeptBytes;
  std::vector<Page> pages;
  for (std::size_t i = 0; i < most + 2; ++i) {
    source_ = IpAddress::v4(static_cast<std::uint32_t>(0xc0000200 + i / 32));
    pages.push_back(enter(4));
  }
  for (const Page& page : pages) cut(page);
  broadcast("a", {large});
  EXPECT_THAT(heard(come_back(pages.front(), "")), SizeIs(2));
  EXPECT_NE(heard(come_back(pages.back(), "")).at(0), pages.back().first);
}

TEST_F(SocketIoRecovery, ReplaysAttachmentsWithTheirEvent) {
  const Page page = enter(4);
  cut(page);
  const std::vector<std::string_view> args = {R"({"_placeholder":true,"num":0})"};
  const std::vector<std::string_view> attachments = {"bytes"};
  server_.emit_all(now(), application_.sockets,
                   {.name = "a", .args = args, .attachments = attachments});
  EXPECT_THAT(heard(come_back(page, "")),
              ElementsAre(page.first, R"(51-["a",{"_placeholder":true,"num":0}])", "<bin>bytes"));
}

TEST_F(SocketIoRecovery, AsksTheApplicationWhoMayReturn) {
  const Page page = enter(4);
  cut(page);
  application_.returning = false;
  EXPECT_NE(heard(come_back(page, "")).at(0), page.first);
  EXPECT_THAT(application_.gone, ElementsAre(1));
}

class SocketIoCrowdAway : public SocketIoRecovery {
 protected:
  static socketio::Settings settings() {
    socketio::Settings settings;
    settings.away.of_source = 2;
    settings.max_kept_of_source = 1000;
    return settings;
  }
  SocketIoCrowdAway() : SocketIoRecovery(settings()) {}
};

TEST_F(SocketIoCrowdAway, TheFirstOfASourceYieldsToItsNext) {
  source_ = IpAddress::v4(198, 51, 100, 9);
  const Page other = enter(4);
  cut(other);
  source_ = IpAddress::v4(192, 0, 2, 7);
  std::vector<Page> pages;
  for (int i = 0; i < 3; ++i) pages.push_back(enter(4));
  cut(pages[0]);
  cut(pages[1]);
  EXPECT_THAT(application_.gone, IsEmpty());
  cut(pages[2]);
  EXPECT_THAT(application_.gone, ElementsAre(2)) << "the first of this source";
  EXPECT_EQ(heard(come_back(pages[1], "")).at(0), pages[1].first);
  EXPECT_EQ(heard(come_back(pages[2], "")).at(0), pages[2].first);
  EXPECT_EQ(heard(come_back(other, "")).at(0), other.first);
}

TEST_F(SocketIoCrowdAway, WhatIsKeptForASourceIsBounded) {
  const Page first = enter(4);
  const Page second = enter(4);
  cut(first);
  cut(second);
  const std::string text = "\"" + std::string(600, 'x') + "\"";
  broadcast("a", {text});
  EXPECT_THAT(heard(come_back(first, "")), SizeIs(2));
  EXPECT_NE(heard(come_back(second, "")).at(0), second.first) << "there was no place for it";
}

TEST_F(SocketIoRecovery, ANamespaceHasNoControlCharacters) {
  application_.name_spaces.insert(
      "/a\x1e"
      "4b");
  const Page page = open(4);
  say(page,
      "0/a\x1e"
      "4b,");
  EXPECT_THAT(application_.sockets, IsEmpty());
  EXPECT_FALSE(is_open(page)) << "it is no packet";
}

TEST_F(SocketIoRecovery, AcknowledgementsThatNobodyAskedForHaveAPace) {
  const Page page = enter(4);
  const std::uint32_t passing = Pace::kMessages.burst - 1;  // its CONNECT was the first
  for (std::uint32_t i = 0; i < passing + Pace::kMaxDropped - 1; ++i) say(page, "31[]");
  EXPECT_TRUE(is_open(page));
  say(page, "31[]");
  EXPECT_FALSE(is_open(page));
}

}  // namespace
}  // namespace turnpike::signaling::testing
