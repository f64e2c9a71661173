#include "net/wake_pacing.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace turnpike::net {
namespace {

using std::chrono::microseconds;

constexpr Duration kLongest = microseconds(50);

// A worker in virtual time: `gap` from one input to the next, one turn for each of them unless it
// rests.
struct Paced {
  WakePacing pacing{kLongest};
  MonoTime now{seconds(100)};
  Duration last{};

  // Inputs come at their own pace, and each turn takes those that have come.
  void run(Duration gap, Duration span) {
    const MonoTime end = now + span;
    MonoTime next = now + gap;
    while (now < end) {
      if (now < next) now = next;
      std::uint32_t inputs = 0;
      for (; next <= now; next = next + gap) ++inputs;
      turn(inputs);
    }
  }

  void turn(std::uint32_t inputs) {
    last = pacing.rest_after(now, {inputs, {}});
    most = std::max(most, last);
    ++(last > Duration::zero() ? rests : turns_without);
    now = now + last;
    if (last > Duration::zero()) pacing.on_rested(now, last, last);
  }

  Duration most{};
  int rests = 0, turns_without = 0;
};

TEST(WakePacing, LetsPacketsGatherThatWouldWakeTheWorkerOneByOne) {
  Paced paced;
  paced.run(microseconds(20), milliseconds(100));
  EXPECT_GT(paced.rests, 1500);
  EXPECT_LT(paced.turns_without, 150);
  EXPECT_EQ(paced.most, kLongest);
}

TEST(WakePacing, NeverDelaysThePacketsOfAFewCalls) {
  Paced paced;
  paced.run(microseconds(200), seconds(1));  // some fifty calls of audio
  EXPECT_EQ(paced.rests, 0);
}

TEST(WakePacing, StopsWithinTwoWindowsOfPacketsBecomingRare) {
  Paced paced;
  paced.run(microseconds(10), milliseconds(50));
  paced.run(milliseconds(1), milliseconds(3));
  paced.rests = 0;
  paced.run(milliseconds(1), milliseconds(100));
  EXPECT_EQ(paced.rests, 0);
}

TEST(WakePacing, NeverRestsAfterATurnThatBroughtABatch) {
  Paced paced;
  paced.run(microseconds(5), milliseconds(50));
  paced.turn(WakePacing::kBatch);
  EXPECT_EQ(paced.last, Duration::zero());
  paced.turn(WakePacing::kBatch - 1);
  EXPECT_GT(paced.last, Duration::zero());
}

TEST(WakePacing, NeverRestsOnALoopThatHasLittleTimeLeft) {
  WakePacing pacing(kLongest);
  MonoTime now{seconds(1)};
  const auto after_turns_of = [&](Duration worked) {
    Duration rest{};
    for (int i = 0; i < 150; ++i) {
      now = now + microseconds(20);
      rest = pacing.rest_after(now, {1, worked});
    }
    return rest;
  };
  EXPECT_EQ(after_turns_of(microseconds(10)), kLongest);
  EXPECT_EQ(after_turns_of(microseconds(16)), Duration::zero());
  EXPECT_EQ(after_turns_of(microseconds(10)), kLongest);
}

TEST(WakePacing, RestsShorterWhenABatchComesSooner) {
  WakePacing pacing(kLongest);
  MonoTime now{seconds(1)};
  EXPECT_EQ(pacing.rest_after(now, {}), Duration::zero());
  now = now + WakePacing::kWindow;
  // 640 inputs in a millisecond are 32 in the longest rest, so half of it brings a batch.
  (void)pacing.rest_after(now, {640, {}});
  EXPECT_EQ(pacing.rest_after(now, {1, {}}), kLongest / 2);
}

TEST(WakePacing, PausesWhereRestsLastMuchLongerThanAsked) {
  Paced paced;
  paced.run(microseconds(20), milliseconds(20));
  const Duration late = kLongest + WakePacing::kLate + microseconds(1);
  for (std::uint32_t i = 0; i < 2 * WakePacing::kSample; ++i) {
    paced.now = paced.now + late;
    paced.pacing.on_rested(paced.now, kLongest, late);
  }
  paced.rests = 0;
  // The sample that decided ended before the last of these rests.
  paced.run(microseconds(20), WakePacing::kPause - milliseconds(20));
  EXPECT_EQ(paced.rests, 0);
  paced.run(microseconds(20), milliseconds(50));
  EXPECT_GT(paced.rests, 0);
}

TEST(WakePacing, TakesAFewLateRestsAsTheyCome) {
  Paced paced;
  paced.run(microseconds(20), milliseconds(20));
  const Duration late = kLongest + milliseconds(1);
  for (std::uint32_t i = 0; i < 100 * WakePacing::kSample; ++i) {
    paced.pacing.on_rested(paced.now, kLongest, i % 4 == 0 ? late : kLongest);
  }
  paced.rests = 0;
  paced.run(microseconds(20), milliseconds(20));
  EXPECT_GT(paced.rests, 0);
}

TEST(WakePacing, IsOffWithZero) {
  Paced paced;
  paced.pacing = WakePacing(Duration::zero());
  EXPECT_FALSE(paced.pacing.is_on());
  paced.run(microseconds(5), milliseconds(20));
  EXPECT_EQ(paced.rests, 0);
}

}  // namespace
}  // namespace turnpike::net
