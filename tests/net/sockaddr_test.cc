#include "net/sockaddr.h"

#include <gtest/gtest.h>

#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

TEST(SocketAddress, ReturnsTheAddressItWasMadeFrom) {
  for (const char* text : {"192.0.2.7:3478", "0.0.0.0:0", "[2001:db8::7]:65535", "[::]:1"}) {
    const Address address = *Address::parse(text);
    const SocketAddress made = to_sockaddr(address);
    EXPECT_EQ(from_sockaddr(made.raw()), address) << text;
    EXPECT_EQ(made.length, address.ip.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    sockaddr_in6 room;
    EXPECT_EQ(write_sockaddr(address, room), made.length);
    EXPECT_EQ(from_sockaddr(reinterpret_cast<const sockaddr*>(&room)), address);
  }
}

TEST(SocketAddress, MappedIpv4ComesOutAsIpv4) {
  std::array<std::uint8_t, 16> mapped{};
  mapped[10] = mapped[11] = 0xFF;
  mapped[12] = 192, mapped[14] = 2, mapped[15] = 7;
  const SocketAddress made = to_sockaddr({IpAddress::v6(mapped), 9});
  EXPECT_EQ(from_sockaddr(made.raw()), *Address::parse("192.0.2.7:9"));
}

TEST(SocketAddress, OtherFamiliesAreAFaultOfOurs) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // libuv has a thread by now
  EXPECT_DEATH(from_sockaddr(reinterpret_cast<const sockaddr*>(&storage)), "AF_INET6");
}

TEST(SocketAddress, ADescriptorWithoutAddressesHasNone) {
  EXPECT_EQ(local_address_of(-1), Address());
  EXPECT_EQ(remote_address_of(-1), Address());
  const UdpSocket socket;
  EXPECT_EQ(remote_address_of(socket.fd()), Address());
}

}  // namespace
}  // namespace turnpike::net
