#include "ice/checklist.h"

#include <gtest/gtest.h>

#include <string>

namespace turnpike::ice {
namespace {

Candidate candidate(CandidateType type, std::uint8_t last_byte, std::string foundation) {
  Candidate made;
  made.type = type;
  made.address = {IpAddress::v4(192, 0, 2, last_byte), 5000};
  made.priority = priority_of(type, 1000);
  made.foundation = std::move(foundation);
  return made;
}

class ChecklistTest : public ::testing::Test {
 protected:
  Checklist list_{Checklist::Side::kControlling};
};

TEST_F(ChecklistTest, ReflexiveCandidatesShareThePairsOfTheirBase) {
  list_.add_local({candidate(CandidateType::kHost, 1, "h"), 0});
  list_.add_local({candidate(CandidateType::kServerReflexive, 2, "s"), 0});
  list_.add_local({candidate(CandidateType::kRelayed, 3, "r"), 1});
  list_.add_remote(candidate(CandidateType::kHost, 9, "x"));
  ASSERT_EQ(list_.pairs().size(), 2u);
  EXPECT_TRUE(list_.find(0, {IpAddress::v4(192, 0, 2, 9), 5000}));
  EXPECT_TRUE(list_.find(1, {IpAddress::v4(192, 0, 2, 9), 5000}));
}

TEST_F(ChecklistTest, FamiliesAreNotMixed) {
  list_.add_local({candidate(CandidateType::kHost, 1, "h"), 0});
  Candidate v6 = candidate(CandidateType::kHost, 9, "x");
  v6.address.ip = *IpAddress::parse("2001:db8::1");
  list_.add_remote(v6);
  EXPECT_TRUE(list_.pairs().empty());
}

TEST_F(ChecklistTest, TheBestPairIsCheckedFirstAndTriggeredOnesBeforeIt) {
  list_.add_local({candidate(CandidateType::kRelayed, 3, "r"), 1});
  list_.add_local({candidate(CandidateType::kHost, 1, "h"), 0});
  list_.add_remote(candidate(CandidateType::kHost, 9, "x"));
  const std::size_t relayed = 0, host = 1;
  list_.trigger(relayed);
  EXPECT_EQ(list_.next(), relayed);
  list_.pair(relayed).state = PairState::kInProgress;
  EXPECT_EQ(list_.next(), host);
  list_.pair(host).state = PairState::kInProgress;
  EXPECT_EQ(list_.next(), std::nullopt);
  EXPECT_EQ(list_.unfinished(), 2u);
}

TEST_F(ChecklistTest, PairsOfOneFoundationAreFrozenUntilTheFirstSucceeds) {
  list_.add_local({candidate(CandidateType::kHost, 1, "h"), 0});
  list_.add_remote(candidate(CandidateType::kHost, 9, "x"));
  list_.add_remote(candidate(CandidateType::kHost, 8, "x"));
  EXPECT_EQ(list_.pairs()[0].state, PairState::kWaiting);
  EXPECT_EQ(list_.pairs()[1].state, PairState::kFrozen);
  list_.succeeded(0);
  EXPECT_EQ(list_.pairs()[1].state, PairState::kWaiting);
}

TEST_F(ChecklistTest, WhatWasRevealedIsReplacedByWhatIsSignalled) {
  list_.add_local({candidate(CandidateType::kHost, 1, "h"), 0});
  list_.add_remote(candidate(CandidateType::kPeerReflexive, 9, "p0"));
  list_.add_remote(candidate(CandidateType::kServerReflexive, 9, "s"));
  ASSERT_EQ(list_.remotes().size(), 1u);
  EXPECT_EQ(list_.remotes()[0].type, CandidateType::kServerReflexive);
  EXPECT_EQ(list_.pairs().size(), 1u);
}

TEST_F(ChecklistTest, TablesHaveTheirMaximum) {
  for (std::uint32_t i = 0; i < kMaxRemoteCandidates + 10; ++i) {
    Candidate remote = candidate(CandidateType::kHost, 9, std::to_string(i));
    remote.address.port = static_cast<std::uint16_t>(1 + i);
    list_.add_remote(remote);
  }
  EXPECT_EQ(list_.remotes().size(), kMaxRemoteCandidates);
  for (std::uint32_t i = 0; i < kMaxLocalCandidates + 10; ++i) {
    Candidate local = candidate(CandidateType::kHost, 1, std::to_string(i));
    local.address.port = static_cast<std::uint16_t>(1 + i);
    list_.add_local({local, i});
  }
  EXPECT_EQ(list_.locals().size(), kMaxLocalCandidates);
  EXPECT_EQ(list_.pairs().size(), kMaxPairs);
}

TEST_F(ChecklistTest, ABetterPairMayComeUntilItHasFailed) {
  list_.add_local({candidate(CandidateType::kRelayed, 3, "r"), 1});
  list_.add_local({candidate(CandidateType::kHost, 1, "h"), 0});
  list_.add_remote(candidate(CandidateType::kHost, 9, "x"));
  list_.succeeded(0);
  EXPECT_EQ(list_.best_succeeded(), 0u);
  EXPECT_TRUE(list_.may_improve_on(0));
  list_.pair(1).state = PairState::kFailed;
  EXPECT_FALSE(list_.may_improve_on(0));
}

}  // namespace
}  // namespace turnpike::ice
