// Limits on bandwidth: what is too much is dropped (RFC 8656 section 5).
#include "turn/bandwidth.h"

#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

const Address kPeer = address("8.8.8.8:9");
constexpr std::uint64_t kRate = 10'000;

class FakePool final : public BandwidthPool {
 public:
  std::uint64_t lease(Direction direction, std::uint64_t wanted, MonoTime) override {
    ++questions;
    auto& left = direction == Direction::kToPeer ? to_peer : to_client;
    const std::uint64_t given = std::max<std::uint64_t>(wanted, 1000);
    if (left < given) return 0;
    left -= given;
    return given;
  }
  int questions = 0;
  std::uint64_t to_peer = 0;
  std::uint64_t to_client = 0;
};

HouseRules limited(BandwidthPool* pool = nullptr, std::uint64_t max_bps = 0) {
  HouseRules rules;
  rules.bandwidth = pool;
  rules.adjust = [max_bps](Settings& s) { s.max_bps = max_bps; };
  return rules;
}

struct Talk {
  explicit Talk(HouseRules rules) : house(std::move(rules)) {
    EXPECT_TRUE(guest.allocate().success());
    EXPECT_TRUE(guest.bind(0x4000, kPeer).success());
  }
  std::size_t send(std::size_t count, std::size_t size = 100) {
    const std::size_t before = house.sink.peers_got.size();
    for (std::size_t i = 0; i < count; ++i) guest.send_on(0x4000, filled(size));
    return house.sink.peers_got.size() - before;
  }
  std::size_t receive(std::size_t count, std::size_t size = 100) {
    const std::size_t before = house.sink.clients_got.size();
    for (std::size_t i = 0; i < count; ++i) house.from_peer(kPeer, guest.relayed, filled(size));
    return house.sink.clients_got.size() - before;
  }
  std::uint64_t dropped() const { return house.server->statistics().dropped_over_max_bps.read(); }
  RelayHouse house;
  Guest guest{house, "203.0.113.5:4000"};
};

TEST(MaxBps, LetsHalfASecondComeAheadAndThenTheRate) {
  Talk talk(limited(nullptr, kRate));
  EXPECT_EQ(talk.send(200), 51u);  // 5000 bytes, and the datagram that goes beyond
  EXPECT_EQ(talk.dropped(), 149u);
  std::size_t passed = 0;
  for (int i = 0; i < 100; ++i) {
    talk.house.pass(milliseconds(100));
    passed += talk.send(50);
  }
  EXPECT_EQ(passed, 1000u);  // ten seconds
}

TEST(MaxBps, EachDirectionHasItsOwn) {
  Talk talk(limited(nullptr, kRate));
  EXPECT_EQ(talk.send(200), 51u);
  EXPECT_EQ(talk.receive(200), 51u);
}

TEST(MaxBps, EachAllocationHasItsOwn) {
  Talk talk(limited(nullptr, kRate));
  EXPECT_EQ(talk.send(200), 51u);
  Guest other(talk.house, "203.0.113.6:4000");
  ASSERT_TRUE(other.allocate().success());
  ASSERT_TRUE(other.permit({kPeer}).success());
  other.send(kPeer, filled(100));
  EXPECT_EQ(talk.house.sink.peers_got.size(), 52u);
}

TEST(MaxBps, CountsSendIndicationsToo) {
  Talk talk(limited(nullptr, kRate));
  for (int i = 0; i < 200; ++i) talk.guest.send(kPeer, filled(100));
  EXPECT_EQ(talk.house.sink.peers_got.size(), 51u);
}

TEST(MaxBps, TheLargestDatagramPassesAndIsPaidForAfterwards) {
  Talk talk(limited(nullptr, 1000));
  EXPECT_EQ(talk.send(1, 60000), 1u);
  talk.house.pass(seconds(59));
  EXPECT_EQ(talk.send(1, 1), 0u);
  talk.house.pass(seconds(1));
  EXPECT_EQ(talk.send(1, 1), 1u);
}

TEST(MaxBps, ATrainIsCountedWhole) {
  Talk talk(limited(nullptr, kRate));
  std::vector<Bytes> messages;
  for (int i = 0; i < 60; ++i) messages.push_back(channel_message(0x4000, filled(100)));
  const Train train(messages);
  talk.guest.deliver(train.run());
  EXPECT_EQ(talk.house.sink.peers_got.size(), 60u);
  EXPECT_EQ(talk.send(1), 0u);
}

TEST(MaxBps, ZeroIsUnlimited) {
  Talk talk(limited());
  EXPECT_EQ(talk.send(1000, 1000), 1000u);
  EXPECT_EQ(talk.dropped(), 0u);
}

TEST(Capacity, IsLeasedInSlicesAndDropsWhatIsBeyond) {
  FakePool pool;
  pool.to_peer = 5000;
  Talk talk(limited(&pool));
  EXPECT_EQ(talk.send(60), 50u);
  EXPECT_EQ(pool.questions, 6);  // five slices and one refusal, which is remembered
  EXPECT_EQ(talk.house.server->statistics().dropped_over_capacity.read(), 10u);
  EXPECT_EQ(talk.receive(1), 0u);
  pool.to_peer = pool.to_client = 1000;
  talk.house.pass(milliseconds(1));
  EXPECT_EQ(talk.send(20), 10u);
  EXPECT_EQ(talk.receive(20), 10u);
}

TEST(Capacity, WhatAnAllocationMayNotHaveIsNotTakenFromTheServer) {
  FakePool pool;
  pool.to_peer = 1'000'000;
  Talk talk(limited(&pool, kRate));
  EXPECT_EQ(talk.send(200), 51u);
  EXPECT_EQ(pool.to_peer, 1'000'000u - 6000u);
}

}  // namespace
}  // namespace turnpike::turn
