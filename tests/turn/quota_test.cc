#include "turn/quota.h"

#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using Verdict = QuotaVerdict;

QuotaSubject subject(std::string name, std::string_view client = "9.9.9.9") {
  return {std::move(name), ip(client)};
}

TEST(LocalQuota, GrantsEachUserItsNumberAndNotOneMore) {
  LocalQuota quota({2, 0});
  EXPECT_EQ(quota.charge(subject("a")), Verdict::kGranted);
  EXPECT_EQ(quota.charge(subject("a")), Verdict::kGranted);
  EXPECT_EQ(quota.charge(subject("a")), Verdict::kUserQuotaReached);
  EXPECT_EQ(quota.charge(subject("b")), Verdict::kGranted);
  quota.release(subject("a"));
  EXPECT_EQ(quota.charge(subject("a")), Verdict::kGranted);
  EXPECT_EQ(quota.held_by("a"), 2u);
  EXPECT_EQ(quota.total(), 3u);
}

TEST(LocalQuota, TotalIsForAll) {
  LocalQuota quota({0, 2});
  EXPECT_EQ(quota.charge(subject("a")), Verdict::kGranted);
  EXPECT_EQ(quota.charge(subject("b")), Verdict::kGranted);
  EXPECT_EQ(quota.charge(subject("c")), Verdict::kTotalQuotaReached);
  quota.release(subject("b"));
  EXPECT_EQ(quota.charge(subject("c")), Verdict::kGranted);
}

TEST(LocalQuota, ZeroIsUnlimited) {
  LocalQuota quota({0, 0});
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(quota.charge(subject("member~00000001")), Verdict::kGranted);
  }
}

TEST(LocalQuota, RefusalChargesNothing) {
  LocalQuota quota({1, 0});
  ASSERT_EQ(quota.charge(subject("a")), Verdict::kGranted);
  ASSERT_EQ(quota.charge(subject("a")), Verdict::kUserQuotaReached);
  quota.release(subject("a"));
  EXPECT_EQ(quota.total(), 0u);
  EXPECT_EQ(quota.held_by("a"), 0u);
}

TEST(LocalQuota, OneSourcePrefixCannotTakeAllMintedNames) {
  LocalQuota quota({1, 0});
  const auto name = [](int i) { return "member-" + std::to_string(i) + "~9af01c22"; };
  for (int i = 0; i < 16; ++i) ASSERT_EQ(quota.charge(subject(name(i))), Verdict::kGranted);
  EXPECT_EQ(quota.charge(subject(name(16))), Verdict::kUserQuotaReached);
  EXPECT_EQ(quota.charge(subject(name(16), "9.9.9.8")), Verdict::kGranted);
  EXPECT_EQ(quota.charge(subject("plain")), Verdict::kGranted);  // not minted by this server
  quota.release(subject(name(3)));
  EXPECT_EQ(quota.charge(subject(name(17))), Verdict::kGranted);
}

TEST(LocalQuota, OneSubscriberOfIPv6IsAPrefixOfSixtyFourBits) {
  LocalQuota quota({1, 0});
  for (int i = 0; i < 16; ++i) {
    ASSERT_EQ(
        quota.charge(subject("m" + std::to_string(i) + "~9af01c22", "2600::" + std::to_string(i))),
        Verdict::kGranted);
  }
  EXPECT_EQ(quota.charge(subject("m~9af01c22", "2600::ffff")), Verdict::kUserQuotaReached);
  EXPECT_EQ(quota.charge(subject("m~9af01c22", "2600:0:0:1::1")), Verdict::kGranted);
}

TEST(LocalQuota, OneAddressMayHoldSoManyOfAnyName) {
  LocalQuota quota({.per_address = 2});
  const IpAddress here = IpAddress::v4(1, 2, 3, 4), there = IpAddress::v4(1, 2, 3, 5);
  EXPECT_EQ(quota.charge({"a", here}), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.charge({"b", here}), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.charge({"c", here}), QuotaVerdict::kUserQuotaReached);
  EXPECT_EQ(quota.charge({"c", there}), QuotaVerdict::kGranted);
  quota.release({"a", here});
  EXPECT_EQ(quota.charge({"c", here}), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.total(), 3u);
}

TEST(LocalQuota, OneMintingKeyCannotTakeTheWholeServer) {
  LocalQuota quota({1, 0});
  for (std::uint32_t i = 0; i < 256; ++i) {
    ASSERT_EQ(quota.charge({"m" + std::to_string(i) + "~9af01c22", IpAddress::v4(0x09000000 + i)}),
              Verdict::kGranted);
  }
  EXPECT_EQ(quota.charge(subject("m~9af01c22")), Verdict::kUserQuotaReached);
  EXPECT_EQ(quota.charge(subject("m~9af01c23")), Verdict::kGranted);
}

TEST(MintingKey, IsEightHexadecimalDigitsBehindATilde) {
  EXPECT_EQ(minting_key_of("member-k3Jx~9af01c22"), "9af01c22");
  EXPECT_EQ(minting_key_of("~00000000"), "00000000");
  for (const char* name : {"", "alice", "9af01c22", "a~9af01c2", "a~9af01c22x", "a~9AF01C22",
                           "a~9af01c2g", "a-9af01c22"}) {
    EXPECT_EQ(minting_key_of(name), "") << name;
  }
}

HouseRules with_quota(QuotaLimits limits) {
  HouseRules rules;
  rules.quota = limits;
  return rules;
}

TEST(QuotaOfTheServer, UserAndTotalHaveTheirOwnErrors) {
  RelayHouse per_user(with_quota({1, 0}));
  Guest a(per_user, "203.0.113.5:1"), b(per_user, "203.0.113.5:2");
  EXPECT_TRUE(a.allocate().success());
  EXPECT_EQ(b.allocate().code(), 486);
  RelayHouse total(with_quota({0, 1}));
  Guest c(total, "203.0.113.5:1"), d(total, "203.0.113.5:2", "bob", "hush");
  EXPECT_TRUE(c.allocate().success());
  EXPECT_EQ(d.allocate().code(), 508);
}

TEST(QuotaOfTheServer, IsGivenBackOnEveryPath) {
  RelayHouse house(with_quota({1, 1}));
  Guest guest(house, "203.0.113.5:1", "alice", "secret", Transport::kTcp);
  const auto held = [&] { return house.quota.total(); };
  ASSERT_TRUE(guest.allocate().success());
  EXPECT_EQ(held(), 1u);
  ASSERT_TRUE(guest.refresh(0).success());
  EXPECT_EQ(held(), 0u);
  ASSERT_TRUE(guest.allocate().success());
  house.server->on_client_gone(house.now, guest.path, house.sink);
  EXPECT_EQ(held(), 0u);
  ASSERT_TRUE(guest.allocate().success());
  house.pass(seconds(601));
  EXPECT_EQ(held(), 0u);
  guest.nonce.clear();
  house.sink.next_open_fails = RelayError::kNoPortLeft;
  EXPECT_EQ(guest.allocate().code(), 508);
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(
      guest.allocate([](auto& b) { b.u32(stun::Attribute::kAdditionalAddressFamily, 0); }).code(),
      400);
  EXPECT_EQ(held(), 0u);
  ASSERT_TRUE(guest.allocate().success());
  house.server->shut_down(house.now, house.sink);
  EXPECT_EQ(held(), 0u);
  ASSERT_TRUE(guest.allocate().success());
  house.server->revoke(house.now, "alice", house.now.wall + seconds(9), house.sink);
  EXPECT_EQ(held(), 0u);
}

}  // namespace
}  // namespace turnpike::turn
