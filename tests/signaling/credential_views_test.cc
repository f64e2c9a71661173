// Every shape of credentials read as the client that was written for it would read it, and who is
// refused, in the shape's own words.
#include "signaling/credential_views.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/random.h"

namespace turnpike::signaling {
namespace {

using http::Response;
using nlohmann::json;

constexpr std::string_view kSecret = "the server's secret";
constexpr WallTime kNow{seconds(1767225600)};
constexpr std::string_view kJwtSecret = "0123456789abcdef0123456789abcdef";

std::string room_token(std::string_view claims) {
  const std::string text =
      base64url_encode(as_bytes(R"({"alg":"HS256"})")) + "." + base64url_encode(as_bytes(claims));
  return text + "." + base64url_encode(hmac_sha256(as_bytes(kJwtSecret), {as_bytes(text)}));
}

class CredentialViewsTest : public ::testing::Test {
 protected:
  // One request as it comes over the wire.
  Response ask(std::string_view method, std::string_view target, std::string_view headers = {},
               std::string_view body = {}) {
    std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n";
    text += headers;
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    text.append("\r\n").append(body);
    http::RequestParser parser;
    parser.feed(as_bytes(text));
    EXPECT_EQ(parser.state(), http::RequestParser::State::kComplete) << text;
    const http::Request request = parser.take();
    EXPECT_TRUE(CredentialViews::handles(request)) << target;
    return views_.handle(now_, source_, request);
  }
  Response get(std::string_view target, std::string_view headers = {}) {
    return ask("GET", target, headers);
  }

  static json parsed(const Response& response) {
    EXPECT_EQ(response.content_type, "application/json");
    EXPECT_TRUE(response.no_store);
    return json::parse(response.body);
  }
  static std::vector<std::string> headers(const Response& response, std::string_view name) {
    std::vector<std::string> values;
    for (const auto& [key, value] : response.headers) {
      if (key == name) values.push_back(value);
    }
    return values;
  }
  static std::string basic(std::string_view pair) {
    return "Authorization: Basic " + base64_encode(as_bytes(pair)) + "\r\n";
  }
  // What the relay checks: the password belongs to the name, the name tells the expiry.
  static void expect_valid(const std::string& username, const std::string& password, seconds ttl) {
    EXPECT_EQ(password, base64_encode(hmac_sha1(as_bytes(kSecret), {as_bytes(username)})));
    EXPECT_TRUE(username.starts_with(std::to_string((kNow + ttl).since_epoch.count()) + ":"))
        << username;
  }

  static RoomTokens room_tokens() {
    return std::move(*RoomTokens::make({{std::string(kJwtSecret)}, {"open sesame"}}));
  }

  const std::vector<std::string> keys_ = {"key-1", "", "key 2+"};
  const Minter minter_{
      std::string(kSecret),
      {{"stun:h:3478"},
       {"turn:h:3478?transport=udp", "turn:h:3478?transport=tcp", "turns:h:5349?transport=tcp"}}};
  const InvitationSigner signer_{kSecret};
  const RoomTokens tokens_ = room_tokens();
  SeededRandom random_{7};
  MintDesk desk_{{keys_, minter_, signer_, &tokens_, random_}};
  CredentialViews views_{desk_};
  Tick now_{MonoTime{seconds(1000)}, kNow};
  IpAddress source_ = *IpAddress::parse("192.0.2.7");
};

// --- the TURN REST draft ---

// What Janus's turnrest.c asks of an answer: strings, a ttl that is not negative, uris of turn.
void expect_janus_can_use(const json& answer) {
  EXPECT_TRUE(answer["username"].is_string());
  EXPECT_TRUE(answer["password"].is_string());
  EXPECT_GE(answer["ttl"].get<std::int64_t>(), 0);
  EXPECT_TRUE(answer["ttl"].is_number_integer());
  ASSERT_TRUE(answer["uris"].is_array());
  ASSERT_FALSE(answer["uris"].empty());
  for (const std::string uri : answer["uris"]) {
    EXPECT_TRUE(uri.starts_with("turn:") || uri.starts_with("turns:")) << uri;
  }
}

TEST_F(CredentialViewsTest, TheTurnRestDraftAsJanusAsksForIt) {
  const Response response = get("/turn?service=turn&api=key-1&key=key-1&username=janus-7");
  ASSERT_EQ(response.status, 200u);
  const json answer = parsed(response);
  expect_janus_can_use(answer);
  EXPECT_EQ(answer.size(), 4u);
  EXPECT_EQ(answer["ttl"], 86400);
  EXPECT_EQ(answer["uris"], json(minter_.urls().turn));
  expect_valid(answer["username"], answer["password"], seconds(86400));
  EXPECT_NE(answer["username"].get<std::string>().find(":janus-7~"), std::string::npos);
}

TEST_F(CredentialViewsTest, TheTurnRestDraftTakesTheKeyByEitherNameAndByForm) {
  EXPECT_EQ(get("/turn?service=turn&api=key-1").status, 200u);
  EXPECT_EQ(get("/turn?service=turn&key=key-1").status, 200u);
  EXPECT_EQ(get("/?service=turn&key=key-1").status, 200u);
  EXPECT_EQ(get("/turn?service=turn&key=key+2%2B").status, 200u);
  EXPECT_EQ(get("/turn?service=turn", "Authorization: Bearer key-1\r\n").status, 200u);
  constexpr std::string_view kForm = "Content-Type: application/x-www-form-urlencoded\r\n";
  const Response posted =
      ask("POST", "/turn", kForm, "service=turn&api=key-1&key=key-1&username=janus&ttl=60");
  ASSERT_EQ(posted.status, 200u);
  EXPECT_EQ(parsed(posted)["ttl"], 60);
  EXPECT_EQ(ask("POST", "/turn?service=turn&api=key-1").status, 200u);
  // What is no form is not read as one.
  EXPECT_EQ(ask("POST", "/turn", "Content-Type: text/plain\r\n", "service=turn&key=key-1").status,
            401u);
  // A wrong header is not made good by a query.
  EXPECT_EQ(get("/turn?service=turn&key=key-1", "Authorization: Bearer no\r\n").status, 401u);
}

TEST_F(CredentialViewsTest, TheTurnRestDraftRefusesInTheWordsOfTheApi) {
  const Response nobody = get("/turn?service=turn");
  EXPECT_EQ(nobody.status, 401u);
  EXPECT_EQ(parsed(nobody)["error"], "unauthorized");
  EXPECT_EQ(headers(nobody, "WWW-Authenticate").size(), 1u);
  EXPECT_EQ(get("/turn?service=turn&key=").status, 401u) << "an empty key in the settings";
  EXPECT_EQ(get("/turn?service=turn&key=key-1x").status, 401u);
  EXPECT_EQ(get("/turn?service=turn", "Origin: http://h\r\n").status, 401u);
  EXPECT_EQ(get("/turn?service=turn", "Cookie: key=key-1\r\n").status, 401u);
  EXPECT_EQ(get("/turn?service=stun&key=key-1").status, 400u);
  EXPECT_EQ(get("/turn?key=key-1").status, 400u);
  EXPECT_EQ(get("/turn?service=turn&key=key-1&ttl=x").status, 400u);
  EXPECT_EQ(get("/turn?service=turn&key=key-1&ttl=0").status, 400u);
  EXPECT_EQ(get("/turn?service=turn&key=key-1&username=a%01").status, 400u);
  const Response removed = ask("DELETE", "/turn?service=turn&key=key-1");
  EXPECT_EQ(removed.status, 405u);
  EXPECT_EQ(headers(removed, "Allow"), std::vector<std::string>{"GET, HEAD, POST"});
}

TEST_F(CredentialViewsTest, TheRestAnswerNamesTheServersAsLinksToo) {
  const Response response = get("/turn?service=turn&key=key-1&username=a%22b%5C");
  const json answer = parsed(response);
  const auto links = headers(response, "Link");
  ASSERT_EQ(links.size(), 4u);
  EXPECT_EQ(links[0], "<stun:h:3478>; rel=\"ice-server\"");
  std::string name = answer["username"];
  name.replace(name.find("a\"b\\"), 4, "a\\\"b\\\\");
  EXPECT_EQ(links[1], "<turn:h:3478?transport=udp>; rel=\"ice-server\"; username=\"" + name +
                          "\"; credential=\"" + answer["password"].get<std::string>() +
                          "\"; credential-type=\"password\"");
  EXPECT_TRUE(links[3].starts_with("<turns:h:5349?transport=tcp>; ")) << links[3];
  EXPECT_EQ(headers(response, "Access-Control-Expose-Headers"), std::vector<std::string>{"Link"});
  // A name that a header cannot carry.
  EXPECT_TRUE(headers(get("/turn?service=turn&key=key-1&username=%E4%BD%A0"), "Link").empty());
}

TEST_F(CredentialViewsTest, AWholeConfigurationAsStunnersClientsTakeIt) {
  const Response response = get("/ice?service=turn&ttl=3600&username=u&key=key-1");
  ASSERT_EQ(response.status, 200u);
  const json answer = parsed(response);
  EXPECT_EQ(answer["iceTransportPolicy"], "all");
  const json& relay = answer["iceServers"][1];
  EXPECT_EQ(relay["urls"], json(minter_.urls().turn));
  expect_valid(relay["username"], relay["credential"], seconds(3600));
  EXPECT_EQ(get("/ice?service=turn").status, 401u);
}

// --- Twilio ---

constexpr std::string_view kTwilio = "/2010-04-01/Accounts/AC0123/Tokens.json";
constexpr std::string_view kForm = "Content-Type: application/x-www-form-urlencoded\r\n";

TEST_F(CredentialViewsTest, TwiliosShapeAsItsHelperLibrariesReadIt) {
  const Response response =
      ask("POST", kTwilio, basic("AC0123:key-1") + std::string(kForm), "Ttl=600");
  ASSERT_EQ(response.status, 201u);
  const json answer = parsed(response);
  EXPECT_EQ(answer["account_sid"], "AC0123");
  EXPECT_EQ(answer["ttl"], "600") << "a string";
  EXPECT_EQ(answer["date_created"], "Thu, 01 Jan 2026 00:00:00 +0000");
  EXPECT_EQ(answer["date_updated"], answer["date_created"]);
  expect_valid(answer["username"], answer["password"], seconds(600));
  const json& servers = answer["ice_servers"];
  ASSERT_EQ(servers.size(), 4u);
  EXPECT_EQ(servers[0], json({{"url", "stun:h:3478"}, {"urls", "stun:h:3478"}}));
  EXPECT_EQ(servers[3]["url"], "turns:h:5349?transport=tcp");
  for (std::size_t i = 1; i < servers.size(); ++i) {
    EXPECT_EQ(servers[i]["url"], servers[i]["urls"]);
    EXPECT_EQ(servers[i]["username"], answer["username"]);
    EXPECT_EQ(servers[i]["credential"], answer["password"]);
  }
}

TEST_F(CredentialViewsTest, TwiliosShapeLivesADayByDefaultAndAtMost) {
  const auto ttl = [&](std::string_view form) {
    return parsed(ask("POST", kTwilio, basic("SK9:key-1") + std::string(kForm), form))["ttl"];
  };
  EXPECT_EQ(parsed(ask("POST", kTwilio, basic("SK9:key-1")))["ttl"], "86400");
  EXPECT_EQ(ttl("Ttl=86401"), "86400");
  EXPECT_EQ(ttl("ttl=60"), "60");
  EXPECT_EQ(ttl("Ttl=99999999999999999999999"), "86400");
}

TEST_F(CredentialViewsTest, TwiliosShapeRefusesWithTwiliosErrors) {
  const Response wrong = ask("POST", kTwilio, basic("AC0123:wrong"));
  EXPECT_EQ(wrong.status, 401u);
  const json answer = parsed(wrong);
  EXPECT_EQ(answer["code"], 20003);
  EXPECT_EQ(answer["message"], "Authenticate");
  EXPECT_EQ(answer["status"], 401);
  EXPECT_TRUE(answer["more_info"].is_string());
  EXPECT_EQ(headers(wrong, "WWW-Authenticate"),
            std::vector<std::string>{"Basic realm=\"turnpike\""});
  for (const std::string& bad : {std::string(), basic("key-1"), basic("key-1:"), basic(":"),
                                 std::string("Authorization: Basic key-1\r\n"),
                                 std::string("Authorization: Bearer key-1\r\n"),
                                 basic("AC0123:key-1") + basic("AC0123:key-1")}) {
    EXPECT_EQ(ask("POST", kTwilio, bad).status, 401u) << bad;
  }
  EXPECT_EQ(
      parsed(ask("POST", kTwilio, basic("AC0123:key-1") + std::string(kForm), "Ttl=-1"))["code"],
      20001);
  const Response read = get(kTwilio, basic("AC0123:key-1"));
  EXPECT_EQ(read.status, 405u);
  EXPECT_EQ(headers(read, "Allow"), std::vector<std::string>{"POST"});
}

// --- Cloudflare ---

constexpr std::string_view kList = "/v1/turn/keys/0a1b/credentials/generate-ice-servers";
constexpr std::string_view kOne = "/v1/turn/keys/0a1b/credentials/generate";
constexpr std::string_view kBearer = "Authorization: Bearer key-1\r\n";

TEST_F(CredentialViewsTest, CloudflaresShapeIsACreatedListOfServers) {
  const Response response = ask("POST", kList, kBearer, R"({"ttl": 600})");
  ASSERT_EQ(response.status, 201u);
  const json answer = parsed(response);
  ASSERT_EQ(answer["iceServers"].size(), 2u);
  EXPECT_EQ(answer["iceServers"][0], json({{"urls", {"stun:h:3478"}}}));
  const json& relay = answer["iceServers"][1];
  EXPECT_EQ(relay["urls"], json(minter_.urls().turn));
  expect_valid(relay["username"], relay["credential"], seconds(600));
}

TEST_F(CredentialViewsTest, CloudflaresOlderShapeIsOneServer) {
  const Response response =
      ask("POST", kOne, kBearer, R"({"ttl":172800,"customIdentifier":"ada"})");
  ASSERT_EQ(response.status, 201u);
  const json server = parsed(response)["iceServers"];
  ASSERT_TRUE(server.is_object());
  EXPECT_EQ(server["urls"].size(), 4u);
  EXPECT_EQ(server["urls"][0], "stun:h:3478");
  expect_valid(server["username"], server["credential"], seconds(86400));
  EXPECT_NE(server["username"].get<std::string>().find(":ada~"), std::string::npos);
  EXPECT_EQ(ask("POST", kOne, kBearer).status, 201u) << "without a body";
}

TEST_F(CredentialViewsTest, CloudflaresShapeRefusesWithAListOfErrors) {
  const Response wrong = ask("POST", kList, "Authorization: Bearer no\r\n", R"({"ttl":600})");
  EXPECT_EQ(wrong.status, 401u);
  EXPECT_EQ(parsed(wrong)["success"], false);
  EXPECT_EQ(parsed(wrong)["errors"][0]["code"], 10000);
  EXPECT_EQ(ask("POST", std::string(kList) + "?key=key-1").status, 401u) << "only a header counts";
  for (const std::string_view body :
       {R"({"ttl":"600"})", R"({"ttl":0})", R"({"ttl":-1})", R"({"ttl":1.5})", "[]", "{", "\xff",
        R"({"ttl":1,"ttl":2})", R"({"customIdentifier":"\u0000"})"}) {
    const Response bad = ask("POST", kList, kBearer, body);
    EXPECT_EQ(bad.status, 400u) << body;
    EXPECT_TRUE(parsed(bad)["errors"].is_array());
  }
  EXPECT_EQ(get(kList, kBearer).status, 405u);
}

// --- Metered ---

TEST_F(CredentialViewsTest, MeteredsShapeIsABareArrayOfSingleUrls) {
  const Response response = get("/api/v1/turn/credentials?apiKey=key-1&region=europe");
  ASSERT_EQ(response.status, 200u);
  const json servers = parsed(response);
  ASSERT_TRUE(servers.is_array());
  ASSERT_EQ(servers.size(), 4u);
  EXPECT_EQ(servers[0], json({{"urls", "stun:h:3478"}}));
  for (std::size_t i = 1; i < servers.size(); ++i) {
    EXPECT_EQ(servers[i].size(), 3u);
    EXPECT_TRUE(servers[i]["urls"].is_string());
    expect_valid(servers[i]["username"], servers[i]["credential"], seconds(86400));
  }
}

TEST_F(CredentialViewsTest, MeteredsShapeRefusesWithMeteredsSentences) {
  const Response none = get("/api/v1/turn/credentials");
  EXPECT_EQ(none.status, 400u);
  EXPECT_EQ(parsed(none), json({{"error", "Please specify API Key"}}));
  const Response wrong = get("/api/v1/turn/credentials?apiKey=wrong");
  EXPECT_EQ(wrong.status, 401u);
  EXPECT_EQ(parsed(wrong), json({{"error", "Invalid API Key"}}));
  EXPECT_EQ(ask("POST", "/api/v1/turn/credentials?apiKey=key-1").status, 405u);
}

// --- what all of them share ---

TEST_F(CredentialViewsTest, AnInvitationIsWorthWhatAMemberGets) {
  const std::string invitation = signer_.sign({{"demo"}, kNow + seconds(7200)});
  const json answer = parsed(get("/turn?service=turn&username=ada&key=" + invitation));
  EXPECT_EQ(answer["ttl"], 3600);
  const std::string username = answer["username"];
  EXPECT_NE(username.find(":guest-"), std::string::npos) << "a guest does not choose a name";
  EXPECT_EQ(username.find("ada"), std::string::npos);
  EXPECT_TRUE(username.ends_with("~" + minter_.key_id(invitation)));
  expect_valid(username, answer["password"], seconds(3600));
  // Nor does the credential outlive the invitation.
  const std::string shorter = signer_.sign({{"demo"}, kNow + seconds(50)});
  EXPECT_EQ(parsed(get("/turn?service=turn&token=" + shorter))["ttl"], 50);
  EXPECT_EQ(parsed(get("/turn?service=turn&ttl=20&token=" + shorter))["ttl"], 20);
  now_.wall = kNow + seconds(50);
  EXPECT_EQ(get("/turn?service=turn&token=" + shorter).status, 401u);
}

TEST_F(CredentialViewsTest, ARoomTokenIsWorthWhatAMemberGets) {
  const std::string token = room_token(R"({"room":"demo","exp":1767225700})");
  EXPECT_EQ(parsed(get("/turn?service=turn&token=" + token))["ttl"], 100);
  EXPECT_EQ(ask("POST", kList, "Authorization: Bearer " + token + "\r\n").status, 201u);
  EXPECT_EQ(ask("POST", kTwilio, basic("x:" + token)).status, 201u);
  EXPECT_EQ(get("/api/v1/turn/credentials?token=" + token).status, 200u);
  EXPECT_EQ(parsed(get("/turn?service=turn&token=open+sesame"))["ttl"], 3600);
  // Clocks may differ for entering a room, but there is no credential for a time that is over.
  EXPECT_EQ(
      get("/turn?service=turn&token=" + room_token(R"({"room":"a","exp":1767225600})")).status,
      401u);
  EXPECT_EQ(get("/turn?service=turn&token=" + room_token(R"({"exp":1767225700})")).status, 401u);
}

TEST_F(CredentialViewsTest, NoTokenOpensAnythingWhereRoomsAreOpen) {
  const RoomTokens open;
  for (const RoomTokens* tokens : {&open, static_cast<const RoomTokens*>(nullptr)}) {
    MintDesk desk({keys_, minter_, signer_, tokens, random_});
    EXPECT_FALSE(desk.admit(now_, source_, "", MintDesk::Accepts::kAll));
    EXPECT_FALSE(desk.admit(now_, source_, "anything", MintDesk::Accepts::kAll));
    EXPECT_TRUE(desk.admit(now_, source_, "key-1", MintDesk::Accepts::kAll));
  }
}

TEST_F(CredentialViewsTest, WhatIsForKeysIsNotForGuests) {
  EXPECT_FALSE(desk_.admit(now_, source_, "open sesame", MintDesk::Accepts::kKeys));
  EXPECT_FALSE(desk_.admit(now_, source_, signer_.sign({{"demo"}, kNow + seconds(50)}),
                           MintDesk::Accepts::kKeys));
  EXPECT_TRUE(desk_.admit(now_, source_, "key-1", MintDesk::Accepts::kKeys));
}

TEST_F(CredentialViewsTest, GuessingHasOnePriceInAllShapes) {
  for (std::uint32_t i = 0; i < MintDesk::kFailureRate.burst; i += 3) {
    EXPECT_EQ(get("/turn?service=turn&key=wrong").status, 401u);
    EXPECT_EQ(get("/api/v1/turn/credentials?apiKey=wrong").status, 401u);
    EXPECT_EQ(ask("POST", kTwilio, basic("x:wrong")).status, 401u);
  }
  const Response rest = get("/turn?service=turn&key=wrong");
  EXPECT_EQ(rest.status, 429u);
  EXPECT_EQ(headers(rest, "Retry-After").size(), 1u);
  EXPECT_EQ(get("/turn?service=turn&key=open+sesame").status, 429u) << "not even a right guess";
  const Response twilio = ask("POST", kTwilio, basic("x:wrong"));
  EXPECT_EQ(twilio.status, 429u);
  EXPECT_EQ(parsed(twilio)["code"], 20429);
  EXPECT_EQ(ask("POST", kList, "Authorization: Bearer no\r\n").status, 429u);
  EXPECT_EQ(get("/api/v1/turn/credentials?apiKey=wrong").status, 429u);
  EXPECT_EQ(get("/turn?service=turn&key=key-1").status, 200u) << "nobody is locked out";
  now_.mono = now_.mono + seconds(1);
  EXPECT_EQ(get("/turn?service=turn&key=open+sesame").status, 200u);
  source_ = *IpAddress::parse("198.51.100.1");
  EXPECT_EQ(get("/turn?service=turn&key=wrong").status, 401u);
}

TEST_F(CredentialViewsTest, GuestsAreServedAtARate) {
  for (std::uint32_t i = 0; i < MintDesk::kGuestRate.burst; ++i) {
    ASSERT_EQ(get("/turn?service=turn&token=open+sesame").status, 200u) << i;
  }
  EXPECT_EQ(get("/turn?service=turn&token=open+sesame").status, 429u);
  EXPECT_EQ(get("/turn?service=turn&key=key-1").status, 200u);
  now_.mono = now_.mono + seconds(1);
  EXPECT_EQ(get("/turn?service=turn&token=open+sesame").status, 200u);
}

TEST(CredentialViews, LeaveOtherPathsAlone) {
  const auto handles = [](std::string_view target) {
    http::Request request;
    request.target = std::string(target);
    return CredentialViews::handles(request);
  };
  for (const std::string_view target :
       {"/", "/?room=turn", "/?service=stun", "/turn/", "/turnx", "/api/ice", "/api/v1/turn",
        "/v1/turn/keys//credentials/generate", "/v1/turn/keys/a/b/credentials/generate",
        "/v1/turn/keys/credentials/generate", "/2010-04-01/Accounts/Tokens.json",
        "/2010-04-01/Accounts//Tokens.json", "/2010-04-01/Accounts/a/Messages.json"}) {
    EXPECT_FALSE(handles(target)) << target;
  }
  EXPECT_TRUE(handles("/?service=turn"));
  EXPECT_TRUE(handles(kList));
  EXPECT_TRUE(handles(kOne));
}

}  // namespace
}  // namespace turnpike::signaling
