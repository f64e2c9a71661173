// Trains: many datagrams in one run come out exactly as they would have one by one, and stay
// together where they can.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Method;

const Address kPeer = {IpAddress::v4(9, 9, 9, 9), 900};
const Address kOther = {IpAddress::v4(8, 8, 8, 8), 800};

// A relay and a client with two channels and two permissions.
struct Scene {
  RelayHouse house;
  Guest guest;
  explicit Scene(Transport transport = Transport::kUdp)
      : guest(house, "203.0.113.5:4000", "alice", "secret", transport) {
    EXPECT_TRUE(guest.allocate().success());
    EXPECT_TRUE(guest.bind(0x4000, kPeer).success());
    EXPECT_TRUE(guest.bind(0x4001, kOther).success());
  }
  std::vector<std::pair<Address, Bytes>> peers_got() const {
    std::vector<std::pair<Address, Bytes>> got;
    for (const auto& sent : house.sink.peers_got) got.emplace_back(sent.peer, sent.datagram);
    return got;
  }
  std::vector<Bytes> clients_got() const {
    std::vector<Bytes> got;
    for (const auto& sent : house.sink.clients_got) got.push_back(sent.message);
    return got;
  }
  std::size_t trains() const { return house.sink.trains_to_peers.size(); }
};

// Delivers the datagrams as one train and one by one; both must come out alike. Answers how many
// calls the train needed.
std::size_t calls_for(const std::vector<Bytes>& datagrams) {
  Scene together, apart;
  const Train train(datagrams);
  EXPECT_EQ(train.run().count, datagrams.size());
  together.guest.deliver(train.run());
  for (const Bytes& datagram : datagrams) apart.guest.deliver(datagram);
  EXPECT_EQ(together.peers_got(), apart.peers_got());
  EXPECT_EQ(together.clients_got(), apart.clients_got());
  const Statistics& a = together.house.server->statistics();
  const Statistics& b = apart.house.server->statistics();
  EXPECT_EQ(a.client_packets_relayed.read(), b.client_packets_relayed.read());
  EXPECT_EQ(a.client_bytes_relayed.read(), b.client_bytes_relayed.read());
  EXPECT_EQ(a.dropped_malformed.read(), b.dropped_malformed.read());
  EXPECT_EQ(a.dropped_no_channel.read(), b.dropped_no_channel.read());
  EXPECT_EQ(a.dropped_no_permission.read(), b.dropped_no_permission.read());
  return together.trains();
}

Bytes padded_to(std::size_t total, std::uint16_t channel, std::size_t payload, std::uint8_t with) {
  return channel_message(channel, filled(payload, with), total - 4 - payload);
}

TEST(ClientTrain, OfEqualMessagesLeavesAsOne) {
  std::vector<Bytes> datagrams;
  for (std::uint8_t i = 0; i < 40; ++i)
    datagrams.push_back(channel_message(0x4000, filled(1200, i)));
  EXPECT_EQ(calls_for(datagrams), 1u);
}

TEST(ClientTrain, WithAShorterLastMessageLeavesAsOne) {
  std::vector<Bytes> datagrams(7, channel_message(0x4000, filled(1200)));
  datagrams.push_back(channel_message(0x4000, filled(33)));
  EXPECT_EQ(calls_for(datagrams), 1u);
}

TEST(ClientTrain, OfPaddedMessagesLosesOnlyThePadding) {
  // 1197 to 1200 bytes of payload, all padded to datagrams of 1204 bytes, in every order.
  std::vector<std::size_t> sizes = {1197, 1198, 1199, 1200};
  do {
    std::vector<Bytes> datagrams;
    std::uint8_t with = 1;
    for (const std::size_t size : sizes) datagrams.push_back(padded_to(1204, 0x4000, size, with++));
    calls_for(datagrams);
  } while (std::next_permutation(sizes.begin(), sizes.end()));
}

TEST(ClientTrain, OfEquallyPaddedMessagesLeavesAsOne) {
  const std::vector<Bytes> datagrams(10, padded_to(1204, 0x4000, 1198, 7));
  EXPECT_EQ(calls_for(datagrams), 1u);
}

TEST(ClientTrain, OfTwoChannelsIsCutWhereTheChannelChanges) {
  const Bytes a = channel_message(0x4000, filled(100, 'a'));
  const Bytes b = channel_message(0x4001, filled(100, 'b'));
  EXPECT_EQ(calls_for({a, a, b, b, a}), 3u);
  EXPECT_EQ(calls_for({a, b, a, b}), 4u);
}

TEST(ClientTrain, WithUnboundChannelInTheMiddleLosesOnlyThat) {
  const Bytes a = channel_message(0x4000, filled(100, 'a'));
  const Bytes unbound = channel_message(0x4002, filled(100, 'b'));
  EXPECT_EQ(calls_for({a, unbound, unbound, a}), 2u);
}

TEST(ClientTrain, WithBrokenLengthInTheMiddleLosesOnlyThat) {
  const Bytes a = channel_message(0x4000, filled(100, 'a'));
  Bytes broken = a;
  broken[3] = 101;
  EXPECT_EQ(calls_for({a, broken, a, a}), 2u);
  EXPECT_EQ(calls_for({broken, a}), 1u);
}

TEST(ClientTrain, WithStunOfTheSameSizeInBetween) {
  RelayHouse house;
  Guest any(house, "203.0.113.5:4000");
  const Bytes binding = any.bare_request(Method::kBinding);
  const Bytes a = channel_message(0x4000, filled(binding.size() - 4, 'a'));
  EXPECT_EQ(calls_for({a, a, binding, a, binding}), 2u);
}

TEST(ClientTrain, WithGarbageInBetween) {
  const Bytes a = channel_message(0x4000, filled(100, 'a'));
  EXPECT_EQ(calls_for({a, Bytes(104, 0xff), a, Bytes(104, 0x14), Bytes(104, 0)}), 2u);
}

TEST(ClientTrain, OfEmptyMessagesGoesOneByOne) {
  const Bytes empty = channel_message(0x4000, {});
  EXPECT_EQ(calls_for({empty, empty, empty}), 3u);
  const Bytes a = channel_message(0x4000, filled(100, 'a'));
  EXPECT_EQ(calls_for({a, padded_to(104, 0x4000, 0, 0), a}), 3u);
}

TEST(ClientTrain, LastMessageTooShortForAHeader) {
  const Bytes a = channel_message(0x4000, filled(100, 'a'));
  EXPECT_EQ(calls_for({a, a, Bytes{0x40}}), 1u);
}

TEST(ClientTrain, OfSendIndicationsToOnePeerLeavesAsOne) {
  std::vector<Bytes> datagrams;
  for (std::uint8_t i = 0; i < 20; ++i) {
    datagrams.push_back(send_indication(kPeer, filled(1197, i), i));
  }
  EXPECT_EQ(calls_for(datagrams), 1u);
  datagrams.push_back(send_indication(kPeer, filled(13), 99));
  EXPECT_EQ(calls_for(datagrams), 1u);
}

TEST(ClientTrain, OfSendIndicationsIsCutWherePeerSizeOrShapeChanges) {
  const auto to = [](const Address& peer, std::size_t size) {
    return send_indication(peer, filled(size));
  };
  EXPECT_EQ(calls_for({to(kPeer, 100), to(kOther, 100), to(kPeer, 100)}), 3u);
  EXPECT_EQ(calls_for({to(kPeer, 100), to({kPeer.ip, 5}, 100)}), 2u);
  EXPECT_EQ(calls_for({to(kPeer, 97), to(kPeer, 100), to(kPeer, 98), to(kPeer, 99)}), 3u);
  EXPECT_EQ(calls_for({to(kPeer, 100), to({IpAddress::v4(7, 7, 7, 7), 1}, 100), to(kPeer, 100)}),
            2u);
  const Bytes a = to(kPeer, 100);
  const Bytes channel = channel_message(0x4000, filled(a.size() - 4));
  EXPECT_EQ(calls_for({a, channel, a}), 3u);
  Bytes broken = a;
  broken[5] ^= 1;  // the cookie
  EXPECT_EQ(calls_for({a, broken, a}), 2u);
}

TEST(ClientTrain, KeepsTrafficClassAndDontFragment) {
  Scene scene;
  const Train train({channel_message(0x4000, filled(10)), channel_message(0x4000, filled(10))});
  turnpike::Run run = train.run();
  run.traffic_class = 0xb8;
  run.dont_fragment = DontFragment::kSet;
  scene.guest.deliver(run);
  const Bytes send = send_indication(kPeer, filled(10));
  turnpike::Run one = turnpike::Run::one(send);
  one.traffic_class = 0xb8;
  scene.guest.deliver(one);
  ASSERT_EQ(scene.trains(), 2u);
  EXPECT_EQ(scene.house.sink.trains_to_peers[0].traffic_class, 0xb8);
  EXPECT_EQ(scene.house.sink.trains_to_peers[0].dont_fragment, DontFragment::kSet);
  EXPECT_EQ(scene.house.sink.trains_to_peers[1].traffic_class, 0xb8);
}

TEST(ClientTrain, RequestInsideMayEndTheAllocationForTheRest) {
  Scene scene;
  const Bytes refresh = scene.guest.request(
      Method::kRefresh, [](stun::Builder& b) { b.u32(stun::Attribute::kLifetime, 0); });
  const Bytes a = channel_message(0x4000, filled(refresh.size() - 4));
  scene.guest.deliver(Train({a, refresh, a}).run());
  EXPECT_EQ(scene.house.sink.peers_got.size(), 1u);
  EXPECT_EQ(scene.house.server->statistics().dropped_no_allocation.read(), 1u);
}

// The same for what comes from a peer.
struct Arrival {
  Address from;
  Transport transport;
  const char* name;
};
class PeerTrain : public testing::TestWithParam<Arrival> {};

std::string without_id(const Bytes& message) {
  std::string text = text_of(message);
  if (text[0] == 0) text.erase(8, 12);  // indications differ in their transaction ids
  return text;
}

TEST_P(PeerTrain, ComesOutAsItWouldOneByOne) {
  for (const std::size_t size : {1u, 160u, 1197u, 1198u, 1199u, 1200u}) {
    for (const std::size_t last : {size, std::size_t{1}}) {
      std::vector<Bytes> datagrams;
      for (std::uint8_t i = 0; i < 12; ++i) datagrams.push_back(filled(size, i));
      datagrams.push_back(filled(last, 99));
      Scene together(GetParam().transport), apart(GetParam().transport);
      const Train train(datagrams);
      together.house.from_peer(GetParam().from, together.guest.relayed, train.run());
      for (const Bytes& datagram : datagrams) {
        apart.house.from_peer(GetParam().from, apart.guest.relayed, datagram);
      }
      const auto a = together.clients_got(), b = apart.clients_got();
      ASSERT_EQ(a.size(), datagrams.size());
      for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(without_id(a[i]), without_id(b[i]));
      // Both have had the same answers to requests; beyond those, a call for each size.
      const std::size_t answers = apart.house.sink.calls_to_clients - datagrams.size();
      EXPECT_EQ(together.house.sink.calls_to_clients - answers, last == size ? 1u : 2u);
      EXPECT_EQ(together.house.server->statistics().peer_bytes_relayed.read(),
                apart.house.server->statistics().peer_bytes_relayed.read());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ways, PeerTrain,
    testing::Values(Arrival{kPeer, Transport::kUdp, "ChannelDataOverUdp"},
                    Arrival{{kPeer.ip, 5}, Transport::kUdp, "DataIndicationsOverUdp"},
                    Arrival{kPeer, Transport::kTcp, "ChannelDataOverTcp"},
                    Arrival{{kPeer.ip, 5}, Transport::kTcp, "DataIndicationsOverTcp"}),
    [](const auto& way) { return way.param.name; });

TEST(PeerTrainOfIndications, LargerThanTheScratchIsCutAndWhole) {
  Scene scene;
  std::vector<Bytes> datagrams;
  for (int i = 0; i < 64; ++i) {
    datagrams.push_back(filled(1021, static_cast<std::uint8_t>(i)));
  }
  scene.house.from_peer({kPeer.ip, 5}, scene.guest.relayed, Train(datagrams).run());
  ASSERT_EQ(scene.house.sink.clients_got.size(), 64u);
  for (std::size_t i = 0; i < 64; ++i) {
    const Reply got(scene.house.sink.clients_got[i].message);
    EXPECT_EQ(text_of(*got.view().value(stun::Attribute::kData)), text_of(datagrams[i]));
  }
}

}  // namespace
}  // namespace turnpike::turn
