#include "server/short_cuts.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>

namespace turnpike::server {
namespace {

const IpAddress kRelayIp = IpAddress::v4(192, 0, 2, 1);
const Address kAlice{kRelayIp, 50000}, kBob{kRelayIp, 50001}, kCarol{kRelayIp, 50002};
const Address kStranger{IpAddress::v4(198, 51, 100, 1), 50001};
constexpr std::uint64_t kBobsOwner = 11, kCarolsOwner = 12;

using Bytes = std::vector<std::uint8_t>;

Bytes text(std::string_view words) { return Bytes(words.begin(), words.end()); }

std::vector<std::string> words_of(const Run& run) {
  std::vector<std::string> words;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const ByteView segment = run.segment(i);
    words.emplace_back(segment.begin(), segment.end());
  }
  return words;
}

void fill(Parcels& parcels, std::size_t runs, std::size_t bytes_each) {
  const Bytes payload(bytes_each);
  for (std::size_t i = 0; i < runs; ++i) {
    ASSERT_TRUE(parcels.add(kAlice, kBob, Run::one(payload)));
  }
}

TEST(Parcels, GiveBackWhatABurstMadeOfThem) {
  Parcels parcels;
  fill(parcels, 1000, 1000);
  const std::size_t at_most = parcels.memory();
  EXPECT_GE(at_most, 1'000'000u);
  parcels.clear();
  EXPECT_EQ(parcels.memory(), at_most) << "the next burst may follow at once";
  for (std::uint32_t i = 0; i < 2 * Parcels::kPatience; ++i) {
    fill(parcels, 3, 1000);
    parcels.clear();
  }
  EXPECT_LT(parcels.memory(), at_most / 8);
}

TEST(Parcels, KeepTheirMemoryWhileItIsUsed) {
  Parcels parcels;
  fill(parcels, 300, 1000);
  parcels.clear();
  const std::size_t at_first = parcels.memory();
  for (std::uint32_t i = 0; i < 3 * Parcels::kPatience; ++i) {
    // Now and then as much as ever.
    if (i % (Parcels::kPatience / 2) == 0) fill(parcels, 300, 1000);
    parcels.clear();
    ASSERT_EQ(parcels.memory(), at_first);
  }
}

// Two workers: Alice and Bob are the first one's, Carol the other's.
class TwoWorkers : public testing::Test {
 protected:
  struct Arrived {
    std::uint64_t owner;
    Address from;
    std::vector<std::string> words;
    bool operator==(const Arrived&) const = default;
  };

  TwoWorkers() {
    relays_.add(kAlice, {0, 10});
    relays_.add(kBob, {0, kBobsOwner});
    relays_.add(kCarol, {1, kCarolsOwner});
    for (auto& box : boxes_) box = std::make_unique<ParcelBox>();
    for (std::size_t i = 0; i < boxes_.size(); ++i) {
      boxes_[i]->on_post([this, i] { ++wakes_[i]; });
    }
    first_ = std::make_unique<ShortCuts>(0, relays_, boxes_);
    second_ = std::make_unique<ShortCuts>(1, relays_, boxes_);
  }
  auto note(std::vector<Arrived>& arrived) {
    return [&arrived](const ShortCuts::Delivery& delivery) {
      arrived.push_back({delivery.owner, delivery.from, words_of(delivery.run)});
    };
  }
  std::vector<Arrived> end_input(ShortCuts& cuts) {
    std::vector<Arrived> arrived;
    cuts.end_input(note(arrived));
    return arrived;
  }
  std::vector<Arrived> open_box(ShortCuts& cuts) {
    std::vector<Arrived> arrived;
    cuts.open_box(note(arrived));
    return arrived;
  }

  SharedRelays relays_{{kRelayIp}};
  std::vector<std::unique_ptr<ParcelBox>> boxes_ = std::vector<std::unique_ptr<ParcelBox>>(2);
  std::array<int, 2> wakes_{};
  std::unique_ptr<ShortCuts> first_, second_;
};

TEST_F(TwoWorkers, AStrangersPacketGoesByTheNetwork) {
  const Bytes hello = text("hello");
  first_->begin_input();
  EXPECT_FALSE(first_->take(kAlice, kStranger, turnpike::Run::one(hello)));
  EXPECT_FALSE(first_->take(kAlice, {kRelayIp, 50003}, turnpike::Run::one(hello)));
  EXPECT_TRUE(end_input(*first_).empty());
  EXPECT_EQ(first_->statistics().packets.read(), 0u);
}

TEST_F(TwoWorkers, NothingIsTakenOutsideAnInput) {
  const Bytes hello = text("hello");
  EXPECT_FALSE(first_->take(kAlice, kBob, turnpike::Run::one(hello)));
  first_->begin_input();
  end_input(*first_);
  EXPECT_FALSE(first_->take(kAlice, kBob, turnpike::Run::one(hello)));
}

TEST_F(TwoWorkers, ANeighboursPacketArrivesWhenTheInputIsOver) {
  const Bytes hello = text("hello"), train = text("aabbc");
  first_->begin_input();
  EXPECT_TRUE(first_->take(kAlice, kBob, turnpike::Run::one(hello)));
  EXPECT_TRUE(first_->take(kBob, kBob, turnpike::Run::train(train, 2)));
  const std::vector<Arrived> expected = {{kBobsOwner, kAlice, {"hello"}},
                                         {kBobsOwner, kBob, {"aa", "bb", "c"}}};
  EXPECT_EQ(end_input(*first_), expected);
  EXPECT_TRUE(end_input(*first_).empty());
  EXPECT_EQ(first_->statistics().packets.read(), 4u);
}

TEST_F(TwoWorkers, AnotherWorkersPacketIsCopiedAndTravelsWithTheFlush) {
  Bytes message = text("head:aahead:bb");  // payloads that lie apart
  turnpike::Run run = turnpike::Run::train(message, 7);
  run.data += 5;
  run.size = run.last_size = 2;
  run.traffic_class = 0x2e << 2;
  first_->begin_input();
  EXPECT_TRUE(first_->take(kAlice, kCarol, run));
  EXPECT_TRUE(end_input(*first_).empty());
  message.assign(message.size(), 'x');
  EXPECT_TRUE(open_box(*second_).empty());
  first_->flush();
  first_->flush();
  EXPECT_EQ(wakes_[1], 1);
  EXPECT_EQ(wakes_[0], 0);
  const std::vector<Arrived> expected = {{kCarolsOwner, kAlice, {"aa", "bb"}}};
  EXPECT_EQ(open_box(*second_), expected);
  EXPECT_TRUE(open_box(*second_).empty());
}

TEST_F(TwoWorkers, OneWakeUpServesWhatCameBeforeTheBoxWasOpened) {
  const Bytes hello = text("hello");
  for (int i = 0; i < 3; ++i) {
    first_->begin_input();
    EXPECT_TRUE(first_->take(kAlice, kCarol, turnpike::Run::one(hello)));
    end_input(*first_);
    first_->flush();
  }
  EXPECT_EQ(wakes_[1], 1);
  EXPECT_EQ(open_box(*second_).size(), 3u);
}

TEST_F(TwoWorkers, AReceiverThatEndedMeanwhileGetsNothing) {
  const Bytes hello = text("hello");
  first_->begin_input();
  EXPECT_TRUE(first_->take(kAlice, kCarol, turnpike::Run::one(hello)));
  end_input(*first_);
  first_->flush();
  relays_.remove(kCarol);
  relays_.add(kCarol, {0, 99});  // the port is another worker's now
  EXPECT_TRUE(open_box(*second_).empty());
  EXPECT_EQ(second_->statistics().dropped.read(), 1u);
}

TEST_F(TwoWorkers, WhatNoDatagramCanCarryIsDropped) {
  const Bytes largest(65507), larger(65508);
  first_->begin_input();
  EXPECT_TRUE(first_->take(kAlice, kBob, turnpike::Run::one(largest)));
  EXPECT_TRUE(first_->take(kAlice, kBob, turnpike::Run::one(larger)));
  EXPECT_EQ(end_input(*first_).size(), 1u);
  EXPECT_EQ(first_->statistics().dropped.read(), 1u);
}

TEST_F(TwoWorkers, AnEmptyDatagramTravelsToo) {
  first_->begin_input();
  EXPECT_TRUE(first_->take(kAlice, kBob, turnpike::Run::one({})));
  EXPECT_TRUE(first_->take(kAlice, kCarol, turnpike::Run::one({})));
  EXPECT_EQ(end_input(*first_), (std::vector<Arrived>{{kBobsOwner, kAlice, {""}}}));
  first_->flush();
  EXPECT_EQ(open_box(*second_), (std::vector<Arrived>{{kCarolsOwner, kAlice, {""}}}));
}

TEST_F(TwoWorkers, AnInputHasABoundAndTheRestIsCounted) {
  const Bytes hello = text("hello");
  first_->begin_input();
  for (std::size_t i = 0; i < ShortCuts::kMaxOfOneInput + 1; ++i) {
    EXPECT_TRUE(first_->take(kAlice, kBob, turnpike::Run::one(hello)));
  }
  EXPECT_EQ(end_input(*first_).size(), ShortCuts::kMaxOfOneInput);
  EXPECT_EQ(first_->statistics().dropped.read(), 1u);
}

TEST_F(TwoWorkers, ABoxHasABoundAndTheRestIsCounted) {
  const Bytes hello = text("hello");
  for (std::size_t i = 0; i < Parcels::kMaxRuns + 3; ++i) {
    first_->begin_input();
    EXPECT_TRUE(first_->take(kAlice, kCarol, turnpike::Run::one(hello)));
    end_input(*first_);
    if (i % 2 == 0) first_->flush();
  }
  first_->flush();
  EXPECT_EQ(first_->statistics().dropped.read(), 3u);
  EXPECT_EQ(open_box(*second_).size(), Parcels::kMaxRuns);
}

TEST(Parcels, HaveABoundInBytes) {
  Parcels parcels;
  const Bytes large(Parcels::kMaxBytes / 16);
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(parcels.add(kAlice, kBob, turnpike::Run::one(large)));
  EXPECT_FALSE(parcels.add(kAlice, kBob, turnpike::Run::one(text("x"))));
  EXPECT_TRUE(parcels.add(kAlice, kBob, turnpike::Run::one({})));
  parcels.clear();
  EXPECT_TRUE(parcels.empty());
  EXPECT_TRUE(parcels.add(kAlice, kBob, turnpike::Run::one(text("x"))));
}

TEST(ParcelBox, LosesNothingBetweenThreads) {
  constexpr std::uint32_t kPosts = 20000;
  ParcelBox box;
  std::atomic<std::uint32_t> wakes{0};
  box.on_post([&] { ++wakes; });
  std::thread poster([&] {
    for (std::uint32_t i = 0; i < kPosts; ++i) {
      Parcels parcels;
      const Bytes bytes = {static_cast<std::uint8_t>(i)};
      ASSERT_TRUE(parcels.add(kAlice, kBob, turnpike::Run::one(bytes)));
      while (box.post(parcels) != 0) std::this_thread::yield();
    }
  });
  std::uint32_t seen = 0;
  Parcels taken;
  while (seen < kPosts) {
    box.take(taken);
    taken.for_each([&](const Address&, const Address&, const turnpike::Run& run) {
      EXPECT_EQ(run.segment(0)[0], static_cast<std::uint8_t>(seen++));
    });
    taken.clear();
  }
  poster.join();
  EXPECT_GT(wakes.load(), 0u);
}

}  // namespace
}  // namespace turnpike::server
