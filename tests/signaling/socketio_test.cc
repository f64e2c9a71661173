// Socket.IO over Engine.IO: namespaces, events, acknowledgements, rooms, and what closes.
#include "signaling/socketio.h"

#include "signaling/socketio_core.h"
#include "tests/signaling/socketio_app.h"

namespace turnpike::signaling::testing {
namespace {

using socketio::SocketHandle;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SocketIo : public SocketIoTest {};
class SocketIoSmall : public SocketIoTest {
 protected:
  static socketio::Settings few() {
    socketio::Settings settings;
    settings.max_sockets = 2;
    settings.recovery_window = milliseconds(0);
    return settings;
  }
  SocketIoSmall() : SocketIoTest(few()) {}
};

TEST_F(SocketIo, ConnectsProtocol4ToTheMainNamespaceUnasked) {
  const Page page = open(3);
  EXPECT_THAT(heard(page), ElementsAre("0"));
  ASSERT_THAT(application_.sockets, SizeIs(1));
  EXPECT_EQ(server_.id(application_.sockets[0]), page.id);
  say(page, "0/chat?token=x");
  EXPECT_THAT(heard(page), ElementsAre("0/chat"));
  ASSERT_THAT(application_.sockets, SizeIs(2));
  EXPECT_EQ(server_.id(application_.sockets[1]), "/chat#" + page.id);
  EXPECT_EQ(application_.queries[1], "EIO=3&transport=websocket|token=x");
  EXPECT_EQ(application_.mains[1], application_.sockets[0]);
}

TEST_F(SocketIo, ConnectsProtocol5OnlyWhereItAsks) {
  const Page page = open(4, "a=b");
  EXPECT_THAT(heard(page), IsEmpty());
  say(page, R"(0{"token":"t"})");
  say(page, "0/chat,");
  const auto answers = heard(page);
  ASSERT_THAT(answers, SizeIs(2));
  EXPECT_THAT(answers[0], ::testing::MatchesRegex(R"(0\{"sid":"[A-Za-z0-9_-]+","pid":"[^"]+"\})"));
  EXPECT_TRUE(answers[1].starts_with("0/chat,{\"sid\":\"")) << answers[1];
  EXPECT_THAT(application_.asked, ElementsAre(R"(/ {"token":"t"})", "/chat {}"));
  EXPECT_EQ(application_.queries[0], "EIO=4&transport=websocket&a=b|");
  const auto id = server_.id(application_.sockets[0]);
  EXPECT_NE(id, page.id) << "the id of the session is a secret";
  EXPECT_NE(id, server_.id(application_.sockets[1]));
  EXPECT_EQ(server_.find("/", id), application_.sockets[0]);
  EXPECT_EQ(server_.find("/chat", id), SocketHandle{});
}

TEST_F(SocketIoSmall, LeavesThePidOutWithoutRecovery) { EXPECT_EQ(enter(4).pid, ""); }

TEST_F(SocketIo, SaysWhichNamespacesThereAreNot) {
  const Page five = open(4);
  say(five, "0/random,");
  EXPECT_THAT(heard(five), ElementsAre(R"(4/random,{"message":"Invalid namespace"})"));
  const Page four = enter(3);
  say(four, "0/random");
  EXPECT_THAT(heard(four), ElementsAre(R"(4/random,"Invalid namespace")"));
  EXPECT_TRUE(is_open(five));
  EXPECT_TRUE(is_open(four));
}

TEST_F(SocketIo, PassesOnWhyTheApplicationRefuses) {
  application_.refusal = socketio::Refusal{"no \"token\"", R"({"code":7})"};
  const Page five = open(4);
  say(five, "0");
  EXPECT_THAT(heard(five), ElementsAre(R"(4{"message":"no \"token\"","data":{"code":7}})"));
  const Page four = open(3);
  EXPECT_THAT(heard(four), ElementsAre(R"(4"no \"token\"")"));
  // Without the main namespace there is no other.
  application_.refusal.reset();
  say(four, "0/chat");
  EXPECT_THAT(heard(four), IsEmpty());
  EXPECT_THAT(application_.sockets, IsEmpty());
}

TEST_F(SocketIo, ClosesWhoEntersNoNamespaceInTime) {
  const Page late = open(4);
  const Page in_time = enter(4);
  application_.refusal = socketio::Refusal{"no", {}};
  const Page refused = open(3);
  pass(seconds(24));
  for (const Page& page : {late, in_time}) {
    server().on_message(now(), page.connection, page.tag, ws::Opcode::kText, "3");
  }
  EXPECT_TRUE(is_open(late));
  pass(seconds(24));
  EXPECT_FALSE(is_open(late));
  EXPECT_FALSE(is_open(refused));
  EXPECT_TRUE(is_open(in_time));
}

TEST_F(SocketIo, DeliversEventsToTheirNamespace) {
  const Page page = enter(4);
  say(page, "0/chat,");
  say(page, R"(2["a",1,{"b":[true]}])");
  say(page, R"(2/chat,[7,"x"])");
  EXPECT_THAT(application_.events, ElementsAre(R"(1 a 1 {"b":[true]})", R"(2 7 "x")"));
}

TEST_F(SocketIo, IgnoresNamesThatAreNoText) {
  const Page page = enter(4);
  say(page, R"(2["\ud800"])");
  EXPECT_THAT(application_.events, IsEmpty());
  EXPECT_TRUE(is_open(page));
}

TEST_F(SocketIo, Acknowledges) {
  application_.when_told = [this](Tick now, SocketHandle socket, const socketio::Event& event) {
    if (event.ack) server_.ack(now, socket, *event.ack, event.args);
  };
  const Page page = enter(4, "/chat");
  say(page, R"(2/chat,17["a",1,"2"])");
  say(page, R"(2/chat,["a",1,"2"])");
  EXPECT_THAT(heard(page), ElementsAre(R"(3/chat,17[1,"2"])"));
}

TEST_F(SocketIo, ClosesProtocol5ThatBreaksTheRules) {
  for (const std::string_view text :
       {"abc", "2{}", "2abc[\"a\"]", "2[\"disconnect\"]", "0", "2/chat,[\"a\"]", "1/chat,",
        "4{\"message\":\"x\"}", "2[\"a\"", "51-[\"a\",{\"_placeholder\":true,\"num\":1}]"}) {
    const Page page = enter(4);
    say(page, text);
    EXPECT_FALSE(is_open(page)) << text;
  }
  const Page early = open(4);
  say(early, "2[\"a\"]");
  EXPECT_FALSE(is_open(early));
  const Page bytes = enter(4);
  say_bytes(bytes, "x");
  EXPECT_FALSE(is_open(bytes));
  EXPECT_THAT(application_.events, IsEmpty());
}

TEST_F(SocketIo, ForgivesProtocol4WhatItsServersForgave) {
  const Page page = enter(3);
  for (const std::string_view text : {"0", "2/chat,[\"a\"]", "1/chat", "4\"x\"", "31[]"}) {
    say(page, text);
    EXPECT_TRUE(is_open(page)) << text;
  }
  EXPECT_THAT(heard(page), IsEmpty());
  EXPECT_THAT(application_.events, IsEmpty());
  say(page, "2[{}]");
  EXPECT_FALSE(is_open(page));
}

TEST_F(SocketIo, HearsNothingFromWhoIsBeingClosed) {
  const Page page = enter(4);
  say(page, "junk");
  say(page, R"(2["a"])");
  EXPECT_THAT(application_.events, IsEmpty());
  settle();
  EXPECT_THAT(application_.gone, ElementsAre(1));
}

TEST_F(SocketIo, CarriesBinaryEventsAsOneUnit) {
  application_.when_told = [this](Tick now, SocketHandle socket, const socketio::Event& event) {
    server_.emit_all(now, application_.sockets,
                     {.name = event.name, .args = event.args, .attachments = event.attachments},
                     socket);
  };
  const Page from = enter(4);
  const Page five = enter(4);
  const Page four = enter(3);
  const std::string event =
      R"(52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}])";
  say(from, event);
  say_bytes(from, std::string("\0\1", 2));
  EXPECT_THAT(heard(five), IsEmpty());
  say_bytes(from, "");
  for (const Page& page : {five, four}) {
    EXPECT_THAT(heard(page), ElementsAre(event, std::string("<bin>\0\1", 7), "<bin>"));
  }
  EXPECT_THAT(heard(from), IsEmpty());
}

TEST_F(SocketIo, ClosesForTextBetweenAttachments) {
  const Page page = enter(4);
  say(page, R"(52-["a"])");
  say_bytes(page, "x");
  say(page, R"(2["b"])");
  EXPECT_FALSE(is_open(page));
  EXPECT_THAT(application_.events, IsEmpty());
}

TEST_F(SocketIo, BoundsAttachments) {
  const std::string half(socketio::Server::kMaxAttachmentBytes / 2, 'x');
  const Page page = enter(4);
  say(page, R"(52-["a"])");
  say_bytes(page, half);
  say_bytes(page, half);
  ASSERT_THAT(application_.events, SizeIs(1));
  say(page, R"(52-["a"])");
  say_bytes(page, half);
  say_bytes(page, half + "x");
  EXPECT_FALSE(is_open(page));
  EXPECT_THAT(application_.events, SizeIs(1));
}

TEST_F(SocketIo, BoundsWhatWaitsForAttachmentsAltogether) {
  const std::string piece(socketio::Server::kMaxAttachmentBytes, 'x');
  const std::size_t many = socketio::Server::kMaxUnfinishedTotal / piece.size();
  std::vector<Page> pages;
  for (std::size_t i = 0; i < many; ++i) {
    pages.push_back(enter(4));
    say(pages.back(), R"(52-["a"])");
    say_bytes(pages.back(), piece);
  }
  EXPECT_TRUE(is_open(pages.front()));
  EXPECT_FALSE(is_open(pages.back()));  // the heads count too
  cut(pages.front());
  const Page next = enter(4);
  say(next, R"(52-["a"])");
  say_bytes(next, piece);
  EXPECT_TRUE(is_open(next));
}

TEST_F(SocketIo, LeavesOneNamespaceAndStaysInTheOther) {
  const Page page = enter(4);
  say(page, "0/chat,");
  say(page, "1/chat,");
  EXPECT_THAT(application_.gone, ElementsAre(2));
  EXPECT_TRUE(is_open(page));
  heard(page);
  say(page, "0/chat,");
  ASSERT_THAT(heard(page), SizeIs(1));
  EXPECT_THAT(application_.sockets, SizeIs(3));
  cut(page);
  EXPECT_THAT(application_.gone, ElementsAre(2)) << "kept for two minutes";
  pass(minutes(3));
  EXPECT_THAT(application_.gone, ::testing::UnorderedElementsAre(2, 1, 3));
  EXPECT_EQ(server_.socket_count(), 0u);
}

TEST_F(SocketIo, DisconnectsForTheApplication) {
  const Page page = enter(4, "/chat");
  const SocketHandle socket = application_.sockets[0];
  application_.when_gone = [&](Tick now, SocketHandle gone) {
    // Nothing of this reaches it.
    server_.emit(now, gone, {.name = "bye"});
    server_.disconnect(now, gone);
    EXPECT_EQ(server_.join(gone, "r"), socketio::JoinOutcome::kTooMany);
  };
  server_.join(socket, "room");
  server_.disconnect(now(), socket);
  EXPECT_THAT(heard(page), ElementsAre("1/chat,"));
  EXPECT_THAT(application_.gone, ElementsAre(1));
  EXPECT_THAT(server_.members("room"), IsEmpty());
  EXPECT_EQ(server_.id(socket), "");
  EXPECT_TRUE(is_open(page));
  server_.emit(now(), socket, {.name = "late"});
  EXPECT_THAT(heard(page), IsEmpty());
}

TEST_F(SocketIo, KeepsRoomsAndForgetsThemWithTheSocket) {
  const Page one = enter(3);
  const Page two = enter(4);
  const SocketHandle first = application_.sockets[0];
  const SocketHandle second = application_.sockets[1];
  EXPECT_EQ(server_.join(first, "room"), socketio::JoinOutcome::kJoined);
  EXPECT_EQ(server_.join(first, "room"), socketio::JoinOutcome::kAlreadyIn);
  EXPECT_EQ(server_.join(second, "room"), socketio::JoinOutcome::kJoined);
  EXPECT_THAT(server_.members("room"), ElementsAre(first, second));
  EXPECT_TRUE(server_.leave(second, "room"));
  EXPECT_FALSE(server_.leave(second, "room"));
  cut(one);
  EXPECT_THAT(server_.members("room"), IsEmpty()) << "protocol 4 does not come back";
  for (std::size_t i = 0; i < socketio::Server::kMaxRoomsPerSocket; ++i) {
    EXPECT_EQ(server_.join(second, std::to_string(i)), socketio::JoinOutcome::kJoined);
  }
  EXPECT_EQ(server_.join(second, "more"), socketio::JoinOutcome::kTooMany);
}

TEST_F(SocketIo, BroadcastsWithinOneNamespaceOnly) {
  const Page one = enter(4);
  const Page two = enter(4, "/chat");
  const Page three = enter(3);
  broadcast("a", {"1"});
  EXPECT_THAT(heard(one), ElementsAre("2[\"a\",1]"));
  EXPECT_THAT(heard(two), IsEmpty());
  EXPECT_THAT(heard_with_offsets(three), ElementsAre("2[\"a\",1]"));
  broadcast("a", {"2"}, application_.sockets[0]);
  EXPECT_THAT(heard(one), IsEmpty());
}

TEST_F(SocketIo, BoundsNamespacesOfASession) {
  for (int i = 0; i < 20; ++i) application_.name_spaces.insert("/n" + std::to_string(i));
  const std::string longest = "/" + std::string(socketio::Server::kMaxNamespaceName - 1, 'x');
  application_.name_spaces.insert({longest, longest + "x"});
  const Page page = enter(4, longest);
  for (int i = 1; i < 16; ++i) say(page, "0/n" + std::to_string(i) + ",");
  EXPECT_THAT(heard(page), SizeIs(15));
  say(page, "0/n17,");
  EXPECT_THAT(heard(page), ElementsAre(R"(4/n17,{"message":"Invalid namespace"})"));
  const Page other = open(4);
  say(other, "0" + longest + "x,");
  EXPECT_THAT(heard(other), ElementsAre("4" + longest + R"(x,{"message":"Invalid namespace"})"));
}

TEST_F(SocketIoSmall, RefusesSocketsBeyondItsMaximum) {
  enter(4);
  const Page second = enter(4);
  const Page third = open(4);
  say(third, "0");
  EXPECT_THAT(heard(third), ElementsAre(R"(4{"message":"the server is full"})"));
  cut(second);
  say(third, "0");
  EXPECT_THAT(heard(third), ElementsAre(::testing::StartsWith("0{")));
}

TEST_F(SocketIo, ClosesWhoConnectsAndLeavesOverAndOver) {
  const Page page = enter(4, "/chat");
  for (std::uint32_t i = 0; i < Pace::kMessages.burst; ++i) {
    say(page, i % 2 == 0 ? "1/chat," : "0/chat,");
  }
  EXPECT_FALSE(is_open(page));
}

TEST_F(SocketIo, SurvivesAnApplicationThatClosesWhileItIsTold) {
  application_.when_connected = [this](Tick now, SocketHandle socket, const auto&) {
    server_.close(now, socket);
  };
  const Page page = open(4);
  say(page, "0");
  EXPECT_FALSE(is_open(page));
  EXPECT_THAT(application_.gone, ElementsAre(1));
  application_.when_connected = [this](Tick now, SocketHandle socket, const auto&) {
    server_.disconnect(now, socket);
  };
  const Page other = open(4);
  say(other, "0");
  EXPECT_TRUE(is_open(other));
  EXPECT_THAT(application_.gone, ElementsAre(1, 2));
}

}  // namespace
}  // namespace turnpike::signaling::testing
