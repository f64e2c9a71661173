// What the authorisation service has said, for how long, and who is asked about again.
#include "server/hook_cache.h"

#include <gtest/gtest.h>

#include "stun/integrity.h"

namespace turnpike::server {
namespace {

using Status = HookCache::View::Status;
using MayAsk = HookCache::MayAsk;
using Workers = std::vector<std::uint32_t>;

HookAnswer known(std::optional<seconds> life = {}) {
  HookAnswer answer;
  answer.kind = HookAnswer::Kind::kKnown;
  answer.user.key = stun::long_term_key("alice", "example.org", "secret");
  answer.life = life;
  return answer;
}
HookAnswer unknown(std::optional<seconds> life = {}) {
  HookAnswer answer;
  answer.kind = HookAnswer::Kind::kUnknown;
  answer.life = life;
  return answer;
}
const HookAnswer kFailure;

struct HookCacheTest : testing::Test {
  HookCache::Limits limits;
  std::optional<HookCache> made;
  MonoTime now{hours(1)};

  HookCache& cache() {
    if (!made) made.emplace(limits);
    return *made;
  }
  HookCache::View look(std::string_view name, std::uint32_t worker = 0) {
    return cache().look(name, worker, now, MayAsk::kYes);
  }
  Status peek(std::string_view name, std::uint32_t worker = 0) {
    return cache().look(name, worker, now, MayAsk::kNo).status;
  }
  Workers settle(std::string_view name, const HookAnswer& answer) {
    return cache().settle(name, answer, now);
  }
  void learn(std::string_view name, const HookAnswer& answer) {
    ASSERT_TRUE(look(name).ask) << name;
    settle(name, answer);
  }
};

TEST_F(HookCacheTest, OneOfAllWhoLookAsksAndTheOthersWait) {
  EXPECT_EQ(peek("alice"), Status::kAbsent);
  const auto first = look("alice", 3);
  EXPECT_EQ(first.status, Status::kPending);
  EXPECT_TRUE(first.ask);
  const auto second = look("alice", 1);
  EXPECT_EQ(second.status, Status::kPending);
  EXPECT_FALSE(second.ask);
  EXPECT_EQ(peek("alice", 1), Status::kPending);
  EXPECT_EQ(settle("alice", known()), (Workers{3, 1}));
  EXPECT_EQ(look("alice").status, Status::kKnown);
  EXPECT_EQ(look("alice").user.key, known().user.key);
}

TEST_F(HookCacheTest, AnAnswerIsGoodForItsTimeAndNotLonger) {
  learn("alice", known());
  now = now + seconds(300) - milliseconds(1);
  EXPECT_EQ(peek("alice"), Status::kKnown);
  now = now + milliseconds(1);
  EXPECT_EQ(peek("alice"), Status::kAbsent);
  EXPECT_TRUE(look("alice").ask);
}

TEST_F(HookCacheTest, TheServiceMayShortenTheTimeButNotStretchIt) {
  learn("alice", known(seconds(5)));
  learn("bob", known(seconds(86400)));
  learn("carol", known(seconds(0)));
  learn("dave", unknown(seconds(2)));
  EXPECT_EQ(peek("carol"), Status::kKnown) << "for those who wait for this very answer";
  now = now + seconds(1);
  EXPECT_EQ(peek("carol"), Status::kAbsent);
  now = now + seconds(1);
  EXPECT_EQ(peek("dave"), Status::kAbsent);
  now = now + seconds(3);
  EXPECT_EQ(peek("alice"), Status::kAbsent);
  now = now + seconds(295);
  EXPECT_EQ(peek("bob"), Status::kAbsent);
}

TEST_F(HookCacheTest, UnknownUsersAreRememberedForAShortWhile) {
  learn("eve", unknown());
  EXPECT_EQ(peek("eve"), Status::kUnknown);
  now = now + seconds(10);
  EXPECT_EQ(peek("eve"), Status::kAbsent);
}

TEST_F(HookCacheTest, AfterAFailureNobodyIsAskedForASecond) {
  ASSERT_TRUE(look("alice", 2).ask);
  EXPECT_EQ(settle("alice", kFailure), Workers{2});
  EXPECT_EQ(look("alice").status, Status::kFailed);
  EXPECT_FALSE(look("alice").ask);
  now = now + seconds(1);
  EXPECT_TRUE(look("alice").ask);
}

TEST_F(HookCacheTest, AKnownUserIsGoodForLongerWhileTheServiceFails) {
  learn("alice", known());
  now = now + seconds(300);
  learn("alice", kFailure);
  EXPECT_EQ(look("alice").status, Status::kKnown);
  EXPECT_FALSE(look("alice").ask);
  now = now + seconds(1);
  // Asked about again, and known without waiting.
  const auto again = look("alice", 5);
  EXPECT_EQ(again.status, Status::kKnown);
  EXPECT_TRUE(again.ask);
  EXPECT_EQ(look("alice").status, Status::kKnown);
  EXPECT_FALSE(look("alice").ask);
  EXPECT_EQ(settle("alice", kFailure), Workers{}) << "nobody has waited";
  now = now + seconds(599);
  EXPECT_EQ(peek("alice"), Status::kAbsent);
  learn("alice", kFailure);
  EXPECT_EQ(look("alice").status, Status::kFailed);
}

TEST_F(HookCacheTest, AUserWhoIsStruckOffIsNotStale) {
  learn("alice", known());
  now = now + seconds(300);
  learn("alice", unknown());
  EXPECT_EQ(look("alice").status, Status::kUnknown);
  now = now + seconds(10);
  learn("alice", kFailure);
  EXPECT_EQ(look("alice").status, Status::kFailed);
}

TEST_F(HookCacheTest, AUserWhoComesBackAfterAFailureIsFreshAgain) {
  learn("alice", known());
  now = now + seconds(300);
  learn("alice", kFailure);
  now = now + seconds(1);
  learn("alice", known());
  now = now + seconds(299);
  EXPECT_EQ(peek("alice"), Status::kKnown);
}

TEST_F(HookCacheTest, LookupsUnderWayHaveAMaximum) {
  limits.max_lookups = 2;
  EXPECT_TRUE(look("a").ask);
  EXPECT_TRUE(look("b").ask);
  EXPECT_EQ(look("c").status, Status::kFailed);
  EXPECT_FALSE(look("c").ask);
  EXPECT_EQ(cache().sizes().lookups, 2u);
  settle("a", known());
  EXPECT_TRUE(look("c").ask);
}

TEST_F(HookCacheTest, TheOldestMakesRoomAndInventedNamesPushNobodyOut) {
  limits.max_known = 2;
  limits.max_unknown = 3;
  learn("a", known());
  learn("b", known());
  for (const char* name : {"n1", "n2", "n3", "n4", "n5"}) learn(name, unknown());
  learn("failed", kFailure);
  EXPECT_EQ(cache().sizes().unknown, 3u);
  EXPECT_EQ(peek("n3"), Status::kAbsent);
  EXPECT_EQ(peek("n4"), Status::kUnknown);
  EXPECT_EQ(peek("a"), Status::kKnown);
  learn("c", known());
  EXPECT_EQ(peek("a"), Status::kAbsent);
  EXPECT_EQ(peek("b"), Status::kKnown);
  EXPECT_EQ(cache().sizes().known, 2u);
}

TEST_F(HookCacheTest, WhoIsBeingAskedAboutIsNotForgotten) {
  limits.max_known = 1;
  learn("a", known());
  now = now + seconds(300);
  ASSERT_TRUE(look("a", 7).ask);
  learn("b", known());
  EXPECT_EQ(peek("a", 7), Status::kPending);
  EXPECT_EQ(settle("a", known()), Workers{7});
  EXPECT_EQ(peek("a"), Status::kKnown);
  EXPECT_EQ(peek("b"), Status::kAbsent);
}

TEST_F(HookCacheTest, WhatNobodyAskedForIsNotBelieved) {
  EXPECT_EQ(settle("alice", known()), Workers{});
  EXPECT_EQ(peek("alice"), Status::kAbsent);
}

}  // namespace
}  // namespace turnpike::server
