#include "turn/throttle.h"

#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Method;

constexpr MonoTime kStart{hours(1)};

int allowed(Throttle& throttle, std::string_view from, MonoTime now, int tries) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += throttle.allow(ip(from), now) ? 1 : 0;
  return count;
}

TEST(Throttle, GivesTheBurstAndThenTheRate) {
  Throttle throttle(10, 20);
  EXPECT_EQ(allowed(throttle, "9.9.9.9", kStart, 100), 20);
  EXPECT_EQ(allowed(throttle, "9.9.9.9", kStart + milliseconds(99), 100), 0);
  EXPECT_EQ(allowed(throttle, "9.9.9.9", kStart + milliseconds(100), 100), 1);
  EXPECT_EQ(allowed(throttle, "9.9.9.9", kStart + milliseconds(1100), 100), 10);
  EXPECT_EQ(allowed(throttle, "9.9.9.9", kStart + hours(1), 100), 20);
}

TEST(Throttle, SharesAmongOnePrefixOnly) {
  Throttle throttle(1, 3);
  EXPECT_EQ(allowed(throttle, "2600::1", kStart, 2), 2);
  EXPECT_EQ(allowed(throttle, "2600::ffff", kStart, 9), 1);
  EXPECT_EQ(allowed(throttle, "2600:0:0:1::1", kStart, 9), 3);
  EXPECT_EQ(allowed(throttle, "9.9.9.9", kStart, 9), 3);
  EXPECT_EQ(allowed(throttle, "9.9.9.8", kStart, 9), 3);
}

TEST(Throttle, ZeroIsOffAndAZeroBurstIsOne) {
  Throttle off(0, 0);
  EXPECT_EQ(allowed(off, "9.9.9.9", kStart, 100000), 100000);
  Throttle tight(1, 0);
  EXPECT_EQ(allowed(tight, "9.9.9.9", kStart, 10), 1);
}

TEST(Throttle, WorksAtTheBeginningOfTime) {
  Throttle throttle(10, 20);
  EXPECT_EQ(allowed(throttle, "9.9.9.9", MonoTime{}, 100), 20);
}

HouseRules slow() {
  HouseRules rules;
  rules.adjust = [](Settings& s) {
    s.unauthorized_replies_per_second = 1;
    s.unauthorized_burst = 3;
  };
  return rules;
}

TEST(ThrottledReplies, EveryKindOfAnswerToAStrangerCounts) {
  RelayHouse house(slow());
  Guest guest(house, "203.0.113.5:1");
  guest.nonce = "stale";
  EXPECT_TRUE(guest.exchange(guest.bare_request(Method::kBinding)).success());
  EXPECT_EQ(guest.exchange(guest.bare_request(Method::kAllocate)).code(), 401);
  EXPECT_EQ(guest.refresh().code(), 438);
  EXPECT_TRUE(guest.exchange(guest.bare_request(Method::kBinding)).silent());
  EXPECT_TRUE(guest.exchange(guest.bare_request(Method::kAllocate)).silent());
  EXPECT_TRUE(guest.refresh().silent());
  const auto unknown = [](stun::Builder& b) { b.u32(static_cast<stun::Attribute>(2), 1); };
  EXPECT_TRUE(guest.exchange(guest.bare_request(Method::kBinding, unknown)).silent());
  const auto bad = [](stun::Builder& b) { b.message_integrity(Bytes(16)); };
  EXPECT_TRUE(guest.exchange(guest.bare_request(Method::kAllocate, bad)).silent());
  EXPECT_EQ(house.server->statistics().replies_throttled.read(), 5u);
  EXPECT_EQ(house.server->statistics().error_responses.read(), 2u);
}

TEST(ThrottledReplies, WhoIsAuthenticatedAlwaysGetsAnAnswer) {
  RelayHouse house(slow());
  Guest guest(house, "203.0.113.5:1");
  ASSERT_TRUE(guest.allocate().success());
  for (int i = 0; i < 20; ++i) (void)guest.exchange(guest.bare_request(Method::kBinding));
  EXPECT_TRUE(guest.exchange(guest.bare_request(Method::kBinding)).silent());
  EXPECT_TRUE(guest.refresh().success());
  EXPECT_EQ(guest.permit({address("10.0.0.1:1")}).code(), 403);
}

TEST(ThrottledReplies, StreamsAreNotThrottled) {
  RelayHouse house(slow());
  Guest guest(house, "203.0.113.5:1", "alice", "secret", Transport::kTcp);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(guest.exchange(guest.bare_request(Method::kAllocate)).code(), 401);
  }
}

}  // namespace
}  // namespace turnpike::turn
