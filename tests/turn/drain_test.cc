// A server that takes nobody new: who is refused and what goes on.
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Builder;
using stun::Method;

TEST(Draining, NobodyIsGivenANewAllocation) {
  RelayHouse house;
  house.server->drain();
  Guest guest(house, "203.0.113.5:4000");
  EXPECT_EQ(guest.exchange(guest.bare_request(Method::kAllocate)).code(), 401);
  EXPECT_EQ(guest.allocate().code(), 508);
  EXPECT_EQ(house.server->audit().allocations, 0u);
  EXPECT_EQ(house.quota.total(), 0u);
  EXPECT_TRUE(guest.exchange(guest.bare_request(Method::kBinding)).success());
}

TEST(Draining, WhoHasAnAllocationKeepsAllOfIt) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  ASSERT_TRUE(guest.allocate().success());
  house.server->drain();
  const Address peer = address("9.9.9.9:1000");
  EXPECT_TRUE(guest.permit({peer}).success());
  EXPECT_TRUE(guest.bind(0x4000, peer).success());
  house.pass(seconds(500));
  EXPECT_TRUE(guest.refresh().success());
  guest.send_on(0x4000, bytes_of("still here"));
  ASSERT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(text_of(house.sink.peers_got.front().datagram), "still here");
  house.pass(seconds(601));
  EXPECT_EQ(house.server->audit().allocations, 0u);
  EXPECT_EQ(house.quota.total(), 0u);
}

TEST(Draining, AnAllocateThatWasAnsweredIsAnsweredAgain) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  (void)guest.ask(Method::kRefresh);  // for a nonce
  const Bytes request = guest.request(
      Method::kAllocate, [](Builder& builder) { builder.requested_transport(stun::kProtocolUdp); });
  ASSERT_TRUE(guest.exchange(request).success());
  house.server->drain();
  EXPECT_TRUE(guest.exchange(request).success());
}

TEST(Draining, APromisedPortIsGiven) {
  RelayHouse house;
  Guest one(house, "203.0.113.5:4000");
  const Reply first = one.allocate([](Builder& builder) {
    const std::uint8_t reserve_next = 0x80;
    builder.bytes(Attribute::kEvenPort, ByteView(&reserve_next, 1));
  });
  ASSERT_TRUE(first.success());
  const auto token = first.view().value(Attribute::kReservationToken);
  ASSERT_TRUE(token);
  house.server->drain();
  Guest two(house, "203.0.113.5:4001");
  EXPECT_TRUE(
      two.allocate([&](Builder& builder) { builder.bytes(Attribute::kReservationToken, *token); })
          .success());
}

TEST(Draining, WhoIsToBeSentElsewhereStillIs) {
  HouseRules rules;
  rules.adjust = [](Settings& settings) {
    settings.alternate_servers = {{address("9.9.9.7:3479"), ""}};
  };
  RelayHouse house(rules);
  house.server->drain();
  EXPECT_EQ(Guest(house, "203.0.113.5:4000").allocate().code(), 300);
}

}  // namespace
}  // namespace turnpike::turn
