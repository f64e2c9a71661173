// Whole conversations with a running server: Binding, Allocate, permissions, channels and data, by
// every transport and family.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "tests/loopback/test_server.h"

namespace turnpike::loopback {
namespace {

constexpr std::uint16_t kChannel = 0x4001;
constexpr std::chrono::milliseconds kShortWhile{300};

Bytes text(std::string_view words) { return Bytes(words.begin(), words.end()); }

class Relay : public testing::TestWithParam<std::tuple<Way, Family, std::uint32_t>> {
 protected:
  void SetUp() override {
    if (family() == Family::kIPv6 && !TestServer::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
    TestServer::Wish wish;
    wish.workers = std::get<2>(GetParam());
    server_ = std::make_unique<TestServer>(wish);
  }
  Way way() const { return std::get<0>(GetParam()); }
  Family family() const { return std::get<1>(GetParam()); }
  TurnClient client() const { return server_->client(way(), family()); }

  std::unique_ptr<TestServer> server_;
};

std::string name_of(const testing::TestParamInfo<Relay::ParamType>& info) {
  const auto [way, family, workers] = info.param;
  const std::string transport = way == Way::kUdp ? "Udp" : way == Way::kTcp ? "Tcp" : "Tls";
  return transport + (family == Family::kIPv4 ? "V4" : "V6") + std::to_string(workers) + "Workers";
}

INSTANTIATE_TEST_SUITE_P(EveryWay, Relay,
                         testing::Combine(testing::Values(Way::kUdp, Way::kTcp, Way::kTls),
                                          testing::Values(Family::kIPv4, Family::kIPv6),
                                          testing::Values(1u, 2u)),
                         name_of);

TEST_P(Relay, BindingTellsTheClientItsAddress) {
  TurnClient alice = client();
  EXPECT_EQ(alice.binding(), alice.transport().local());
}

TEST_P(Relay, AnAllocationLivesUntilItIsReleased) {
  TurnClient alice = client();
  ASSERT_EQ(alice.allocate(family()), 0);
  EXPECT_EQ(alice.relayed().ip, IpAddress::loopback(family()));
  EXPECT_GE(alice.relayed().port, 49152);
  EXPECT_EQ(alice.mapped(), alice.transport().local());
  EXPECT_EQ(alice.lifetime(), 600u);
  EXPECT_EQ(server_->allocations(), 1u);
  EXPECT_EQ(alice.refresh(0), 0);
  EXPECT_EQ(server_->allocations(), 0u);
}

TEST_P(Relay, AWrongPasswordAllocatesNothing) {
  TurnClient mallory = server_->client(way(), kUser, "guess");
  EXPECT_EQ(mallory.allocate(), 401);
  EXPECT_EQ(server_->allocations(), 0u);
}

TEST_P(Relay, IndicationsTravelBothWays) {
  UdpPeer peer(IpAddress::loopback(family()));
  TurnClient alice = client();
  ASSERT_EQ(alice.allocate(family()), 0);
  ASSERT_EQ(alice.permit(peer.address()), 0);

  ASSERT_TRUE(alice.send_indication(peer.address(), text("to the peer")));
  const auto at_peer = peer.receive();
  ASSERT_TRUE(at_peer);
  EXPECT_EQ(at_peer->bytes, text("to the peer"));
  EXPECT_EQ(at_peer->from, alice.relayed());

  ASSERT_TRUE(peer.send(alice.relayed(), text("to the client")));
  const auto at_client = alice.receive_data();
  ASSERT_TRUE(at_client);
  EXPECT_EQ(at_client->bytes, text("to the client"));
  EXPECT_EQ(at_client->peer, peer.address());
}

// Sizes around every padding, so that a stream never slips.
TEST_P(Relay, ChannelDataOfEverySizeTravelsBothWays) {
  UdpPeer peer(IpAddress::loopback(family()));
  TurnClient alice = client();
  ASSERT_EQ(alice.allocate(family()), 0);
  ASSERT_EQ(alice.bind_channel(kChannel, peer.address()), 0);
  for (const std::size_t size : {0u, 1u, 2u, 3u, 4u, 5u, 160u, 1199u, 1200u, 1201u, 9000u}) {
    const Bytes payload(size, static_cast<std::uint8_t>(size));
    ASSERT_TRUE(alice.send_channel(kChannel, payload));
    const auto at_peer = peer.receive();
    ASSERT_TRUE(at_peer) << size;
    EXPECT_EQ(at_peer->bytes, payload);
    ASSERT_TRUE(peer.send(alice.relayed(), payload));
    const auto at_client = alice.receive_data();
    ASSERT_TRUE(at_client) << size;
    EXPECT_EQ(at_client->channel, kChannel);
    EXPECT_EQ(at_client->bytes, payload);
  }
}

TEST_P(Relay, ABurstArrivesWholeAndInOrder) {
  constexpr int kBurst = 200;
  UdpPeer peer(IpAddress::loopback(family()));
  TurnClient alice = client();
  ASSERT_EQ(alice.allocate(family()), 0);
  ASSERT_EQ(alice.bind_channel(kChannel, peer.address()), 0);
  const auto packet = [](int number) {
    Bytes bytes(600 + number % 3, static_cast<std::uint8_t>(number));
    return bytes;
  };
  for (int i = 0; i < kBurst; ++i) ASSERT_TRUE(alice.send_channel(kChannel, packet(i)));
  for (int i = 0; i < kBurst; ++i) {
    const auto got = peer.receive();
    ASSERT_TRUE(got) << i;
    ASSERT_EQ(got->bytes, packet(i));
  }
  for (int i = 0; i < kBurst; ++i) ASSERT_TRUE(peer.send(alice.relayed(), packet(i)));
  for (int i = 0; i < kBurst; ++i) {
    const auto got = alice.receive_data();
    ASSERT_TRUE(got) << i;
    ASSERT_EQ(got->bytes, packet(i));
  }
}

TEST_P(Relay, WithoutAPermissionNothingPassesEitherWay) {
  UdpPeer peer(IpAddress::loopback(family()));
  TurnClient alice = client();
  ASSERT_EQ(alice.allocate(family()), 0);
  ASSERT_TRUE(alice.send_indication(peer.address(), text("no")));
  ASSERT_TRUE(peer.send(alice.relayed(), text("no")));
  EXPECT_FALSE(peer.receive(kShortWhile));
  EXPECT_FALSE(alice.receive_data(kShortWhile));
}

TEST(RelayFamilies, AnIPv4ClientCanRelayOnIPv6) {
  if (!TestServer::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  TestServer server;
  UdpPeer peer(IpAddress::loopback(Family::kIPv6));
  TurnClient alice = server.client(Way::kUdp, Family::kIPv4);
  ASSERT_EQ(alice.allocate(Family::kIPv6), 0);
  ASSERT_EQ(alice.bind_channel(kChannel, peer.address()), 0);
  ASSERT_TRUE(alice.send_channel(kChannel, text("across")));
  const auto got = peer.receive();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->from, alice.relayed());
}

// The call of two tabs on one laptop: every private address is denied, and only the live relayed
// addresses of this very server are open.
class OwnRelays : public testing::TestWithParam<std::tuple<Way, std::uint32_t>> {
 protected:
  OwnRelays() : server_({.workers = std::get<1>(GetParam()), .allow_loopback_peers = false}) {}
  TurnClient client() const { return server_.client(std::get<0>(GetParam())); }
  TestServer server_;
};

INSTANTIATE_TEST_SUITE_P(EveryWay, OwnRelays,
                         testing::Combine(testing::Values(Way::kUdp, Way::kTcp, Way::kTls),
                                          testing::Values(1u, 2u)));

TEST_P(OwnRelays, TwoRelayedClientsCallEachOther) {
  TurnClient alice = client();
  TurnClient bob = client();
  ASSERT_EQ(alice.allocate(), 0);
  ASSERT_EQ(bob.allocate(), 0);
  ASSERT_EQ(alice.bind_channel(kChannel, bob.relayed()), 0);
  ASSERT_EQ(bob.permit(alice.relayed()), 0);
  for (int i = 0; i < 50; ++i) {
    const Bytes ping(100 + i, 'a'), pong(200 + i, 'b');
    ASSERT_TRUE(alice.send_channel(kChannel, ping));
    const auto at_bob = bob.receive_data();
    ASSERT_TRUE(at_bob) << i;
    ASSERT_EQ(at_bob->bytes, ping);
    ASSERT_EQ(at_bob->peer, alice.relayed());
    ASSERT_TRUE(bob.send_indication(alice.relayed(), pong));
    const auto at_alice = alice.receive_data();
    ASSERT_TRUE(at_alice) << i;
    ASSERT_EQ(at_alice->channel, kChannel);
    ASSERT_EQ(at_alice->bytes, pong);
  }
}

// The kernel never sees them: its receive queue has no say in how many there may be.
TEST_P(OwnRelays, ABurstBetweenTwoOfUsTakesTheShortCutWholeAndInOrder) {
  constexpr int kBurst = 200;
  TurnClient alice = client();
  std::vector<TurnClient> others;  // with two workers, some of them are the other one's
  for (int i = 0; i < 6; ++i) {
    others.push_back(server_.client(i % 2 == 0 ? Way::kUdp : Way::kTls));
  }
  ASSERT_EQ(alice.allocate(), 0);
  for (std::size_t i = 0; i < others.size(); ++i) {
    ASSERT_EQ(others[i].allocate(), 0);
    const auto channel = static_cast<std::uint16_t>(kChannel + i);
    ASSERT_EQ(alice.bind_channel(channel, others[i].relayed()), 0);
    ASSERT_EQ(others[i].bind_channel(kChannel, alice.relayed()), 0);
    for (int n = 0; n < kBurst; ++n) {
      ASSERT_TRUE(alice.send_channel(channel, text(std::to_string(n))));
    }
    for (int n = 0; n < kBurst; ++n) {
      const auto got = others[i].receive_data();
      ASSERT_TRUE(got) << n;
      ASSERT_EQ(got->channel, kChannel);
      ASSERT_EQ(got->bytes, text(std::to_string(n)));
    }
  }
  const std::string summary = server_.runtime().summary();
  EXPECT_NE(summary.find("1200 packets relayed to peers (1200 of them to clients of ours), 1200"),
            std::string::npos)
      << summary;
}

TEST_P(OwnRelays, TheReceiversPermissionIsAskedFor) {
  TurnClient alice = client(), bob = client();
  ASSERT_EQ(alice.allocate(), 0);
  ASSERT_EQ(bob.allocate(), 0);
  ASSERT_EQ(alice.bind_channel(kChannel, bob.relayed()), 0);
  ASSERT_TRUE(alice.send_channel(kChannel, text("unwanted")));
  EXPECT_FALSE(bob.receive_data(kShortWhile));
  ASSERT_EQ(bob.permit(alice.relayed()), 0);
  ASSERT_TRUE(alice.send_channel(kChannel, text("wanted")));
  const auto got = bob.receive_data();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes, text("wanted"));
  EXPECT_EQ(got->peer, alice.relayed());
}

TEST_P(OwnRelays, AClientCanBeItsOwnPeerOnce) {
  TurnClient alice = client();
  ASSERT_EQ(alice.allocate(), 0);
  ASSERT_EQ(alice.bind_channel(kChannel, alice.relayed()), 0);
  ASSERT_TRUE(alice.send_channel(kChannel, text("echo")));
  const auto got = alice.receive_data();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes, text("echo"));
  EXPECT_FALSE(alice.receive_data(kShortWhile));
}

TEST_P(OwnRelays, AReceiverThatLeftIsNotMissed) {
  TurnClient alice = client(), bob = client(), carol = client();
  for (TurnClient* one : {&alice, &bob, &carol}) ASSERT_EQ(one->allocate(), 0);
  ASSERT_EQ(alice.bind_channel(kChannel, bob.relayed()), 0);
  ASSERT_EQ(alice.bind_channel(kChannel + 1, carol.relayed()), 0);
  ASSERT_EQ(carol.permit(alice.relayed()), 0);
  ASSERT_EQ(bob.permit(alice.relayed()), 0);
  ASSERT_TRUE(alice.send_channel(kChannel, text("in time")));
  ASSERT_TRUE(bob.receive_data());
  ASSERT_EQ(bob.refresh(0), 0);
  ASSERT_TRUE(alice.send_channel(kChannel, text("too late")));
  ASSERT_TRUE(alice.send_channel(kChannel + 1, text("to carol")));
  const auto got = carol.receive_data();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes, text("to carol"));
  EXPECT_FALSE(bob.receive_data(kShortWhile));
}

TEST_P(OwnRelays, OtherPortsOfOurOwnAddressStayClosed) {
  UdpPeer service(IpAddress::loopback(Family::kIPv4));
  TurnClient alice = client();
  TurnClient bob = client();
  ASSERT_EQ(alice.allocate(), 0);
  ASSERT_EQ(bob.allocate(), 0);
  EXPECT_EQ(alice.bind_channel(kChannel, service.address()), 403);
  EXPECT_EQ(alice.bind_channel(kChannel, server_.udp()), 403);
  // A permission covers an address with all its ports; the packets are judged by port.
  ASSERT_EQ(alice.permit(bob.relayed()), 0);
  ASSERT_TRUE(alice.send_indication(service.address(), text("no")));
  EXPECT_FALSE(service.receive(kShortWhile));
  ASSERT_TRUE(service.send(alice.relayed(), text("no")));
  EXPECT_FALSE(alice.receive_data(kShortWhile));
}

TEST_P(OwnRelays, ADeadRelaysPortIsClosedToPackets) {
  TurnClient alice = client();
  Address dead;
  {
    TurnClient bob = client();
    ASSERT_EQ(alice.allocate(), 0);
    ASSERT_EQ(bob.allocate(), 0);
    dead = bob.relayed();
    ASSERT_EQ(alice.permit(dead), 0);
    ASSERT_EQ(bob.refresh(0), 0);
  }
  EXPECT_EQ(alice.bind_channel(kChannel, dead), 403);
  ASSERT_TRUE(alice.send_indication(dead, text("no")));
  EXPECT_EQ(alice.refresh(600), 0);  // answered after the indication was taken or dropped
  const std::string summary = server_.runtime().summary();
  EXPECT_NE(summary.find(" 1 dropped"), std::string::npos) << summary;
}

TEST(ListeningAddresses, AnswersLeaveFromTheAddressThatWasAsked) {
  TestServer::Wish wish;
  wish.listening_ips = {IpAddress::v4(127, 0, 0, 1), IpAddress::v4(127, 0, 0, 2)};
  TestServer server(wish);
  for (const Address& asked : server.bound().udp) {
    TurnClient alice(over_udp(asked, Address{IpAddress::v4(127, 0, 0, 3), 0}), kUser, kPassword);
    ASSERT_TRUE(alice.binding());
    EXPECT_EQ(alice.transport().sender(), asked);
    ASSERT_EQ(alice.allocate(), 0);
    EXPECT_EQ(alice.transport().sender(), asked);
  }
  EXPECT_EQ(server.bound().udp.size(), 2u);
}

// The first of `count` UDP ports in a row that nobody holds now.
std::uint16_t free_ports(int count) {
  const IpAddress ip = IpAddress::loopback(Family::kIPv4);
  for (std::uint32_t first = 20000; first < 30000; first += static_cast<std::uint32_t>(count)) {
    bool free = true;
    for (int i = 0; free && i < count; ++i) {
      const auto port = static_cast<std::uint16_t>(first + static_cast<std::uint32_t>(i));
      free = UdpPeer::can_bind({ip, port});
    }
    if (free) return static_cast<std::uint16_t>(first);
  }
  return 0;
}

TEST(RelayPorts, TheWholeRangeIsUsedAndThenSaidToBeUsedUp) {
  const std::uint16_t first = free_ports(3);
  ASSERT_NE(first, 0);
  TestServer server({.min_port = first, .max_port = static_cast<std::uint16_t>(first + 2)});
  std::vector<TurnClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(server.client(Way::kUdp));
    ASSERT_EQ(clients.back().allocate(), 0);
    EXPECT_GE(clients.back().relayed().port, first);
    EXPECT_LE(clients.back().relayed().port, first + 2);
  }
  TurnClient late = server.client(Way::kUdp);
  EXPECT_EQ(late.allocate(), 508);
  ASSERT_EQ(clients.front().refresh(0), 0);
  EXPECT_EQ(late.allocate(), 0);
}

}  // namespace
}  // namespace turnpike::loopback
