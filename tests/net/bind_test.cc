#include "net/bind.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include "net/sockaddr.h"
#include "net/tcp_listener.h"
#include "net/udp_socket.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

const IpAddress kLoopback = IpAddress::loopback(Family::kIPv4);

TEST(Bind, APortInUseSaysSoAndAsksForAnotherServer) {
  const auto first = UdpListener::bind({.bind = {kLoopback, 0}});
  ASSERT_TRUE(first);
  const auto second = UdpListener::bind({.bind = (*first)->local()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "cannot bind udp " + (*first)->local().to_string() +
                                        ": address in use (is another server running?)");
}

TEST(Bind, ATcpPortInUseSaysSo) {
  const auto first = TcpListener::bind({.bind = {kLoopback, 0}});
  ASSERT_TRUE(first);
  const auto second = TcpListener::bind({.bind = (*first)->local()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "cannot bind tcp " + (*first)->local().to_string() +
                                        ": address in use (is another server running?)");
}

TEST(Bind, AnAddressOfAnotherMachineIsNamed) {
  const auto listener = UdpListener::bind({.bind = *Address::parse("198.51.100.77:0")});
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().message,
            "cannot bind udp 198.51.100.77:0: this machine has no such address (see `ip address`)");
}

TEST(Bind, WorkersShareAPortAndASecondServerIsRefused) {
  const auto first = UdpListener::bind({.bind = {kLoopback, 0}, .reuse_port = ReusePort::kYes});
  ASSERT_TRUE(first);
  const Address address = (*first)->local();
  const auto sibling = UdpListener::bind({.bind = address, .reuse_port = ReusePort::kYes});
  EXPECT_TRUE(sibling);
  const auto free = check_free(address, SOCK_DGRAM);
  ASSERT_FALSE(free);
  EXPECT_NE(free.error().message.find("is another server running?"), std::string::npos);
}

TEST(Bind, TcpWorkersShareAPortAndASecondServerIsRefused) {
  const auto first = TcpListener::bind({.bind = {kLoopback, 0}, .reuse_port = ReusePort::kYes});
  ASSERT_TRUE(first);
  const Address address = (*first)->local();
  const auto sibling = TcpListener::bind({.bind = address, .reuse_port = ReusePort::kYes});
  EXPECT_TRUE(sibling);
  EXPECT_FALSE(check_free(address, SOCK_STREAM));
}

TEST(Bind, AFreePortIsFreeAndTheProbeLeavesNothingBehind) {
  for (const int socktype : {SOCK_DGRAM, SOCK_STREAM}) {
    Address address;
    {
      const auto held = open_bound({kLoopback, 0}, socktype, ReusePort::kNo);
      ASSERT_TRUE(held);
      const Descriptor closes(*held);
      address = local_address_of(*held);
    }
    EXPECT_TRUE(check_free(address, socktype));
    EXPECT_TRUE(check_free(address, socktype));
  }
}

// The side that closes first keeps the port in TIME_WAIT; here that is the server's.
TEST(Bind, ConnectionsInTimeWaitDoNotRefuseARestart) {
  auto listener = TcpListener::bind({.bind = {kLoopback, 0}});
  ASSERT_TRUE(listener);
  const Address address = (*listener)->local();
  Loop loop;
  Descriptor accepted;
  (*listener)->start(loop, [&](int fd) { accepted = Descriptor(fd); });
  const SocketAddress where = to_sockaddr(address);
  Descriptor client(::socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(::connect(client.get(), where.raw(), where.length), 0);
  ASSERT_TRUE(turn_until(loop, [&] { return accepted.get() >= 0; }));
  accepted.close();
  client.close();
  listener->reset();
  EXPECT_TRUE(check_free(address, SOCK_STREAM));
  EXPECT_TRUE(TcpListener::bind({.bind = address}));
}

TEST(Bind, AWildcardOfOneFamilyLeavesTheOtherAlone) {
  const auto v6 = UdpListener::bind({.bind = *Address::parse("[::]:0")});
  if (!v6) GTEST_SKIP() << "no IPv6 here: " << v6.error().message;
  const std::uint16_t port = (*v6)->local().port;
  EXPECT_TRUE(UdpListener::bind({.bind = {IpAddress::any(Family::kIPv4), port}}));
}

TEST(Bind, EveryReasonHasASentence) {
  const Address address = *Address::parse("192.0.2.1:80");
  EXPECT_EQ(bind_sentence(address, SOCK_STREAM, EACCES),
            "cannot bind tcp 192.0.2.1:80: not permitted (ports below 1024 need root or "
            "CAP_NET_BIND_SERVICE)");
  EXPECT_EQ(bind_sentence(address, SOCK_DGRAM, EMFILE),
            "cannot bind udp 192.0.2.1:80: too many open files (raise the limit, see `ulimit -n`)");
  EXPECT_EQ(bind_sentence(address, SOCK_DGRAM, EAFNOSUPPORT),
            "cannot bind udp 192.0.2.1:80: this machine does not offer this address family");
  EXPECT_EQ(bind_sentence(address, SOCK_DGRAM, EIO),
            "cannot bind udp 192.0.2.1:80: Input/output error");
}

}  // namespace
}  // namespace turnpike::net
