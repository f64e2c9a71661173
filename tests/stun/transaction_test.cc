#include "stun/transaction.h"

#include <gtest/gtest.h>

#include <vector>

namespace turnpike::stun {
namespace {

constexpr MonoTime kStart{hours(3)};

std::vector<int> milliseconds_until_the_end(Transaction::Reliability reliability, int* sends) {
  Transaction transaction(kStart, reliability);
  std::vector<int> instants;
  *sends = 1;
  while (true) {
    const MonoTime now = transaction.next();
    instants.push_back(static_cast<int>((now - kStart) / milliseconds(1)));
    const auto due = transaction.on_time(now);
    if (due == Transaction::Due::kFailed) return instants;
    EXPECT_EQ(due, Transaction::Due::kSend);
    ++*sends;
  }
}

// The example of RFC 8489 section 6.2.1: sends at 0, 500, 1500, 3500, 7500, 15500 and 31500 ms,
// failure at 39500 ms.
TEST(Transaction, OverUdpDoublesTheIntervalAndGivesUpAfterSevenSends) {
  int sends = 0;
  EXPECT_EQ(milliseconds_until_the_end(Transaction::Reliability::kUnreliable, &sends),
            (std::vector<int>{500, 1500, 3500, 7500, 15500, 31500, 39500}));
  EXPECT_EQ(sends, 7);
}

TEST(Transaction, OverAStreamSendsOnceAndWaitsAsLong) {
  int sends = 0;
  EXPECT_EQ(milliseconds_until_the_end(Transaction::Reliability::kReliable, &sends),
            (std::vector<int>{39500}));
  EXPECT_EQ(sends, 1);
}

TEST(Transaction, NothingIsDueBeforeItsTime) {
  Transaction transaction(kStart, Transaction::Reliability::kUnreliable);
  EXPECT_EQ(transaction.on_time(kStart), Transaction::Due::kNothing);
  EXPECT_EQ(transaction.on_time(transaction.next() - Duration(1)), Transaction::Due::kNothing);
  EXPECT_EQ(transaction.on_time(transaction.next()), Transaction::Due::kSend);
}

TEST(Transaction, ALateCallerDoesNotSendInBursts) {
  Transaction transaction(kStart, Transaction::Reliability::kUnreliable);
  const MonoTime late = kStart + seconds(30);
  EXPECT_EQ(transaction.on_time(late), Transaction::Due::kSend);
  EXPECT_EQ(transaction.on_time(late), Transaction::Due::kNothing);
  EXPECT_EQ(transaction.next(), late + seconds(1));
}

TEST(Transaction, AfterFailureNothingIsDueAnyMore) {
  Transaction transaction(kStart, Transaction::Reliability::kReliable);
  EXPECT_EQ(transaction.on_time(kStart + seconds(40)), Transaction::Due::kFailed);
  EXPECT_EQ(transaction.next(), MonoTime::never());
  EXPECT_EQ(transaction.on_time(kStart + hours(1)), Transaction::Due::kNothing);
}

}  // namespace
}  // namespace turnpike::stun
