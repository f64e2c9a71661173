// Peers that are ourselves: live relayed transport addresses, and a 1:1 NAT before the server.
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;

const IpAddress kLocal = IpAddress::v4(10, 0, 0, 5);
const IpAddress kExternal = IpAddress::v4(5, 5, 5, 5);

HouseRules behind_nat() {
  HouseRules rules;
  rules.peers.own = {kLocal, kExternal, IpAddress::v4(10, 0, 0, 6)};
  rules.adjust = [](Settings& s) {
    s.external = ExternalAddresses({{kExternal, kLocal}});
    s.relay_ips = {kLocal};
  };
  return rules;
}
HouseRules without_nat() {
  HouseRules rules;
  rules.peers.own = {kLocal};
  return rules;
}

struct Couple {
  explicit Couple(HouseRules rules) : house(std::move(rules)) {
    house.sink.relay_ipv4 = kLocal;
    EXPECT_TRUE(a.allocate().success());
    EXPECT_TRUE(b.allocate().success());
  }
  // What the fake network would do: carry what a relay sent to our own relay.
  void carry(std::size_t index) {
    const FakeSink::ToPeer sent = house.sink.peers_got.at(index);
    const Address from = local(sent.relay);
    house.from_peer(from, sent.peer, sent.datagram);
  }
  Address local(RelayHandle handle) {
    for (const auto& open : house.sink.open_relays) {
      if (open.handle == handle) return open.address;
    }
    return {};
  }
  RelayHouse house;
  Guest a{house, "203.0.113.5:4000"};
  Guest b{house, "203.0.113.6:4000", "bob", "hush"};
};

TEST(OwnAddress, TwoClientsOfOneRelayReachEachOther) {
  Couple couple(without_nat());
  ASSERT_TRUE(couple.a.bind(0x4000, couple.b.relayed).success());
  ASSERT_TRUE(couple.b.permit({couple.a.relayed}).success());
  couple.a.send_on(0x4000, bytes_of("hi"));
  ASSERT_EQ(couple.house.sink.peers_got.size(), 1u);
  couple.carry(0);
  const Reply got(couple.house.sink.clients_got.back().message);
  EXPECT_EQ(couple.house.sink.clients_got.back().path, couple.b.path);
  EXPECT_EQ(got.view().xor_address(Attribute::kXorPeerAddress), couple.a.relayed);
  couple.b.send(couple.a.relayed, bytes_of("ho"));
  couple.carry(1);
  EXPECT_EQ(couple.house.sink.clients_got.back().message, channel_message(0x4000, bytes_of("ho")));
}

TEST(OwnAddress, PermissionOpensOnlyPortsOfLiveRelays) {
  Couple couple(without_nat());
  ASSERT_TRUE(couple.a.permit({{kLocal, 80}}).success());
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{22, 80, 443, 3478, 65535}) {
    couple.a.send({kLocal, port}, bytes_of("x"));
    couple.house.from_peer({kLocal, port}, couple.a.relayed, bytes_of("x"));
  }
  EXPECT_TRUE(couple.house.sink.peers_got.empty());
  EXPECT_TRUE(couple.house.sink.clients_got.empty());
  EXPECT_EQ(couple.house.server->statistics().dropped_dead_relay.read(), 10u);
  couple.a.send(couple.b.relayed, bytes_of("x"));
  EXPECT_EQ(couple.house.sink.peers_got.size(), 1u);
}

TEST(OwnAddress, ChannelNeedsALiveRelayAndIsSilentAfterItsEnd) {
  Couple couple(without_nat());
  EXPECT_EQ(couple.a.bind(0x4000, {kLocal, 443}).code(), 403);
  EXPECT_EQ(couple.house.server->audit().permissions, 0u);
  ASSERT_TRUE(couple.a.bind(0x4000, couple.b.relayed).success());
  ASSERT_TRUE(couple.b.refresh(0).success());
  couple.a.send_on(0x4000, bytes_of("x"));
  couple.house.from_peer(couple.b.relayed, couple.a.relayed, bytes_of("x"));
  EXPECT_TRUE(couple.house.sink.peers_got.empty());
  EXPECT_TRUE(couple.house.sink.clients_got.empty());
  EXPECT_EQ(couple.house.server->statistics().dropped_dead_relay.read(), 2u);
}

TEST(OwnAddress, WhereNoRelayCanBeIsForbidden) {
  Couple couple(behind_nat());
  EXPECT_EQ(couple.a.permit({address("10.0.0.6:1")}).code(), 403);
  EXPECT_EQ(couple.a.permit({address("10.0.0.7:1")}).code(), 403);
}

TEST(OwnAddress, AllowedByNameIsAPeerLikeAnyOther) {
  HouseRules rules = without_nat();
  rules.peers.allowed = {*IpRange::parse("10.0.0.5")};
  Couple couple(rules);
  ASSERT_TRUE(couple.a.bind(0x4000, {kLocal, 7}).success());
  couple.a.send_on(0x4000, bytes_of("x"));
  EXPECT_EQ(couple.house.sink.peers_got.size(), 1u);
}

TEST(BehindOneToOneNat, ClientsAreToldTheExternalAddress) {
  Couple couple(behind_nat());
  EXPECT_EQ(couple.a.relayed.ip, kExternal);
  EXPECT_EQ(couple.house.sink.open_relays[0].address, (Address{kLocal, couple.a.relayed.port}));
}

TEST(BehindOneToOneNat, TwoClientsReachEachOtherByTheirExternalAddresses) {
  Couple couple(behind_nat());
  ASSERT_TRUE(couple.a.permit({couple.b.relayed}).success());
  ASSERT_TRUE(couple.b.bind(0x4001, couple.a.relayed).success());
  couple.a.send(couple.b.relayed, bytes_of("hi"));
  ASSERT_EQ(couple.house.sink.peers_got.size(), 1u);
  EXPECT_EQ(couple.house.sink.peers_got[0].peer, (Address{kLocal, couple.b.relayed.port}));
  couple.carry(0);
  EXPECT_EQ(couple.house.sink.clients_got.back().message, channel_message(0x4001, bytes_of("hi")));
  couple.b.send_on(0x4001, bytes_of("ho"));
  couple.carry(1);
  const Reply got(couple.house.sink.clients_got.back().message);
  EXPECT_EQ(got.view().xor_address(Attribute::kXorPeerAddress), couple.b.relayed);
}

TEST(BehindOneToOneNat, ExternalAddressOpensNoOtherPort) {
  Couple couple(behind_nat());
  ASSERT_TRUE(couple.a.permit({{kExternal, 443}}).success());
  couple.a.send({kExternal, 443}, bytes_of("x"));
  EXPECT_TRUE(couple.house.sink.peers_got.empty());
  EXPECT_EQ(couple.a.bind(0x4000, {kExternal, 443}).code(), 403);
}

TEST(BehindOneToOneNat, NumberIsBoundOnceWhicheverAddressNamesThePeer) {
  Couple couple(behind_nat());
  ASSERT_TRUE(couple.a.bind(0x4000, couple.b.relayed).success());
  EXPECT_TRUE(couple.a.bind(0x4000, {kLocal, couple.b.relayed.port}).success());
  EXPECT_EQ(couple.a.bind(0x4001, {kLocal, couple.b.relayed.port}).code(), 400);
}

TEST(ExternalAddresses, MapBothWaysAndLeaveOthersAlone) {
  const ExternalAddresses none;
  EXPECT_EQ(none.to_external(kLocal), kLocal);
  const ExternalAddresses some({{kExternal, kLocal}});
  EXPECT_EQ(some.to_external(kLocal), kExternal);
  EXPECT_EQ(some.to_local(kExternal), kLocal);
  EXPECT_EQ(some.to_local(kLocal), kLocal);
  EXPECT_EQ(some.to_external(ip("2600::1")), ip("2600::1"));
}

}  // namespace
}  // namespace turnpike::turn
