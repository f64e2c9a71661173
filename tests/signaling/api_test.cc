// The HTTP API: who may, what it answers, what it refuses.
#include "signaling/api.h"

#include "turn/credentials.h"
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

const std::string kBearer = "Authorization: Bearer " + std::string(kKey) + "\r\n";

std::string username(const json& answer) { return answer["iceServers"][1]["username"]; }

TEST(ApiKeys, AreTakenFromTheHeaderOrTheQuery) {
  World world;
  EXPECT_EQ(world.get("/api/ice", kBearer).status, 200);
  EXPECT_EQ(world.get("/api/ice", "authorization: bearer another-key\r\n").status, 200);
  EXPECT_EQ(world.get("/api/ice?key=another-key").status, 200);
  EXPECT_EQ(world.get("/api/ice?ttl=5&key=key%2Dfor-back-ends").status, 200);
  EXPECT_EQ(world.post("/api/ice", "", kBearer).status, 200);
}

TEST(ApiKeys, NothingElseOpens) {
  World world;
  const std::string wrong[] = {
      "",
      "Authorization: Bearer\r\n",
      "Authorization: Bearer \r\n",
      "Authorization: Bearer wrong\r\n",
      "Authorization: Bearer key-for-back-end\r\n",
      "Authorization: Bearer key-for-back-endss\r\n",
      "Authorization: Bearer KEY-FOR-BACK-ENDS\r\n",
      "Authorization: Basic " + std::string(kKey) + "\r\n",
      "Authorization: " + std::string(kKey) + "\r\n",
      kBearer + kBearer,
      "Origin: http://turn.example:3478\r\n",
      "Cookie: key=" + std::string(kKey) + "\r\n",
  };
  for (const std::string& headers : wrong) {
    const HttpAnswer answer = world.get("/api/ice", headers);
    EXPECT_EQ(answer.status, 401) << headers;
    EXPECT_EQ(answer.parsed()["error"], "unauthorized");
    EXPECT_TRUE(answer.parsed()["message"].is_string());
    EXPECT_EQ(answer.header("www-authenticate"), "Bearer realm=\"turnpike\"");
    EXPECT_EQ(answer.header("cache-control"), "no-store");
  }
  EXPECT_EQ(world.get("/api/ice?key=").status, 401);
  EXPECT_EQ(world.get("/api/ice?key=wrong", kBearer).status, 200) << "the header counts";
  EXPECT_EQ(world.get("/api/ice?key=another-key", "Authorization: Bearer no\r\n").status, 401);
}

TEST(ApiKeys, EveryPathNeedsOne) {
  World world;
  EXPECT_EQ(world.get("/api/ice").status, 401);
  EXPECT_EQ(world.get("/api/rooms").status, 401);
  EXPECT_EQ(world.get("/api/anything").status, 401);
  EXPECT_EQ(world.post("/api/invitations", R"({"rooms":["a"]})").status, 401);
  EXPECT_EQ(world.ask("DELETE /api/rooms/a/members/b HTTP/1.1\r\nHost: h\r\n\r\n").status, 401);
}

TEST(ApiKeys, AnEmptyKeyInTheSettingsOpensNothing) {
  World world([](Settings& settings) { settings.api_keys = {""}; });
  EXPECT_EQ(world.get("/api/ice?key=").status, 401);
  EXPECT_EQ(world.get("/api/ice").status, 401);
}

TEST(ApiKeys, GuessingHasAPriceForItsSource) {
  World world;
  for (std::uint32_t i = 0; i < Api::kFailureRate.burst; ++i) {
    EXPECT_EQ(world.get("/api/ice?key=wrong").status, 401) << i;
  }
  const HttpAnswer answer = world.get("/api/ice?key=wrong");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.parsed()["error"], "too-many-failures");
  EXPECT_EQ(answer.header("retry-after"), "30");
  EXPECT_EQ(world.get("/api/ice", kBearer).status, 200) << "a guesser must not lock others out";
  // Others are not touched.
  const ConnectionHandle other = world.connect("198.51.100.9:1");
  world.send(other, "GET /api/ice HTTP/1.1\r\nHost: h\r\n" + kBearer + "\r\n");
  EXPECT_EQ(world.answers(other).at(0).status, 200);
  world.pass(seconds(2));
  EXPECT_EQ(world.get("/api/ice", kBearer).status, 200);
}

TEST(ApiIce, AnswersAConfigurationForABrowser) {
  World world;
  const HttpAnswer answer = world.get("/api/ice?username=alice&ttl=600", kBearer);
  EXPECT_EQ(answer.header("content-type"), "application/json");
  EXPECT_EQ(answer.header("cache-control"), "no-store");
  const json body = answer.parsed();
  EXPECT_EQ(body["ttl"], 600);
  EXPECT_EQ(body["expires_at"], world.now.wall.since_epoch.count() + 600);
  ASSERT_EQ(body["iceServers"].size(), 2u);
  EXPECT_EQ(body["iceServers"][0], json({{"urls", {"stun:turn.example:3478"}}}));
  EXPECT_EQ(username(body), std::to_string(world.now.wall.since_epoch.count() + 600) + ":alice~" +
                                Minter(std::string(kSecret), {}).key_id(kKey));
  EXPECT_EQ(body["iceServers"][1]["credential"], turn::rest_password(kSecret, username(body)));
}

TEST(ApiIce, GivesANameOfItsOwnToWhoHasNone) {
  World world;
  const std::string first = username(world.get("/api/ice", kBearer).parsed());
  const std::string second = username(world.get("/api/ice", kBearer).parsed());
  EXPECT_NE(first, second) << "the relay's quota counts by name";
}

TEST(ApiIce, TtlIsADayByDefaultAndAtMost) {
  World world;
  const auto by_query = [&](std::string_view ttl) {
    return world.get("/api/ice?ttl=" + std::string(ttl), kBearer);
  };
  const auto by_body = [&](std::string_view ttl) {
    return world.post("/api/ice", "{\"ttl\":" + std::string(ttl) + "}", kBearer);
  };
  EXPECT_EQ(world.get("/api/ice", kBearer).parsed()["ttl"], 86400);
  for (const char* ttl : {"1", "86399", "86400"}) {
    EXPECT_EQ(by_query(ttl).parsed()["ttl"], std::stoi(ttl));
    EXPECT_EQ(by_body(ttl).parsed()["ttl"], std::stoi(ttl));
  }
  for (const char* ttl : {"86401", "4294967296", "18446744073709551615"}) {
    EXPECT_EQ(by_query(ttl).parsed()["ttl"], 86400) << ttl;
    EXPECT_EQ(by_body(ttl).parsed()["ttl"], 86400) << ttl;
  }
  EXPECT_EQ(by_query("99999999999999999999999").parsed()["ttl"], 86400);
  for (const char* ttl : {"0", "-1", "1.5", "1e3", "x", "", "+1", "0x10", "%", " 5"}) {
    EXPECT_EQ(by_query(http::percent_encode(ttl)).status, 400) << ttl;
    EXPECT_EQ(by_query(http::percent_encode(ttl)).parsed()["error"], "bad-ttl") << ttl;
  }
  for (const char* ttl : {"0", "-1", "1.5", "\"60\"", "null", "[]", "{}", "true"}) {
    EXPECT_EQ(by_body(ttl).parsed()["error"], "bad-ttl") << ttl;
  }
}

TEST(ApiIce, RefusesBodiesThatAreNoJsonObject) {
  World world;
  const std::string deep = std::string(20000, '[') + std::string(20000, ']');
  for (const std::string& body : std::vector<std::string>{
           "x", "[]", "1", "null", "{", "{\"ttl\":1e999}", "{\"a\":" + deep + "}", deep,
           "{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}"}) {
    const HttpAnswer answer = world.post("/api/ice", body, kBearer);
    EXPECT_EQ(answer.status, 400) << body.substr(0, 40);
  }
}

TEST(ApiIce, RefusesNamesThatAreNoPlainText) {
  World world;
  for (const char* name : {"%00", "a%0ab", "%ff", ""}) {
    EXPECT_EQ(world.get("/api/ice?username=" + std::string(name), kBearer).status, 400) << name;
  }
  EXPECT_EQ(world.post("/api/ice", R"({"username":5})", kBearer).parsed()["error"], "bad-username");
  EXPECT_EQ(world.post("/api/ice", R"({"username":"a\u0000b"})", kBearer).status, 400);
  const std::string chinese = "{\"username\":\"\xe5\xae\x89\xe9\x9d\x99\"}";
  EXPECT_NE(username(world.post("/api/ice", chinese, kBearer).parsed()).find("\xe5\xae\x89"),
            std::string::npos);
}

TEST(ApiIce, TakesGetHeadAndPost) {
  World world;
  const HttpAnswer head =
      world.ask("HEAD /api/ice HTTP/1.1\r\nHost: h\r\n" + kBearer + "\r\n", true);
  EXPECT_EQ(head.status, 200);
  EXPECT_GT(std::stoi(head.header("content-length")), 100);
  const HttpAnswer answer = world.ask("PUT /api/ice HTTP/1.1\r\nHost: h\r\n" + kBearer + "\r\n");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.header("allow"), "GET, HEAD, POST");
  EXPECT_EQ(world.get("/api/nothing", kBearer).status, 404);
}

TEST(ApiIceWhy, TellsHoldersOfAKeyOrAnInvitationAndNobodyElse) {
  World world;
  std::string asked;
  world.service.judge_credentials_by(
      [&asked](std::string_view username, std::string_view password, WallTime) {
        asked.append(username).append(" ").append(password);
        return "wrong-password";
      });
  const char* body = R"({"username":"ann","credential":"pass"})";
  EXPECT_EQ(world.post("/api/ice/why", body).status, 401);
  EXPECT_EQ(world.post("/api/ice/why", body, "Authorization: Bearer wrong\r\n").status, 401);
  EXPECT_EQ(asked, "");
  const std::string guest = "Authorization: Bearer " + world.invitation("any") + "\r\n";
  for (const std::string& proof : {kBearer, guest}) {
    const HttpAnswer answer = world.post("/api/ice/why", body, proof);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.parsed(), json({{"verdict", "wrong-password"}}));
    EXPECT_EQ(answer.header("cache-control"), "no-store");
    EXPECT_EQ(std::exchange(asked, ""), "ann pass");
  }
  EXPECT_EQ(world.get("/api/ice/why", kBearer).status, 405);
  for (const char* bad :
       {"", "[]", "{}", R"({"username":"ann"})", R"({"username":1,"credential":2})"}) {
    EXPECT_EQ(world.post("/api/ice/why", bad, kBearer).status, 400) << bad;
  }
}

TEST(ApiInvitations, AreSignedForTheRoomsAndOpenThem) {
  World world;
  const HttpAnswer answer =
      world.post("/api/invitations", R"({"rooms":["demo","a b/\u00e4"],"ttl":600})", kBearer);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json body = answer.parsed();
  EXPECT_EQ(body["rooms"], json({"demo", "a b/\xc3\xa4"}));
  EXPECT_EQ(body["expires_at"], world.now.wall.since_epoch.count() + 600);
  const std::string text = body["invitation"];
  EXPECT_EQ(body["links"], json({"http://turn.example:3478/call/demo#k=" + text,
                                 "http://turn.example:3478/call/a%20b%2F%C3%A4#k=" + text}));
  for (const char* room : {"demo", "a b/\xc3\xa4"}) {
    Tab tab(world);
    EXPECT_TRUE(tab.join(room, "", text).contains("iceServers"));
  }
  Tab tab(world);
  EXPECT_EQ(tab.join("other", "", text)["code"], "bad-invitation");
}

TEST(ApiInvitations, LiveADayAtMost) {
  World world;
  const auto ttl = [&](std::string_view text) {
    const std::string body = R"({"rooms":["a"],"ttl":)" + std::string(text) + "}";
    return world.post("/api/invitations", body, kBearer).parsed();
  };
  const auto now = world.now.wall.since_epoch.count();
  EXPECT_EQ(ttl("86400")["expires_at"], now + 86400);
  EXPECT_EQ(ttl("86401")["expires_at"], now + 86400);
  EXPECT_EQ(ttl("0")["error"], "bad-ttl");
  const json plain = world.post("/api/invitations", R"({"rooms":["a"]})", kBearer).parsed();
  EXPECT_EQ(plain["expires_at"], now + 86400);
  Tab tab(world);
  EXPECT_EQ(tab.join("a", "", plain["invitation"].get<std::string>())["type"], "joined");
}

TEST(ApiInvitations, NeedOneToSixteenRooms) {
  World world;
  const auto status = [&](const json& rooms) {
    return world.post("/api/invitations", json({{"rooms", rooms}}).dump(), kBearer).status;
  };
  EXPECT_EQ(status(json::array()), 400);
  EXPECT_EQ(status(json(16, "a")), 200);
  EXPECT_EQ(status(json(17, "a")), 400);
  EXPECT_EQ(status("a"), 400);
  EXPECT_EQ(status({1}), 400);
  EXPECT_EQ(status({""}), 400);
  EXPECT_EQ(status({std::string(128, 'a')}), 200);
  EXPECT_EQ(status({std::string(129, 'a')}), 400);
  EXPECT_EQ(status({"a\n"}), 400);
  EXPECT_EQ(world.post("/api/invitations", "", kBearer).status, 400);
  EXPECT_EQ(world.get("/api/invitations", kBearer).status, 405);
}

TEST(ApiRooms, ListsWhoIsWhere) {
  World world;
  EXPECT_EQ(world.get("/api/rooms", kBearer).parsed(), json({{"rooms", json::array()}}));
  Tab ann(world), ben(world);
  ann.join("demo", "Ann");
  ben.join("demo", "Ben");
  ben.lose();
  const json expected = {{"room", "demo"},
                         {"members",
                          {{{"id", ann.self["id"]}, {"name", "Ann"}, {"away", false}},
                           {{"id", ben.self["id"]}, {"name", "Ben"}, {"away", true}}}}};
  EXPECT_EQ(world.get("/api/rooms", kBearer).parsed()["rooms"], json::array({expected}));
}

TEST(ApiRooms, AKickedMemberIsOutAndTheOthersKnow) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  ann.ignore();
  const auto remove = [&](const std::string& path) {
    return world.ask("DELETE /api/rooms/" + path + " HTTP/1.1\r\nHost: h\r\n" + kBearer + "\r\n");
  };
  const std::string id = ben.self["id"];
  EXPECT_EQ(remove("other/members/" + id).status, 404);
  EXPECT_EQ(remove("demo/members/m-none").status, 404);
  EXPECT_EQ(remove("demo/" + id).status, 404);
  EXPECT_EQ(remove("demo/members/" + id + "/x").status, 404);
  EXPECT_EQ(world.get("/api/rooms/demo/members/" + id, kBearer).status, 405);
  EXPECT_TRUE(ann.silent());
  const HttpAnswer answer = remove("demo/members/" + id);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.headers.count("content-length"), 0u);
  EXPECT_EQ(ben.close_code(), 4003);
  EXPECT_EQ(ann.hear("member-left")["reason"], "kicked");
  // Also when it is away.
  ann.lose();
  EXPECT_EQ(remove("demo/members/" + ann.self["id"].get<std::string>()).status, 204);
  EXPECT_EQ(world.service.audit().rooms, 0u);
}

// --- other sites ---

TEST(Cors, OnlyNamedSitesAreLetIn) {
  World world([](Settings& settings) { settings.allowed_origins = {"https://app.example"}; });
  const auto from = [&](std::string_view origin) {
    return world.get("/api/ice", kBearer + "Origin: " + std::string(origin) + "\r\n");
  };
  const HttpAnswer allowed = from("https://app.example");
  EXPECT_EQ(allowed.status, 200);
  EXPECT_EQ(allowed.header("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(allowed.header("vary"), "Origin");
  const HttpAnswer own = from("http://turn.example:3478");
  EXPECT_EQ(own.status, 200);
  EXPECT_EQ(own.headers.count("access-control-allow-origin"), 0u);
  for (const char* foreign : {"http://evil.example", "null", "https://app.example:444"}) {
    const HttpAnswer answer = from(foreign);
    EXPECT_EQ(answer.status, 403) << foreign;
    EXPECT_EQ(answer.parsed()["error"], "forbidden-origin");
    EXPECT_EQ(answer.headers.count("access-control-allow-origin"), 0u);
  }
}

TEST(Cors, ANamedSiteStillNeedsAKey) {
  World world([](Settings& settings) { settings.allowed_origins = {"https://app.example"}; });
  const HttpAnswer answer = world.get("/api/ice", "Origin: https://app.example\r\n");
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.header("access-control-allow-origin"), "https://app.example")
      << "the page may read why";
}

TEST(Cors, PreflightsAreAnsweredForNamedSites) {
  World world([](Settings& settings) { settings.allowed_origins = {"https://app.example"}; });
  const auto preflight = [&](std::string_view origin) {
    return world.ask("OPTIONS /api/ice HTTP/1.1\r\nHost: h\r\nOrigin: " + std::string(origin) +
                     "\r\nAccess-Control-Request-Method: POST\r\n"
                     "Access-Control-Request-Headers: authorization\r\n\r\n");
  };
  const HttpAnswer allowed = preflight("https://app.example");
  EXPECT_EQ(allowed.status, 204);
  EXPECT_EQ(allowed.header("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(allowed.header("access-control-allow-headers"), "Authorization, Content-Type");
  EXPECT_EQ(allowed.header("access-control-allow-methods"), "GET, POST, DELETE");
  EXPECT_EQ(preflight("https://evil.example").status, 403);
}

TEST(Cors, TwoOriginsAreNone) {
  World world;
  const std::string own = "Origin: http://turn.example:3478\r\n";
  EXPECT_EQ(world.get("/config.json", own).status, 200);
  EXPECT_EQ(world.get("/config.json", own + own).status, 403);
}

}  // namespace
}  // namespace turnpike::signaling::testing
