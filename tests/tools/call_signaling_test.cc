// What an endpoint of turnpike-call says to the signaling server, and what it takes from it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/call/desk.h"
#include "tools/call/signaling.h"

namespace turnpike::call {
namespace {

using nlohmann::json;

struct Heard final : Signaling::Outputs {
  void say(std::string_view text) override { said.emplace_back(text); }
  void on_joined(std::vector<IceServer> list) override {
    happened.push_back("joined");
    servers = std::move(list);
  }
  void on_partner(Signaling::Arrival ours) override {
    happened.push_back(ours == Signaling::Arrival::kFirst ? "partner came" : "partner was there");
  }
  void on_description(Signaling::Type type, const std::string& sdp) override {
    happened.push_back((type == Signaling::Type::kOffer ? "offer " : "answer ") + sdp);
  }
  void on_candidate(const std::string& line) override { happened.push_back("candidate " + line); }
  void on_partner_left() override { happened.push_back("partner left"); }
  void on_refused(const std::string& why) override { happened.push_back("refused " + why); }

  std::vector<std::string> take() { return std::exchange(happened, {}); }
  json last() const { return json::parse(said.back()); }
  json last_event() const { return json::parse(said.back().substr(2)); }

  std::vector<std::string> said, happened;
  std::vector<IceServer> servers;
};
using Events = std::vector<std::string>;

struct NativeSignaling : testing::Test {
  Heard heard;
  std::unique_ptr<Signaling> signaling =
      make_signaling(Dialect::kNative, {"demo", "inv", "caller"}, heard);
};

TEST_F(NativeSignaling, JoinsWithItsInvitationAndTakesTheServers) {
  EXPECT_EQ(signaling->target(), "/ws");
  signaling->on_open();
  EXPECT_EQ(heard.last(),
            (json{{"type", "join"}, {"room", "demo"}, {"name", "caller"}, {"invitation", "inv"}}));
  signaling->on_text(R"({"type":"joined","self":{"id":"m-1"},"members":[],"iceServers":[
      {"urls":["stun:a","turn:b"],"username":"u","credential":"c"},{"urls":"turn:d"}]})");
  EXPECT_EQ(heard.take(), Events{"joined"});
  EXPECT_EQ(heard.servers, (std::vector<IceServer>{
                               {"stun:a", "u", "c"}, {"turn:b", "u", "c"}, {"turn:d", "", ""}}));
}

TEST_F(NativeSignaling, TalksToTheFirstMemberThatItMeetsOnly) {
  signaling->on_text(R"({"type":"joined","members":[{"id":"m-7"},{"id":"m-8"}]})");
  EXPECT_EQ(heard.take(), (Events{"joined", "partner was there"}));
  signaling->on_text(R"({"type":"member-joined","member":{"id":"m-9"}})");
  signaling->on_text(R"({"type":"message","from":"m-9","data":{"candidate":{"candidate":"x"}}})");
  EXPECT_EQ(heard.take(), Events{});
  signaling->on_text(
      R"({"type":"message","from":"m-7","data":{"description":{"type":"offer","sdp":"v=0"}}})");
  signaling->on_text(
      R"({"type":"message","from":"m-7","data":{"candidate":{"candidate":"candidate:1"}}})");
  EXPECT_EQ(heard.take(), (Events{"offer v=0", "candidate candidate:1"}));
  signaling->describe(Signaling::Type::kAnswer, "v=0 ours");
  EXPECT_EQ(heard.last()["to"], "m-7");
  EXPECT_EQ(heard.last()["data"]["description"]["type"], "answer");
  signaling->tell("candidate:2", "0");
  EXPECT_EQ(heard.last()["data"]["candidate"]["sdpMid"], "0");
  signaling->on_text(R"({"type":"member-left","member":"m-9"})");
  signaling->on_text(R"({"type":"member-left","member":"m-7"})");
  EXPECT_EQ(heard.take(), Events{"partner left"});
}

TEST_F(NativeSignaling, ToldOfTheNewcomerItWasFirst) {
  signaling->on_text(R"({"type":"joined","members":[]})");
  signaling->on_text(R"({"type":"member-joined","member":{"id":"m-9"}})");
  EXPECT_EQ(heard.take(), (Events{"joined", "partner came"}));
}

TEST_F(NativeSignaling, IsRefusedByAnErrorBeforeTheRoomAndNotAfterIt) {
  signaling->on_text(R"({"type":"error","code":"bad-invitation"})");
  EXPECT_EQ(heard.take(), Events{"refused bad-invitation"});
  signaling->on_text(R"({"type":"joined","members":[]})");
  signaling->on_text(R"({"type":"error","code":"too-fast"})");
  EXPECT_EQ(heard.take(), Events{"joined"});
}

TEST_F(NativeSignaling, SurvivesWhatIsNoMessage) {
  for (const char* text :
       {"", "[]", "{", "null", R"({"type":7})", R"({"type":"joined"})",
        R"({"type":"member-joined","member":3})", R"({"type":"message","from":"","data":null})",
        R"({"type":"joined","members":3,"iceServers":"no"})"}) {
    signaling->on_text(text);
  }
  EXPECT_EQ(heard.take(), (Events{"joined", "joined"}));
}

struct SocketIoSignaling : testing::Test {
  Heard heard;
  std::unique_ptr<Signaling> signaling =
      make_signaling(Dialect::kSocketIo, {"demo", "", "caller"}, heard);
};

TEST_F(SocketIoSignaling, JoinsWhenItsNamespaceIsOpen) {
  EXPECT_NE(signaling->target().find("EIO=3"), std::string::npos);
  signaling->on_open();
  signaling->on_text(R"(0{"sid":"s","pingInterval":25000})");
  EXPECT_TRUE(heard.said.empty());
  signaling->on_text("40");
  EXPECT_EQ(heard.last_event(), (json{"join", "demo"}));
  signaling->on_text(R"(42["joined","demo","id"])");
  signaling->on_text(R"(42["otherjoin","demo"])");
  EXPECT_EQ(heard.take(), (Events{"joined", "partner came"}));
  EXPECT_EQ(signaling->heartbeat(), "2");
}

TEST_F(SocketIoSignaling, MeetsWhoWasThereByWhatTheySay) {
  signaling->on_text(R"(42["joined","demo","id"])");
  signaling->on_text(R"(42["message","demo",{"type":"offer","sdp":"v=0"}])");
  signaling->on_text(
      R"(42["message","demo",{"type":"candidate","label":0,"id":"0","candidate":"candidate:1"}])");
  EXPECT_EQ(heard.take(),
            (Events{"joined", "partner was there", "offer v=0", "candidate candidate:1"}));
  signaling->describe(Signaling::Type::kAnswer, "v=0 ours");
  EXPECT_EQ(heard.last_event(),
            (json{"message", "demo", {{"type", "answer"}, {"sdp", "v=0 ours"}}}));
  signaling->tell("candidate:2", "0");
  EXPECT_EQ(heard.last_event()[2]["type"], "candidate");
  signaling->on_text(R"(42["bye","demo","id"])");
  EXPECT_EQ(heard.take(), Events{"partner left"});
  signaling->leave();
  EXPECT_EQ(heard.last_event(), (json{"leave", "demo"}));
}

TEST_F(SocketIoSignaling, IsRefusedWhereTwoAreInside) {
  signaling->on_text(R"(42["full","demo","id"])");
  EXPECT_EQ(heard.take(), Events{"refused full"});
  for (const char* text : {"42", "42{}", "42[]", "42[3]", R"(42["message"])",
                           R"(42["message","demo",3])", "2probe", ""}) {
    signaling->on_text(text);
  }
  EXPECT_EQ(heard.take(), Events{});
}

// --- what the HTTP API answers

TEST(CallDesk, ReadsAnAnswerWhenItIsWhole) {
  const std::string answer =
      "HTTP/1.1 201 Created\r\ncontent-type: x\r\nCONTENT-LENGTH: 4\r\n\r\nbodymore";
  for (std::size_t size = 0; size < answer.size() - 4; ++size) {
    EXPECT_FALSE(parse_http_answer(answer.substr(0, size))) << size;
  }
  EXPECT_EQ(parse_http_answer(answer)->status, 201);
  EXPECT_EQ(parse_http_answer(answer)->body, "body");
  EXPECT_EQ(parse_http_answer("SSH-2.0\r\n\r\n")->status, 0);
}

TEST(CallDesk, SaysWhatTheServerSaysOfTheKey) {
  EXPECT_EQ(*parse_invitation({201, R"({"invitation":"abc"})"}), "abc");
  EXPECT_EQ(parse_invitation({401, R"({"error":"unauthorized"})"}).error().message,
            "key refused: 401 unauthorized");
  EXPECT_EQ(parse_invitation({429, R"({"error":"too-many-failures"})"}).error().message,
            "key refused: 429 too-many-failures");
  EXPECT_EQ(parse_invitation({404, "<html>"}).error().message, "server refuses: 404");
  EXPECT_EQ(parse_invitation({0, "Connection refused"}).error().message,
            "server not reached: Connection refused");
  EXPECT_FALSE(parse_invitation({201, "{}"}));
  EXPECT_EQ(parse_credentials({200, R"({"iceServers":[{"urls":["turn:a"]}]})"})->size(), 1u);
  EXPECT_FALSE(parse_credentials({200, R"({"iceServers":[]})"}));
}

}  // namespace
}  // namespace turnpike::call
