// That the shapes of credential_views.h are reached over HTTP, by whom and from which sites.
#include "signaling/mint_desk.h"
#include "signaling/room_tokens.h"
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

constexpr std::string_view kTwilio = "/2010-04-01/Accounts/AC1/Tokens.json";
constexpr std::string_view kCloudflare = "/v1/turn/keys/k/credentials/generate-ice-servers";
const std::string kBearer = "Authorization: Bearer " + std::string(kKey) + "\r\n";
const std::string kQuery = "key=" + std::string(kKey);

void expect_minted(const HttpAnswer& answer, int status) {
  EXPECT_EQ(answer.status, status) << answer.body;
  EXPECT_EQ(answer.header("cache-control"), "no-store");
  EXPECT_NE(answer.body.find("~"), std::string::npos) << answer.body;
}

TEST(CredentialRoutes, EveryShapeHasItsPath) {
  World world;
  expect_minted(world.get("/turn?service=turn&" + kQuery), 200);
  expect_minted(world.get("/?service=turn&" + kQuery), 200);
  expect_minted(world.get("/ice?" + kQuery), 200);
  expect_minted(world.get("/api/v1/turn/credentials?apiKey=" + std::string(kKey)), 200);
  expect_minted(world.post(kCloudflare, "{}", kBearer), 201);
  const std::string basic =
      "Authorization: Basic " + base64_encode(as_bytes("AC1:" + std::string(kKey))) + "\r\n";
  expect_minted(world.post(kTwilio, "", basic), 201);
  const ConnectionHandle connection = world.connect();
  world.send(connection, "POST " + std::string(kTwilio) + " HTTP/1.1\r\nHost: h\r\n" + basic +
                             "Content-Length: 0\r\n\r\n");
  EXPECT_TRUE(world.take(connection).starts_with("HTTP/1.1 201 Created\r\n"));
  const HttpAnswer rest = world.get("/turn?service=turn&" + kQuery);
  EXPECT_EQ(rest.headers.count("link"), rest.parsed()["uris"].size() + 1);
}

TEST(CredentialRoutes, AnOriginIsNeverEnough) {
  World world([](Settings& settings) { settings.allowed_origins = {"https://app.example"}; });
  for (const std::string_view origin : {"https://app.example", "http://turn.example:3478"}) {
    const std::string header = "Origin: " + std::string(origin) + "\r\n";
    EXPECT_EQ(world.get("/turn?service=turn", header).status, 401);
    EXPECT_EQ(world.post(kCloudflare, "{}", header).status, 401);
  }
}

TEST(CredentialRoutes, NamedSitesMayReadTheAnswerAndOthersMayNotEvenAsk) {
  World world([](Settings& settings) { settings.allowed_origins = {"https://app.example"}; });
  const std::string target = "/turn?service=turn&" + kQuery;
  const HttpAnswer named = world.get(target, "Origin: https://app.example\r\n");
  expect_minted(named, 200);
  EXPECT_EQ(named.header("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(named.header("access-control-expose-headers"), "Link");
  EXPECT_EQ(world.get(target, "Origin: https://evil.example\r\n").status, 403);
  EXPECT_EQ(world.get(target, "Origin: null\r\n").status, 403);
  const HttpAnswer preflight =
      world.ask("OPTIONS " + std::string(kCloudflare) +
                " HTTP/1.1\r\nHost: turn.example:3478\r\nOrigin: https://app.example\r\n\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_NE(preflight.header("access-control-allow-headers").find("Authorization"),
            std::string::npos);
}

TEST(CredentialRoutes, InvitationsAndRoomTokensAreGoodForTheApiToo) {
  World world([](Settings& settings) {
    settings.room_tokens =
        std::make_shared<const RoomTokens>(std::move(*RoomTokens::make({{}, {"sesame"}})));
  });
  EXPECT_EQ(world.get("/api/ice?token=sesame").parsed()["ttl"], 3600);
  EXPECT_EQ(world.get("/api/ice", "Authorization: Bearer sesame\r\n").status, 200);
  EXPECT_EQ(world.get("/api/ice?token=" + world.invitation("demo")).status, 200);
  EXPECT_EQ(world.get("/api/ice?token=sesam").status, 401);
  EXPECT_EQ(world.get("/api/rooms?token=sesame").status, 401) << "that is for API keys";
  EXPECT_EQ(world.post("/api/invitations?token=sesame", R"({"rooms":["a"]})").status, 401);
}

TEST(CredentialRoutes, GuessingCountsForTheApiAndTheShapesTogether) {
  World world;
  for (std::uint32_t i = 0; i < MintDesk::kFailureRate.burst; i += 2) {
    EXPECT_EQ(world.get("/turn?service=turn&key=wrong").status, 401);
    EXPECT_EQ(world.get("/api/ice?key=wrong").status, 401);
  }
  EXPECT_EQ(world.get("/turn?service=turn&key=wrong").status, 429);
  EXPECT_EQ(world.get("/api/ice?key=wrong").status, 429);
}

}  // namespace
}  // namespace turnpike::signaling::testing
