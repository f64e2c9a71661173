#include "server/drain.h"

#include <gtest/gtest.h>

namespace turnpike::server {
namespace {

using Verdict = Drain::Verdict;

MonoTime at(int second) { return MonoTime{} + seconds(second); }

TEST(Drain, AServerThatDoesNotDrainNeverEnds) {
  const Drain drain;
  EXPECT_FALSE(drain.draining());
  EXPECT_EQ(drain.judge(at(1000), {}), Verdict::kGoOn);
}

TEST(Drain, EndsWhenNobodyIsLeftOfEitherKind) {
  Drain drain;
  drain.begin(at(0), seconds(100));
  EXPECT_EQ(drain.judge(at(5), {1, 1}), Verdict::kGoOn);
  EXPECT_EQ(drain.judge(at(6), {1, 0}), Verdict::kGoOn);
  EXPECT_EQ(drain.judge(at(7), {0, 1}), Verdict::kGoOn);
  EXPECT_EQ(drain.judge(at(8), {0, 0}), Verdict::kEmpty);
}

TEST(Drain, WhatWasCountedBeforeEverybodyHeardOfItProvesNothing) {
  Drain drain;
  drain.begin(at(10), seconds(0));
  EXPECT_EQ(drain.judge(at(10), {}), Verdict::kGoOn);
  EXPECT_EQ(drain.judge(at(10) + Drain::kLeastTime, {}), Verdict::kEmpty);
}

TEST(Drain, EndsAtTheDeadlineWhoeverIsLeft) {
  Drain drain;
  drain.begin(at(0), seconds(100));
  EXPECT_EQ(drain.judge(at(99), {1, 1}), Verdict::kGoOn);
  EXPECT_EQ(drain.judge(at(100), {1, 1}), Verdict::kLate);
}

TEST(Drain, WithoutADeadlineItWaits) {
  Drain drain;
  drain.begin(at(0), seconds(0));
  EXPECT_EQ(drain.left(at(1)), std::nullopt);
  EXPECT_EQ(drain.judge(at(1'000'000), {1, 0}), Verdict::kGoOn);
}

TEST(Drain, AskedAgainItKeepsTheFirstDeadline) {
  Drain drain;
  drain.begin(at(0), seconds(100));
  drain.begin(at(50), seconds(100));
  EXPECT_EQ(drain.left(at(50)), seconds(50));
  EXPECT_EQ(drain.left(at(50) + milliseconds(1)), seconds(50)) << "rounded up";
  EXPECT_EQ(drain.left(at(200)), seconds(0));
}

}  // namespace
}  // namespace turnpike::server
