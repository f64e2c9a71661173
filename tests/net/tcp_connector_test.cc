#include "net/tcp_connector.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "net/sockaddr.h"
#include "net/tcp_listener.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

const Address kAnyPort{IpAddress::loopback(Family::kIPv4), 0};

std::unique_ptr<TcpListener> listen_on(const Address& address) {
  TcpListener::Wish wish;
  wish.bind = address;
  auto listener = TcpListener::bind(wish);
  EXPECT_TRUE(listener.has_value());
  return std::move(*listener);
}

TEST(TcpConnector, ConnectsFromTheAddressThatAListenerHolds) {
  Loop loop;
  const auto relay = listen_on(kAnyPort);
  relay->share_port();
  const auto peer = listen_on(kAnyPort);
  const auto second = listen_on(kAnyPort);
  std::vector<Descriptor> accepted;
  std::vector<Descriptor> connected;
  const auto take = [&](int fd) { accepted.emplace_back(fd); };
  relay->start(loop, take);
  peer->start(loop, take);
  second->start(loop, take);
  const auto done = [&](int fd) { connected.emplace_back(fd); };
  const auto one = TcpConnector::start(loop, relay->local(), peer->local(), done);
  const auto two = TcpConnector::start(loop, relay->local(), second->local(), done);
  ASSERT_TRUE(one && two);
  ASSERT_TRUE(turn_until(loop, [&] { return accepted.size() == 2 && connected.size() == 2; }));
  for (const Descriptor& fd : accepted) EXPECT_EQ(remote_address_of(fd.get()), relay->local());
  for (const Descriptor& fd : connected) EXPECT_EQ(local_address_of(fd.get()), relay->local());
}

// Relays of other workers draw from the same ports: what is taken must stay taken.
TEST(TcpConnector, ASharedPortCannotBeBoundByAnotherListener) {
  const auto relay = listen_on(kAnyPort);
  relay->share_port();
  TcpListener::Wish wish;
  wish.bind = relay->local();
  EXPECT_FALSE(TcpListener::bind(wish).has_value());
}

TEST(TcpConnector, TellsARefusal) {
  Loop loop;
  auto nobody = listen_on(kAnyPort);
  const Address to = nobody->local();
  nobody.reset();
  std::optional<int> outcome;
  const auto connector = TcpConnector::start(loop, kAnyPort, to, [&](int fd) { outcome = fd; });
  if (connector) {
    ASSERT_TRUE(turn_until(loop, [&] { return outcome.has_value(); }));
  }
  EXPECT_EQ(outcome.value_or(-1), -1);
}

TEST(TcpConnector, MayBeDestroyedByItsOwnCallAndBeforeIt) {
  Loop loop;
  const auto peer = listen_on(kAnyPort);
  bool called = false;
  std::unique_ptr<TcpConnector> connector;
  connector = TcpConnector::start(loop, kAnyPort, peer->local(), [&](int fd) {
    const Descriptor closes(fd);
    called = true;
    connector.reset();
  });
  auto given_up = TcpConnector::start(loop, kAnyPort, peer->local(),
                                      [](int) { FAIL() << "called after it was destroyed"; });
  given_up.reset();
  EXPECT_TRUE(turn_until(loop, [&] { return called; }));
}

}  // namespace
}  // namespace turnpike::net
