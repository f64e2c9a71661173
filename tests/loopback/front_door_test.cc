// One port for everything, and everything that should not get in.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/random.h"
#include "tests/loopback/test_server.h"
#include "tests/loopback/web_client.h"

namespace turnpike::loopback {
namespace {

using Security = RawConnection::Security;

std::unique_ptr<RawConnection> plain(const Address& to) {
  return RawConnection::open(to, Security::kPlain);
}
std::unique_ptr<RawConnection> tls(const Address& to, const std::string& alpn = "") {
  return RawConnection::open(to, Security::kTls, alpn);
}

class FrontDoorOf : public testing::TestWithParam<std::uint32_t> {
 protected:
  FrontDoorOf() : server_({.workers = GetParam()}) {}
  TestServer server_;
};

INSTANTIATE_TEST_SUITE_P(Workers, FrontDoorOf, testing::Values(1u, 2u));

TEST_P(FrontDoorOf, OnePortSpeaksEverything) {
  EXPECT_TRUE(TurnClient(over_udp(server_.udp())).binding());
  EXPECT_TRUE(TurnClient(over_tcp(server_.tcp())).binding());
  EXPECT_TRUE(TurnClient(over_tls(server_.tcp())).binding());
  EXPECT_EQ(get(*plain(server_.tcp()), "/").status, 200);
  EXPECT_EQ(get(*tls(server_.tcp()), "/").status, 200);
  EXPECT_TRUE(WebSocket::open(plain(server_.tcp())));
  EXPECT_TRUE(WebSocket::open(tls(server_.tcp())));
}

TEST_P(FrontDoorOf, TheTlsPortSpeaksEverythingInsideTls) {
  EXPECT_TRUE(TurnClient(over_tls(server_.tls())).binding());
  EXPECT_EQ(get(*tls(server_.tls()), "/").status, 200);
  EXPECT_TRUE(WebSocket::open(tls(server_.tls())));
  const auto without = plain(server_.tls());
  ASSERT_TRUE(without->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_TRUE(without->closes());
}

TEST_P(FrontDoorOf, AnHttpPortSpeaksOnlyHttp) {
  EXPECT_EQ(get(*plain(server_.http()), "/").status, 200);
  EXPECT_TRUE(WebSocket::open(plain(server_.http())));
  EXPECT_FALSE(TurnClient(over_tcp(server_.http())).binding());
  EXPECT_EQ(tls(server_.http()), nullptr);
}

TEST_P(FrontDoorOf, AlpnBindsAConnectionToItsProtocol) {
  auto turn = over_tls(server_.tcp(), "stun.turn");
  ASSERT_NE(turn, nullptr);
  EXPECT_TRUE(TurnClient(std::move(turn)).binding());

  const auto web = tls(server_.tcp(), "http/1.1");
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(web->alpn(), "http/1.1");
  EXPECT_EQ(get(*web, "/").status, 200);

  const auto not_http = tls(server_.tcp(), "stun.turn");
  ASSERT_NE(not_http, nullptr);
  EXPECT_EQ(not_http->alpn(), "stun.turn");
  ASSERT_TRUE(not_http->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_TRUE(not_http->closes());

  auto not_turn = over_tls(server_.tcp(), "http/1.1");
  ASSERT_NE(not_turn, nullptr);
  EXPECT_FALSE(TurnClient(std::move(not_turn)).binding());
}

TEST_P(FrontDoorOf, ARequestSplitIntoSingleBytesIsStillOne) {
  const auto connection = plain(server_.tcp());
  const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (const char c : request.substr(0, request.size() - 1)) {
    ASSERT_TRUE(connection->write(std::string_view(&c, 1)));
  }
  EXPECT_EQ(ask(*connection, "\n").status, 200);
}

TEST_P(FrontDoorOf, GarbageOnEveryPortIsClosedAndTheServerGoesOn) {
  SeededRandom random(11);
  for (const auto& port : server_.bound().tcp) {
    for (const int first : {0x04, 0x15, 0x17, 0x3F, 0x80, 0xFF}) {
      Bytes garbage(64);
      random.fill(garbage);
      garbage[0] = static_cast<std::uint8_t>(first);
      const auto connection = plain(port.address);
      ASSERT_NE(connection, nullptr);
      ASSERT_TRUE(connection->write(ByteView(garbage)));
      EXPECT_TRUE(connection->closes()) << first;
    }
  }
  // Looks like STUN by its first byte and is not.
  const auto almost = plain(server_.tcp());
  ASSERT_TRUE(almost->write(ByteView(Bytes(64, 0x01))));
  EXPECT_TRUE(almost->closes());
  // A TLS record that is no handshake.
  Bytes record(64, 0x00);
  record[0] = 0x16;
  const auto no_tls = plain(server_.tcp());
  ASSERT_TRUE(no_tls->write(ByteView(record)));
  EXPECT_TRUE(no_tls->closes());

  const std::string turned_away = std::to_string(6 * server_.bound().tcp.size() + 2);
  EXPECT_NE(server_.runtime().summary().find(" " + turned_away + " turned away"), std::string::npos)
      << server_.runtime().summary();

  UdpPeer stranger(IpAddress::loopback(Family::kIPv4));
  for (std::size_t size = 0; size < 200; ++size) {
    Bytes garbage(size);
    random.fill(garbage);
    stranger.send(server_.udp(), garbage);
  }
  EXPECT_TRUE(TurnClient(over_udp(server_.udp())).binding());
  EXPECT_TRUE(TurnClient(over_tcp(server_.tcp())).binding());
}

TEST_P(FrontDoorOf, ClosingTheConnectionFreesItsAllocation) {
  for (const Way way : {Way::kTcp, Way::kTls}) {
    {
      TurnClient alice = server_.client(way);
      ASSERT_EQ(alice.allocate(), 0);
      EXPECT_EQ(server_.allocations(), 1u);
    }
    EXPECT_TRUE(server_.wait_for_allocations(0));
  }
}

TEST_P(FrontDoorOf, GarbageAfterAnAllocationEndsIt) {
  TurnClient alice = server_.client(Way::kTcp);
  ASSERT_EQ(alice.allocate(), 0);
  ASSERT_TRUE(alice.transport().send(Bytes(64, 0xFF)));
  EXPECT_TRUE(server_.wait_for_allocations(0));
}

TEST_P(FrontDoorOf, ManyConnectionsAtOnceAreAllServed) {
  constexpr int kConnections = 300;
  std::vector<TurnClient> clients;
  for (int i = 0; i < kConnections; ++i) {
    clients.push_back(server_.client(i % 10 == 0 ? Way::kTls : Way::kTcp));
  }
  for (TurnClient& client : clients) ASSERT_TRUE(client.binding());
  for (int i = 0; i < 60; ++i) ASSERT_EQ(clients[static_cast<std::size_t>(i)].allocate(), 0);
  EXPECT_EQ(server_.allocations(), 60u);
  for (TurnClient& client : clients) ASSERT_TRUE(client.binding());
  clients.clear();
  EXPECT_TRUE(server_.wait_for_allocations(0));
}

// The client stops reading; the server must neither buffer without bound nor stop serving others.
TEST_P(FrontDoorOf, ASlowReaderLosesDatagramsAndNothingElse) {
  UdpPeer peer(IpAddress::loopback(Family::kIPv4));
  TurnClient slow = server_.client(Way::kTcp);
  ASSERT_EQ(slow.allocate(), 0);
  ASSERT_EQ(slow.bind_channel(0x4001, peer.address()), 0);
  const Bytes packet(1400, 0x5A);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const auto dropped = [this] {
    return server_.runtime().summary().find(" 0 dropped") == std::string::npos;
  };
  while (!dropped() && std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 100; ++i) peer.send(slow.relayed(), packet);
  }
  EXPECT_TRUE(dropped());
  EXPECT_TRUE(server_.client(Way::kTcp).binding());
  // What was queued arrives whole: the stream was never cut inside a message.
  for (int i = 0; i < 100; ++i) {
    const auto got = slow.receive_data();
    ASSERT_TRUE(got);
    ASSERT_EQ(got->bytes, packet);
  }
}

TEST(StaticFolder, IsServedOnTheListeningPort) {
  TestServer::Wish wish;
  wish.static_dir = certificate_file().substr(0, certificate_file().rfind('/'));
  TestServer server(wish);
  const HttpAnswer found = get(*plain(server.tcp()), "/cert.pem");
  EXPECT_EQ(found.status, 200);
  EXPECT_NE(found.body.find("BEGIN CERTIFICATE"), std::string::npos);
  EXPECT_EQ(get(*plain(server.tcp()), "/nothing.here").status, 404);
  EXPECT_EQ(get(*plain(server.tcp()), "/%2e%2e/etc/passwd").status / 100, 4);
}

}  // namespace
}  // namespace turnpike::loopback
