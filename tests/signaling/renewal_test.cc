// Another configuration while rooms live: secrets, keys and tokens.
#include <gtest/gtest.h>

#include "signaling/room_tokens.h"
#include "tests/signaling/world.h"
#include "turn/credentials.h"

namespace turnpike::signaling::testing {
namespace {

std::string bearer(std::string_view key) {
  return "Authorization: Bearer " + std::string(key) + "\r\n";
}

TEST(Renewal, CredentialsAreMintedWithTheNewSecret) {
  World world;
  Settings next = World::default_settings();
  next.secret = "another secret";
  world.service.renew(next);
  const json body = world.get("/api/ice", bearer(kKey)).parsed();
  const std::string username = body["iceServers"][1]["username"];
  EXPECT_EQ(body["iceServers"][1]["credential"], turn::rest_password("another secret", username));
}

TEST(Renewal, KeysComeAndGo) {
  World world;
  Settings next = World::default_settings();
  next.api_keys = {"another-key"};
  world.service.renew(next);
  EXPECT_EQ(world.get("/api/ice", bearer(kKey)).status, 401);
  EXPECT_EQ(world.get("/api/ice", bearer("another-key")).status, 200);
}

TEST(Renewal, InvitationsAreGoodForAsLongAsTheirSecretIsTaken) {
  World world;
  const std::string invitation = world.invitation("demo");
  Settings next = World::default_settings();
  next.secret = "another secret";
  next.older_secrets = {std::string(kSecret)};
  world.service.renew(next);
  Tab ann(world), bob(world), late(world);
  ann.join("demo", "Ann", invitation);
  bob.join("demo", "Bob", world.invitation("demo"));
  next.older_secrets.clear();
  world.service.renew(next);
  late.say({{"type", "join"}, {"room", "demo"}, {"invitation", invitation}});
  EXPECT_EQ(late.hear("error")["code"], "bad-invitation");
}

TEST(Renewal, RoomsAskForTokensFromNowOnAndWhoIsInStaysIn) {
  World world;
  Tab ann(world), bob(world), eve(world);
  ann.join("demo", "Ann");
  Settings next = World::default_settings();
  auto tokens = RoomTokens::make({{}, {"open sesame"}});
  ASSERT_TRUE(tokens);
  next.room_tokens = std::make_shared<const RoomTokens>(std::move(*tokens));
  world.service.renew(next);
  eve.say({{"type", "join"}, {"room", "demo"}});
  EXPECT_EQ(eve.hear("error")["code"], "bad-token");
  bob.say({{"type", "join"}, {"room", "demo"}, {"token", "open sesame"}});
  bob.hear("joined");
  EXPECT_EQ(ann.hear("member-joined")["type"], "member-joined");
  next.room_tokens = nullptr;
  world.service.renew(next);
  eve.say({{"type", "join"}, {"room", "demo"}});
  eve.hear("joined");
}

TEST(Renewal, UrlsAreTheNewOnes) {
  World world;
  Settings next = World::default_settings();
  next.ice_urls.turn = {"turns:turn.example:5349?transport=tcp"};
  next.public_url = "https://turn.example:5349";
  world.service.renew(next);
  const json config = world.get("/config.json").parsed();
  EXPECT_EQ(config["iceUrls"]["turn"][0], "turns:turn.example:5349?transport=tcp");
  EXPECT_EQ(config["publicUrl"], "https://turn.example:5349");
}

}  // namespace
}  // namespace turnpike::signaling::testing
