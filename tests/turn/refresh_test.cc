// Refresh (RFC 8656 section 8.2).
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

struct Refresh : testing::Test {
  RelayHouse house;
  Guest guest{house, "203.0.113.5:4000"};
};

TEST_F(Refresh, WithoutAllocationIsAMismatch) { EXPECT_EQ(guest.refresh().code(), 437); }

TEST_F(Refresh, ExtendsTheAllocationFromNow) {
  ASSERT_TRUE(guest.allocate().success());
  house.pass(seconds(500));
  EXPECT_EQ(guest.refresh(1000).lifetime(), 1000u);
  house.pass(seconds(999));
  EXPECT_EQ(house.server->audit().allocations, 1u);
  house.pass(seconds(2));
  EXPECT_EQ(house.server->audit().allocations, 0u);
}

struct TimeLimitedCredential : testing::Test {
  static HouseRules rules() {
    HouseRules rules;
    rules.shared_secrets = {"north"};
    return rules;
  }
  RelayHouse house{rules()};
  std::string username = std::to_string(house.now.wall.since_epoch.count() + 300) + ":member";
  Guest guest{house, "203.0.113.5:4000", username, rest_password("north", username)};
};

TEST_F(TimeLimitedCredential, KeepsAnAllocationAliveAfterItsExpiryAndBeginsNone) {
  ASSERT_TRUE(guest.allocate().success());
  house.pass(seconds(400));
  EXPECT_TRUE(guest.refresh().success());
  EXPECT_TRUE(guest.permit({*Address::parse("81.2.69.142:9")}).success());
  EXPECT_TRUE(guest.bind(0x4000, *Address::parse("81.2.69.142:9")).success());
  Guest late(house, "203.0.113.6:4000", username, guest.password);
  EXPECT_EQ(late.allocate().code(), 401);
  ASSERT_TRUE(guest.refresh(0).success());
  EXPECT_EQ(guest.refresh().code(), 401) << "nothing is held any more";
}

TEST_F(TimeLimitedCredential, OfAnotherNameIsRefusedAfterItsExpiry) {
  ASSERT_TRUE(guest.allocate().success());
  house.pass(seconds(400));
  guest.username = std::to_string(house.now.wall.since_epoch.count() - 1) + ":other";
  guest.password = rest_password("north", guest.username);
  EXPECT_EQ(guest.refresh(0).code(), 401);
  EXPECT_EQ(house.server->audit().allocations, 1u);
}

TEST_F(Refresh, MayShortenTheAllocation) {
  ASSERT_TRUE(guest.allocate([](auto& b) { b.u32(Attribute::kLifetime, 3600); }).success());
  EXPECT_EQ(guest.refresh(700).lifetime(), 700u);
  house.pass(seconds(701));
  EXPECT_EQ(house.server->audit().allocations, 0u);
}

TEST_F(Refresh, ZeroLifetimeDeletesTheAllocation) {
  ASSERT_TRUE(guest.allocate().success());
  const Reply reply = guest.refresh(0);
  ASSERT_TRUE(reply.success());
  EXPECT_EQ(reply.lifetime(), 0u);
  EXPECT_TRUE(house.sink.open_relays.empty());
  EXPECT_EQ(house.quota.total(), 0u);
  EXPECT_EQ(house.sink.events.back().ending, Event::Ending::kRefreshZero);
  EXPECT_EQ(guest.refresh().code(), 437);
  EXPECT_TRUE(guest.allocate().success());
}

TEST_F(Refresh, OfAnotherUserIsRefusedAndChangesNothing) {
  ASSERT_TRUE(guest.allocate().success());
  Guest other(house, "203.0.113.5:4000", "bob", "hush");
  EXPECT_EQ(other.refresh(0).code(), 441);
  EXPECT_EQ(other.permit({address("9.9.9.9:1")}).code(), 441);
  EXPECT_EQ(other.bind(0x4000, address("9.9.9.9:1")).code(), 441);
  EXPECT_EQ(house.server->audit().allocations, 1u);
  EXPECT_EQ(house.server->audit().permissions, 0u);
}

TEST_F(Refresh, WithoutCredentialsLeavesTheAllocationAlone) {
  ASSERT_TRUE(guest.allocate().success());
  const auto zero = [](stun::Builder& b) { b.u32(Attribute::kLifetime, 0); };
  EXPECT_EQ(guest.exchange(guest.bare_request(Method::kRefresh, zero)).code(), 401);
  EXPECT_EQ(house.server->audit().allocations, 1u);
}

TEST_F(Refresh, OfTheOtherFamilyIsAMismatch) {
  ASSERT_TRUE(guest.allocate().success());
  const auto family = [&](Family f) {
    return guest.ask(Method::kRefresh, [&](auto& b) { b.requested_address_family(f); });
  };
  EXPECT_EQ(family(Family::kIPv6).code(), 443);
  EXPECT_TRUE(family(Family::kIPv4).success());
}

TEST_F(Refresh, MalformedLifetimeOrFamilyIsABadRequest) {
  ASSERT_TRUE(guest.allocate().success());
  for (const Attribute attribute : {Attribute::kLifetime, Attribute::kRequestedAddressFamily}) {
    const auto fill = [&](stun::Builder& b) { b.bytes(attribute, Bytes{0, 0}); };
    EXPECT_EQ(guest.ask(Method::kRefresh, fill).code(), 400);
  }
}

TEST_F(Refresh, ADayOfRefreshesLeaksNothing) {
  ASSERT_TRUE(guest.allocate().success());
  for (int i = 0; i < 24 * 60 / 5; ++i) {
    house.pass(minutes(5));
    Reply reply = guest.refresh();
    if (reply.code() == 438) {
      guest.nonce = std::string(*reply.view().text(Attribute::kNonce));
      reply = guest.refresh();
    }
    ASSERT_TRUE(reply.success());
    ASSERT_TRUE(guest.permit({address("9.9.9.9:1")}).success());
  }
  EXPECT_EQ(house.server->audit().permissions, 1u);
  house.pass(minutes(11));
  EXPECT_EQ(house.server->audit().allocations, 0u);
}

}  // namespace
}  // namespace turnpike::turn
