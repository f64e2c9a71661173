// ICMP errors become Data indications with an ICMP attribute (RFC 8656 sections 11.5 and 18.13).
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;

const Address kPeer = address("8.8.8.8:9");
const Address kPeer6 = address("[2600:1f::9]:9");
constexpr IcmpError kPortUnreachable{3, 3, 0};

struct PeerError : testing::Test {
  void SetUp() override {
    ASSERT_TRUE(guest
                    .allocate([](stun::Builder& b) {
                      b.u32(Attribute::kAdditionalAddressFamily, 0x02000000);
                    })
                    .success());
  }
  std::size_t told(const Address& peer, const IcmpError& error) {
    house.sink.clients_got.clear();
    house.server->on_peer_error(house.now, house.sink.open_relays[0].owner, peer, error,
                                house.sink);
    return house.sink.clients_got.size();
  }
  stun::MessageView message() const {
    return *stun::MessageView::parse(house.sink.clients_got.back().message);
  }
  RelayHouse house;
  Guest guest{house, "203.0.113.5:4000"};
};

TEST_F(PeerError, OfAPermittedPeerIsADataIndicationWithoutData) {
  ASSERT_TRUE(guest.permit({kPeer}).success());
  ASSERT_EQ(told(kPeer, {3, 4, 1400}), 1u);
  EXPECT_TRUE(message().is(stun::Class::kIndication, stun::Method::kData));
  EXPECT_EQ(message().xor_address(Attribute::kXorPeerAddress), kPeer);
  EXPECT_FALSE(message().has(Attribute::kData));
  const auto value = message().value(Attribute::kIcmp);
  ASSERT_TRUE(value);
  EXPECT_EQ(Bytes(value->begin(), value->end()), (Bytes{0, 0, 3, 4, 0, 0, 1400 >> 8, 1400 & 255}));
  EXPECT_EQ(house.sink.clients_got.back().path, guest.path);
  EXPECT_EQ(house.server->statistics().icmp_indications.read(), 1u);
}

TEST_F(PeerError, WithoutPermissionIsNotTold) {
  EXPECT_EQ(told(kPeer, kPortUnreachable), 0u);
  ASSERT_TRUE(guest.permit({kPeer}).success());
  EXPECT_EQ(told(address("8.8.4.4:9"), kPortUnreachable), 0u);
  house.pass(seconds(301));
  EXPECT_EQ(told(kPeer, kPortUnreachable), 0u);
}

TEST_F(PeerError, OnlyTypesThatMeanLossAreTold) {
  ASSERT_TRUE(guest.permit({kPeer, kPeer6}).success());
  for (int type = 0; type < 256; ++type) {
    house.pass(seconds(1));
    const IcmpError error{static_cast<std::uint8_t>(type), 0, 0};
    EXPECT_EQ(told(kPeer, error), type == 3 || type == 11 ? 1u : 0u) << type;
    EXPECT_EQ(told(kPeer6, error), type >= 1 && type <= 3 ? 1u : 0u) << type;
  }
}

TEST_F(PeerError, TheSamePeerIsToldAFewTimesASecond) {
  ASSERT_TRUE(guest.permit({kPeer}).success());
  std::size_t sum = 0;
  for (int i = 0; i < 1000; ++i) sum += told(kPeer, kPortUnreachable);
  EXPECT_EQ(sum, 20u);
  house.pass(seconds(1));
  sum = 0;
  for (int i = 0; i < 1000; ++i) sum += told(kPeer, kPortUnreachable);
  EXPECT_EQ(sum, 10u);
}

TEST_F(PeerError, OfAnAllocationThatEndedIsDropped) {
  ASSERT_TRUE(guest.permit({kPeer}).success());
  const std::uint64_t owner = house.sink.open_relays[0].owner;
  ASSERT_TRUE(guest.refresh(0).success());
  house.sink.clients_got.clear();
  house.server->on_peer_error(house.now, owner, kPeer, kPortUnreachable, house.sink);
  EXPECT_TRUE(house.sink.clients_got.empty());
}

}  // namespace
}  // namespace turnpike::turn
