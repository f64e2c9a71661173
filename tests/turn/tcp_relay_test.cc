// TCP allocations (RFC 6062) as conversations with the state machine.
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::Method;

const Address kPeer = address("203.0.113.9:8080");

HouseRules with_tcp(std::function<void(Settings&)> more = {}) {
  HouseRules rules;
  rules.peers.allowed = {*IpRange::parse("203.0.113.0/24")};
  rules.adjust = [more](Settings& settings) {
    settings.tcp_relay = true;
    if (more) more(settings);
  };
  return rules;
}

void ask_for_tcp(Builder& builder) { builder.requested_transport(stun::kProtocolTcp); }

Guest::Fill peer_of(const Address& peer) {
  return [peer](Builder& builder) { builder.xor_address(Attribute::kXorPeerAddress, peer); };
}
Guest::Fill connection(std::uint32_t id) {
  return [id](Builder& builder) { builder.u32(Attribute::kConnectionId, id); };
}

// A client with a TCP allocation, and the connections it opens besides.
class TcpGuest {
 public:
  explicit TcpGuest(RelayHouse& house, std::string_view remote = "198.51.100.7:4000",
                    std::string name = "alice", std::string password = "secret")
      : control(house, remote, name, password, Transport::kTcp), house_(house) {
    control.path.stream = ++streams_;
  }

  Reply allocate() {
    const Reply reply = control.ask(Method::kAllocate, ask_for_tcp);
    if (reply.success()) control.relayed = reply.relayed();
    return reply;
  }
  // The answer waits for the connection; the one that comes at once is an error.
  Reply connect(const Address& peer) {
    const Bytes request = control.request(Method::kConnect, peer_of(peer));
    house_.sink.clients_got.clear();
    control.deliver(request);
    return last();
  }
  Reply connected(DataName data, ConnectOutcome outcome = ConnectOutcome::kConnected) {
    house_.sink.clients_got.clear();
    house_.server->on_connected(house_.now, data, outcome, house_.sink);
    return last();
  }
  // Connects and is told the CONNECTION-ID.
  std::uint32_t open(const Address& peer) {
    EXPECT_TRUE(connect(peer).silent());
    const Reply reply = connected(house_.sink.connects.back().data);
    EXPECT_TRUE(reply.success());
    return reply.view().u32(Attribute::kConnectionId).value_or(0);
  }
  Guest another(std::string name = "alice", std::string password = "secret") {
    Guest guest(house_, "198.51.100.7:" + std::to_string(5000 + ++streams_), name, password,
                Transport::kTcp);
    guest.path.stream = streams_;
    return guest;
  }
  Reply last() const {
    return house_.sink.clients_got.empty() ? Reply()
                                           : Reply(house_.sink.clients_got.back().message);
  }

  Guest control;

 private:
  RelayHouse& house_;
  static inline std::uint64_t streams_ = 100;
};

TEST(TcpAllocation, IsRefusedWith442WhenSwitchedOff) {
  RelayHouse house;
  TcpGuest guest(house);
  EXPECT_EQ(guest.allocate().code(), 442);
}

TEST(TcpAllocation, ItsRequestsAreUnknownMethodsWhenSwitchedOff) {
  RelayHouse house;
  TcpGuest guest(house);
  guest.control.allocate();
  EXPECT_TRUE(
      guest.control.exchange(guest.control.request(Method::kConnect, peer_of(kPeer))).silent());
}

TEST(TcpAllocation, OpensATcpRelay) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  ASSERT_TRUE(guest.allocate().success());
  EXPECT_EQ(house.sink.last_wish.protocol, RelayProtocol::kTcp);
  EXPECT_TRUE(house.sink.live_tcp.is_live(guest.control.relayed));
  EXPECT_FALSE(house.live.is_live(guest.control.relayed));
}

TEST(TcpAllocation, NeedsAStreamAsControlConnection) {
  RelayHouse house(with_tcp());
  Guest guest(house, "198.51.100.7:4000");
  EXPECT_EQ(guest.ask(Method::kAllocate, ask_for_tcp).code(), 400);
}

TEST(TcpAllocation, RefusesWhatIsAboutDatagrams) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  EXPECT_EQ(guest.control
                .ask(Method::kAllocate,
                     [](Builder& builder) {
                       ask_for_tcp(builder);
                       builder.bytes(Attribute::kEvenPort, Bytes{0});
                     })
                .code(),
            400);
}

TEST(TcpAllocation, OtherProtocolsAre442) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  EXPECT_EQ(guest.control
                .ask(Method::kAllocate, [](Builder& builder) { builder.requested_transport(132); })
                .code(),
            442);
}

TEST(TcpAllocation, CarriesNoDatagramsAndBindsNoChannels) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  ASSERT_TRUE(guest.control.permit({kPeer}).success());
  guest.control.send(kPeer, bytes_of("hello"));
  EXPECT_TRUE(house.sink.peers_got.empty());
  EXPECT_EQ(guest.control.bind(0x4000, kPeer).code(), 403);
}

TEST(Connect, AnswersWhenTheConnectionStands) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  EXPECT_TRUE(guest.connect(kPeer).silent());
  ASSERT_EQ(house.sink.connects.size(), 1u);
  EXPECT_EQ(house.sink.connects[0].peer, kPeer);
  EXPECT_EQ(house.sink.connects[0].relay, house.sink.open_relays[0].handle);
  const Reply reply = guest.connected(house.sink.connects[0].data);
  ASSERT_TRUE(reply.success());
  EXPECT_TRUE(reply.view().has(Attribute::kMessageIntegrity));
  EXPECT_TRUE(reply.view().u32(Attribute::kConnectionId).has_value());
}

TEST(Connect, FailureIs447AndFreesThePeer) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  guest.connect(kPeer);
  const Reply reply = guest.connected(house.sink.connects[0].data, ConnectOutcome::kFailed);
  EXPECT_EQ(reply.code(), 447);
  EXPECT_TRUE(reply.view().has(Attribute::kMessageIntegrity));
  EXPECT_EQ(house.server->audit().data_connections, 0u);
  house.sink.next_connect_fails = true;
  EXPECT_EQ(guest.connect(kPeer).code(), 447);
  EXPECT_EQ(house.server->audit().data_connections, 0u);
}

TEST(Connect, TimesOutWith447AfterThirtySecondsAndNotBefore) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  guest.connect(kPeer);
  house.sink.clients_got.clear();
  house.pass(seconds(29));
  EXPECT_TRUE(guest.last().silent());
  house.pass(seconds(2));
  EXPECT_EQ(guest.last().code(), 447);
  EXPECT_EQ(house.sink.closed_data.size(), 1u);
  // What the driver learns now comes too late.
  EXPECT_TRUE(guest.connected(house.sink.connects[0].data).silent());
}

TEST(Connect, TheSamePeerTwiceIs446InEveryState) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  guest.connect(kPeer);
  EXPECT_EQ(guest.connect(kPeer).code(), 446);
  const Reply reply = guest.connected(house.sink.connects[0].data);
  EXPECT_EQ(guest.connect(kPeer).code(), 446);
  Guest client = guest.another();
  const std::uint32_t id = *reply.view().u32(Attribute::kConnectionId);
  ASSERT_TRUE(client.ask(Method::kConnectionBind, connection(id)).success());
  EXPECT_EQ(guest.connect(kPeer).code(), 446);
  house.server->on_data_ended(house.sink.connects[0].data);
  EXPECT_TRUE(guest.connect(kPeer).silent());
}

TEST(Connect, JudgesThePeer) {
  RelayHouse house(with_tcp([](Settings& settings) {
    settings.allowed_low_tcp_ports = {{80, 80}, {440, 450}};
  }));
  TcpGuest guest(house);
  EXPECT_EQ(guest.control.ask(Method::kConnect, peer_of(kPeer)).code(), 437);
  guest.allocate();
  EXPECT_EQ(guest.control.ask(Method::kConnect).code(), 400);
  EXPECT_EQ(guest.connect(address("203.0.113.9:0")).code(), 400);
  EXPECT_EQ(guest.connect(address("127.0.0.1:8080")).code(), 403);
  EXPECT_EQ(guest.connect(address("169.254.169.254:8080")).code(), 403);
  EXPECT_EQ(guest.connect(address("[2600::5]:8080")).code(), 443);
  EXPECT_EQ(guest.connect(address("203.0.113.9:25")).code(), 403);
  EXPECT_EQ(guest.connect(address("203.0.113.9:1023")).code(), 403);
  EXPECT_EQ(guest.connect(address("203.0.113.9:451")).code(), 403);
  EXPECT_TRUE(guest.connect(address("203.0.113.9:80")).silent());
  EXPECT_TRUE(guest.connect(address("203.0.113.9:450")).silent());
  EXPECT_TRUE(guest.connect(address("203.0.113.9:1024")).silent());
}

TEST(Connect, ReachesOurOwnAddressesOnlyAtLiveTcpRelays) {
  HouseRules rules = with_tcp();
  rules.peers.own = {ip("198.18.0.1")};
  RelayHouse house(rules);
  TcpGuest guest(house);
  TcpGuest other(house, "198.51.100.8:4000", "bob", "hush");
  guest.allocate();
  other.allocate();
  Guest datagrams(house, "198.51.100.9:4000");
  datagrams.allocate();
  EXPECT_EQ(guest.connect(address("198.18.0.1:22222")).code(), 403);
  EXPECT_EQ(guest.connect(datagrams.relayed).code(), 403);
  EXPECT_EQ(guest.connect(guest.control.relayed).code(), 403);
  EXPECT_TRUE(guest.connect(other.control.relayed).silent());
}

TEST(Connect, OfAnotherUsersAllocationIs441) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  guest.control.username = "bob";
  guest.control.password = "hush";
  EXPECT_EQ(guest.connect(kPeer).code(), 441);
}

TEST(Connect, AnAllocationForDatagramsHasNone) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.control.allocate();
  EXPECT_EQ(guest.connect(kPeer).code(), 437);
}

TEST(Connect, ConnectionsOfAnAllocationAreBounded) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  for (std::uint32_t i = 0; i < kMaxDataConnectionsPerAllocation; ++i) {
    if (i % 10 == 0) house.pass(seconds(1));
    ASSERT_TRUE(guest.connect({kPeer.ip, static_cast<std::uint16_t>(2000 + i)}).silent()) << i;
  }
  house.pass(seconds(1));
  EXPECT_EQ(guest.connect(kPeer).code(), 508);
}

TEST(Connect, ConnectionsOfAllAreBounded) {
  RelayHouse house(with_tcp([](Settings& settings) { settings.max_data_connections = 2; }));
  TcpGuest guest(house);
  guest.allocate();
  guest.connect(address("203.0.113.1:2000"));
  guest.connect(address("203.0.113.2:2000"));
  EXPECT_EQ(guest.connect(address("203.0.113.3:2000")).code(), 508);
}

TEST(Connect, AttemptsInARowAreBounded) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  const auto attempt = [&] {
    house.sink.next_connect_fails = true;
    return guest.connect(kPeer).code();
  };
  for (int i = 0; i < 50; ++i) ASSERT_EQ(attempt(), 447) << i;
  EXPECT_EQ(attempt(), 508);
  house.pass(seconds(1));
  EXPECT_EQ(attempt(), 447);
}

TEST(ConnectionBind, SplicesOnceAndOnlyForTheSameUser) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  const std::uint32_t id = guest.open(kPeer);
  Guest bob = guest.another("bob", "hush");
  EXPECT_EQ(bob.ask(Method::kConnectionBind, connection(id)).code(), 441);
  Guest client = guest.another();
  ASSERT_TRUE(client.ask(Method::kConnectionBind, connection(id)).success());
  ASSERT_EQ(house.sink.splices.size(), 1u);
  EXPECT_EQ(house.sink.splices[0].first, house.sink.connects[0].data);
  EXPECT_EQ(house.sink.splices[0].second, client.path);
  Guest late = guest.another();
  EXPECT_EQ(late.ask(Method::kConnectionBind, connection(id)).code(), 400);
}

TEST(ConnectionBind, WithoutAKnownIdIs400) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  const std::uint32_t id = guest.open(kPeer);
  Guest client = guest.another();
  EXPECT_EQ(client.ask(Method::kConnectionBind).code(), 400);
  EXPECT_EQ(client.ask(Method::kConnectionBind, connection(id + 1)).code(), 400);
  EXPECT_EQ(guest.control.ask(Method::kConnectionBind, connection(id)).code(), 400);
  Guest on_udp(house, "198.51.100.7:7000");
  EXPECT_EQ(on_udp.ask(Method::kConnectionBind, connection(id)).code(), 400);
  EXPECT_TRUE(house.sink.splices.empty());
}

TEST(ConnectionBind, IsHandedToTheWorkerThatTheIdNames) {
  HouseRules rules = with_tcp();
  rules.worker = 2;
  rules.workers = 4;
  RelayHouse house(rules);
  TcpGuest guest(house);
  guest.allocate();
  const std::uint32_t id = guest.open(kPeer);
  EXPECT_EQ(id % 4, 2u);
  Guest client = guest.another();
  const Bytes request = client.request(Method::kConnectionBind, connection(id + 1));
  house.sink.clients_got.clear();
  client.deliver(request);
  EXPECT_TRUE(house.sink.clients_got.empty());
  ASSERT_EQ(house.sink.handed_over.size(), 1u);
  EXPECT_EQ(house.sink.handed_over[0].first, client.path);
  EXPECT_EQ(house.sink.handed_over[0].second, 3u);
}

TEST(ConnectionBind, TooLateIs400AndThePeerWasClosed) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  const std::uint32_t id = guest.open(kPeer);
  house.pass(seconds(31));
  EXPECT_EQ(house.sink.closed_data.size(), 1u);
  Guest client = guest.another();
  EXPECT_EQ(client.ask(Method::kConnectionBind, connection(id)).code(), 400);
}

TEST(ConnectionBind, WhatIsBoundHasNoDeadline) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  const std::uint32_t id = guest.open(kPeer);
  Guest client = guest.another();
  ASSERT_TRUE(client.ask(Method::kConnectionBind, connection(id)).success());
  house.pass(seconds(300));
  EXPECT_TRUE(house.sink.closed_data.empty());
  EXPECT_EQ(house.server->audit().data_connections, 1u);
}

// A pair that is joined: its name.
DataName join(TcpGuest& guest, RelayHouse& house, const Address& peer) {
  Guest client = guest.another();
  EXPECT_TRUE(client.ask(Method::kConnectionBind, connection(guest.open(peer))).success());
  return house.sink.splices.back().first;
}

TEST(DataBandwidth, WithoutLimitsNobodyWaits) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  const DataName data = join(guest, house, kPeer);
  EXPECT_EQ(house.server->on_data(house.now, data, Direction::kToPeer, 1u << 30), house.now.mono);
}

TEST(DataBandwidth, ConnectionsOfAnAllocationShareItsLimitInEachDirection) {
  RelayHouse house(with_tcp([](Settings& settings) { settings.max_bps = 1000; }));
  TcpGuest guest(house);
  guest.allocate();
  const DataName one = join(guest, house, kPeer);
  const DataName two = join(guest, house, address("203.0.113.9:8081"));
  const MonoTime now = house.now.mono;
  const auto read = [&](DataName data, Direction direction, std::size_t bytes) {
    return house.server->on_data(house.now, data, direction, bytes) - now;
  };
  EXPECT_LE(read(one, Direction::kToPeer, 500), Duration(0));  // half a second comes ahead
  EXPECT_EQ(read(one, Direction::kToPeer, 2000), seconds(2));
  EXPECT_EQ(read(two, Direction::kToPeer, 0), seconds(2));
  EXPECT_LE(read(two, Direction::kToClient, 100), Duration(0));

  TcpGuest other(house, "198.51.100.8:4000");
  other.allocate();
  const DataName its = join(other, house, kPeer);
  EXPECT_LE(read(its, Direction::kToPeer, 100), Duration(0));
}

TEST(DataBandwidth, WaitsUntilTheServerHasSomeLeftAndThenPaysForAllThatWasRead) {
  struct Pool final : BandwidthPool {
    std::uint64_t lease(Direction, std::uint64_t wanted, MonoTime) override {
      if (left < wanted) return 0;
      left -= wanted;
      return wanted;
    }
    std::uint64_t left = 1000;
  } pool;
  HouseRules rules = with_tcp();
  rules.bandwidth = &pool;
  RelayHouse house(rules);
  TcpGuest guest(house);
  guest.allocate();
  const DataName data = join(guest, house, kPeer);
  const auto waits = [&](std::size_t bytes) {
    const MonoTime until = house.server->on_data(house.now, data, Direction::kToPeer, bytes);
    return until > house.now.mono;
  };
  EXPECT_FALSE(waits(900));
  EXPECT_TRUE(waits(900));
  house.pass(milliseconds(20));
  EXPECT_TRUE(waits(0));
  pool.left = 1000;
  house.pass(milliseconds(20));
  EXPECT_FALSE(waits(0));
  EXPECT_EQ(pool.left, 100u);
  EXPECT_FALSE(waits(0)) << "nothing is paid for twice";
  EXPECT_EQ(pool.left, 100u);
}

TEST(DataBandwidth, OfAConnectionThatIsGoneIsNobodys) {
  RelayHouse house(with_tcp([](Settings& settings) { settings.max_bps = 1; }));
  TcpGuest guest(house);
  guest.allocate();
  const DataName data = join(guest, house, kPeer);
  house.server->on_data_ended(data);
  EXPECT_EQ(house.server->on_data(house.now, data, Direction::kToPeer, 1000), house.now.mono);
}

TEST(IncomingPeer, IsTurnedAwayWithoutAPermission) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  const std::uint64_t owner = house.sink.open_relays[0].owner;
  house.sink.clients_got.clear();
  EXPECT_FALSE(house.server->on_accepted(house.now, owner, kPeer, house.sink));
  EXPECT_TRUE(house.sink.clients_got.empty());
}

TEST(IncomingPeer, IsToldByConnectionAttemptAndBound) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  guest.control.permit({{kPeer.ip, 0}});
  const std::uint64_t owner = house.sink.open_relays[0].owner;
  const DataName data = house.server->on_accepted(house.now, owner, kPeer, house.sink);
  ASSERT_TRUE(data);
  const Reply told = guest.last();
  const stun::MessageView attempt = told.view();
  EXPECT_TRUE(attempt.is(Class::kIndication, Method::kConnectionAttempt));
  EXPECT_EQ(attempt.xor_address(Attribute::kXorPeerAddress), kPeer);
  Guest client = guest.another();
  const auto id = attempt.u32(Attribute::kConnectionId);
  ASSERT_TRUE(id.has_value());
  EXPECT_TRUE(client.ask(Method::kConnectionBind, connection(*id)).success());
  EXPECT_EQ(house.sink.splices[0].first, data);
}

TEST(IncomingPeer, UnboundForThirtySecondsIsClosed) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  guest.control.permit({kPeer});
  const DataName data =
      house.server->on_accepted(house.now, house.sink.open_relays[0].owner, kPeer, house.sink);
  house.pass(seconds(29));
  EXPECT_TRUE(house.sink.closed_data.empty());
  house.pass(seconds(2));
  EXPECT_EQ(house.sink.closed_data, std::vector{data});
}

// Everything that an allocation ends by closes its data connections, in whatever state.
class TcpEnding : public ::testing::TestWithParam<std::string> {};

TEST_P(TcpEnding, ClosesEveryDataConnection) {
  RelayHouse house(with_tcp());
  TcpGuest guest(house);
  guest.allocate();
  const std::uint32_t id = guest.open(address("203.0.113.1:2000"));
  Guest client = guest.another();
  ASSERT_TRUE(client.ask(Method::kConnectionBind, connection(id)).success());
  if (GetParam() == "expiry") house.pass(seconds(590));
  guest.open(address("203.0.113.2:2000"));
  guest.connect(address("203.0.113.3:2000"));
  ASSERT_EQ(house.server->audit().data_connections, 3u);

  if (GetParam() == "refresh zero") guest.control.refresh(0);
  if (GetParam() == "control connection gone") {
    house.server->on_client_gone(house.now, guest.control.path, house.sink);
  }
  if (GetParam() == "expiry") house.pass(seconds(11));
  if (GetParam() == "revocation") {
    house.server->revoke(house.now, "alice", house.now.wall + seconds(60), house.sink);
  }
  if (GetParam() == "shutdown") house.server->shut_down(house.now, house.sink);

  EXPECT_EQ(house.sink.closed_data.size(), 3u);
  EXPECT_TRUE(house.sink.open_relays.empty());
  EXPECT_EQ(house.server->audit().data_connections, 0u);
  EXPECT_EQ(house.quota.total(), 0u);
  EXPECT_EQ(house.server->statistics().data_connections.read(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Ways, TcpEnding,
                         ::testing::Values("refresh zero", "control connection gone", "expiry",
                                           "revocation", "shutdown"),
                         [](const auto& way) {
                           std::string name = way.param;
                           std::erase(name, ' ');
                           return name;
                         });

}  // namespace
}  // namespace turnpike::turn
