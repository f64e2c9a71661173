#include "base/mailbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace turnpike {
namespace {

TEST(Mailbox, GivesMessagesBackInOrder) {
  Mailbox<int> box(10, [] {});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(box.post(i));
  EXPECT_EQ(box.take_all(), (std::vector<int>{0, 1, 2}));
  EXPECT_TRUE(box.take_all().empty());
}

TEST(Mailbox, HoldsItsCapacityAndRefusesOneMore) {
  Mailbox<int> box(2, [] {});
  EXPECT_TRUE(box.post(1));
  EXPECT_TRUE(box.post(2));
  EXPECT_FALSE(box.post(3));
  EXPECT_EQ(box.take_all().size(), 2u);
  EXPECT_TRUE(box.post(4));
}

TEST(Mailbox, WakesOnlyWhenItWasEmpty) {
  int wakes = 0;
  Mailbox<int> box(10, [&] { ++wakes; });
  EXPECT_TRUE(box.post(1));
  EXPECT_TRUE(box.post(2));
  EXPECT_EQ(wakes, 1);
  box.take_all();
  EXPECT_TRUE(box.post(3));
  EXPECT_EQ(wakes, 2);
}

TEST(Mailbox, CarriesValuesThatCanOnlyMove) {
  Mailbox<std::unique_ptr<int>> box(1, [] {});
  EXPECT_TRUE(box.post(std::make_unique<int>(5)));
  EXPECT_EQ(*box.take_all().front(), 5);
}

// Nothing is lost or doubled, each sender's order is kept, and a sleeping owner is always woken:
// the owner below looks only after a wake.
TEST(Mailbox, LosesNothingBetweenThreads) {
  constexpr int kSenders = 4, kEach = 5000;
  std::atomic<int> wakes{0};
  Mailbox<std::pair<int, int>> box(kSenders * kEach, [&] {
    wakes.fetch_add(1);
    wakes.notify_one();
  });
  std::vector<std::thread> senders;
  for (int sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&box, sender] {
      for (int i = 0; i < kEach; ++i) ASSERT_TRUE(box.post({sender, i}));
    });
  }
  std::array<int, kSenders> expected{};
  int taken = 0, seen_wakes = 0;
  while (taken < kSenders * kEach) {
    wakes.wait(seen_wakes);
    seen_wakes = wakes.load();
    for (const auto& [sender, number] : box.take_all()) {
      EXPECT_EQ(number, expected[static_cast<std::size_t>(sender)]++);
      ++taken;
    }
  }
  for (auto& sender : senders) sender.join();
  EXPECT_TRUE(box.take_all().empty());
}

}  // namespace
}  // namespace turnpike
