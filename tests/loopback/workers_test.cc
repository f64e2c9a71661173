// Several workers behind one port, members that leave, and two servers that want the same port.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/loopback/test_server.h"
#include "tests/loopback/web_client.h"

namespace turnpike::loopback {
namespace {

using nlohmann::json;
using Security = RawConnection::Security;

TEST(Workers, ClientsAreSpreadOverAllOfThem) {
  constexpr int kClients = 64;
  TestServer server({.workers = 2, .quota = {.per_user = 0}});
  std::vector<TurnClient> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(server.client(i % 2 == 0 ? Way::kUdp : Way::kTcp));
    ASSERT_EQ(clients.back().allocate(), 0);
  }
  const auto each = server.runtime().allocations();
  ASSERT_EQ(each.size(), 2u);
  EXPECT_EQ(each[0] + each[1], std::uint64_t{kClients});
  // The kernel spreads by a hash of the flow: a worker with none of 64 is one chance in 2^63.
  EXPECT_GT(each[0], 0u);
  EXPECT_GT(each[1], 0u);
}

TEST(Workers, TheUsersQuotaCountsOnAllOfThemTogether) {
  constexpr std::uint32_t kQuota = 5;
  TestServer server({.workers = 2, .quota = {.per_user = kQuota}});
  std::vector<TurnClient> clients;
  std::uint32_t granted = 0, refused = 0;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(server.client(Way::kUdp));
    const int code = clients.back().allocate();
    granted += code == 0;
    refused += code == 486;
  }
  EXPECT_EQ(granted, kQuota);
  EXPECT_EQ(refused, 20 - kQuota);
}

TEST(Workers, ANonceOfOneIsGoodForTheOther) {
  TestServer server({.workers = 2});
  // One socket always reaches the same worker; connections do not. A nonce is bound to the client's
  // address and not to the worker, so every first Allocate needs exactly one challenge.
  for (int i = 0; i < 16; ++i) EXPECT_EQ(server.client(Way::kTcp).allocate(), 0);
}

class SecondServer : public testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Workers, SecondServer, testing::Values(1u, 2u));

TEST_P(SecondServer, OnTheSamePortsIsRefusedWithASentence) {
  TestServer first({.workers = GetParam()});
  server::Config config;
  config.listening_ips = {IpAddress::loopback(Family::kIPv4)};
  config.relay_ips = config.listening_ips;
  config.shared_secrets = {"test secret"};
  config.api_keys = {kApiKey};
  config.workers = GetParam();
  config.tls_listening_port = 0;
  server::Machine machine;
  machine.interfaces = {{"lo", IpAddress::loopback(Family::kIPv4), false}};
  for (const std::uint16_t taken : {first.udp().port, first.tcp().port}) {
    config.listening_port = taken;
    const auto plan = server::make_plan(config, machine, {});
    ASSERT_TRUE(plan);
    const auto second = server::Runtime::bind(*plan);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, server::kExitCannotListen);
    EXPECT_NE(second.error().message.find(std::to_string(taken)), std::string::npos)
        << second.error().message;
  }
}

TEST(RelayIp, ThatIsNotOursIsRefusedAtStart) {
  server::Config config;
  config.listening_ips = {IpAddress::loopback(Family::kIPv4)};
  config.listening_port = 0;
  config.tls_listening_port = 0;
  config.relay_ips = {IpAddress::v4(203, 0, 113, 77)};
  config.shared_secrets = {"test secret"};
  config.api_keys = {kApiKey};
  server::Machine machine;
  machine.interfaces = {{"lo", IpAddress::loopback(Family::kIPv4), false}};
  const auto plan = server::make_plan(config, machine, {});
  ASSERT_TRUE(plan);
  const auto runtime = server::Runtime::bind(*plan);
  ASSERT_FALSE(runtime);
  EXPECT_EQ(runtime.error().code, server::kExitCannotListen);
  EXPECT_NE(runtime.error().message.find("203.0.113.77"), std::string::npos);
}

// A member of a room, with the credential that it was given.
struct Member {
  std::unique_ptr<WebSocket> socket;
  std::string username, password;
};

Member join(const TestServer& server, Security security) {
  const Address web = security == Security::kTls ? server.tls() : server.tcp();
  const auto api = RawConnection::open(web, security);
  const HttpAnswer invited = post_json(*api, "/api/invitations", R"({"rooms":["demo"]})");
  const json body = json::parse(invited.body, nullptr, false);
  EXPECT_EQ(invited.status / 100, 2) << invited.body;
  Member member;
  member.socket = WebSocket::open(RawConnection::open(web, security));
  if (!member.socket) return member;
  const json request = {{"type", "join"}, {"room", "demo"}, {"invitation", body["invitation"]}};
  member.socket->send(request.dump());
  const auto joined = member.socket->receive_type("joined");
  if (!joined) return member;
  const json answer = json::parse(*joined);
  const json servers = answer.value("iceServers", json::array());
  for (const json& server_entry : servers) {
    if (!server_entry.contains("username")) continue;
    member.username = server_entry["username"];
    member.password = server_entry["credential"];
  }
  return member;
}

class LeavingMember : public testing::TestWithParam<std::tuple<std::uint32_t, Security>> {};
INSTANTIATE_TEST_SUITE_P(EveryWay, LeavingMember,
                         testing::Combine(testing::Values(1u, 2u),
                                          testing::Values(Security::kPlain, Security::kTls)));

TEST_P(LeavingMember, LosesItsAllocationsOnEveryWorkerAndItsCredential) {
  const auto [workers, security] = GetParam();
  TestServer server({.workers = workers});
  Member member = join(server, security);
  ASSERT_FALSE(member.username.empty());
  std::vector<TurnClient> clients;
  for (int i = 0; i < 12; ++i) {
    const Way way = i % 3 == 0 ? Way::kUdp : i % 3 == 1 ? Way::kTcp : Way::kTls;
    clients.push_back(server.client(way, member.username, member.password));
    ASSERT_EQ(clients.back().allocate(), 0);
  }
  TurnClient other = server.client(Way::kUdp);
  ASSERT_EQ(other.allocate(), 0);
  ASSERT_EQ(server.allocations(), 13u);

  ASSERT_TRUE(member.socket->send(R"({"type":"leave"})"));
  EXPECT_TRUE(server.wait_for_allocations(1));
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(server.client(Way::kUdp, member.username, member.password).allocate(), 401);
  }
  EXPECT_EQ(other.refresh(600), 0);
}

TEST_P(LeavingMember, ALostWebSocketIsNotALeave) {
  const auto [workers, security] = GetParam();
  TestServer server({.workers = workers});
  Member member = join(server, security);
  ASSERT_FALSE(member.username.empty());
  Member watcher = join(server, security);
  TurnClient client = server.client(Way::kUdp, member.username, member.password);
  ASSERT_EQ(client.allocate(), 0);
  member.socket.reset();
  ASSERT_TRUE(watcher.socket->receive_type("member-away"));
  EXPECT_EQ(client.refresh(600), 0);
  EXPECT_EQ(server.allocations(), 1u);
}

// More than one turn's budget of signaling, on the loop that relays as well: everybody gets in, and
// a relayed packet still passes in between.
TEST_P(LeavingMember, ACrowdJoinsAtOnceWhilePacketsAreRelayed) {
  constexpr int kCrowd = 150;
  const auto [workers, security] = GetParam();
  TestServer server({.workers = workers});
  UdpPeer peer(IpAddress::loopback(Family::kIPv4));
  TurnClient relayed = server.client(Way::kUdp);
  ASSERT_EQ(relayed.allocate(), 0);
  ASSERT_EQ(relayed.bind_channel(0x4001, peer.address()), 0);
  std::vector<std::unique_ptr<WebSocket>> crowd;
  for (int i = 0; i < kCrowd; ++i) {
    const Address web = security == Security::kTls ? server.tls() : server.tcp();
    crowd.push_back(WebSocket::open(RawConnection::open(web, security)));
    ASSERT_NE(crowd.back(), nullptr);
  }
  for (int i = 0; i < kCrowd; ++i) {
    const json request = {{"type", "join"}, {"room", "room-" + std::to_string(i % 5)}};
    ASSERT_TRUE(crowd[static_cast<std::size_t>(i)]->send(request.dump()));
    ASSERT_TRUE(relayed.send_channel(0x4001, Bytes(100, static_cast<std::uint8_t>(i))));
  }
  for (int i = 0; i < kCrowd; ++i) {
    const auto got = peer.receive();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->bytes.front(), static_cast<std::uint8_t>(i));
  }
  for (const auto& member : crowd) EXPECT_TRUE(member->receive_type("joined"));
}

TEST(Shutdown, TellsWebSocketsAndEndsWithEverythingClosed) {
  for (const std::uint32_t workers : {1u, 2u}) {
    TestServer server({.workers = workers});
    TurnClient udp = server.client(Way::kUdp);
    TurnClient tcp = server.client(Way::kTcp);
    ASSERT_EQ(udp.allocate(), 0);
    ASSERT_EQ(tcp.allocate(), 0);
    Member member = join(server, Security::kPlain);
    server.stop();
    EXPECT_EQ(server.allocations(), 0u);
    EXPECT_TRUE(member.socket->connection().closes());
  }
}

}  // namespace
}  // namespace turnpike::loopback
