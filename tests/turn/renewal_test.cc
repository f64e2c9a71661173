// Another configuration while allocations live.
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Method;

// Settings as RelayHouse makes them from the same rules, for the same server.
std::shared_ptr<const Settings> settings_of(const RelayHouse& house, HouseRules rules) {
  auto adjust = rules.adjust;
  rules.adjust = [&](Settings& settings) {
    settings.nonce_key = house.settings->nonce_key;
    settings.ticket_key = house.settings->ticket_key;
    if (adjust) adjust(settings);
  };
  return RelayHouse(rules).settings;
}

void renew(RelayHouse& house, const HouseRules& rules) {
  house.settings = settings_of(house, rules);
  house.server->renew({house.settings, rules.bandwidth, rules.others}, house.sink);
}

TEST(Renewal, UsersComeAndGo) {
  RelayHouse house;
  Guest alice(house, "203.0.113.5:4000"), carol(house, "203.0.113.5:4001", "carol", "new");
  ASSERT_TRUE(alice.allocate().success());
  EXPECT_EQ(carol.allocate().code(), 401);
  HouseRules rules;
  rules.users = {{"carol", "new"}};
  renew(house, rules);
  EXPECT_TRUE(carol.allocate().success());
  EXPECT_EQ(alice.refresh().code(), 401);
  EXPECT_EQ(house.server->audit().allocations, 2u) << "what lives is not cut";
  house.pass(seconds(601));
  EXPECT_EQ(house.server->audit().allocations, 0u);
  EXPECT_EQ(house.quota.total(), 0u) << "given back under the name that was charged";
}

TEST(Renewal, ANonceOfBeforeIsGood) {
  RelayHouse house;
  Guest alice(house, "203.0.113.5:4000");
  ASSERT_TRUE(alice.allocate().success());
  renew(house, {});
  EXPECT_TRUE(alice.exchange(alice.request(Method::kRefresh)).success()) << "not even a 438";
}

TEST(Renewal, TheSecretsRotate) {
  HouseRules rules;
  rules.shared_secrets = {"old"};
  RelayHouse house(rules);
  const std::string username = std::to_string(house.now.wall.since_epoch.count() + 3600) + ":ann";
  Guest before(house, "203.0.113.5:4000", username, rest_password("old", username));
  ASSERT_TRUE(before.allocate().success());
  rules.shared_secrets = {"new", "old"};
  renew(house, rules);
  EXPECT_TRUE(before.refresh().success());
  Guest after(house, "203.0.113.5:4001", username, rest_password("new", username));
  EXPECT_TRUE(after.allocate().success());
  rules.shared_secrets = {"new"};
  renew(house, rules);
  EXPECT_EQ(before.refresh().code(), 401);
  EXPECT_TRUE(after.refresh().success());
}

TEST(Renewal, APeerThatIsDeniedNowIsLostAndTheOthersAreNot) {
  RelayHouse house;
  Guest alice(house, "203.0.113.5:4000");
  ASSERT_TRUE(alice.allocate().success());
  const Address good = address("9.9.9.9:1000");
  const Address bad = address("8.8.8.8:1000");
  const Address worse = address("8.8.8.7:1000");
  ASSERT_TRUE(alice.bind(0x4000, good).success());
  ASSERT_TRUE(alice.bind(0x4001, bad).success());
  ASSERT_TRUE(alice.permit({worse}).success());
  HouseRules rules;
  rules.peers.denied = {*IpRange::parse("8.0.0.0/8")};
  renew(house, rules);
  alice.send_on(0x4000, bytes_of("reaches"));
  alice.send_on(0x4001, bytes_of("does not"));
  alice.send(worse, bytes_of("nor this"));
  ASSERT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(text_of(house.sink.peers_got.front().datagram), "reaches");
  house.from_peer(bad, alice.relayed, bytes_of("nor back"));
  EXPECT_EQ(house.server->audit().permissions, 1u);
  EXPECT_EQ(house.server->audit().channels, 1u);
  EXPECT_EQ(alice.bind(0x4001, bad).code(), 403);
  EXPECT_TRUE(alice.bind(0x4001, address("9.9.9.8:1000")).success()) << "the number is free";
}

TEST(Renewal, ManyPeersAreJudgedAgain) {
  RelayHouse house;
  Guest alice(house, "203.0.113.5:4000");
  ASSERT_TRUE(alice.allocate().success());
  for (std::uint16_t i = 0; i < 40; ++i) {
    const std::string host = (i % 2 == 0 ? "9.9.9." : "8.8.8.") + std::to_string(i + 1);
    ASSERT_TRUE(alice.bind(static_cast<std::uint16_t>(0x4000 + i), address(host + ":9")).success());
  }
  HouseRules rules;
  rules.peers.denied = {*IpRange::parse("8.0.0.0/8")};
  renew(house, rules);
  EXPECT_EQ(house.server->audit().permissions, 20u);
  EXPECT_EQ(house.server->audit().channels, 20u);
  for (std::uint16_t i = 0; i < 40; ++i) {
    alice.send_on(static_cast<std::uint16_t>(0x4000 + i), bytes_of("x"));
  }
  EXPECT_EQ(house.sink.peers_got.size(), 20u);
}

TEST(Renewal, LifetimesAndLimitsAreThoseOfNow) {
  RelayHouse house;
  Guest alice(house, "203.0.113.5:4000");
  EXPECT_EQ(alice.allocate().lifetime(), 600u);
  HouseRules rules;
  rules.adjust = [](Settings& settings) {
    settings.default_lifetime = settings.max_lifetime = seconds(60);
    settings.max_channels = 1;
  };
  renew(house, rules);
  EXPECT_EQ(alice.refresh(3600).lifetime(), 60u);
  EXPECT_TRUE(alice.bind(0x4000, address("9.9.9.9:1")).success());
  EXPECT_TRUE(alice.bind(0x4001, address("9.9.9.9:2")).success()) << "made with room for more";
  Guest bob(house, "203.0.113.5:4001", "bob", "hush");
  EXPECT_EQ(bob.allocate().lifetime(), 60u);
  EXPECT_TRUE(bob.bind(0x4000, address("9.9.9.9:1")).success());
  EXPECT_EQ(bob.bind(0x4001, address("9.9.9.9:2")).code(), 508);
}

TEST(Renewal, BandwidthIsLimitedAndSetFree) {
  RelayHouse house;
  Guest alice(house, "203.0.113.5:4000");
  ASSERT_TRUE(alice.allocate().success());
  ASSERT_TRUE(alice.bind(0x4000, address("9.9.9.9:1")).success());
  const auto passes = [&] {
    house.sink.peers_got.clear();
    for (int i = 0; i < 20; ++i) alice.send_on(0x4000, filled(1000));
    return house.sink.peers_got.size();
  };
  EXPECT_EQ(passes(), 20u);
  HouseRules slow;
  slow.adjust = [](Settings& settings) { settings.max_bps = 1000; };
  renew(house, slow);
  EXPECT_LT(passes(), 3u);
  renew(house, {});
  EXPECT_EQ(passes(), 20u);
}

TEST(Renewal, WhoeverUsedItsRepliesUpGetsNoOthersByARenewalThatChangesNothing) {
  HouseRules rules;
  rules.adjust = [](Settings& settings) {
    settings.unauthorized_replies_per_second = 1;
    settings.unauthorized_burst = 1;
  };
  RelayHouse house(rules);
  Guest stranger(house, "203.0.113.5:4000");
  EXPECT_EQ(stranger.exchange(stranger.bare_request(Method::kAllocate)).code(), 401);
  EXPECT_TRUE(stranger.exchange(stranger.bare_request(Method::kAllocate)).silent());
  renew(house, rules);
  EXPECT_TRUE(stranger.exchange(stranger.bare_request(Method::kAllocate)).silent());
  renew(house, {});
  EXPECT_EQ(stranger.exchange(stranger.bare_request(Method::kAllocate)).code(), 401);
}

}  // namespace
}  // namespace turnpike::turn
