#include "server/shared_quota.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "base/random.h"

namespace turnpike::server {
namespace {

using turn::QuotaSubject;
using turn::QuotaVerdict;

QuotaSubject plain(const std::string& name) { return {name, IpAddress::v4(192, 0, 2, 1)}; }

TEST(SharedQuota, GrantsUpToTheUsersLimitAndRefusesOnePast) {
  SharedQuota quota({.per_user = 3, .total = 0});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(quota.charge(plain("alice")), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.charge(plain("alice")), QuotaVerdict::kUserQuotaReached);
  EXPECT_EQ(quota.charge(plain("bob")), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.held_by("alice"), 3u);
  EXPECT_EQ(quota.total(), 4u);
}

TEST(SharedQuota, TheTotalIsForEverybodyTogether) {
  SharedQuota quota({.per_user = 64, .total = 2});
  EXPECT_EQ(quota.charge(plain("alice")), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.charge(plain("bob")), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.charge(plain("carol")), QuotaVerdict::kTotalQuotaReached);
  quota.release(plain("alice"));
  EXPECT_EQ(quota.charge(plain("carol")), QuotaVerdict::kGranted);
}

TEST(SharedQuota, LowerLimitsTakeNothingAwayAndGrantNothing) {
  SharedQuota quota({.per_user = 3, .total = 0});
  for (int i = 0; i < 3; ++i) ASSERT_EQ(quota.charge(plain("alice")), QuotaVerdict::kGranted);
  quota.set_limits({.per_user = 1, .total = 2});
  EXPECT_EQ(quota.held_by("alice"), 3u);
  EXPECT_EQ(quota.charge(plain("bob")), QuotaVerdict::kTotalQuotaReached);
  quota.set_limits({.per_user = 1, .total = 0});
  for (int held = 3; held > 0; --held) {
    EXPECT_EQ(quota.charge(plain("alice")), QuotaVerdict::kUserQuotaReached) << held;
    quota.release(plain("alice"));
  }
  EXPECT_EQ(quota.charge(plain("alice")), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.total(), 1u);
}

TEST(SharedQuota, ALimitThatComesLaterKnowsWhoIsThere) {
  SharedQuota quota({.per_user = 0, .total = 0, .per_address = 0});
  for (int i = 0; i < 3; ++i) ASSERT_EQ(quota.charge(plain("alice")), QuotaVerdict::kGranted);
  quota.set_limits({.per_user = 0, .total = 0, .per_address = 3});
  EXPECT_EQ(quota.charge(plain("bob")), QuotaVerdict::kUserQuotaReached);
  quota.set_limits({.per_user = 3, .total = 0, .per_address = 0});
  EXPECT_EQ(quota.charge(plain("alice")), QuotaVerdict::kUserQuotaReached);
  for (int i = 0; i < 3; ++i) quota.release(plain("alice"));
  EXPECT_EQ(quota.total(), 0u);
}

TEST(SharedQuota, ZeroMeansUnlimited) {
  SharedQuota quota({.per_user = 0, .total = 0});
  for (int i = 0; i < 100000; ++i) {
    ASSERT_EQ(quota.charge(plain("alice")), QuotaVerdict::kGranted);
  }
}

TEST(SharedQuota, OneSourcePrefixCannotTakeAMintingKeysWholeShare) {
  SharedQuota quota({.per_user = 1, .total = 0});
  const auto member = [](int i, IpAddress client) {
    return QuotaSubject{"member-" + std::to_string(i) + "~0a1b2c3d", client};
  };
  for (int i = 0; i < 16; ++i) {
    ASSERT_EQ(quota.charge(member(i, IpAddress::v4(192, 0, 2, 1))), QuotaVerdict::kGranted);
  }
  EXPECT_EQ(quota.charge(member(16, IpAddress::v4(192, 0, 2, 1))), QuotaVerdict::kUserQuotaReached);
  EXPECT_EQ(quota.held_by("member-16~0a1b2c3d"), 0u);
  EXPECT_EQ(quota.charge(member(16, IpAddress::v4(192, 0, 2, 2))), QuotaVerdict::kGranted);
}

TEST(SharedQuota, OneMintingKeyCannotTakeTheWholeServer) {
  SharedQuota quota({.per_user = 1, .total = 0});
  const auto member = [](std::uint32_t i) {
    return QuotaSubject{"member-" + std::to_string(i) + "~0a1b2c3d", IpAddress::v4(0x0A000000 + i)};
  };
  for (std::uint32_t i = 0; i < 256; ++i) {
    ASSERT_EQ(quota.charge(member(i)), QuotaVerdict::kGranted);
  }
  EXPECT_EQ(quota.charge(member(256)), QuotaVerdict::kUserQuotaReached);
  EXPECT_EQ(quota.charge({"member-1~99999999", IpAddress::v4(1)}), QuotaVerdict::kGranted);
  EXPECT_EQ(quota.total(), 257u);
}

// The same questions to the single-threaded original: the two must never disagree.
TEST(SharedQuota, AgreesWithLocalQuotaOnRandomHistories) {
  SeededRandom random(7);
  const turn::QuotaLimits limits{.per_user = 2, .total = 40, .per_address = 25};
  SharedQuota shared(limits);
  turn::LocalQuota local(limits);
  std::vector<QuotaSubject> held;
  for (int step = 0; step < 20000; ++step) {
    if (!held.empty() && random.below(2) == 0) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(held.size()));
      shared.release(held[at]);
      local.release(held[at]);
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
      continue;
    }
    std::string name = "user" + std::to_string(random.below(30));
    if (random.below(2) == 0) name += "~0000000" + std::to_string(random.below(2));
    const QuotaSubject subject{name, IpAddress::v4(random.below(2))};
    const QuotaVerdict verdict = local.charge(subject);
    ASSERT_EQ(shared.charge(subject), verdict) << step;
    if (verdict == QuotaVerdict::kGranted) held.push_back(subject);
    ASSERT_EQ(shared.total(), local.total());
  }
}

TEST(SharedQuota, WorkersNeverGrantMoreThanTheLimits) {
  SharedQuota quota({.per_user = 8, .total = 12});
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&quota, thread] {
      const QuotaSubject subject = plain(thread % 2 == 0 ? "alice" : "bob");
      for (int i = 0; i < 20000; ++i) {
        if (quota.charge(subject) != QuotaVerdict::kGranted) continue;
        EXPECT_LE(quota.held_by(subject.name), 8u);
        EXPECT_LE(quota.total(), 12u);
        quota.release(subject);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(quota.total(), 0u);
  EXPECT_EQ(quota.held_by("alice"), 0u);
}

}  // namespace
}  // namespace turnpike::server
