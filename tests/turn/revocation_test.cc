// A name whose holder left: its allocations end and its credentials are refused.
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"
#include "tests/turn/counting_new.h"
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

// More time than it had, both before it is looked at for its first time and when the list is full.
TEST(Revocations, AreKeptForTheTimeTheyWereGivenLater) {
  Revocations list(2);
  const WallTime now{seconds(100)};
  list.add("extended", now + seconds(10), now);
  list.add("extended", now + seconds(60), now);
  list.add("other", now + seconds(20), now);
  list.add("third", now + seconds(30), now);  // "other" expires first, and makes room
  EXPECT_TRUE(list.contains("extended", now + seconds(59)));
  EXPECT_FALSE(list.contains("other", now));
  list.add("fourth", now + seconds(90), now + seconds(40));
  EXPECT_TRUE(list.contains("extended", now + seconds(59)));
  EXPECT_EQ(list.size(), 2u);
}

// What stays for an hour between what comes and goes by the millisecond keeps the heap from being
// given back, so names have no piece of it each.
TEST(Revocations, TakeNoMemoryForEachName) {
  constexpr int kNames = 20'000;
  Revocations list(kMaxRevokedNames);
  const WallTime now{seconds(100)};
  std::string name = "m-a-name-that-does-not-fit-into-a-string-object-0000000";
  const std::size_t before = allocations_made();
  for (int i = 0; i < kNames; ++i) {
    const std::string number = std::to_string(i);
    name.replace(name.size() - number.size(), number.size(), number);
    list.add(name, now + seconds(3600 + i % 7), now);
  }
  EXPECT_LT(allocations_made() - before, 100u);
  EXPECT_EQ(list.size(), static_cast<std::size_t>(kNames));
}

}  // namespace
}  // namespace turnpike::turn
