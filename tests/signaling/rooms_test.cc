// Rooms over the native protocol, as docs/signaling.md promises them.
#include "signaling/room.h"

#include <memory>
#include <set>
#include <utility>

#include "signaling/gate.h"
#include "signaling/hub.h"
#include "signaling/room_tokens.h"
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

json view(const Tab& tab, std::string_view name, bool polite, bool away = false) {
  return {{"id", tab.self["id"]}, {"name", name}, {"polite", polite}, {"away", away}};
}

TEST(Joining, TellsWhoYouAreAndWhoIsThere) {
  World world;
  Tab ann(world);
  const json first = ann.join("demo", "Ann");
  EXPECT_EQ(first["type"], "joined");
  EXPECT_EQ(first["seq"], 1);
  EXPECT_EQ(first["room"], "demo");
  EXPECT_EQ(first["self"]["name"], "Ann");
  EXPECT_EQ(first["self"]["id"].get<std::string>().substr(0, 2), "m-");
  EXPECT_EQ(first["members"], json::array());
  EXPECT_EQ(first["resumeWindow"], 120);
  EXPECT_GE(first["session"].get<std::string>().size(), 22u);

  Tab ben(world);
  EXPECT_EQ(ben.join("demo", "Ben")["members"], json::array({view(ann, "Ann", true)}));
  const json news = ann.hear("member-joined");
  EXPECT_EQ(news["seq"], 2);
  EXPECT_EQ(news["member"], view(ben, "Ben", false));

  Tab cem(world);
  EXPECT_EQ(cem.join("demo")["members"],
            json::array({view(ann, "Ann", true), view(ben, "Ben", true)}));
  EXPECT_EQ(ben.hear("member-joined")["member"], view(cem, "", false));
  EXPECT_EQ(world.service.audit().rooms, 1u);
  EXPECT_EQ(world.service.audit().members, 3u);
}

TEST(Joining, ExactlyOneOfEachPairIsPolite) {
  World world;
  std::vector<std::unique_ptr<Tab>> tabs;
  std::set<std::pair<std::string, std::string>> polite;  // (who, towards whom)
  for (int i = 0; i < 6; ++i) {
    tabs.push_back(std::make_unique<Tab>(world));
    const json joined = tabs.back()->join("demo");
    const std::string me = joined["self"]["id"];
    for (const json& other : joined["members"]) {
      if (other["polite"]) polite.emplace(me, other["id"]);
    }
    for (int j = 0; j < i; ++j) {
      const json news = tabs[static_cast<std::size_t>(j)]->hear("member-joined");
      if (news["member"]["polite"]) {
        polite.emplace(tabs[static_cast<std::size_t>(j)]->self["id"], news["member"]["id"]);
      }
    }
  }
  EXPECT_EQ(polite.size(), 15u);
  for (const auto& [who, towards] : polite) EXPECT_EQ(polite.count({towards, who}), 0u);
}

TEST(Joining, RoomsDoNotHearEachOther) {
  World world;
  Tab ann(world);
  Tab ben(world);
  ann.join("one");
  EXPECT_EQ(ben.join("two")["members"], json::array());
  ben.say({{"type", "send"}, {"data", 1}});
  ben.say({{"type", "send"}, {"to", ann.self["id"]}, {"data", 1}});
  EXPECT_EQ(ben.hear("error")["code"], "no-such-member");
  EXPECT_TRUE(ann.silent());
  EXPECT_EQ(world.service.audit().rooms, 2u);
}

TEST(Joining, IdsAndSessionsNeverRepeat) {
  World world;
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    Tab tab(world);
    tab.join("room " + std::to_string(i));
    EXPECT_TRUE(seen.insert(tab.self["id"]).second);
    EXPECT_TRUE(seen.insert(tab.session).second);
  }
}

TEST(Sending, ReachesEverybodyElseOrOne) {
  World world;
  Tab ann(world), ben(world), cem(world);
  ann.join("demo");
  ben.join("demo");
  cem.join("demo");
  ann.ignore();
  ben.ignore();
  ann.say({{"type", "send"}, {"data", {{"hello", "all"}}}});
  for (Tab* tab : {&ben, &cem}) {
    const json message = tab->hear("message");
    EXPECT_EQ(message["from"], ann.self["id"]);
    EXPECT_EQ(message["data"], json({{"hello", "all"}}));
    EXPECT_FALSE(message.contains("to"));
  }
  ann.say({{"type", "send"}, {"to", ben.self["id"]}, {"data", "only you"}});
  const json message = ben.hear("message");
  EXPECT_EQ(message["to"], ben.self["id"]);
  EXPECT_EQ(message["data"], "only you");
  EXPECT_TRUE(cem.silent());
  EXPECT_TRUE(ann.silent());
}

TEST(Sending, KeepsTheOrderAndCountsWithoutGaps) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  for (int i = 0; i < 100; ++i) ann.say({{"type", "send"}, {"data", i}});
  for (int i = 0; i < 100; ++i) {
    const json message = ben.hear("message");
    EXPECT_EQ(message["data"], i);
    EXPECT_EQ(message["seq"], i + 2);
  }
}

TEST(Sending, PassesDataOnByteForByte) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  world.take(ben.connection);
  const std::string data =
      R"({ "big":123456789012345678901234567890, "e":1e999,"s":"\ud800","z":[1.0 , -0]})";
  ann.say_text(R"({"type":"send","data":)" + data + "}");
  EXPECT_NE(world.take(ben.connection).find("\"data\":" + data), std::string::npos);
}

TEST(Sending, NullIsDataToo) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  ann.say_text(R"({"type":"send","data":null})");
  EXPECT_TRUE(ben.hear("message")["data"].is_null());
}

TEST(Leaving, TellsTheOthersAndClosesTheSocket) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  ann.ignore();
  ben.say({{"type", "leave"}});
  EXPECT_EQ(ben.close_code(), 4002);
  const json news = ann.hear("member-left");
  EXPECT_EQ(news["member"], ben.self["id"]);
  EXPECT_EQ(news["reason"], "left");
  EXPECT_EQ(world.service.audit().members, 1u);
  world.pass(seconds(5));
  EXPECT_TRUE(world.closed(ben.connection));
  EXPECT_TRUE(ann.silent()) << "the end of the socket is no second farewell";
  ann.say({{"type", "leave"}});
  EXPECT_EQ(world.service.audit().rooms, 0u);
}

TEST(Leaving, ALostSocketIsOnlyAwayUntilTheWindowEnds) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  ann.ignore();
  ben.lose();
  EXPECT_EQ(ann.hear("member-away")["member"], ben.self["id"]);
  Tab cem(world);
  EXPECT_EQ(cem.join("demo")["members"][1], view(ben, "", true, true));
  ann.ignore();
  world.pass(Hub::kResumeWindow - milliseconds(1));
  EXPECT_TRUE(ann.silent());
  world.pass(milliseconds(100));
  const json news = ann.hear("member-left");
  EXPECT_EQ(news["member"], ben.self["id"]);
  EXPECT_EQ(news["reason"], "lost");
}

TEST(Leaving, ACloseFrameIsNotALeave) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  ann.ignore();
  world.send(ben.connection, client_frame(8, std::string("\x03\xe9", 2)));
  EXPECT_EQ(ann.hear("member-away")["member"], ben.self["id"]);
}

// --- errors ---

json error_of(Tab& tab, std::string_view text) {
  tab.say_text(text);
  return tab.hear("error");
}

TEST(Errors, NameTheirCodeAndGiveTheIdBack) {
  World world;
  Tab tab(world);
  EXPECT_EQ(error_of(tab, R"({"type":"send","data":1,"id":7})"),
            json({{"type", "error"},
                  {"code", "not-joined"},
                  {"message", "join a room first"},
                  {"id", 7}}));
  EXPECT_EQ(error_of(tab, R"({"type":"ice","id":"x y"})")["id"], "x y");
  EXPECT_EQ(error_of(tab, R"({"type":"leave"})")["code"], "not-joined");
  tab.join("demo");
  EXPECT_EQ(error_of(tab, R"({"type":"join","room":"demo","id":-1.5})")["id"], -1.5);
  EXPECT_EQ(error_of(tab, R"({"type":"join","room":"other"})")["code"], "already-joined");
  EXPECT_EQ(error_of(tab, R"({"type":"resume","session":"x","received":1})")["code"],
            "already-joined");
  EXPECT_EQ(error_of(tab, R"({"type":"send","to":"m-none","data":1})")["code"], "no-such-member");
  EXPECT_EQ(error_of(tab, R"({"type":"ice"})")["code"], "not-invited");
  tab.say_text(R"({"type":"ping","id":"p"})");
  EXPECT_EQ(tab.hear(), json({{"type", "pong"}, {"id", "p"}}));
}

TEST(Errors, BadMessagesEndOnlyThemselves) {
  World world;
  Tab tab(world);
  tab.join("demo");
  const std::string deep = std::string(20000, '[') + std::string(20000, ']');
  for (const std::string& text : std::vector<std::string>{
           "",
           "x",
           "null",
           "[]",
           "{}",
           R"({"type":1})",
           R"({"type":"nonsense"})",
           R"({"type":"send"})",
           R"({"type":"send","to":1,"data":1})",
           R"({"type":"send","to":"\ud800","data":1})",
           R"({"type":"send","data":})",
           R"({"type":"send","data":01})",
           R"({"type":"send","data":1,"data":2})",
           R"({"type":"send","data":)" + deep + "}",
           R"({"type":"send","id":[],"data":1})",
           R"({"type":"send","id":")" + std::string(63, 'i') + R"(","data":1})",
           R"({"type":"join"})",
           R"({"type":"join","room":1})",
           R"({"type":"join","room":"\udc00"})",
           R"({"type":"join","room":"a","name":{}})",
           R"({"type":"join","room":"a","invitation":1e999})",
           R"({"type":"resume","session":"a","received":1e999})",
           R"({"type":"resume","session":"a","received":18446744073709551616})",
           R"({"type":"resume","session":"a"})",
           R"({"type":"resume","received":1})"}) {
    EXPECT_EQ(error_of(tab, text)["code"], "bad-message") << text.substr(0, 60);
    EXPECT_EQ(tab.close_code(), 0);
  }
  tab.say_text(R"({"type":"ping"})");
  tab.hear("pong");
  tab.say_text(R"({"type":"send","id":")" + std::string(62, 'i') + R"(","data":1})");
  EXPECT_TRUE(tab.silent()) << "an id of 64 bytes is short enough";
}

TEST(Errors, RepeatedNonsenseEndsTheConnection) {
  World world;
  Tab tab(world);
  for (int i = 1; i < kMaxFaults; ++i) tab.say_text("x");
  EXPECT_EQ(tab.close_code(), 0);
  tab.say_text("x");
  EXPECT_EQ(tab.close_code(), 1008);
}

TEST(Errors, RoomNamesHave1To128BytesOfPlainText) {
  World world;
  const auto code_for = [&world](const std::string& room) {
    Tab tab(world);
    const json answer = tab.join(room);
    return answer["type"] == "joined" ? "" : answer.value("code", "");
  };
  EXPECT_EQ(code_for(""), "bad-room");
  EXPECT_EQ(code_for(std::string(Room::kMaxNameBytes, 'r')), "");
  EXPECT_EQ(code_for(std::string(Room::kMaxNameBytes + 1, 'r')), "bad-room");
  EXPECT_EQ(code_for("a\nb"), "bad-room");
  EXPECT_EQ(code_for(std::string("a\0b", 3)), "bad-room");
  EXPECT_EQ(code_for("\xe5\xae\x89\xe9\x9d\x99 / ?#%"), "");
}

TEST(Errors, MemberNamesHaveUpTo64Characters) {
  World world;
  const auto joins = [&world](const std::string& name) {
    Tab tab(world);
    return tab.join("demo", name)["type"] == "joined";
  };
  std::string name;
  for (std::size_t i = 0; i < Room::kMaxMemberName; ++i) name += "\xe5\xae\x89";
  EXPECT_TRUE(joins(name));
  EXPECT_FALSE(joins(name + "a"));
  EXPECT_FALSE(joins("tab\there"));
}

TEST(Errors, NamesAreEscapedNotTrusted) {
  World world;
  Tab ann(world), ben(world);
  const std::string name = R"(","type":"kicked","x":"\)";
  ann.join("de\"mo", name);
  EXPECT_EQ(ben.join("de\"mo")["members"][0]["name"], name);
}

void ask_for_tokens(Settings& settings) {
  auto tokens = RoomTokens::make({{}, {"the room password"}});
  ASSERT_TRUE(tokens.has_value());
  settings.room_tokens = std::make_shared<const RoomTokens>(std::move(*tokens));
}

json join_with(Tab& tab, const json& more) {
  json request = {{"type", "join"}, {"room", "demo"}};
  request.update(more);
  tab.say(request);
  return tab.hear();
}

TEST(RoomTokens, AreAskedOfThoseWhoJoin) {
  World world(ask_for_tokens);
  Tab tab(world);
  EXPECT_EQ(join_with(tab, json::object()).value("code", ""), "bad-token");
  EXPECT_EQ(join_with(tab, {{"token", "a guess"}}).value("code", ""), "bad-token");
  EXPECT_EQ(join_with(tab, {{"token", 7}}).value("code", ""), "bad-message");
  EXPECT_EQ(join_with(tab, {{"token", "the room password"}})["type"], "joined");
}

TEST(RoomTokens, AreNotNeededByThoseWhoAreInvited) {
  World world(ask_for_tokens);
  Tab invited(world), elsewhere(world);
  EXPECT_EQ(join_with(invited, {{"invitation", world.invitation("demo")}})["type"], "joined");
  EXPECT_EQ(join_with(elsewhere, {{"invitation", world.invitation("other")}}).value("code", ""),
            "bad-invitation");
}

TEST(RoomTokens, AreHopelessToGuess) {
  World world(ask_for_tokens);
  Tab tab(world);
  for (std::uint32_t i = 0; i < kMaxFaults; ++i) tab.say({{"type", "join"}, {"room", "demo"}});
  EXPECT_EQ(tab.close_code(), 1008);
}

TEST(RoomTokens, OfASourceThatBroughtTooManyWrongOnesAreNotLookedAt) {
  World world(ask_for_tokens);
  Tab inside(world), elsewhere(world, "198.51.100.9:40000");
  const json right = {{"token", "the room password"}};
  EXPECT_EQ(join_with(inside, right)["type"], "joined");
  for (std::uint32_t i = 0; i < Gate::kWrongTokens.burst; ++i) {
    Tab guessing(world);
    EXPECT_EQ(join_with(guessing, {{"token", "a guess"}}).value("code", ""), "bad-token");
    guessing.lose();
  }
  Tab late(world);
  const json refused = join_with(late, right);
  EXPECT_EQ(refused.value("code", ""), "too-fast");
  EXPECT_NE(refused.dump().find("too many wrong tokens"), std::string::npos) << refused;
  EXPECT_EQ(join_with(elsewhere, right)["type"], "joined") << "others are not touched";
  inside.say({{"type", "send"}, {"data", "still here"}});
  elsewhere.ignore();
  world.pass(seconds(3));
  EXPECT_EQ(join_with(late, right)["type"], "joined") << "forgiven";
}

TEST(RoomTokens, DoNotMatterWhereNoneAreAsked) {
  World world;
  Tab tab(world);
  EXPECT_EQ(join_with(tab, {{"token", "whatever"}})["type"], "joined");
}

}  // namespace
}  // namespace turnpike::signaling::testing
