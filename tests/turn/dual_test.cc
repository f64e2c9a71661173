// Allocations with a relayed address of each family (RFC 8656 sections 7.2, 8.2 and 18.11).
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

const Address kPeer4 = address("8.8.8.8:9");
const Address kPeer6 = address("[2600:1f::9]:9");

struct Dual : testing::Test {
  static void both(stun::Builder& b) { b.u32(Attribute::kAdditionalAddressFamily, 0x02000000); }

  Reply refresh(Family family, std::uint32_t lifetime) {
    return guest.ask(Method::kRefresh, [&](stun::Builder& b) {
      b.u32(Attribute::kLifetime, lifetime).requested_address_family(family);
    });
  }
  void bind_both() {
    ASSERT_TRUE(guest.bind(0x4000, kPeer4).success());
    ASSERT_TRUE(guest.bind(0x4001, kPeer6).success());
  }
  Address relay_of(RelayHandle handle) const {
    for (const auto& open : house.sink.open_relays) {
      if (open.handle == handle) return open.address;
    }
    return {};
  }
  // The error that the success tells of the other family: family, class, number.
  static std::uint32_t address_error(const Reply& reply) {
    const auto value = reply.view().value(Attribute::kAddressErrorCode);
    return value ? Reader(*value).u32() : 0;
  }

  RelayHouse house;
  Guest guest{house, "203.0.113.5:4000"};
};

TEST_F(Dual, GivesOneAddressOfEachFamily) {
  const Reply reply = guest.allocate(both);
  ASSERT_TRUE(reply.success());
  ASSERT_EQ(reply.relayed_all().size(), 2u);
  EXPECT_EQ(reply.relayed_all()[0].ip, house.sink.relay_ipv4);
  EXPECT_EQ(reply.relayed_all()[1].ip, house.sink.relay_ipv6);
  EXPECT_EQ(address_error(reply), 0u);
  EXPECT_EQ(house.sink.open_relays.size(), 2u);
  EXPECT_EQ(house.quota.total(), 1u);
}

TEST_F(Dual, RetransmissionGetsTheSameTwoAddresses) {
  const Bytes request = guest.request(Method::kAllocate, [](stun::Builder& b) {
    b.requested_transport(stun::kProtocolUdp);
    both(b);
  });
  const Reply first = guest.exchange(request);
  EXPECT_EQ(first.relayed_all().size(), 2u);
  EXPECT_EQ(guest.exchange(request).bytes(), first.bytes());
  EXPECT_EQ(house.sink.open_relays.size(), 2u);
}

TEST_F(Dual, TellsWhichFamilyFailedAndWhy) {
  struct Row {
    Family fails;
    RelayError why;
    std::uint32_t told;
  };
  const std::vector<Row> table = {{Family::kIPv6, RelayError::kFamilyNotSupported, 0x02000428},
                                  {Family::kIPv6, RelayError::kNoPortLeft, 0x02000508},
                                  {Family::kIPv4, RelayError::kFamilyNotSupported, 0x01000428},
                                  {Family::kIPv4, RelayError::kNoResources, 0x01000508}};
  std::uint16_t port = 1;
  for (const Row& row : table) {
    Guest one(house, "203.0.113.5:" + std::to_string(port++));
    house.sink.next_open_fails = row.why;
    house.sink.family_that_fails = row.fails;
    const Bytes request = one.request(Method::kAllocate, [](stun::Builder& b) {
      b.requested_transport(stun::kProtocolUdp);
      both(b);
    });
    const Reply reply = one.exchange(request);
    ASSERT_TRUE(reply.success());
    ASSERT_EQ(reply.relayed_all().size(), 1u);
    EXPECT_NE(reply.relayed_all()[0].family(), row.fails);
    EXPECT_EQ(address_error(reply), row.told);
    EXPECT_EQ(one.exchange(request).bytes(), reply.bytes());
    const Address& peer = row.fails == Family::kIPv4 ? kPeer4 : kPeer6;
    EXPECT_EQ(one.permit({peer}).code(), 443);
    EXPECT_TRUE(one.refresh(0).success());
  }
  EXPECT_TRUE(house.sink.open_relays.empty());
  EXPECT_EQ(house.quota.total(), 0u);
}

TEST_F(Dual, PacketsTakeTheLegOfTheirPeersFamily) {
  ASSERT_TRUE(guest.allocate(both).success());
  bind_both();
  guest.send_on(0x4000, filled(3));
  guest.send_on(0x4001, filled(3));
  guest.send(kPeer4, filled(3));
  guest.send(kPeer6, filled(3));
  ASSERT_EQ(house.sink.peers_got.size(), 4u);
  for (const auto& sent : house.sink.peers_got) {
    EXPECT_EQ(relay_of(sent.relay).family(), sent.peer.family());
  }
  const auto relays = house.sink.open_relays;
  for (const auto& relay : relays) {
    house.sink.clients_got.clear();
    const Address& peer = relay.address.ip.is_v4() ? kPeer4 : kPeer6;
    house.from_peer(peer, relay.address, filled(3));
    EXPECT_EQ(house.sink.clients_got.size(), 1u);
  }
}

TEST_F(Dual, RefreshOfOneFamilyLeavesTheOthersLifetime) {
  ASSERT_TRUE(guest.allocate(both).success());
  EXPECT_EQ(refresh(Family::kIPv4, 3000).lifetime(), 3000u);
  house.pass(seconds(601));
  ASSERT_EQ(house.sink.open_relays.size(), 1u);
  EXPECT_EQ(house.sink.open_relays[0].address.ip, house.sink.relay_ipv4);
  guest.nonce.clear();  // it has expired
  EXPECT_EQ(refresh(Family::kIPv6, 600).code(), 443);
  house.pass(seconds(2398));
  EXPECT_EQ(house.server->audit().allocations, 1u);
  house.pass(seconds(2));
  EXPECT_EQ(house.server->audit().allocations, 0u);
  EXPECT_TRUE(house.sink.open_relays.empty());
  EXPECT_EQ(house.quota.total(), 0u);
}

TEST_F(Dual, RefreshWithoutFamilyIsForBoth) {
  ASSERT_TRUE(guest.allocate(both).success());
  EXPECT_EQ(guest.refresh(1200).lifetime(), 1200u);
  house.pass(seconds(1199));
  EXPECT_EQ(house.sink.open_relays.size(), 2u);
  house.pass(seconds(2));
  EXPECT_TRUE(house.sink.open_relays.empty());
  EXPECT_EQ(house.server->next_deadline(), MonoTime::never());
}

TEST_F(Dual, DeletingOneFamilyLeavesTheOthersPermissionsAndChannels) {
  for (const Family gone : {Family::kIPv4, Family::kIPv6}) {
    ASSERT_TRUE(guest.allocate(both).success());
    bind_both();
    EXPECT_EQ(refresh(gone, 0).lifetime(), 0u);
    ASSERT_EQ(house.sink.open_relays.size(), 1u);
    EXPECT_EQ(house.server->audit().permissions, 1u);
    EXPECT_EQ(house.server->audit().channels, 1u);
    house.sink.peers_got.clear();
    guest.send_on(0x4000, filled(3));
    guest.send_on(0x4001, filled(3));
    guest.send(kPeer4, filled(3));
    guest.send(kPeer6, filled(3));
    ASSERT_EQ(house.sink.peers_got.size(), 2u);
    for (const auto& sent : house.sink.peers_got) EXPECT_NE(sent.peer.family(), gone);
    EXPECT_EQ(guest.permit({gone == Family::kIPv4 ? kPeer4 : kPeer6}).code(), 443);
    EXPECT_EQ(house.quota.total(), 1u);
    const Family left = gone == Family::kIPv4 ? Family::kIPv6 : Family::kIPv4;
    EXPECT_EQ(refresh(left, 0).lifetime(), 0u);
    EXPECT_EQ(guest.refresh().code(), 437);
    EXPECT_EQ(house.quota.total(), 0u);
  }
}

TEST_F(Dual, OneThatLostALegStillExpires) {
  ASSERT_TRUE(guest.allocate(both).success());
  ASSERT_TRUE(refresh(Family::kIPv4, 0).success());
  house.pass(seconds(599));
  EXPECT_EQ(house.server->audit().allocations, 1u);
  house.pass(seconds(2));
  EXPECT_EQ(house.server->audit().allocations, 0u);
}

TEST_F(Dual, ManyPermissionsAndChannelsOfOneFamilyAreForgottenTogether) {
  ASSERT_TRUE(guest.allocate(both).success());
  for (std::uint16_t i = 0; i < 20; ++i) {
    const auto number = static_cast<std::uint16_t>(0x4000 + i);
    const std::string host =
        i % 2 == 0 ? "8.8.8." + std::to_string(i) : "[2600:1f::" + std::to_string(i) + "]";
    ASSERT_TRUE(guest.bind(number, address(host + ":9")).success());
  }
  ASSERT_TRUE(refresh(Family::kIPv6, 0).success());
  EXPECT_EQ(house.server->audit().permissions, 10u);
  EXPECT_EQ(house.server->audit().channels, 10u);
  for (std::uint16_t i = 0; i < 20; ++i) {
    guest.send_on(static_cast<std::uint16_t>(0x4000 + i), filled(1));
  }
  EXPECT_EQ(house.sink.peers_got.size(), 10u);
}

TEST_F(Dual, EvenPortWithReservationIsABadRequest) {
  const auto fill = [](stun::Builder& b) {
    both(b);
    b.bytes(Attribute::kEvenPort, Bytes{0x80});
  };
  EXPECT_EQ(guest.allocate(fill).code(), 400);
  const auto without = [](stun::Builder& b) {
    both(b);
    b.bytes(Attribute::kEvenPort, Bytes{0x00});
  };
  const Reply reply = guest.allocate(without);
  ASSERT_TRUE(reply.success());
  for (const Address& relayed : reply.relayed_all()) EXPECT_EQ(relayed.port % 2, 0);
}

}  // namespace
}  // namespace turnpike::turn
