// Tutorial 003's rooms of two, and what tokens ask of all three tutorials.
#include "base/digest.h"
#include "tests/signaling/tutorial_world.h"

namespace turnpike::signaling::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Tutorial003 : public TutorialPages, public ::testing::WithParamInterface<std::string> {};
// What pages call their room: with ?room= a text, still percent encoded, and false without.
INSTANTIATE_TEST_SUITE_P(Rooms, Tutorial003,
                         ::testing::Values("false", "\"a%20b\"", "7", "\"\\u00e9\""));
class PairOfPages : public TutorialPages {
 protected:
  PairOfPages() {
    for (const Page& page : {one_, two_}) say(page, R"(2["join","r"])");
    heard(one_);
    heard(two_);
  }
  Page one_ = enter_late(3);
  Page two_ = enter_late(4);
  Page enter_late(int version) { return enter(version); }
};
class SilentPair : public TutorialPages {
 protected:
  SilentPair() : TutorialPages({.bye_on_disconnect = false}) {}
};
class WithTokens : public TutorialPages {
 protected:
  WithTokens() : TutorialPages({}, {.passwords = {"the password of the house"}}) {}
  static constexpr std::string_view kAuth = R"({"token":"the password of the house"})";
  static constexpr std::string_view kQuery = "token=the+password+of+the+house";
};

class WithJwt : public TutorialPages {
 protected:
  static constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
  WithJwt() : TutorialPages({}, {.jwt_keys = {std::string(kSecret)}}) {}

  // Socket.IO's auth with a token for these rooms (JSON) that holds for an hour.
  std::string auth(std::string_view rooms) {
    const std::string claims = "{\"room\":" + std::string(rooms) + ",\"exp\":" +
                               std::to_string((now().wall + hours(1)).since_epoch.count()) + "}";
    const std::string signed_part =
        base64url_encode(as_bytes(R"({"alg":"HS256"})")) + "." + base64url_encode(as_bytes(claims));
    const auto signature = hmac_sha256(as_bytes(kSecret), {as_bytes(signed_part)});
    return R"({"token":")" + signed_part + "." + base64url_encode(signature) + "\"}";
  }
};

TEST_P(Tutorial003, LetsTwoMeetAndKeepsTheThirdOut) {
  const std::string room = GetParam();
  const auto pages = enter_many(8);
  const std::string join = "2[\"join\"," + room + "]";
  say(pages[0], join);
  EXPECT_THAT(heard(pages[0]), ElementsAre(with_id("joined", room, pages[0])));
  say(pages[1], join);
  EXPECT_THAT(heard(pages[1]), ElementsAre(with_id("joined", room, pages[1])));
  EXPECT_THAT(heard(pages[0]), ElementsAre("2[\"otherjoin\"," + room + "]"));
  for (std::size_t i = 2; i < pages.size(); ++i) {
    say(pages[i], join);
    EXPECT_THAT(heard(pages[i]), ElementsAre(with_id("full", room, pages[i])));
  }
  expect_silence(pages);
  const std::string message = "2[\"message\"," + room + ",{\"type\":\"offer\",\"sdp\":\"x\"}]";
  say(pages[0], message);
  EXPECT_THAT(heard(pages[1]), ElementsAre(message));
  // Those who are not inside cannot speak there, nor send anybody away.
  say(pages[2], message);
  expect_silence(pages);
  say(pages[2], "2[\"leave\"," + room + "]");
  EXPECT_THAT(heard(pages[2]), ElementsAre(with_id("leaved", room, pages[2])));
  expect_silence(pages);
}

TEST_F(PairOfPages, LeaveSaysByeAndMakesRoom) {
  say(one_, R"(2["leave","r"])");
  EXPECT_THAT(heard(two_), ElementsAre(with_id("bye", "\"r\"", one_)));
  EXPECT_THAT(heard(one_), ElementsAre(with_id("leaved", "\"r\"", one_)));
  EXPECT_TRUE(is_open(one_)) << "the page does that";
  say(two_, R"(2["message","r",1])");
  EXPECT_THAT(heard(one_), IsEmpty());
  const Page three = enter(3);
  say(three, R"(2["join","r"])");
  EXPECT_THAT(heard(three), ElementsAre(with_id("joined", "\"r\"", three)));
  EXPECT_THAT(heard(two_), ElementsAre(R"(2["otherjoin","r"])"));
  // Gone already: no second farewell.
  cut(one_);
  EXPECT_THAT(heard(two_), IsEmpty());
}

TEST_F(PairOfPages, AVanishedTabSaysBye) {
  cut(one_);
  EXPECT_THAT(heard(two_), ElementsAre(with_id("bye", "\"r\"", one_)));
  const Page three = enter(4);
  say(three, R"(2["join","r"])");
  EXPECT_THAT(heard(three), ElementsAre(with_id("joined", "\"r\"", three)));
  heard(two_);
  // The other protocol's client could come back; its seat is not kept either.
  cut(two_);
  EXPECT_THAT(heard(three), ElementsAre(with_id("bye", "\"r\"", two_)));
}

TEST_F(PairOfPages, JoiningTwiceAnswersAndAnnouncesAgain) {
  say(one_, R"(25["join","r"])");
  EXPECT_THAT(heard(one_), ElementsAre(with_id("joined", "\"r\"", one_), "35[null]"));
  EXPECT_THAT(heard(two_), ElementsAre(R"(2["otherjoin","r"])"));
  say(one_, R"(2["leave","r"])");
  EXPECT_THAT(heard(two_), ElementsAre(with_id("bye", "\"r\"", one_)));
}

TEST_F(PairOfPages, PassesOnTwoArgumentsAndNoMore) {
  say(one_, R"(2["message","r", null ,3])");
  EXPECT_THAT(heard(two_), ElementsAre(R"(2["message","r",null])"));
}

TEST_F(PairOfPages, OneArgumentIsAMessageOf002) {
  say(one_, "2[\"message\",{\"channel\":\"" + two_.id + "\",\"message\":5}]");
  EXPECT_THAT(heard(two_), ElementsAre("2[\"message\",5]"));
}

TEST_F(PairOfPages, NamespacesHaveRoomsOfTheirOwn) {
  const Page page = enter(4, "/other");
  say(page, R"(2/other,["join","r"])");
  EXPECT_THAT(heard(page), ElementsAre("2/other,[\"joined\",\"r\",\"" + page.id + "\"]"));
  say(page, R"(2/other,["message","r",1])");
  expect_silence({one_, two_});
}

TEST_F(SilentPair, IsToldNothingOfTheVanished) {
  const Page one = enter(3);
  const Page two = enter(3);
  for (const Page& page : {one, two}) say(page, R"(2["join",1])");
  heard(two);
  cut(one);
  EXPECT_THAT(heard(two), IsEmpty());
}

TEST_F(WithTokens, NobodyConnectsWithoutOne) {
  const Page four = open(3);
  EXPECT_THAT(heard(four), ElementsAre(R"(4"rooms here need a token or the room password")"));
  const Page five = open(4);
  say(five, "0");
  EXPECT_THAT(heard(five),
              ElementsAre(R"(4{"message":"rooms here need a token or the room password"})"));
  say(five, R"(0{"token":"wrong"})");
  EXPECT_THAT(heard(five),
              ElementsAre(R"(4{"message":"this is neither a room token nor the room password"})"));
  EXPECT_EQ(server().socket_count(), 0u);
}

TEST_F(WithTokens, ThePasswordOpensEverythingWhereverItTravels) {
  const std::vector<Page> pages = {enter(3, "/", {}, kQuery), enter(4, "/", {}, kQuery),
                                   enter(4, "/", kAuth)};
  say(pages[0], R"(2["offer",1])");
  EXPECT_THAT(heard(pages[1]), ElementsAre(R"(2["offer",1])"));
  EXPECT_THAT(heard(pages[2]), ElementsAre(R"(2["offer",1])"));
  say(pages[1], R"(2["join",1])");
  EXPECT_THAT(heard(pages[1]), ElementsAre(with_id("joined", "1", pages[1])));
}

TEST_F(WithJwt, OpensOnlyItsRooms) {
  const Page inside = enter(4, "/", auth(R"("*")"));
  say(inside, R"(2["joinRoom","red"])");
  say(inside, R"(2["join","red"])");
  heard(inside);
  const Page page = enter(4, "/", auth(R"(["blue","1"])"));
  const std::string fault = "[\"the token is not for this room, or has expired\"]";
  say(page, R"(21["joinRoom","red"])");
  say(page, R"(22["join","red"])");
  say(page, R"(23["joinRoom","blue"])");
  say(page, R"(24["join",1])");
  EXPECT_THAT(heard(page), ElementsAre("31" + fault, "32" + fault, "33[null]",
                                       with_id("joined", "1", page), "34[null]"));
  // Nor does it speak where it cannot be.
  say(page, R"(2["sendOffer",{"offer":1,"room":"red"}])");
  say(page, R"(2["message","red",1])");
  say(page, "2[\"message\",{\"channel\":\"" + inside.id + "\",\"message\":1}]");
  EXPECT_THAT(heard(inside), IsEmpty());
}

TEST_F(WithJwt, LobbiesAreRoomsToo) {
  const Page all = enter(4, "/", auth(R"("*")"));
  const Page all_red = enter(4, "/", auth(R"("*")"), "room=red");
  const Page red = enter(4, "/", auth(R"("red")"), "room=red");
  const Page bare = enter(4, "/", auth(R"("red")"));
  const Page blue = enter(4, "/", auth(R"("red")"), "room=blue");
  const Page space = enter(4, "/red", auth(R"("red")"));
  const Page space_too = enter(4, "/red", auth(R"("red")"));
  say(red, R"(2["offer",1])");
  EXPECT_THAT(heard(all_red), ElementsAre(R"(2["offer",1])"));
  say(space, R"(2/red,["offer",1])");
  EXPECT_THAT(heard(space_too), ElementsAre(R"(2/red,["offer",1])"));
  say(bare, R"(2["offer",1])");
  say(blue, R"(2["offer",1])");
  say(all, R"(2["offer",1])");
  expect_silence({all, all_red, red, bare, blue, space, space_too});
  // Direct messages stay inside.
  say(red, "2[\"message\",{\"channel\":\"" + all_red.id + "\",\"message\":1}]");
  EXPECT_THAT(heard(all_red), ElementsAre("2[\"message\",1]"));
  say(red, "2[\"message\",{\"channel\":\"" + all.id + "\",\"message\":1}]");
  EXPECT_THAT(heard(all), IsEmpty());
}

TEST_F(WithJwt, ExpiresForRoomsThatAreEnteredLater) {
  const Page page = enter(4, "/", auth(R"("*")"));
  say(page, R"(21["joinRoom",1])");
  wall_ = hours(2);
  say(page, R"(22["joinRoom",2])");
  EXPECT_THAT(heard(page), ElementsAre("31[null]", ::testing::StartsWith("32[\"the token")));
}

TEST_F(WithJwt, WhoComesBackNeedsATokenForItsRoomsAgain) {
  for (const bool opens : {true, false}) {
    const Page page = enter(4, "/", auth("\"demo\""));
    say(page, R"(2["joinRoom","demo"])");
    cut(page);
    std::string text = auth(opens ? "[\"demo\",\"more\"]" : "\"other\"");
    text.replace(text.size() - 1, 1, ",\"pid\":\"" + page.pid + "\"}");
    const Page again = enter(4, "/", text);
    EXPECT_EQ(again.id == page.id, opens);
  }
}

TEST_F(SilentPair, ASourceOpensItsShareOfRoomsAndIsToldWhenItIsUsed) {
  const SourceMark source(source_);
  std::uint32_t places = 0;
  while (gate_.rooms().take(source)) ++places;
  EXPECT_EQ(places, Gate::kRoomsPerSource);
  gate_.rooms().give_back(source, 2);
  const Page page = enter(4);  // the lobby is a room too
  const std::string full = R"(["too many rooms were opened from your address"])";
  say(page, R"(21["joinRoom","a"])");  // and is left for this one
  EXPECT_THAT(heard(page), ElementsAre("31[null]"));
  say(page, R"(22["join","b"])");
  EXPECT_EQ(heard(page).back(), "32[null]");
  say(page, R"(23["joinRoom","c"])");
  EXPECT_THAT(heard(page), ElementsAre("33" + full));
  say(page, R"(24["join","d"])");
  EXPECT_THAT(heard(page), ElementsAre("34" + full));
}

}  // namespace
}  // namespace turnpike::signaling::testing
