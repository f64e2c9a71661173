// The bandwidth that all workers share.
#include "server/shared_bandwidth.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace turnpike::server {
namespace {

using turn::Direction;

TEST(SharedBandwidth, GivesHalfASecondAheadAndThenTheRate) {
  SharedBandwidth pool(1'000'000, 4);
  MonoTime now{hours(1)};
  std::uint64_t given = 0;
  while (const std::uint64_t slice = pool.lease(Direction::kToPeer, 1, now)) given += slice;
  EXPECT_NEAR(static_cast<double>(given), 500'000, 10'000);
  given = 0;
  for (int i = 0; i < 1000; ++i) {
    now = now + milliseconds(10);
    while (const std::uint64_t slice = pool.lease(Direction::kToPeer, 1, now)) given += slice;
  }
  EXPECT_NEAR(static_cast<double>(given), 10'000'000, 10'000);
}

TEST(SharedBandwidth, EachDirectionHasItsOwn) {
  SharedBandwidth pool(1'000'000, 1);
  const MonoTime now{hours(1)};
  while (pool.lease(Direction::kToPeer, 1, now) != 0) {
  }
  EXPECT_NE(pool.lease(Direction::kToClient, 1, now), 0u);
}

TEST(SharedBandwidth, GivesWhatATrainNeedsEvenWhenASliceIsSmaller) {
  SharedBandwidth pool(10'000, 4);
  EXPECT_EQ(pool.lease(Direction::kToPeer, 65'000, MonoTime{hours(1)}), 65'000u);
  EXPECT_EQ(pool.lease(Direction::kToPeer, 1, MonoTime{hours(1)}), 0u);
  EXPECT_NE(pool.lease(Direction::kToPeer, 1, MonoTime{hours(1) + seconds(7)}), 0u);
}

TEST(SharedBandwidth, TheRateMayChange) {
  SharedBandwidth pool(0, 4);
  EXPECT_EQ(pool.pool(), nullptr) << "nobody is to ask";
  pool.set_rate(1'000'000);
  EXPECT_EQ(pool.pool(), &pool);
  const MonoTime now{hours(1)};
  std::uint64_t given = 0;
  while (const std::uint64_t slice = pool.lease(Direction::kToPeer, 1, now)) given += slice;
  EXPECT_NEAR(static_cast<double>(given), 500'000, 10'000);
  pool.set_rate(0);
  EXPECT_EQ(pool.pool(), nullptr);
  EXPECT_GE(pool.lease(Direction::kToPeer, 9000, now), 9000u) << "who asks all the same";
}

TEST(SharedBandwidth, WorkersTogetherGetNoMore) {
  SharedBandwidth pool(1'000'000, 4);
  const MonoTime now{hours(1)};
  std::atomic<std::uint64_t> given{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      while (const std::uint64_t slice = pool.lease(Direction::kToPeer, 1, now)) given += slice;
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_LE(given.load(), 510'000u);
}

}  // namespace
}  // namespace turnpike::server
