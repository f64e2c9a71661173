// A name whose holder left: its allocations end and its credentials are refused.
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"
#include "turn/revocations.h"

namespace turnpike::turn {
namespace {

HouseRules with_secret() {
  HouseRules rules;
  rules.shared_secrets = {"s"};
  return rules;
}

Guest member(RelayHouse& house, std::string_view remote, const std::string& username) {
  return Guest(house, remote, username, rest_password("s", username));
}

TEST(Revoke, EndsAllAllocationsOfTheNameAndNoOther) {
  RelayHouse house(with_secret());
  Guest first = member(house, "203.0.113.5:1", "1700001000:carol");
  Guest second = member(house, "203.0.113.5:2", "1700002000:carol");
  Guest other = member(house, "203.0.113.5:3", "1700001000:carola");
  for (Guest* guest : {&first, &second, &other}) ASSERT_TRUE(guest->allocate().success());
  house.server->revoke(house.now, "carol", house.now.wall + seconds(3600), house.sink);
  EXPECT_EQ(house.sink.open_relays.size(), 1u);
  EXPECT_EQ(house.sink.events.back().ending, Event::Ending::kRevoked);
  EXPECT_EQ(house.sink.events.back().username, "carol");
  EXPECT_EQ(house.quota.held_by("carol"), 0u);
  EXPECT_TRUE(other.refresh().success());
  EXPECT_EQ(first.refresh().code(), 401);
  EXPECT_EQ(second.allocate().code(), 401);
}

TEST(Revoke, LastsUntilItsTime) {
  RelayHouse house(with_secret());
  Guest guest = member(house, "203.0.113.5:1", "1700001000:carol");
  house.server->revoke(house.now, "carol", house.now.wall + seconds(10), house.sink);
  EXPECT_EQ(guest.allocate().code(), 401);
  house.pass(seconds(10));
  EXPECT_TRUE(guest.allocate().success());
}

TEST(Revoke, OfANameNobodyHolds) {
  RelayHouse house;
  house.server->revoke(house.now, "nobody", house.now.wall + seconds(10), house.sink);
  EXPECT_EQ(house.server->audit().revoked_names, 1u);
}

TEST(Revocations, RememberTheLaterTime) {
  Revocations list(4);
  const WallTime now{seconds(100)};
  list.add("a", now + seconds(10), now);
  list.add("a", now + seconds(5), now);
  EXPECT_TRUE(list.contains("a", now + seconds(9)));
  list.add("a", now + seconds(20), now);
  EXPECT_TRUE(list.contains("a", now + seconds(19)));
  EXPECT_FALSE(list.contains("a", now + seconds(20)));
  EXPECT_EQ(list.size(), 1u);
}

TEST(Revocations, WhenFullTheFirstToExpireMakesRoom) {
  Revocations list(3);
  const WallTime now{seconds(100)};
  list.add("late", now + seconds(30), now);
  list.add("early", now + seconds(10), now);
  list.add("middle", now + seconds(20), now);
  list.add("fourth", now + seconds(15), now);
  EXPECT_EQ(list.size(), 3u);
  EXPECT_FALSE(list.contains("early", now));
  EXPECT_TRUE(list.contains("late", now));
  EXPECT_TRUE(list.contains("middle", now));
  EXPECT_TRUE(list.contains("fourth", now));
}

TEST(Revocations, ForgetWhatHasExpired) {
  Revocations list(100);
  const WallTime now{seconds(100)};
  for (int i = 1; i <= 50; ++i) list.add("n" + std::to_string(i), now + seconds(i), now);
  list.add("last", now + seconds(100), now + seconds(40));
  EXPECT_EQ(list.size(), 11u);
  list.add("past", now, now + seconds(40));
  EXPECT_EQ(list.size(), 11u);
}

}  // namespace
}  // namespace turnpike::turn
