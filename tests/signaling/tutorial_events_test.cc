// Tutorials 001 and 002, and how they live together: who hears what, and who does not.
#include "tests/signaling/tutorial_world.h"

namespace turnpike::signaling::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Tutorial001 : public TutorialPages, public ::testing::WithParamInterface<std::size_t> {};
class Tutorial002 : public TutorialPages, public ::testing::WithParamInterface<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Crowds, Tutorial001, ::testing::Values(2, 3, 8));
INSTANTIATE_TEST_SUITE_P(Crowds, Tutorial002, ::testing::Values(2, 3, 8));
class TutorialMix : public TutorialPages {};
class SmallLobby : public TutorialPages {
 protected:
  SmallLobby() : TutorialPages({.lobby_size = 2}) {}
};

TEST_P(Tutorial001, RelaysWithinTheRoomWithoutItsName) {
  const auto pages = enter_many(GetParam());
  const auto elsewhere = enter_many(2);
  for (const Page& page : pages) say(page, R"(2["joinRoom",1])");
  for (const Page& page : elsewhere) say(page, R"(2["joinRoom",2])");
  expect_silence(pages);
  const std::vector<std::pair<std::string, std::string>> relayed = {
      {R"(2["sendOffer",{"offer":{"type":"offer","sdp":"v=0\r\n"},"room":1}])",
       R"(2["receiveOffer",{"offer":{"type":"offer","sdp":"v=0\r\n"}}])"},
      {R"(2["sendAnswer",{"room":1,"answer":{"sdp":"\u00e9é"}}])",
       R"(2["receiveAnswer",{"answer":{"sdp":"\u00e9é"}}])"},
      {R"(2["sendCandidate",{"candidate":{"sdpMLineIndex":0,"x":1.50},"room":1}])",
       R"(2["receiveCandidate",{"candidate":{"sdpMLineIndex":0,"x":1.50}}])"},
      {R"(2["sendCandidate",{"candidate":null,"room":1}])",
       R"(2["receiveCandidate",{"candidate":null}])"}};
  for (const Page& from : pages) {
    for (const auto& [sent, received] : relayed) {
      say(from, sent);
      for (const Page& page : pages) {
        if (page.connection == from.connection) {
          EXPECT_THAT(heard(page), IsEmpty());
        } else {
          EXPECT_THAT(heard(page), ElementsAre(received));
        }
      }
    }
  }
  expect_silence(elsewhere);
  // Nobody is told of a departure.
  cut(pages[0]);
  expect_silence(pages);
}

TEST_F(TutorialMix, RoomsOf001AreCalledByTheirStringForm) {
  const Page one = enter(4);
  const Page two = enter(4);
  say(one, R"(2["joinRoom",1])");
  say(two, R"(2["joinRoom","1"])");
  say(one, R"(2["sendOffer",{"offer":1,"room":"\u0031"}])");
  EXPECT_THAT(heard(two), ElementsAre(R"(2["receiveOffer",{"offer":1}])"));
  for (const std::string_view room : {"false", "null", "{\"a\":[1]}", "\"\\ud800\"", "\"\""}) {
    say(one, "2[\"joinRoom\"," + std::string(room) + "]");
    say(two, "2[\"sendOffer\",{\"offer\":0,\"room\":" + std::string(room) + "}]");
    EXPECT_THAT(heard(one), ElementsAre(R"(2["receiveOffer",{"offer":0}])")) << room;
  }
}

TEST_F(TutorialMix, PagesOf001MaySendWithoutHavingJoined) {
  const Page inside = enter(4);
  const Page outside = enter(4);
  say(inside, R"(2["joinRoom",1])");
  say(outside, R"(2["sendOffer",{"offer":1,"room":1}])");
  EXPECT_THAT(heard(inside), ElementsAre(R"(2["receiveOffer",{"offer":1}])"));
  say(inside, R"(2["sendAnswer",{"answer":1,"room":1}])");
  EXPECT_THAT(heard(outside), IsEmpty());
}

TEST_F(TutorialMix, IgnoresWhatWouldHaveEndedTheTutorialsServers) {
  const Page one = enter(4);
  const Page two = enter(3);
  say(two, R"(2["joinRoom",1])");
  for (const std::string_view text :
       {R"(2["sendOffer"])", R"(2["sendOffer",null])", R"(2["sendOffer",1])",
        R"(2["sendOffer",[]])", R"(2["sendOffer",{"offer":1}])", R"(2["joinRoom"])",
        R"(2["message",null])", R"(2["message"])", R"(2["message",{"message":1}])",
        R"(2["message",{"channel":7}])", R"(2["message",{"channel":"nobody","message":1}])",
        R"(2["leave"])", R"(2["join"])", R"(2["offer"])", R"(2["unknown",1])", R"(2[7,1])",
        R"(2["message",false,1])"}) {
    say(one, text);
    EXPECT_TRUE(is_open(one)) << text;
  }
  EXPECT_THAT(heard(one), IsEmpty());
  EXPECT_THAT(heard(two), IsEmpty());
  // Without its value the key is left out, as JavaScript does.
  say(one, R"(2["sendOffer",{"room":1}])");
  EXPECT_THAT(heard(two), ElementsAre(R"(2["receiveOffer",{}])"));
}

TEST_F(TutorialMix, SurvivesHostileJson) {
  const Page victim = enter(4);
  for (const std::string& value :
       {std::string(20'000, '['), std::string(20'000, '[') + std::string(20'000, ']'),
        std::string("\"\\u12\""), std::string("\"\\x\""), std::string("01"), std::string("-")}) {
    const Page page = enter(4);
    say(page, "2[\"offer\"," + value + "]");
    EXPECT_FALSE(is_open(page)) << value.substr(0, 10);
  }
  const Page page = enter(4);
  say(page, "2[\"offer\",1e99999]");
  say(page, "2[\"offer\",\"\\ud800\"]");
  say(page, "2[\"offer\",{\"__proto__\":{\"a\":" + std::string(400, '9') + "}}]");
  EXPECT_THAT(heard(victim),
              ElementsAre("2[\"offer\",1e99999]", "2[\"offer\",\"\\ud800\"]",
                          "2[\"offer\",{\"__proto__\":{\"a\":" + std::string(400, '9') + "}}]"));
  const Page liar = enter(4);
  say(liar, R"(51-["offer",{"_placeholder":true,"num":3}])");
  EXPECT_FALSE(is_open(liar));
  EXPECT_THAT(heard(victim), IsEmpty());
}

TEST_F(TutorialMix, RelaysAttachmentsWithTheirEvent) {
  const Page from = enter(4);
  const Page to = enter(3);
  say(from, R"(51-["offer",{"_placeholder":true,"num":0}])");
  say_bytes(from, "sdp");
  EXPECT_THAT(heard(to), ElementsAre(R"(51-["offer",{"_placeholder":true,"num":0}])", "<bin>sdp"));
  say(from, R"(2["joinRoom",1])");
  say(to, R"(2["joinRoom",1])");
  say(from, R"(51-["sendOffer",{"offer":{"_placeholder":true,"num":0},"room":1}])");
  say_bytes(from, "sdp");
  EXPECT_THAT(
      heard(to),
      ElementsAre(R"(51-["receiveOffer",{"offer":{"_placeholder":true,"num":0}}])", "<bin>sdp"));
}

TEST_P(Tutorial002, RelaysToEverybodyElse) {
  const auto pages = enter_many(GetParam());
  for (const Page& from : pages) {
    for (const std::string text :
         {R"(2["offer",{"sdp":"x"}])", R"(2["answer","y"])", R"(2["onicecandidate",null])"}) {
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
  say(pages[0], R"(2["offer",1,2])");
  for (std::size_t i = 1; i < pages.size(); ++i) {
    EXPECT_THAT(heard(pages[i]), ElementsAre(R"(2["offer",1])")) << "one argument";
  }
  cut(pages[0]);
  expect_silence(pages);
}

TEST_P(Tutorial002, SendsAMessageToTheSocketOfThatId) {
  const auto pages = enter_many(GetParam());
  for (const Page& to : pages) {
    const Page& from = to.connection == pages[0].connection ? pages[1] : pages[0];
    say(from, "2[\"message\",{\"message\":[1],\"channel\":\"" + to.id + "\"}]");
    EXPECT_THAT(heard(to), ElementsAre("2[\"message\",[1]]"));
    expect_silence(pages);
  }
  say(pages[0], "2[\"message\",{\"channel\":\"" + pages[0].id + "\",\"message\":1}]");
  expect_silence(pages);  // not to oneself
  say(pages[0], "2[\"message\",{\"channel\":\"" + pages[1].id + "\"}]");
  EXPECT_THAT(heard(pages[1]), ElementsAre("2[\"message\",null]"));
}

TEST_F(TutorialMix, WhoUsesRoomsIsNotInTheLobby) {
  const Page lobby = enter(4);
  const Page other = enter(3);
  const Page joined = enter(3);
  const Page room = enter(4);
  const Page sender = enter(4);
  say(joined, R"(2["join","r"])");
  say(room, R"(2["joinRoom","r"])");
  say(sender, R"(2["sendOffer",{"offer":1,"room":"none"}])");
  heard(joined);
  say(lobby, R"(2["offer",1])");
  EXPECT_THAT(heard(other), ElementsAre(R"(2["offer",1])"));
  expect_silence({joined, room, sender});
  // And says nothing there.
  for (const Page& page : {joined, room, sender}) say(page, R"(2["answer",1])");
  expect_silence({lobby, other, joined, room, sender});
}

TEST_F(TutorialMix, RoomsOf001And003OfOneNameAreTwo) {
  std::vector<Page> many = enter_many(3);
  for (const Page& page : many) say(page, R"(2["joinRoom","r"])");
  const Page one = enter(3);
  const Page two = enter(3);
  say(one, R"(2["join","r"])");
  say(two, R"(2["join","r"])");
  EXPECT_THAT(heard(two), ElementsAre(with_id("joined", "\"r\"", two)));
  EXPECT_THAT(heard(one), ElementsAre(with_id("joined", "\"r\"", one), R"(2["otherjoin","r"])"));
  say(one, R"(2["message","r",{"type":"offer"}])");
  EXPECT_THAT(heard(two), ElementsAre(R"(2["message","r",{"type":"offer"}])"));
  expect_silence(many);
  say(many[0], R"(2["sendOffer",{"offer":1,"room":"r"}])");
  expect_silence({one, two});
}

TEST_F(TutorialMix, LobbiesAreApartByNamespaceAndByRoomInTheAddress) {
  const std::vector<Page> bare = {enter(3), enter(4)};
  const std::vector<Page> space = {enter(3, "/room7"), enter(4, "/room7")};
  const std::vector<Page> room = {enter(3, "/", {}, "room=7"), enter(4, "/", {}, "room=7")};
  const auto packet = [](const std::vector<Page>& pages, std::string_view text) {
    const std::string prefix = pages[0].first == "0/room7" ? "/room7," : "";
    return "2" + prefix + std::string(text);
  };
  for (const auto* pages : {&bare, &space, &room}) {
    say((*pages)[0], packet(*pages, "[\"offer\",1]"));
    EXPECT_THAT(heard((*pages)[1]), ElementsAre(packet(*pages, "[\"offer\",1]")));
    say((*pages)[1], packet(*pages, "[\"answer\",1]"));
    EXPECT_THAT(heard((*pages)[0]), ElementsAre(packet(*pages, "[\"answer\",1]")));
    for (const auto* others : {&bare, &space, &room}) expect_silence(*others);
  }
}

TEST_F(SmallLobby, LeavesOutWhoComesWhenItIsFull) {
  const Page one = enter(4);
  const Page two = enter(3);
  const Page three = enter(4);
  say(one, R"(2["offer",1])");
  EXPECT_THAT(heard(two), ElementsAre(R"(2["offer",1])"));
  say(three, R"(2["offer",3])");
  expect_silence({one, two, three});
  cut(two);
  say(three, R"(2["offer",3])");
  EXPECT_THAT(heard(one), ElementsAre(R"(2["offer",3])"));
  say(one, R"(2["answer",1])");
  EXPECT_THAT(heard(three), ElementsAre(R"(2["answer",1])"));
}

TEST_F(SmallLobby, HasNoPlaceForTheMainNamespaceOfThoseElsewhere) {
  enter(3, "/room7");
  enter(3, "/room7");
  const Page one = enter(3);
  const Page two = enter(3);
  say(one, R"(2["offer",1])");
  EXPECT_THAT(heard(two), ElementsAre(R"(2["offer",1])"));
}

TEST_F(SmallLobby, IsLeftByThoseWhoGoToARoom) {
  for (int i = 0; i < 3; ++i) say(enter(4), R"(2["joinRoom",1])");
  for (int i = 0; i < 2; ++i) say(enter(3), R"(2["join",1])");
  const Page one = enter(4);
  const Page two = enter(4);
  say(one, R"(2["offer",1])");
  EXPECT_THAT(heard(two), ElementsAre(R"(2["offer",1])"));
}

TEST_F(TutorialMix, ChargesABroadcastToItsSender) {
  const auto pages = enter_many(8);
  const std::string large = "2[\"offer\",\"" + std::string(512 * 1024, 'x') + "\"]";
  say(pages[0], large);  // to seven: more than 200 pieces of 16 KiB
  EXPECT_THAT(heard(pages[1]), SizeIs(1));
  say(pages[0], "2[\"offer\",1]");
  EXPECT_THAT(heard(pages[1]), IsEmpty());
  say(pages[1], "2[\"offer\",1]");
  EXPECT_THAT(heard(pages[2]), SizeIs(2));
  pass(seconds(10));
  say(pages[0], "2[\"offer\",1]");
  EXPECT_THAT(heard(pages[3]), SizeIs(3));
}

TEST_F(TutorialMix, ClosesWhoDoesNotStop) {
  const Page page = enter(4);
  for (std::uint32_t i = 0; i < Pace::kMessages.burst + Pace::kMaxDropped - 1; ++i) {
    say(page, "2[\"unknown\"]");
  }
  EXPECT_TRUE(is_open(page));
  say(page, "2[\"unknown\"]");
  EXPECT_FALSE(is_open(page));
}

TEST_F(TutorialMix, BoundsTheRoomsOf001) {
  std::vector<Page> pages;
  for (std::size_t i = 0; i < TutorialEvents::kMaxMembers; ++i) {
    pages.push_back(enter(4));
    say(pages.back(), R"(20["joinRoom",1])");
    EXPECT_THAT(heard(pages.back()), ElementsAre("30[null]"));
  }
  const Page late = enter(4);
  say(late, R"(21["joinRoom",1])");
  EXPECT_THAT(heard(late), ElementsAre(R"(31["the room is full"])"));
  // Who is only expected back makes place.
  cut(pages[5]);
  say(late, R"(22["joinRoom",1])");
  EXPECT_THAT(heard(late), ElementsAre("32[null]"));
  const std::string room = "\"" + std::string(TutorialEvents::kMaxRoomText, 'x') + "\"";
  say(late, "23[\"joinRoom\"," + room + "]");
  EXPECT_THAT(heard(late), ElementsAre(R"(33["a room's name has at most 256 bytes"])"));
}

TEST_F(TutorialMix, PagesOf001ComeBackIntoTheirRoom) {
  const Page one = enter(4);
  const Page two = enter(4);
  say(one, R"(2["joinRoom",1])");
  say(two, R"(2["joinRoom",1])");
  cut(one);
  say(two, R"(2["sendOffer",{"offer":1,"room":1}])");
  const Page again = open(4);
  say(again, "0{\"pid\":\"" + one.pid + "\"}");
  EXPECT_THAT(heard(again), ElementsAre(one.first, R"(2["receiveOffer",{"offer":1}])"));
  say(again, R"(2["sendAnswer",{"answer":1,"room":1}])");
  EXPECT_THAT(heard(two), ElementsAre(R"(2["receiveAnswer",{"answer":1}])"));
}

TEST_F(TutorialMix, LobbiesKeepNoPlaceForTheLost) {
  const Page lobby = enter(4);
  cut(lobby);
  const Page pair = enter(4);
  say(pair, R"(2["joinRoom",1])");
  say(pair, R"(2["join",1])");
  cut(pair);
  EXPECT_EQ(server().socket_count(), 0u);
}

}  // namespace
}  // namespace turnpike::signaling::testing
