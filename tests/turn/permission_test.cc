// Permissions, Send and Data indications (RFC 8656 sections 9 to 11).
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Class;
using stun::Method;

const Address kPeer = {IpAddress::v4(9, 9, 9, 9), 900};

struct CreatePermission : testing::Test {
  RelayHouse house;
  Guest guest{house, "203.0.113.5:4000"};
  void SetUp() override { ASSERT_TRUE(guest.allocate().success()); }
  std::size_t permissions() { return house.server->audit().permissions; }
};

TEST_F(CreatePermission, WithoutAllocationIsAMismatch) {
  Guest other(house, "203.0.113.5:4001");
  EXPECT_EQ(other.permit({kPeer}).code(), 437);
}

TEST_F(CreatePermission, TakesSeveralAddressesAndCountsEachOnce) {
  EXPECT_TRUE(guest.permit({kPeer, address("9.9.9.9:901"), address("8.8.8.8:1")}).success());
  EXPECT_EQ(permissions(), 2u);
}

TEST_F(CreatePermission, WithoutOrWithMalformedPeerIsABadRequest) {
  EXPECT_EQ(guest.permit({}).code(), 400);
  EXPECT_EQ(guest
                .ask(Method::kCreatePermission,
                     [](stun::Builder& b) {
                       b.xor_address(Attribute::kXorPeerAddress, kPeer)
                           .bytes(Attribute::kXorPeerAddress, Bytes(7));
                     })
                .code(),
            400);
  EXPECT_EQ(permissions(), 0u);
}

TEST_F(CreatePermission, OfTheOtherFamilyIsAMismatch) {
  EXPECT_EQ(guest.permit({address("[2600::9]:1")}).code(), 443);
  Guest v6(house, "203.0.113.5:4001");
  ASSERT_TRUE(v6.allocate([](auto& b) { b.requested_address_family(Family::kIPv6); }).success());
  EXPECT_EQ(v6.permit({kPeer}).code(), 443);
  EXPECT_TRUE(v6.permit({address("[2600::9]:1")}).success());
}

TEST_F(CreatePermission, OfAForbiddenPeerIsForbidden) {
  EXPECT_EQ(guest.permit({address("127.0.0.1:80")}).code(), 403);
  EXPECT_EQ(guest.permit({address("169.254.169.254:80")}).code(), 403);
}

TEST_F(CreatePermission, InstallsAllOrNothing) {
  EXPECT_EQ(guest.permit({kPeer, address("10.0.0.1:1")}).code(), 403);
  EXPECT_EQ(guest.permit({kPeer, address("[2600::9]:1")}).code(), 443);
  EXPECT_EQ(permissions(), 0u);
}

TEST_F(CreatePermission, LastsThreeHundredSecondsAndDataDoesNotExtendIt) {
  ASSERT_TRUE(guest.permit({kPeer}).success());
  house.pass(seconds(299));
  guest.send(kPeer, bytes_of("in time"));
  house.from_peer(kPeer, guest.relayed, bytes_of("in time"));
  EXPECT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(house.sink.clients_got.size(), 1u);
  house.pass(seconds(1));
  guest.send(kPeer, bytes_of("late"));
  house.from_peer(kPeer, guest.relayed, bytes_of("late"));
  EXPECT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(house.sink.clients_got.size(), 1u);
  EXPECT_EQ(house.server->statistics().dropped_no_permission.read(), 2u);
}

TEST_F(CreatePermission, RefreshesWhatIsThere) {
  ASSERT_TRUE(guest.permit({kPeer}).success());
  house.pass(seconds(200));
  ASSERT_TRUE(guest.permit({kPeer}).success());
  house.pass(seconds(299));
  guest.send(kPeer, bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(permissions(), 1u);
}

TEST_F(CreatePermission, AsManyAsTheLimitAndNotOneMore) {
  const auto nth = [](std::uint32_t n) { return Address{IpAddress::v4(0x09000000u + n), 1}; };
  for (std::uint32_t n = 0; n < kMaxPermissionsPerAllocation; n += 16) {
    std::vector<Address> peers;
    for (std::uint32_t i = 0; i < 16; ++i) peers.push_back(nth(n + i));
    ASSERT_TRUE(guest.permit(peers).success());
  }
  EXPECT_EQ(permissions(), kMaxPermissionsPerAllocation);
  EXPECT_EQ(guest.permit({nth(5000)}).code(), 508);
  EXPECT_EQ(guest.permit({nth(3), nth(5000)}).code(), 508);
  EXPECT_EQ(guest.bind(0x4000, nth(5000)).code(), 508);
  EXPECT_EQ(house.server->audit().channels, 0u);
  EXPECT_TRUE(guest.permit({nth(0), nth(1023)}).success());
  for (const std::uint32_t n : {0u, 7u, 8u, 9u, 500u, 1023u}) guest.send(nth(n), bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 6u);
  guest.send(nth(1024), bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 6u);
  // What has expired makes room, and an address named twice needs it once.
  house.pass(seconds(301));
  EXPECT_TRUE(guest.permit({nth(5000)}).success());
  EXPECT_EQ(permissions(), 1u);
  for (std::uint32_t n = 1; n < kMaxPermissionsPerAllocation - 1; ++n) {
    ASSERT_TRUE(guest.permit({nth(n)}).success());
  }
  EXPECT_TRUE(guest.permit({nth(6000), {nth(6000).ip, 7}}).success());
  EXPECT_EQ(permissions(), kMaxPermissionsPerAllocation);
}

TEST_F(CreatePermission, AnExpiredOneNamedAgainNeedsRoomLikeANewOne) {
  const auto nth = [](std::uint32_t n) { return Address{IpAddress::v4(0x09000000u + n), 1}; };
  for (std::uint32_t n = 0; n < kMaxPermissionsPerAllocation; ++n) {
    ASSERT_TRUE(guest.permit({nth(n)}).success());
  }
  house.pass(seconds(200));
  for (std::uint32_t n = 1; n < kMaxPermissionsPerAllocation; ++n) {
    ASSERT_TRUE(guest.permit({nth(n)}).success());
  }
  house.pass(seconds(101));  // the first one has expired and still has its place
  EXPECT_EQ(guest.permit({nth(0), nth(5000)}).code(), 508);
  EXPECT_TRUE(guest.permit({nth(0)}).success());
  EXPECT_EQ(permissions(), kMaxPermissionsPerAllocation);
  EXPECT_EQ(guest.permit({nth(5000)}).code(), 508);
}

struct Relayed : CreatePermission {
  void SetUp() override {
    CreatePermission::SetUp();
    ASSERT_TRUE(guest.permit({kPeer}).success());
  }
  Reply last_indication() { return Reply(house.sink.clients_got.back().message); }
};

TEST_F(Relayed, SendReachesThePeerUnchangedFromTheRelayedAddress) {
  const Bytes data = bytes_of("five!");
  guest.send(kPeer, data);
  ASSERT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(house.sink.peers_got[0].peer, kPeer);
  EXPECT_EQ(house.sink.peers_got[0].relay, house.sink.relay_at(guest.relayed)->handle);
  EXPECT_EQ(house.sink.peers_got[0].datagram, data);
  EXPECT_EQ(house.server->statistics().client_packets_relayed.read(), 1u);
  EXPECT_EQ(house.server->statistics().client_bytes_relayed.read(), data.size());
}

TEST_F(Relayed, PermissionIsForEveryPortOfTheAddressAndNoOtherAddress) {
  guest.send(address("9.9.9.9:1"), bytes_of("x"));
  guest.send(address("9.9.9.9:65535"), bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 2u);
  guest.send(address("9.9.9.8:900"), bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 2u);
  house.from_peer(address("9.9.9.9:7"), guest.relayed, bytes_of("x"));
  EXPECT_EQ(house.sink.clients_got.size(), 1u);
  house.from_peer(address("9.9.9.8:900"), guest.relayed, bytes_of("x"));
  EXPECT_EQ(house.sink.clients_got.size(), 1u);
}

TEST_F(Relayed, PermissionIsOfOneAllocationOnly) {
  Guest other(house, "203.0.113.5:4001");
  ASSERT_TRUE(other.allocate().success());
  other.send(kPeer, bytes_of("x"));
  house.from_peer(kPeer, other.relayed, bytes_of("x"));
  EXPECT_TRUE(house.sink.peers_got.empty());
  EXPECT_TRUE(house.sink.clients_got.empty());
}

TEST_F(Relayed, DataIndicationCarriesTheExactSourceAndThePayload) {
  const Bytes stun = guest.bare_request(Method::kBinding);  // payload, never interpreted
  for (const Bytes& data : {bytes_of("a"), bytes_of("abcd"), bytes_of(""), stun, filled(1201)}) {
    house.from_peer(kPeer, guest.relayed, data);
    const Reply indication = last_indication();
    ASSERT_TRUE(indication.view().is(Class::kIndication, Method::kData));
    EXPECT_EQ(indication.view().xor_address(Attribute::kXorPeerAddress), kPeer);
    EXPECT_EQ(text_of(*indication.view().value(Attribute::kData)), text_of(data));
    EXPECT_EQ(indication.view().entries().size(), 2u);
    EXPECT_EQ(house.sink.clients_got.back().path, guest.path);
  }
  EXPECT_EQ(house.server->statistics().peer_packets_relayed.read(), 5u);
}

TEST_F(Relayed, PaddingOfADataIndicationIsZero) {
  house.from_peer(kPeer, guest.relayed, filled(5, 0xff));
  const Bytes message = house.sink.clients_got.back().message;
  EXPECT_EQ(Bytes(message.end() - 3, message.end()), Bytes(3, 0));
}

TEST_F(Relayed, DataIndicationsHaveDifferentTransactionIds) {
  house.from_peer(kPeer, guest.relayed, bytes_of("x"));
  const auto first = last_indication().view().transaction_id();
  house.from_peer(kPeer, guest.relayed, bytes_of("x"));
  EXPECT_NE(first, last_indication().view().transaction_id());
}

TEST_F(Relayed, EmptySendBecomesAnEmptyDatagram) {
  guest.send(kPeer, {});
  ASSERT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_TRUE(house.sink.peers_got[0].datagram.empty());
}

TEST_F(Relayed, SendOfAnyShapeIsUnderstood) {
  const auto send = [&](const Guest::Fill& fill) {
    Bytes room(512);
    stun::Builder b(room, Class::kIndication, Method::kSend, stun::TransactionId{5});
    fill(b);
    const ByteView done = b.finish();
    guest.deliver(Bytes(done.begin(), done.end()));
  };
  send([](stun::Builder& b) {  // the other order
    b.text(Attribute::kData, "one").xor_address(Attribute::kXorPeerAddress, kPeer);
  });
  send([](stun::Builder& b) {
    b.text(Attribute::kSoftware, "me").xor_address(Attribute::kXorPeerAddress, kPeer);
    b.text(Attribute::kData, "two").fingerprint();
  });
  send([](stun::Builder& b) {  // of duplicates the first counts
    b.xor_address(Attribute::kXorPeerAddress, kPeer).text(Attribute::kData, "three");
    b.xor_address(Attribute::kXorPeerAddress, address("8.8.8.8:8")).text(Attribute::kData, "no");
  });
  ASSERT_EQ(house.sink.peers_got.size(), 3u);
  EXPECT_EQ(text_of(house.sink.peers_got[0].datagram), "one");
  EXPECT_EQ(text_of(house.sink.peers_got[1].datagram), "two");
  EXPECT_EQ(text_of(house.sink.peers_got[2].datagram), "three");
  EXPECT_EQ(house.sink.peers_got[2].peer, kPeer);
}

TEST_F(Relayed, SendThatLacksSomethingIsDroppedInSilence) {
  const auto send = [&](const Guest::Fill& fill) {
    Bytes room(512);
    stun::Builder b(room, Class::kIndication, Method::kSend, stun::TransactionId{5});
    fill(b);
    const ByteView done = b.finish();
    guest.deliver(Bytes(done.begin(), done.end()));
  };
  send([](stun::Builder& b) { b.text(Attribute::kData, "x"); });
  send([](stun::Builder& b) { b.xor_address(Attribute::kXorPeerAddress, kPeer); });
  for (const Attribute unknown : {static_cast<Attribute>(0x7777), static_cast<Attribute>(0x7FFE)}) {
    send([&](stun::Builder& b) {
      b.xor_address(Attribute::kXorPeerAddress, kPeer).text(Attribute::kData, "x").flag(unknown);
    });
  }
  guest.send({kPeer.ip, 0}, bytes_of("x"));  // no datagram can go to port 0
  EXPECT_TRUE(house.sink.peers_got.empty());
  EXPECT_TRUE(house.sink.clients_got.empty());
  EXPECT_EQ(house.server->statistics().dropped_malformed.read(), 5u);
}

TEST_F(Relayed, SendSetsDontFragmentWhenItSaysSo) {
  ASSERT_TRUE(guest.permit({kPeer}).success());
  Bytes room(512);
  stun::Builder b(room, Class::kIndication, Method::kSend, stun::TransactionId{5});
  b.xor_address(Attribute::kXorPeerAddress, kPeer).flag(Attribute::kDontFragment);
  b.text(Attribute::kData, "x");
  const ByteView done = b.finish();
  guest.deliver(Bytes(done.begin(), done.end()));
  guest.send(kPeer, bytes_of("x"));
  ASSERT_EQ(house.sink.trains_to_peers.size(), 2u);
  EXPECT_EQ(house.sink.trains_to_peers[0].dont_fragment, DontFragment::kSet);
  EXPECT_EQ(house.sink.trains_to_peers[1].dont_fragment, DontFragment::kUnset);
}

TEST_F(Relayed, SendWithoutAllocationIsDroppedInSilence) {
  Guest other(house, "203.0.113.5:4001");
  other.send(kPeer, bytes_of("x"));
  EXPECT_TRUE(house.sink.peers_got.empty());
  EXPECT_EQ(house.server->statistics().dropped_no_allocation.read(), 1u);
}

TEST_F(Relayed, LatePacketOfAClosedRelayIsDropped) {
  const std::uint64_t owner = house.sink.open_relays[0].owner;
  ASSERT_TRUE(guest.refresh(0).success());
  Guest next(house, "203.0.113.5:4001");  // takes the slot, not the packets
  ASSERT_TRUE(next.allocate().success());
  ASSERT_TRUE(next.permit({kPeer}).success());
  house.server->on_peer(house.now, owner, kPeer, Run::one(bytes_of("x")), house.sink);
  EXPECT_TRUE(house.sink.clients_got.empty());
}

TEST_F(Relayed, IPv6AddressesTravelBothWays) {
  Guest v6(house, "[2001:db8::5]:77");
  ASSERT_TRUE(v6.allocate([](auto& b) { b.requested_address_family(Family::kIPv6); }).success());
  const Address peer = address("[2600:1:2:3:4:5:6:7]:8899");
  ASSERT_TRUE(v6.permit({peer}).success());
  v6.send(peer, bytes_of("abc"));
  ASSERT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(house.sink.peers_got[0].peer, peer);
  house.from_peer(peer, v6.relayed, bytes_of("defg"));
  EXPECT_EQ(last_indication().view().xor_address(Attribute::kXorPeerAddress), peer);
}

TEST_F(Relayed, LargestDatagramFitsAndOneThatNoMessageCanHoldIsDropped) {
  house.from_peer(kPeer, guest.relayed, filled(65507));
  ASSERT_EQ(house.sink.clients_got.size(), 1u);
  EXPECT_EQ(last_indication().view().value(Attribute::kData)->size(), 65507u);
  Guest v6(house, "[2001:db8::5]:77");
  ASSERT_TRUE(v6.allocate([](auto& b) { b.requested_address_family(Family::kIPv6); }).success());
  const Address peer = address("[2600::7]:1");
  ASSERT_TRUE(v6.permit({peer}).success());
  house.from_peer(peer, v6.relayed, filled(65504));  // 24 + 4 + 65504 = 65532
  EXPECT_EQ(house.sink.clients_got.size(), 2u);
  house.from_peer(peer, v6.relayed, filled(65505));
  EXPECT_EQ(house.sink.clients_got.size(), 2u);
}

TEST(RelayedOverAStream, DataIndicationIsPadded) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000", "alice", "secret", Transport::kTcp);
  ASSERT_TRUE(guest.allocate().success());
  ASSERT_TRUE(guest.permit({kPeer}).success());
  for (std::size_t size = 0; size < 9; ++size) {
    house.from_peer(kPeer, guest.relayed, filled(size));
    const Reply indication(house.sink.clients_got.back().message);
    EXPECT_EQ(indication.view().value(Attribute::kData)->size(), size);
  }
}

}  // namespace
}  // namespace turnpike::turn
