#include "server/shared_relays.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace turnpike::server {
namespace {

const IpAddress kFirst = IpAddress::v4(192, 0, 2, 1);
const IpAddress kSecond = *IpAddress::parse("2001:db8::1");

TEST(SharedRelays, NothingIsLiveAtStart) {
  const SharedRelays relays({kFirst, kSecond});
  for (std::uint32_t port = 0; port <= 65535; port += 257) {
    EXPECT_FALSE(relays.is_live({kFirst, static_cast<std::uint16_t>(port)}));
    EXPECT_FALSE(relays.is_live({kSecond, static_cast<std::uint16_t>(port)}));
  }
}

TEST(SharedRelays, APortIsLiveOnItsOwnAddressOnly) {
  SharedRelays relays({kFirst, kSecond});
  relays.add({kFirst, 50000}, {3, 7});
  EXPECT_TRUE(relays.is_live({kFirst, 50000}));
  EXPECT_EQ(relays.route({kFirst, 50000}), (SharedRelays::Route{3, 7}));
  EXPECT_FALSE(relays.is_live({kSecond, 50000}));
  EXPECT_FALSE(relays.is_live({kFirst, 50001}));
  EXPECT_EQ(relays.live_on(kFirst), 1u);
  EXPECT_EQ(relays.live_on(kSecond), 0u);
}

TEST(SharedRelays, ARemovedPortIsDeadAndCanLiveAgain) {
  SharedRelays relays({kFirst});
  relays.add({kFirst, 65535}, {0, 7});
  relays.remove({kFirst, 65535});
  EXPECT_FALSE(relays.is_live({kFirst, 65535}));
  EXPECT_EQ(relays.live_on(kFirst), 0u);
  relays.add({kFirst, 65535}, {SharedRelays::kMaxWorkers, 7});
  EXPECT_EQ(relays.route({kFirst, 65535})->worker, SharedRelays::kMaxWorkers);
}

TEST(SharedRelays, AddressesThatAreNotRelayAddressesAreNeverLive) {
  const SharedRelays relays({kFirst});
  EXPECT_FALSE(relays.is_live({IpAddress::v4(192, 0, 2, 2), 50000}));
  EXPECT_FALSE(relays.route({IpAddress::v4(192, 0, 2, 2), 50000}));
  EXPECT_EQ(relays.live_on(IpAddress::v4(192, 0, 2, 2)), 0u);
}

TEST(SharedRelays, AnAddressGivenTwiceCountsOnce) {
  SharedRelays relays({kFirst, kFirst});
  relays.add({kFirst, 1024}, {0, 7});
  EXPECT_EQ(relays.live_on(kFirst), 1u);
  relays.remove({kFirst, 1024});
  EXPECT_FALSE(relays.is_live({kFirst, 1024}));
}

TEST(SharedRelays, AServiceIsLiveAtItsPortAloneAndNoWorkersOwn) {
  SharedRelays relays({kFirst});
  EXPECT_TRUE(relays.open_service({kFirst, 50000}));
  EXPECT_TRUE(relays.is_live({kFirst, 50000}));
  EXPECT_FALSE(relays.route({kFirst, 50000}));
  EXPECT_FALSE(relays.is_live({kFirst, 50001}));
  EXPECT_EQ(relays.live_on(kFirst), 0u);  // it takes no client's port
  EXPECT_FALSE(relays.open_service({kSecond, 50000}));
  EXPECT_FALSE(relays.is_live({kSecond, 50000}));
}

TEST(SharedRelaysDeathTest, TwoOwnersOfOnePortAreAFaultOfOurs) {
  SharedRelays relays({kFirst});
  relays.add({kFirst, 1024}, {0, 7});
  EXPECT_DEATH(relays.add({kFirst, 1024}, {1, 8}), "CHECK|exchange");
}

TEST(SharedRelays, WorkersWriteWhileOthersRead) {
  SharedRelays relays({kFirst});
  std::vector<std::thread> threads;
  for (std::uint32_t worker = 0; worker < 2; ++worker) {
    threads.emplace_back([&relays, worker] {
      const auto base = static_cast<std::uint16_t>(10000 + worker * 1000);
      for (int round = 0; round < 50; ++round) {
        for (std::uint16_t i = 0; i < 1000; ++i) {
          relays.add({kFirst, static_cast<std::uint16_t>(base + i)}, {worker, 7});
        }
        for (std::uint16_t i = 0; i < 1000; ++i) {
          const Address mine{kFirst, static_cast<std::uint16_t>(base + i)};
          EXPECT_EQ(relays.route(mine), (SharedRelays::Route{worker, 7}));
          relays.remove({kFirst, static_cast<std::uint16_t>(base + i)});
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(relays.live_on(kFirst), 0u);
}

}  // namespace
}  // namespace turnpike::server
