// What is counted for operators: why credentials were refused, and how long allocations lived.
#include <gtest/gtest.h>

#include <array>

#include "tests/turn/conversation.h"
#include "turn/duration_histogram.h"

namespace turnpike::turn {
namespace {

using Failure = Authenticator::Failure;

HouseRules with_secret() {
  HouseRules rules;
  rules.shared_secrets = {"s"};
  return rules;
}

struct AuthFailures : testing::Test {
  RelayHouse house{with_secret()};

  std::uint64_t counted(Failure reason) const {
    return house.server->statistics().auth_failures[static_cast<std::size_t>(reason)].read();
  }
  std::uint64_t all() const {
    std::uint64_t sum = 0;
    for (const Counter& counter : house.server->statistics().auth_failures) sum += counter.read();
    return sum;
  }
};

TEST_F(AuthFailures, AreToldApartByTheirReason) {
  EXPECT_EQ(Guest(house, "203.0.113.5:1", "carol", "secret").allocate().code(), 401);
  EXPECT_EQ(counted(Failure::kUnknownUser), 1u);
  EXPECT_EQ(Guest(house, "203.0.113.5:2", "alice", "guess").allocate().code(), 401);
  EXPECT_EQ(counted(Failure::kBadIntegrity), 1u);
  const std::string late = "1600000000:dave";
  EXPECT_EQ(Guest(house, "203.0.113.5:3", late, rest_password("s", late)).allocate().code(), 401);
  EXPECT_EQ(counted(Failure::kExpired), 1u);
  house.server->revoke(house.now, "bob", house.now.wall + seconds(60), house.sink);
  EXPECT_EQ(Guest(house, "203.0.113.5:4", "bob", "hush").allocate().code(), 401);
  EXPECT_EQ(counted(Failure::kRevoked), 1u);
  EXPECT_EQ(all(), 4u);
}

TEST_F(AuthFailures, StaleNoncesAreOneAndChallengesAreNone) {
  Guest alice(house, "203.0.113.5:1", "alice", "secret");
  ASSERT_TRUE(alice.allocate().success());
  EXPECT_EQ(all(), 0u) << "the first request has no credentials that could fail";
  (void)alice.exchange(alice.bare_request(stun::Method::kRefresh, [](stun::Builder& b) {
    b.text(stun::Attribute::kUsername, "alice")
        .text(stun::Attribute::kRealm, RelayHouse::kRealm)
        .text(stun::Attribute::kNonce, "old")
        .message_integrity(stun::long_term_key("alice", RelayHouse::kRealm, "secret"));
  }));
  EXPECT_EQ(counted(Failure::kStaleNonce), 1u);
  EXPECT_EQ(all(), 1u);
}

TEST(Durations, AreThoseOfAllocationsThatHaveEnded) {
  RelayHouse house;
  Guest shortly(house, "203.0.113.5:1", "alice", "secret");
  Guest forgotten(house, "203.0.113.5:2", "alice", "secret");
  ASSERT_TRUE(shortly.allocate().success());
  ASSERT_TRUE(forgotten.allocate().success());
  const DurationHistogram& durations = house.server->statistics().durations;
  house.pass(seconds(5));
  EXPECT_EQ(durations.sum_in_milliseconds(), 0u);
  ASSERT_TRUE(shortly.refresh(0).success());
  EXPECT_EQ(durations.bucket(1), 1u);
  EXPECT_EQ(durations.sum_in_milliseconds(), 5000u);
  house.pass(seconds(700));
  EXPECT_EQ(house.server->statistics().allocations.read(), 0u);
  EXPECT_EQ(durations.bucket(4), 1u) << "600 seconds and what the timers are late";
}

TEST(DurationHistogram, CountsUpToAndWithItsBounds) {
  DurationHistogram durations;
  durations.observe(Duration(0));
  durations.observe(seconds(1));
  durations.observe(seconds(1) + milliseconds(1));
  durations.observe(seconds(86400));
  durations.observe(seconds(86401));
  std::array<std::uint64_t, DurationHistogram::kBuckets> found;
  for (std::size_t i = 0; i < found.size(); ++i) found[i] = durations.bucket(i);
  EXPECT_EQ(found, (decltype(found){2, 1, 0, 0, 0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(durations.sum_in_milliseconds(), (1000u + 1001u + 86400u * 1000 + 86401u * 1000));
}

}  // namespace
}  // namespace turnpike::turn
