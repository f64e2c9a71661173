// EVEN-PORT with its R bit, and RESERVATION-TOKEN (RFC 8656 section 7.2).
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

void reserving(stun::Builder& b) { b.bytes(Attribute::kEvenPort, Bytes{0x80}); }

std::optional<ReservationToken> token_of(const Reply& reply) {
  const auto value = reply.view().value(Attribute::kReservationToken);
  if (!value || value->size() != 8) return std::nullopt;
  return Reader(*value).u64();
}

struct Reserve : testing::Test {
  static HouseRules rules(std::uint32_t per_user = 64, std::uint32_t total = 0) {
    HouseRules rules;
    rules.quota = {.per_user = per_user, .total = total};
    return rules;
  }
  Reply claim(Guest& who, ReservationToken token) {
    return who.allocate([token](stun::Builder& b) { b.u64(Attribute::kReservationToken, token); });
  }
  void expect_nothing_left() {
    EXPECT_EQ(house.server->audit().reservations, 0u);
    EXPECT_TRUE(house.sink.reservations.empty());
    EXPECT_EQ(house.quota.total(), 0u);
  }

  RelayHouse house{rules()};
  Guest guest{house, "203.0.113.5:4000"};
  Guest other{house, "203.0.113.6:4001"};
};

TEST_F(Reserve, GivesAnEvenPortAndATokenForTheNext) {
  const Reply reply = guest.allocate(reserving);
  ASSERT_TRUE(reply.success());
  EXPECT_EQ(reply.relayed().port % 2, 0);
  const auto token = token_of(reply);
  ASSERT_TRUE(token);
  const Reply next = claim(other, *token);
  ASSERT_TRUE(next.success());
  EXPECT_EQ(next.relayed().ip, reply.relayed().ip);
  EXPECT_EQ(next.relayed().port, reply.relayed().port + 1);
  EXPECT_FALSE(token_of(next));
}

TEST_F(Reserve, RetransmissionGetsTheSameToken) {
  const Bytes request = guest.request(Method::kAllocate, [](stun::Builder& b) {
    b.requested_transport(stun::kProtocolUdp);
    reserving(b);
  });
  const Reply first = guest.exchange(request);
  ASSERT_TRUE(token_of(first));
  EXPECT_EQ(guest.exchange(request).bytes(), first.bytes());
  EXPECT_EQ(house.sink.reservations.size(), 1u);
  ASSERT_TRUE(claim(other, *token_of(first)).success());
  EXPECT_EQ(guest.exchange(request).bytes(), first.bytes());
}

TEST_F(Reserve, TokenIsGoodForOnce) {
  const auto token = token_of(guest.allocate(reserving));
  ASSERT_TRUE(claim(other, *token).success());
  Guest third(house, "203.0.113.7:4000");
  EXPECT_EQ(claim(third, *token).code(), 508);
}

TEST_F(Reserve, TokenThatNobodyGaveIsInsufficientCapacity) {
  EXPECT_EQ(claim(guest, 0x0102030405060708).code(), 508);
  EXPECT_EQ(claim(guest, 0).code(), 508);
  EXPECT_EQ(house.server->audit().allocations, 0u);
  expect_nothing_left();
}

TEST_F(Reserve, TokenOfAnotherUserIsInsufficientCapacity) {
  const auto token = token_of(guest.allocate(reserving));
  Guest bob(house, "203.0.113.7:4000", "bob", "hush");
  EXPECT_EQ(claim(bob, *token).code(), 508);
  EXPECT_TRUE(claim(other, *token).success());
}

TEST_F(Reserve, TokenStandsAloneOrIsABadRequest) {
  const auto token = token_of(guest.allocate(reserving));
  const std::vector<Guest::Fill> beside = {
      [](stun::Builder& b) { b.bytes(Attribute::kEvenPort, Bytes{0}); },
      [](stun::Builder& b) { b.requested_address_family(Family::kIPv4); },
      [](stun::Builder& b) { b.u32(Attribute::kAdditionalAddressFamily, 0x02000000); }};
  for (const Guest::Fill& fill : beside) {
    const auto with_token = [&](stun::Builder& b) {
      b.u64(Attribute::kReservationToken, *token);
      fill(b);
    };
    EXPECT_EQ(other.allocate(with_token).code(), 400);
  }
  const auto short_token = [](stun::Builder& b) {
    b.bytes(Attribute::kReservationToken, Bytes{1, 2, 3, 4});
  };
  EXPECT_EQ(other.allocate(short_token).code(), 400);
  EXPECT_TRUE(claim(other, *token).success());
}

TEST_F(Reserve, IsKeptForThirtySecondsAndThenGivenBack) {
  const auto early = token_of(guest.allocate(reserving));
  house.pass(milliseconds(29'999));
  ASSERT_TRUE(claim(other, *early).success());
  ASSERT_TRUE(other.refresh(0).success());
  ASSERT_TRUE(guest.refresh(0).success());
  const auto late = token_of(guest.allocate(reserving));
  house.pass(milliseconds(30'100));
  EXPECT_EQ(claim(other, *late).code(), 508);
  ASSERT_TRUE(guest.refresh(0).success());
  expect_nothing_left();
}

TEST_F(Reserve, OutlivesTheAllocationThatMadeIt) {
  const auto token = token_of(guest.allocate(reserving));
  ASSERT_TRUE(guest.refresh(0).success());
  EXPECT_EQ(house.quota.total(), 1u);
  ASSERT_TRUE(claim(other, *token).success());
  EXPECT_EQ(house.quota.total(), 1u);
  ASSERT_TRUE(other.refresh(0).success());
  house.pass(seconds(31));
  expect_nothing_left();
}

TEST_F(Reserve, IsChargedToItsUserUntilItIsClaimedOrExpires) {
  ASSERT_TRUE(guest.allocate(reserving).success());
  EXPECT_EQ(house.quota.held_by("alice"), 2u);
  house.pass(seconds(31));
  EXPECT_EQ(house.quota.held_by("alice"), 1u);
  ASSERT_TRUE(guest.refresh(0).success());
  const auto token = token_of(guest.allocate(reserving));
  ASSERT_TRUE(claim(other, *token).success());
  EXPECT_EQ(house.quota.held_by("alice"), 2u);
  house.pass(seconds(31));
  EXPECT_EQ(house.quota.held_by("alice"), 2u);
}

TEST_F(Reserve, NobodyIsLeftChargedWhenThePairCannotBeHad) {
  house.sink.next_open_fails = RelayError::kNoPortLeft;
  EXPECT_EQ(guest.allocate(reserving).code(), 508);
  EXPECT_EQ(house.server->audit().allocations, 0u);
  expect_nothing_left();
}

TEST(ReserveQuota, NeedsRoomForTwo) {
  RelayHouse house(Reserve::rules(2, 3));
  Guest guest(house, "203.0.113.5:1"), other(house, "203.0.113.5:2");
  ASSERT_TRUE(other.allocate().success());
  EXPECT_EQ(guest.allocate(reserving).code(), 486);
  EXPECT_EQ(house.quota.total(), 1u);
  ASSERT_TRUE(other.refresh(0).success());
  const Reply reply = guest.allocate(reserving);
  ASSERT_TRUE(reply.success());
  EXPECT_EQ(other.allocate().code(), 486);
  // What is reserved is paid for.
  const auto claim = [&](stun::Builder& b) {
    b.u64(Attribute::kReservationToken, *token_of(reply));
  };
  EXPECT_TRUE(other.allocate(claim).success());
}

TEST_F(Reserve, EndsWithItsUserAndWithTheServer) {
  ASSERT_TRUE(guest.allocate(reserving).success());
  house.server->revoke(house.now, "alice", house.now.wall + hours(1), house.sink);
  expect_nothing_left();
  Guest bob(house, "203.0.113.7:4000", "bob", "hush");
  ASSERT_TRUE(bob.allocate(reserving).success());
  house.server->shut_down(house.now, house.sink);
  expect_nothing_left();
  EXPECT_EQ(house.server->next_deadline(), MonoTime::never());
}

}  // namespace
}  // namespace turnpike::turn
