// The room "echo" as the native protocol shows it; the endpoint behind it is played by the test.
#include "signaling/echo_desk.h"

#include <deque>

#include "world.h"

namespace turnpike::signaling::testing {
namespace {

class FakeDesk : public EchoDesk {
 public:
  std::optional<std::string_view> refusal(const IpAddress& source) override {
    asked.push_back(source);
    return guests.size() >= places ? std::optional<std::string_view>("all places are taken")
                                   : std::nullopt;
  }
  void on_guest(Tick, Guest guest, const IpAddress&) override { guests.push_back(guest); }
  void on_message(Tick, Guest guest, std::string_view data) override {
    heard.emplace_back(guest, data);
  }
  void on_gone(Tick, Guest guest) override { EXPECT_EQ(std::erase(guests, guest), 1u); }
  std::optional<Word> next_word() override {
    if (words.empty()) return std::nullopt;
    Word word = std::move(words.front());
    words.pop_front();
    return word;
  }
  bool has_word() const override { return !words.empty(); }

  std::size_t places = 2;
  mutable std::vector<IpAddress> asked;
  std::vector<Guest> guests;
  std::vector<std::pair<Guest, std::string>> heard;
  std::deque<Word> words;
};

struct EchoWorld : FakeDesk, World {
  EchoWorld() : World([this](Settings& settings) { settings.echo = this; }) {}
};

const json kEcho = {{"id", "echo"}, {"name", "Echo"}, {"polite", false}, {"away", false}};

TEST(EchoRoom, HasOneMemberWhoWaitsForAnOffer) {
  EchoWorld world;
  Tab ann(world);
  const json joined = ann.join("echo", "Ann");
  EXPECT_EQ(joined["room"], "echo");
  EXPECT_EQ(joined["members"], json::array({kEcho}));
  EXPECT_EQ(world.guests.size(), 1u);
  EXPECT_EQ(world.asked, std::vector{*IpAddress::parse("192.0.2.7")});
}

TEST(EchoRoom, GuestsDoNotMeet) {
  EchoWorld world;
  Tab ann(world), ben(world);
  ann.join("echo");
  EXPECT_EQ(ben.join("echo")["members"], json::array({kEcho}));
  ben.say({{"type", "send"}, {"data", "to all"}});
  ben.say({{"type", "send"}, {"to", ann.self["id"]}, {"data", 1}});
  EXPECT_EQ(ben.hear("error")["code"], "no-such-member");
  ben.lose();
  EXPECT_TRUE(ann.silent());
  ASSERT_EQ(world.heard.size(), 1u);
  EXPECT_EQ(world.heard.front().second, "\"to all\"");
}

TEST(EchoRoom, SaysItsWordsToOneGuest) {
  EchoWorld world;
  Tab ann(world), ben(world);
  ann.join("echo");
  ben.join("echo");
  ann.say({{"type", "send"}, {"to", "echo"}, {"data", {{"description", 7}}}});
  ASSERT_EQ(world.heard.size(), 1u);
  EXPECT_EQ(world.heard.front(),
            std::pair(world.guests.front(), std::string("{\"description\":7}")));
  EXPECT_TRUE(ann.silent());
  world.words.push_back({world.guests.front(), "{\"description\":8}", false});
  world.pass(milliseconds(1));
  const json message = ann.hear("message");
  EXPECT_EQ(message["from"], "echo");
  EXPECT_EQ(message["to"], ann.self["id"]);
  EXPECT_EQ(message["data"], json({{"description", 8}}));
  EXPECT_TRUE(ben.silent());
}

TEST(EchoRoom, IsLeftByTheEchoWhenItsTimeIsOver) {
  EchoWorld world;
  Tab ann(world);
  ann.join("echo");
  world.words.push_back({world.guests.front(), "{\"ended\":\"time\"}", true});
  world.guests.clear();
  world.pass(milliseconds(1));
  EXPECT_EQ(ann.hear("message")["data"], json({{"ended", "time"}}));
  const json left = ann.hear("member-left");
  EXPECT_EQ(left["member"], "echo");
  EXPECT_EQ(left["reason"], "left");
  ann.say({{"type", "send"}, {"to", "echo"}, {"data", 1}});
  EXPECT_EQ(ann.hear("error")["code"], "no-such-member");
  ann.say({{"type", "leave"}});
  EXPECT_EQ(ann.close_code(), 4002);  // and the desk was not told of a guest that it had let go
}

TEST(EchoRoom, RefusesWhomTheDeskRefuses) {
  EchoWorld world;
  world.places = 1;
  Tab ann(world), ben(world);
  ann.join("echo");
  ben.say({{"type", "join"}, {"room", "echo"}, {"id", 3}});
  const json error = ben.hear("error");
  EXPECT_EQ(error["code"], "room-full");
  EXPECT_EQ(error["message"], "all places are taken");
  EXPECT_EQ(error["id"], 3);
  ann.say({{"type", "leave"}});
  EXPECT_TRUE(world.guests.empty());
  EXPECT_EQ(ben.join("echo")["members"], json::array({kEcho}));
}

TEST(EchoRoom, LetsGoOfGuestsWhoseSocketIsGone) {
  EchoWorld world;
  Tab ann(world);
  ann.join("echo");
  ann.lose();
  EXPECT_TRUE(world.guests.empty());
  Tab again(world);
  again.say({{"type", "resume"}, {"session", ann.session}, {"received", 1}});
  EXPECT_EQ(again.hear("resumed")["members"], json::array());
  EXPECT_EQ(again.hear("member-left")["member"], "echo");
}

TEST(EchoRoom, HoldsMoreThanOtherRooms) {
  EchoWorld world;
  world.places = 100;
  std::deque<Tab> tabs;
  for (int i = 0; i < 70; ++i) tabs.emplace_back(world).join("echo");
  EXPECT_EQ(world.guests.size(), 70u);
}

TEST(EchoRoom, IsARoomLikeOthersWithoutAnEndpoint) {
  World world;
  Tab ann(world), ben(world);
  EXPECT_EQ(ann.join("echo")["members"], json::array());
  EXPECT_EQ(ben.join("echo")["members"].size(), 1u);
  EXPECT_EQ(ann.hear("member-joined")["member"]["id"], ben.self["id"]);
}

}  // namespace
}  // namespace turnpike::signaling::testing
