// What relaying costs: nothing is allocated by a relayed packet, and little is kept for an idle
// one.
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"
#include "tests/turn/counting_new.h"
#include "turn/allocation.h"
#include "turn/stream_framer.h"

namespace turnpike::turn {
namespace {

using stun::Method;

// Counts and forgets.
class NullSink final : public Sink {
 public:
  void to_client(const Path&, const Parts& parts) override {
    clients += parts.body.count == 0 ? 1 : parts.body.count;
  }
  void to_peer(RelayHandle, const Address&, const Run& run) override { peers += run.count; }
  Expected<Relay, RelayError> open_relay(const RelayWish&) override {
    return unexpected(RelayError::kNoPortLeft);
  }
  void close_relay(RelayHandle) override {}
  Expected<ClaimedRelay, RelayError> claim_relay(const Claim&) override {
    return unexpected(RelayError::kNoReservation);
  }
  bool drop_reservation(ReservationToken) override { return false; }
  void report(const Event&) override {}
  std::size_t clients = 0;
  std::size_t peers = 0;
};

const Address kPeer = {IpAddress::v4(9, 9, 9, 9), 900};

TEST(RelayedPacket, AllocatesNothingInEitherDirection) {
  for (const Transport transport : {Transport::kUdp, Transport::kTcp}) {
    RelayHouse house;
    Guest guest(house, "203.0.113.5:4000", "alice", "secret", transport);
    ASSERT_TRUE(guest.allocate().success());
    ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
    for (std::uint16_t i = 1; i < 40; ++i) {
      ASSERT_TRUE(guest.bind(0x4000 + i, {IpAddress::v4(8, 8, 8, 8), i}).success());
    }
    const std::uint64_t owner = house.sink.open_relays[0].owner;
    const Bytes channel = channel_message(0x4000, filled(161), 3);
    const Bytes unbound = channel_message(0x4ABC, filled(160));
    const Bytes send = send_indication(kPeer, filled(161));
    const Bytes payload = filled(161);
    const Bytes junk = bytes_of("junk");
    NullSink sink;
    const auto round = [&] {
      for (const Bytes* packet : {&channel, &unbound, &send, &junk}) {
        house.server->on_client(house.now, guest.path, turnpike::Run::one(*packet), sink);
      }
      house.server->on_peer(house.now, owner, kPeer, turnpike::Run::one(payload), sink);
      house.server->on_peer(house.now, owner, {kPeer.ip, 5}, turnpike::Run::one(payload), sink);
      house.server->on_peer(house.now, owner, {IpAddress::v4(7, 7, 7, 7), 5},
                            turnpike::Run::one(payload), sink);
    };
    round();
    const std::size_t before = allocations_made();
    for (int i = 0; i < 1000; ++i) round();
    EXPECT_EQ(allocations_made(), before);
    EXPECT_EQ(sink.peers, 2002u);
    EXPECT_EQ(sink.clients, 2002u);
  }
}

TEST(EndedAllocation, TellsSinceWhenItWasAndWhatItRelayed) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  const Reply allocated = guest.allocate();
  ASSERT_TRUE(allocated.success());
  const MonoTime begun = house.now.mono;
  ASSERT_TRUE(guest.bind(0x4000, kPeer).success());
  house.pass(seconds(61));
  guest.send_on(0x4000, filled(10));
  guest.send(kPeer, filled(7));
  house.from_peer(kPeer, allocated.relayed(), filled(3));
  house.from_peer({IpAddress::v4(7, 7, 7, 7), 5}, allocated.relayed(), filled(100));  // dropped
  ASSERT_TRUE(guest.refresh(0).success());
  const auto& told = house.sink.events.back();
  ASSERT_EQ(told.kind, Event::Kind::kAllocationEnded);
  EXPECT_EQ(told.begun, begun);
  const auto& up = told.traffic[static_cast<std::size_t>(Direction::kToPeer)];
  const auto& down = told.traffic[static_cast<std::size_t>(Direction::kToClient)];
  EXPECT_EQ(up.packets, 2u);
  EXPECT_EQ(up.bytes, 17u);
  EXPECT_EQ(down.packets, 1u);
  EXPECT_EQ(down.bytes, 3u);
}

TEST(Stranger, IsAnsweredWithoutTheHeap) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  const Bytes binding = guest.bare_request(Method::kBinding);
  const Bytes allocate = guest.bare_request(Method::kAllocate);
  const Bytes bad =
      guest.bare_request(Method::kAllocate, [](auto& b) { b.message_integrity(Bytes(16)); });
  NullSink sink;
  const std::size_t before = allocations_made();
  for (const Bytes* packet : {&binding, &allocate, &bad}) {
    house.server->on_client(house.now, guest.path, turnpike::Run::one(*packet), sink);
  }
  EXPECT_EQ(allocations_made(), before);
  EXPECT_EQ(sink.clients, 3u);
}

TEST(StreamFraming, AllocatesNothingOnceItHasItsRoom) {
  StreamFramer framer;
  const Bytes message = channel_message(0x4000, filled(1200));
  const auto half = [&](std::size_t from, std::size_t size) {
    ByteView out;
    framer.feed(ByteView(message).subspan(from, size));
    while (framer.next(out) == StreamFramer::Result::kMessage) {
    }
    framer.keep_rest();
  };
  half(0, 700);
  half(700, 504);
  const std::size_t before = allocations_made();
  for (int i = 0; i < 100; ++i) {
    half(0, 700);
    half(700, 504);
  }
  EXPECT_EQ(allocations_made(), before);
}

TEST(HeldAllocation, IsSmall) { EXPECT_LE(sizeof(Allocation), 640u); }

}  // namespace
}  // namespace turnpike::turn
