// Allocate (RFC 8656 section 7.2).
#include <gtest/gtest.h>

#include "stun/integrity.h"
#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

struct Allocate : testing::Test {
  RelayHouse house;
  Guest guest{house, "203.0.113.5:4000"};
};

TEST_F(Allocate, SuccessTellsRelayedAddressLifetimeAndMappedAddress) {
  const Reply reply = guest.allocate();
  ASSERT_TRUE(reply.success());
  EXPECT_EQ(reply.relayed().ip, house.sink.relay_ipv4);
  EXPECT_EQ(reply.lifetime(), 600u);
  EXPECT_EQ(reply.view().xor_address(Attribute::kXorMappedAddress), guest.path.remote);
  EXPECT_EQ(reply.view().entries().size(), 4u);
  EXPECT_EQ(house.quota.held_by("alice"), 1u);
  ASSERT_EQ(house.sink.events.size(), 2u);  // the challenge, and this
  EXPECT_EQ(house.sink.events[1].kind, Event::Kind::kAllocationCreated);
  EXPECT_EQ(house.sink.events[1].username, "alice");
  EXPECT_EQ(house.server->statistics().allocations.read(), 1u);
}

TEST_F(Allocate, SecondOnTheSameFiveTupleIsAMismatch) {
  ASSERT_TRUE(guest.allocate().success());
  EXPECT_EQ(guest.allocate().code(), 437);
  Guest other(house, "203.0.113.5:4000", "bob", "hush");
  EXPECT_EQ(other.allocate().code(), 437);
  EXPECT_EQ(house.sink.open_relays.size(), 1u);
}

TEST_F(Allocate, RetransmissionGetsTheSameSuccess) {
  const Bytes request = guest.request(Method::kAllocate, [](stun::Builder& b) {
    b.requested_transport(stun::kProtocolUdp).u32(Attribute::kLifetime, 900);
  });
  const Reply first = guest.exchange(request);
  house.pass(seconds(3));
  const Reply second = guest.exchange(request);
  ASSERT_TRUE(first.success());
  EXPECT_EQ(first.bytes(), second.bytes());
  EXPECT_EQ(house.sink.open_relays.size(), 1u);
  EXPECT_EQ(house.quota.total(), 1u);
}

TEST_F(Allocate, TransactionIdOfAnotherUserIsNoRetransmission) {
  ASSERT_TRUE(guest.allocate().success());
  Guest other(house, "203.0.113.5:4000", "bob", "hush");
  // The ids of both count alike, so this request repeats that of the first guest.
  EXPECT_EQ(other.allocate().code(), 437);
}

TEST_F(Allocate, DifferentConnectionsFromOneAddressAreDifferentFiveTuples) {
  Guest tcp(house, "203.0.113.5:4000", "alice", "secret", Transport::kTcp);
  EXPECT_TRUE(guest.allocate().success());
  EXPECT_TRUE(tcp.allocate().success());
  EXPECT_NE(guest.relayed, tcp.relayed);
}

TEST_F(Allocate, NeedsRequestedTransport) {
  EXPECT_EQ(guest.ask(Method::kAllocate).code(), 400);
  const auto malformed = [](stun::Builder& b) {
    b.bytes(Attribute::kRequestedTransport, Bytes{17, 0});
  };
  EXPECT_EQ(guest.ask(Method::kAllocate, malformed).code(), 400);
}

TEST_F(Allocate, OtherTransportProtocolsAreNotSupported) {
  for (const std::uint8_t protocol : std::initializer_list<std::uint8_t>{0, 6, 1, 132}) {
    const auto fill = [&](stun::Builder& b) { b.requested_transport(protocol); };
    EXPECT_EQ(guest.ask(Method::kAllocate, fill).code(), 442);
  }
}

TEST_F(Allocate, ReservedBytesOfRequestedTransportAreIgnored) {
  const auto fill = [](stun::Builder& b) { b.u32(Attribute::kRequestedTransport, 0x11ABCDEF); };
  EXPECT_TRUE(guest.ask(Method::kAllocate, fill).success());
}

TEST_F(Allocate, WhatWeDoNotOfferIsListedAsUnknown) {
  const Reply reply = guest.allocate([](stun::Builder& b) {
    b.u32(Attribute::kAccessToken, 7).bytes(static_cast<Attribute>(0x0030), {});
  });
  EXPECT_EQ(reply.code(), 420);
  EXPECT_EQ(reply.unknown_attributes(), (std::vector<std::uint16_t>{0x0030, 0x001B}));
  EXPECT_TRUE(house.sink.open_relays.empty());
}

TEST_F(Allocate, EvenPortIsAskedOfTheDriver) {
  const auto even = [](stun::Builder& b) { b.bytes(Attribute::kEvenPort, Bytes{0x00}); };
  EXPECT_TRUE(guest.allocate(even).success());
  EXPECT_EQ(house.sink.last_wish.parity, PortParity::kEven);
  Guest other(house, "203.0.113.6:4000");
  EXPECT_TRUE(other.allocate().success());
  EXPECT_EQ(house.sink.last_wish.parity, PortParity::kAny);
}

TEST_F(Allocate, DontFragmentIsOffered) {
  EXPECT_TRUE(guest.allocate([](auto& b) { b.flag(Attribute::kDontFragment); }).success());
}

TEST_F(Allocate, MalformedEvenPortIsABadRequest) {
  const auto malformed = [](stun::Builder& b) { b.bytes(Attribute::kEvenPort, Bytes{0, 0}); };
  EXPECT_EQ(guest.allocate(malformed).code(), 400);
  EXPECT_TRUE(house.sink.open_relays.empty());
}

TEST_F(Allocate, FamilyThatIsAskedForIsGiven) {
  EXPECT_TRUE(guest.allocate([](auto& b) { b.requested_address_family(Family::kIPv6); }).success());
  EXPECT_EQ(guest.relayed.ip, house.sink.relay_ipv6);
  Guest v4(house, "[2001:db8::7]:9");
  EXPECT_TRUE(v4.allocate([](auto& b) { b.requested_address_family(Family::kIPv4); }).success());
  EXPECT_EQ(v4.relayed.ip, house.sink.relay_ipv4);
}

TEST_F(Allocate, IPv6ClientThatAsksForNoFamilyGetsIPv4) {
  Guest v6(house, "[2001:db8::7]:9");
  EXPECT_TRUE(v6.allocate().success());
  EXPECT_EQ(v6.relayed.ip, house.sink.relay_ipv4);
}

TEST_F(Allocate, FamilyThatTheRelayLacksOrNobodyKnowsIsNotSupported) {
  house.sink.next_open_fails = RelayError::kFamilyNotSupported;
  EXPECT_EQ(guest.allocate([](auto& b) { b.requested_address_family(Family::kIPv6); }).code(), 440);
  const auto unheard_of = [](stun::Builder& b) {
    b.u32(Attribute::kRequestedAddressFamily, 0x03000000);
  };
  EXPECT_EQ(guest.allocate(unheard_of).code(), 440);
  EXPECT_EQ(house.quota.total(), 0u);
  EXPECT_EQ(house.server->audit().allocations, 0u);
}

TEST_F(Allocate, MalformedFamilyOrLifetimeIsABadRequest) {
  for (const Attribute attribute : {Attribute::kRequestedAddressFamily, Attribute::kLifetime}) {
    const auto fill = [&](stun::Builder& b) { b.bytes(attribute, Bytes{1, 0}); };
    EXPECT_EQ(guest.allocate(fill).code(), 400);
  }
}

TEST_F(Allocate, AdditionalFamilyMustBeIPv6AndAlone) {
  const auto v4 = [](stun::Builder& b) { b.u32(Attribute::kAdditionalAddressFamily, 0x01000000); };
  EXPECT_EQ(guest.allocate(v4).code(), 400);
  const auto both = [](stun::Builder& b) {
    b.requested_address_family(Family::kIPv4).u32(Attribute::kAdditionalAddressFamily, 0x02000000);
  };
  EXPECT_EQ(guest.allocate(both).code(), 400);
}

TEST_F(Allocate, NoPortLeftIsInsufficientCapacityAndCostsNothing) {
  for (const RelayError error : {RelayError::kNoPortLeft, RelayError::kNoResources}) {
    house.sink.next_open_fails = error;
    EXPECT_EQ(guest.allocate().code(), 508);
  }
  EXPECT_EQ(house.quota.total(), 0u);
  EXPECT_EQ(house.server->audit().allocations, 0u);
  EXPECT_EQ(house.server->statistics().allocations.read(), 0u);
  EXPECT_TRUE(guest.allocate().success());
}

TEST(AllocateLimits, WorkerFullIsInsufficientCapacity) {
  HouseRules rules;
  rules.adjust = [](Settings& s) { s.max_allocations = 2; };
  RelayHouse house(rules);
  Guest first(house, "203.0.113.5:1"), second(house, "203.0.113.5:2"),
      third(house, "203.0.113.5:3");
  EXPECT_TRUE(first.allocate().success());
  EXPECT_TRUE(second.allocate().success());
  EXPECT_EQ(third.allocate().code(), 508);
  EXPECT_TRUE(first.refresh(0).success());
  EXPECT_TRUE(third.allocate().success());
}

// RFC 8656 section 7.2: max(default, min(asked, maximum)).
TEST(Lifetime, Arithmetic) {
  struct Row {
    std::optional<std::uint32_t> asked;
    std::uint32_t granted;
  };
  const std::vector<Row> table = {{{}, 600},    {0, 600},           {1, 600},          {599, 600},
                                  {600, 600},   {601, 601},         {3599, 3599},      {3600, 3600},
                                  {3601, 3600}, {0x7FFFFFFF, 3600}, {0xFFFFFFFF, 3600}};
  std::uint16_t port = 1;
  RelayHouse house;
  for (const Row& row : table) {
    Guest guest(house, "203.0.113.5:" + std::to_string(port++));
    const Reply reply = guest.allocate([&](stun::Builder& b) {
      if (row.asked) b.u32(Attribute::kLifetime, *row.asked);
    });
    ASSERT_TRUE(reply.success());
    EXPECT_EQ(reply.lifetime(), row.granted);
    if (row.asked == 0u) continue;
    EXPECT_EQ(guest.refresh(row.asked).lifetime(), row.granted);
  }
}

TEST_F(Allocate, EndsAfterItsLifetimeAndDataDoesNotExtendIt) {
  ASSERT_TRUE(guest.allocate().success());
  ASSERT_TRUE(guest.bind(0x4000, address("9.9.9.9:9")).success());
  for (int i = 0; i < 5; ++i) {
    house.pass(seconds(119));
    guest.send_on(0x4000, filled(10));
  }
  EXPECT_EQ(house.sink.peers_got.size(), 5u);
  house.pass(seconds(4));
  EXPECT_EQ(house.server->audit().allocations, 1u);
  house.pass(milliseconds(1200));
  EXPECT_EQ(house.server->audit().allocations, 0u);
  EXPECT_TRUE(house.sink.open_relays.empty());
  EXPECT_EQ(house.quota.total(), 0u);
  EXPECT_EQ(house.sink.events.back().ending, Event::Ending::kExpired);
  EXPECT_EQ(house.server->next_deadline(), MonoTime::never());
}

TEST_F(Allocate, EndsWithItsConnection) {
  Guest tcp(house, "203.0.113.5:4000", "alice", "secret", Transport::kTls);
  ASSERT_TRUE(tcp.allocate().success());
  ASSERT_TRUE(guest.allocate().success());
  house.server->on_client_gone(house.now, tcp.path, house.sink);
  EXPECT_EQ(house.sink.open_relays.size(), 1u);
  EXPECT_EQ(house.quota.total(), 1u);
  EXPECT_EQ(house.sink.events.back().ending, Event::Ending::kClientGone);
  house.server->on_client_gone(house.now, tcp.path, house.sink);  // nothing left to end
  EXPECT_TRUE(guest.refresh().success());
}

TEST_F(Allocate, ShutDownEndsAllAndClosesEverySocket) {
  Guest other(house, "203.0.113.5:4001", "bob", "hush");
  ASSERT_TRUE(guest.allocate().success());
  ASSERT_TRUE(other.allocate().success());
  house.server->shut_down(house.now, house.sink);
  EXPECT_TRUE(house.sink.open_relays.empty());
  EXPECT_EQ(house.quota.total(), 0u);
  EXPECT_EQ(house.sink.events.back().ending, Event::Ending::kShutdown);
}

}  // namespace
}  // namespace turnpike::turn
