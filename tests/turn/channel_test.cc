// ChannelBind and ChannelData (RFC 8656 section 12).
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"
#include "turn/channel_data.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

const Address kPeer = {IpAddress::v4(9, 9, 9, 9), 900};
const Address kOther = {IpAddress::v4(8, 8, 8, 8), 800};

struct ChannelBind : testing::Test {
  RelayHouse house;
  Guest guest{house, "203.0.113.5:4000"};
  void SetUp() override { ASSERT_TRUE(guest.allocate().success()); }
  const Bytes& last_to_client() { return house.sink.clients_got.back().message; }
};

TEST_F(ChannelBind, WithoutAllocationIsAMismatch) {
  Guest other(house, "203.0.113.5:4001");
  EXPECT_EQ(other.bind(0x4000, kPeer).code(), 437);
}

TEST_F(ChannelBind, RangeOfNumbers) {
  std::uint16_t port = 1;
  for (const std::uint16_t number : std::initializer_list<std::uint16_t>{0x4000, 0x4FFF}) {
    EXPECT_TRUE(guest.bind(number, {kPeer.ip, port++}).success());
  }
  for (const std::uint16_t number :
       std::initializer_list<std::uint16_t>{0, 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF}) {
    EXPECT_EQ(guest.bind(number, {kPeer.ip, port++}).code(), 400);
  }
}

TEST(ChannelBindOfRfc5766, TakesTheWiderRangeWhenAllowed) {
  HouseRules rules;
  rules.adjust = [](Settings& s) { s.last_channel_number = 0x7FFF; };
  RelayHouse house(rules);
  Guest guest(house, "203.0.113.5:4000");
  ASSERT_TRUE(guest.allocate().success());
  EXPECT_TRUE(guest.bind(0x7FFF, kPeer).success());
  EXPECT_EQ(guest.bind(0x8000, kOther).code(), 400);
  guest.send_on(0x7FFF, bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 1u);
}

TEST_F(ChannelBind, MissingOrMalformedNumberOrPeerIsABadRequest) {
  const auto ask = [&](const Guest::Fill& fill) {
    return guest.ask(Method::kChannelBind, fill).code();
  };
  EXPECT_EQ(ask([](stun::Builder& b) { b.channel_number(0x4000); }), 400);
  EXPECT_EQ(ask([](stun::Builder& b) { b.xor_address(Attribute::kXorPeerAddress, kPeer); }), 400);
  EXPECT_EQ(ask([](stun::Builder& b) {
              b.bytes(Attribute::kChannelNumber, Bytes{0x40, 0})
                  .xor_address(Attribute::kXorPeerAddress, kPeer);
            }),
            400);
  EXPECT_EQ(ask([](stun::Builder& b) {
              b.channel_number(0x4000).bytes(Attribute::kXorPeerAddress, Bytes(8));
            }),
            400);
  EXPECT_EQ(guest.bind(0x4000, {kPeer.ip, 0}).code(), 400);
}

TEST_F(ChannelBind, ReservedBytesOfTheNumberAreIgnored) {
  EXPECT_TRUE(guest
                  .ask(Method::kChannelBind,
                       [](stun::Builder& b) {
                         b.u32(Attribute::kChannelNumber, 0x4001BEEF)
                             .xor_address(Attribute::kXorPeerAddress, kPeer);
                       })
                  .success());
}

TEST_F(ChannelBind, OtherFamilyAndForbiddenPeers) {
  EXPECT_EQ(guest.bind(0x4000, address("[2600::9]:1")).code(), 443);
  EXPECT_EQ(guest.bind(0x4000, address("192.168.1.1:1")).code(), 403);
  EXPECT_EQ(house.server->audit().channels, 0u);
}

TEST_F(ChannelBind, NumberAndPeerBelongTogether) {
  ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
  EXPECT_EQ(guest.bind(0x4000, kOther).code(), 400);
  EXPECT_EQ(guest.bind(0x4000, {kPeer.ip, 901}).code(), 400);
  EXPECT_EQ(guest.bind(0x4001, kPeer).code(), 400);
  EXPECT_TRUE(guest.bind(0x4000, kPeer).success());
  EXPECT_TRUE(guest.bind(0x4001, kOther).success());
  EXPECT_EQ(guest.bind(0x4000, kOther).code(), 400);
  EXPECT_EQ(house.server->audit().channels, 2u);
}

TEST_F(ChannelBind, InstallsThePermissionAndSendStillWorks) {
  ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
  guest.send({kPeer.ip, 5}, bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(house.server->audit().permissions, 1u);
}

TEST_F(ChannelBind, BoundPeerReachesTheClientAsChannelDataAndOtherPortsDoNot) {
  ASSERT_TRUE(guest.bind(0x4ABC, kPeer).success());
  house.from_peer(kPeer, guest.relayed, bytes_of("hello"));
  EXPECT_EQ(last_to_client(), channel_message(0x4ABC, bytes_of("hello")));
  house.from_peer({kPeer.ip, 901}, guest.relayed, bytes_of("hello"));
  EXPECT_TRUE(Reply(last_to_client()).view().is(stun::Class::kIndication, Method::kData));
}

TEST_F(ChannelBind, LastsTenMinutesOutAndItsPermissionFiveMinutesIn) {
  ASSERT_TRUE(guest.refresh(3600).success());
  ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
  house.pass(seconds(299));
  house.from_peer(kPeer, guest.relayed, bytes_of("x"));
  EXPECT_EQ(house.sink.clients_got.size(), 1u);
  house.pass(seconds(1));
  house.from_peer(kPeer, guest.relayed, bytes_of("x"));
  EXPECT_EQ(house.sink.clients_got.size(), 1u);
  house.pass(seconds(299));
  guest.send_on(0x4000, bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 1u);
  house.pass(seconds(1));
  guest.send_on(0x4000, bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(house.server->statistics().dropped_no_channel.read(), 1u);
}

TEST_F(ChannelBind, AfterExpiryNumberAndPeerMayBeBoundAnew) {
  ASSERT_TRUE(guest.refresh(3600).success());
  ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
  house.pass(seconds(599));
  EXPECT_EQ(guest.bind(0x4000, kOther).code(), 400);
  house.pass(seconds(1));
  guest.nonce.clear();
  EXPECT_TRUE(guest.bind(0x4000, kOther).success());
  EXPECT_TRUE(guest.bind(0x4001, kPeer).success());
  EXPECT_EQ(house.server->audit().channels, 2u);
  guest.send_on(0x4000, bytes_of("x"));
  ASSERT_EQ(house.sink.peers_got.size(), 1u);
  EXPECT_EQ(house.sink.peers_got[0].peer, kOther);
}

TEST_F(ChannelBind, ExpiredChannelFallsBackToDataIndications) {
  ASSERT_TRUE(guest.refresh(3600).success());
  ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
  house.pass(seconds(590));
  ASSERT_TRUE(guest.permit({kPeer}).success());
  house.pass(seconds(10));
  house.from_peer(kPeer, guest.relayed, bytes_of("x"));
  EXPECT_TRUE(Reply(last_to_client()).view().is(stun::Class::kIndication, Method::kData));
}

TEST_F(ChannelBind, AsManyAsTheLimitAndNotOneMore) {
  const auto nth = [](std::uint32_t n) {
    return Address{kPeer.ip, static_cast<std::uint16_t>(n + 1)};
  };
  const auto number = [](std::uint32_t n) { return static_cast<std::uint16_t>(0x4000 + n * 3); };
  for (std::uint32_t n = 0; n < kMaxChannelsPerAllocation; ++n) {
    ASSERT_TRUE(guest.bind(number(n), nth(n)).success());
  }
  EXPECT_EQ(guest.bind(0x4FFF, nth(5000)).code(), 508);
  EXPECT_TRUE(guest.bind(number(700), nth(700)).success());
  EXPECT_EQ(guest.bind(number(700), nth(701)).code(), 400);
  for (const std::uint32_t n : {0u, 7u, 8u, 9u, 85u, 86u, 1023u}) {
    guest.send_on(number(n), bytes_of("x"));
    EXPECT_EQ(house.sink.peers_got.back().peer, nth(n));
    house.from_peer(nth(n), guest.relayed, bytes_of("y"));
    EXPECT_EQ(last_to_client(), channel_message(number(n), bytes_of("y")));
  }
  guest.send_on(0x4001, bytes_of("x"));
  EXPECT_EQ(house.sink.peers_got.size(), 7u);
  ASSERT_TRUE(guest.refresh(3600).success());
  house.pass(seconds(600));
  guest.nonce.clear();
  EXPECT_TRUE(guest.bind(0x4FFF, nth(5000)).success());
  EXPECT_EQ(house.server->audit().channels, 1u);
}

struct ChannelData : ChannelBind {
  void SetUp() override {
    ChannelBind::SetUp();
    ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
  }
};

TEST_F(ChannelData, ReachesThePeerWithoutHeaderAndPadding) {
  guest.deliver(channel_message(0x4000, bytes_of("hello"), 3));
  guest.deliver(channel_message(0x4000, bytes_of("hello"), 0));
  guest.deliver(channel_message(0x4000, bytes_of(""), 0));
  guest.deliver(channel_message(0x4000, bytes_of(""), 4));
  ASSERT_EQ(house.sink.peers_got.size(), 4u);
  EXPECT_EQ(house.sink.peers_got[0].datagram, bytes_of("hello"));
  EXPECT_EQ(house.sink.peers_got[1].datagram, bytes_of("hello"));
  EXPECT_TRUE(house.sink.peers_got[2].datagram.empty());
  EXPECT_TRUE(house.sink.peers_got[3].datagram.empty());
  EXPECT_EQ(house.sink.peers_got[0].peer, kPeer);
}

TEST_F(ChannelData, LongerThanItsDatagramIsDropped) {
  Bytes message = channel_message(0x4000, bytes_of("hello"));
  message.pop_back();
  guest.deliver(message);
  guest.deliver(Bytes{0x40, 0x00, 0x00});
  EXPECT_TRUE(house.sink.peers_got.empty());
  EXPECT_EQ(house.server->statistics().dropped_malformed.read(), 2u);
}

TEST_F(ChannelData, OnUnboundOrReservedNumbersIsDropped) {
  for (const std::uint16_t number :
       std::initializer_list<std::uint16_t>{0x4001, 0x4FFF, 0x5000, 0x7FFF}) {
    guest.send_on(number, bytes_of("x"));
  }
  EXPECT_TRUE(house.sink.peers_got.empty());
  EXPECT_EQ(house.server->statistics().dropped_no_channel.read(), 4u);
  Guest stranger(house, "203.0.113.5:4001");
  stranger.send_on(0x4000, bytes_of("x"));
  EXPECT_EQ(house.server->statistics().dropped_no_allocation.read(), 1u);
}

TEST_F(ChannelData, EmptyDatagramReachesTheClient) {
  house.from_peer(kPeer, guest.relayed, ByteView());
  EXPECT_EQ(last_to_client(), (Bytes{0x40, 0, 0, 0}));
}

TEST_F(ChannelData, IsNotPaddedToDatagramClients) {
  house.from_peer(kPeer, guest.relayed, bytes_of("hello"));
  EXPECT_EQ(last_to_client().size(), 9u);
}

TEST(ChannelDataOnStreams, IsPaddedToFourAndThePaddingIsZeroAndNotCounted) {
  for (const Transport transport : {Transport::kTcp, Transport::kTls}) {
    RelayHouse house;
    Guest guest(house, "203.0.113.5:4000", "alice", "secret", transport);
    ASSERT_TRUE(guest.allocate().success());
    ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
    for (std::size_t size = 0; size < 9; ++size) {
      house.from_peer(kPeer, guest.relayed, filled(size));
      EXPECT_EQ(house.sink.clients_got.back().message,
                channel_message(0x4000, filled(size), padding_to_four(size)));
    }
  }
}

}  // namespace
}  // namespace turnpike::turn
