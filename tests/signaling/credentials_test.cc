// Who gets relay credentials in a room, for how long, and when they are taken back.
#include "turn/credentials.h"
#include "signaling/hub.h"
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

std::string username(const json& message) {
  for (const json& server : message["iceServers"]) {
    if (server.contains("username")) return server["username"];
  }
  ADD_FAILURE() << "no credentials in " << message;
  return "";
}

std::string name(const json& message) {
  return std::string(turn::identify(username(message)).name);
}

TEST(MemberCredentials, ComeWithAnInvitationForTheRoom) {
  World world;
  Tab tab(world);
  const std::string invitation = world.invitation("demo");
  const json joined = tab.join("demo", "Ann", invitation);
  ASSERT_EQ(joined["type"], "joined");
  EXPECT_EQ(joined["ttl"], 3600);
  ASSERT_EQ(joined["iceServers"].size(), 2u);
  EXPECT_EQ(joined["iceServers"][0], json({{"urls", {"stun:turn.example:3478"}}}));
  const json& relay = joined["iceServers"][1];
  EXPECT_EQ(relay["urls"][0], "turn:turn.example:3478?transport=udp");
  EXPECT_EQ(relay["credential"], turn::rest_password(kSecret, username(joined)));
  EXPECT_TRUE(name(joined).starts_with("member-"));
  EXPECT_TRUE(name(joined).ends_with("~" + Minter(std::string(kSecret), {}).key_id(invitation)))
      << "the relay's quota counts by it";
  EXPECT_EQ(turn::identify(username(joined)).expires, world.now.wall + seconds(3600));
}

TEST(MemberCredentials, NameIsTheServersAndNewForEachMember) {
  World world;
  Tab ann(world), ben(world);
  const std::string invitation = world.invitation("demo");
  const std::string first = name(ann.join("demo", "same", invitation));
  const std::string second = name(ben.join("demo", "same", invitation));
  EXPECT_NE(first, second);
  EXPECT_EQ(first.find("same"), std::string::npos);
}

TEST(MemberCredentials, DoNotComeWithoutAnInvitation) {
  World world;
  Tab tab(world);
  const json joined = tab.join("demo");
  EXPECT_EQ(joined["type"], "joined");
  EXPECT_FALSE(joined.contains("iceServers"));
  EXPECT_FALSE(joined.contains("ttl"));
  tab.say({{"type", "leave"}});
  EXPECT_TRUE(world.outlet.revoked.empty());
}

TEST(MemberCredentials, ComeToEverybodyWithOpenRooms) {
  World world([](Settings& settings) { settings.open_rooms = true; });
  Tab tab(world);
  EXPECT_FALSE(username(tab.join("demo")).empty());
  Tab forged(world);
  EXPECT_EQ(forged.join("demo", "", "forged")["code"], "bad-invitation")
      << "a wrong invitation is a mistake that should be seen";
}

TEST(MemberCredentials, ABadInvitationDoesNotJoin) {
  World world;
  Tab tab(world);
  const std::string good = world.invitation("demo");
  const auto refused = [&](std::string_view room, std::string_view invitation) {
    return tab.join(room, "", invitation).value("code", "") == "bad-invitation";
  };
  EXPECT_TRUE(refused("demo", "nonsense"));
  EXPECT_TRUE(refused("demo", good.substr(1)));
  EXPECT_TRUE(refused("other", good));
  EXPECT_TRUE(refused("Demo", good));
  EXPECT_TRUE(refused("demo", world.invitation("demo", seconds(0))));
  EXPECT_TRUE(refused("demo", world.invitation("demo", seconds(86401))));
  EXPECT_TRUE(
      refused("demo", InvitationSigner("other").sign({{"demo"}, world.now.wall + hours(1)})));
  EXPECT_EQ(world.service.audit().members, 0u);
  EXPECT_EQ(world.service.audit().rooms, 0u);
  world.pass(seconds(3601));
  Tab late(world);
  EXPECT_EQ(late.join("demo", "", good)["code"], "bad-invitation");
}

TEST(MemberCredentials, AreRenewedUnderTheSameNameWellBeforeTheyExpire) {
  World world;
  Tab tab(world);
  const std::string invitation = world.invitation("demo", seconds(60));
  const json joined = tab.join("demo", "", invitation);
  WallTime expires = *turn::identify(username(joined)).expires;
  std::uint64_t last = joined["seq"];
  for (int i = 0; i < 240; ++i) {  // ten hours, long after the invitation itself has expired
    world.pass(seconds(150));
    ASSERT_LT(world.now.wall + seconds(600), expires) << "the old ones were about to expire";
    if (tab.silent()) continue;
    const json fresh = tab.hear("ice-servers");
    EXPECT_EQ(name(fresh), name(joined));
    EXPECT_EQ(fresh["ttl"], 3600);
    EXPECT_GT(fresh["seq"], last);
    last = fresh["seq"];
    expires = *turn::identify(username(fresh)).expires;
    EXPECT_TRUE(tab.silent());
  }
  EXPECT_EQ(last, 1u + 10 * 3600 / 2700);
}

TEST(MemberCredentials, AreRenewedOnRequest) {
  World world;
  Tab tab(world);
  const json joined = tab.join("demo", "", world.invitation("demo"));
  world.pass(seconds(10));
  tab.say({{"type", "ice"}});
  const json fresh = tab.hear("ice-servers");
  EXPECT_EQ(name(fresh), name(joined));
  EXPECT_NE(username(fresh), username(joined));
}

TEST(MemberCredentials, AreFreshAfterAResume) {
  World world;
  Tab tab(world);
  const json joined = tab.join("demo", "", world.invitation("demo", seconds(30)));
  tab.lose();
  world.pass(seconds(100));
  Tab again(world);
  again.say({{"type", "resume"}, {"session", tab.session}, {"received", 1}});
  const json resumed = again.hear("resumed");
  EXPECT_EQ(name(resumed), name(joined));
  EXPECT_EQ(turn::identify(username(resumed)).expires, world.now.wall + seconds(3600));
  EXPECT_EQ(resumed["ttl"], 3600);
  EXPECT_TRUE(world.outlet.revoked.empty());
}

// --- taken back ---

TEST(Revocation, ComesOnceWithALeave) {
  World world;
  Tab tab(world);
  const json joined = tab.join("demo", "", world.invitation("demo"));
  world.pass(seconds(10));
  tab.say({{"type", "ice"}});
  tab.hear("ice-servers");
  tab.say({{"type", "leave"}});
  ASSERT_EQ(world.outlet.revoked.size(), 1u);
  EXPECT_EQ(world.outlet.revoked[0].name, name(joined));
  // Of the latest that was minted under the name.
  EXPECT_EQ(world.outlet.revoked[0].until, world.now.wall + seconds(3600));
  tab.lose();
  world.pass(hours(3));
  EXPECT_EQ(world.outlet.revoked.size(), 1u);
}

TEST(Revocation, ComesWithAKick) {
  World world;
  Tab tab(world);
  const json joined = tab.join("de/mo", "", world.invitation("de/mo"));
  const std::string id = joined["self"]["id"];
  const std::string target = "/api/rooms/de%2Fmo/members/" + id + "?key=" + std::string(kKey);
  const std::string request = "DELETE " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(world.ask(request).status, 204);
  EXPECT_EQ(tab.close_code(), 4003);
  ASSERT_EQ(world.outlet.revoked.size(), 1u);
  EXPECT_EQ(world.outlet.revoked[0].name, name(joined));
  EXPECT_EQ(world.ask(request).status, 404);
  // And the session is gone with it.
  Tab again(world);
  again.say({{"type", "resume"}, {"session", tab.session}, {"received", 1}});
  EXPECT_EQ(again.hear("error")["code"], "unknown-session");
}

TEST(Revocation, ComesWithTheEndOfTheResumeWindowAndNotBefore) {
  World world;
  Tab tab(world);
  tab.join("demo", "", world.invitation("demo"));
  tab.lose();
  world.pass(Hub::kResumeWindow - milliseconds(1));
  EXPECT_TRUE(world.outlet.revoked.empty());
  world.pass(milliseconds(100));
  EXPECT_EQ(world.outlet.revoked.size(), 1u);
  EXPECT_EQ(world.service.audit().members, 0u);
}

TEST(Revocation, DoesNotComeWithALostWebSocketHoweverItWasLost) {
  World world;
  const std::string invitation = world.invitation("demo");
  Tab gone(world), closed(world), broken(world), rude(world), mute(world);
  for (Tab* tab : {&gone, &closed, &broken, &rude, &mute}) tab->join("demo", "", invitation);
  mute.answers_pings = false;
  gone.lose();
  world.send(closed.connection, client_frame(8, ""));
  world.send(broken.connection, "\xff\xff");
  world.send(rude.connection, client_frame(2, "binary"));
  world.pass(seconds(76));  // no pong from the last one
  EXPECT_TRUE(world.closed(mute.connection));
  EXPECT_TRUE(world.outlet.revoked.empty());
  EXPECT_EQ(world.service.audit().members, 5u);
  world.pass(seconds(121));
  EXPECT_EQ(world.outlet.revoked.size(), 5u);
}

TEST(Revocation, ComesWhenASessionCannotBeResumed) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo", "", world.invitation("demo"));
  ben.lose();
  for (int i = 0; i < 300; ++i) {
    ann.say({{"type", "send"}, {"data", i}});
    world.pass(milliseconds(30));
  }
  EXPECT_TRUE(world.outlet.revoked.empty());
  Tab again(world);
  again.say({{"type", "resume"}, {"session", ben.session}, {"received", 1}});
  again.hear("error");
  EXPECT_EQ(world.outlet.revoked.size(), 1u);
}

}  // namespace
}  // namespace turnpike::signaling::testing
