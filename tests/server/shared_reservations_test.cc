// The table of reserved relay ports that all workers share.
#include "server/shared_reservations.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <set>
#include <string>

#include "net/bind.h"
#include "net/sockaddr.h"

namespace turnpike::server {
namespace {

const turn::QuotaSubject kAlice{"alice", IpAddress::v4(203, 0, 113, 5)};

struct Reservations : testing::Test {
  SharedReservations::Socket bound() {
    const auto fd =
        net::open_bound({IpAddress::loopback(Family::kIPv4), 0}, SOCK_DGRAM, net::ReusePort::kNo);
    EXPECT_TRUE(fd);
    return {*fd, net::local_address_of(*fd)};
  }
  static bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }
  static bool is_free(const Address& address) {
    return net::check_free(address, SOCK_DGRAM).has_value();
  }
  SystemRandom random;
  SharedReservations table{random};
  int adopted = -1;
  SharedReservations::Adopt adopt = [this](const SharedReservations::Socket& socket) {
    adopted = socket.fd;
    return Expected<turn::Relay, turn::RelayError>(turn::Relay{{7}, socket.local});
  };
};

TEST_F(Reservations, ClaimHandsTheBoundDescriptorOver) {
  const auto socket = bound();
  const auto token = table.add(socket, kAlice);
  ASSERT_NE(token, 0u);
  const auto claimed = table.claim(token, "alice", adopt);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(adopted, socket.fd);
  EXPECT_EQ(claimed->relay.address, socket.local);
  EXPECT_EQ(claimed->charged_for, kAlice.client);
  EXPECT_TRUE(is_open(socket.fd));
  EXPECT_FALSE(is_free(socket.local));
  EXPECT_FALSE(table.drop(token)) << "it was claimed";
  EXPECT_TRUE(is_open(socket.fd));
  EXPECT_FALSE(table.claim(token, "alice", adopt));
  ::close(socket.fd);
}

TEST_F(Reservations, FailedClaimLeavesItForAnother) {
  const auto token = table.add(bound(), kAlice);
  const auto refuse = [](const auto&) -> Expected<turn::Relay, turn::RelayError> {
    return unexpected(turn::RelayError::kNoResources);
  };
  EXPECT_FALSE(table.claim(token, "alice", refuse));
  EXPECT_FALSE(table.claim(token, "bob", adopt));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_TRUE(table.claim(token, "alice", adopt));
  ::close(adopted);
}

TEST_F(Reservations, DropFreesThePort) {
  const auto socket = bound();
  const auto token = table.add(socket, kAlice);
  EXPECT_TRUE(table.drop(token));
  EXPECT_TRUE(is_free(socket.local));
  EXPECT_FALSE(table.drop(token));
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(Reservations, EachUserMayKeepSoMany) {
  std::set<turn::ReservationToken> tokens;
  for (std::uint32_t i = 0; i < SharedReservations::kMaxPerUser; ++i) {
    tokens.insert(table.add(bound(), kAlice));
  }
  EXPECT_EQ(tokens.size(), SharedReservations::kMaxPerUser);
  EXPECT_FALSE(tokens.contains(0));
  const auto one_more = bound();
  EXPECT_EQ(table.add(one_more, kAlice), 0u);
  EXPECT_TRUE(is_open(one_more.fd)) << "it stays the caller's";
  EXPECT_NE(table.add(one_more, {"bob", kAlice.client}), 0u);
  EXPECT_TRUE(table.drop(*tokens.begin()));
  EXPECT_NE(table.add(bound(), kAlice), 0u);
}

TEST_F(Reservations, AllTogetherMayKeepSoMany) {
  // No descriptor is needed to be counted; these are never closed, for they are claimed.
  std::vector<turn::ReservationToken> tokens;
  for (std::size_t i = 0; i < SharedReservations::kMaximum; ++i) {
    tokens.push_back(table.add({-1, {}}, {std::to_string(i), kAlice.client}));
  }
  EXPECT_EQ(table.add({-1, {}}, kAlice), 0u);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_TRUE(table.claim(tokens[i], std::to_string(i), adopt));
  }
  EXPECT_NE(table.add(bound(), kAlice), 0u);
}

TEST_F(Reservations, TheEndOfTheTableClosesWhatItKeeps) {
  SharedReservations::Socket socket;
  {
    SharedReservations brief(random);
    socket = bound();
    EXPECT_NE(brief.add(socket, kAlice), 0u);
  }
  EXPECT_TRUE(is_free(socket.local));
}

}  // namespace
}  // namespace turnpike::server
