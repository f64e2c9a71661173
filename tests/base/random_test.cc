#include "base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/digest.h"

namespace turnpike {
namespace {

TEST(SeededRandom, TheSameSeedGivesTheSameNumbers) {
  SeededRandom a(7), b(7), c(8);
  EXPECT_EQ(a.u64(), b.u64());
  EXPECT_EQ(a.token(16), b.token(16));
  EXPECT_NE(a.u64(), c.u64());
}

TEST(Random, BelowReachesEveryNumberAndNoOther) {
  SeededRandom random(1);
  for (const std::uint32_t bound : {1u, 2u, 3u, 10u}) {
    std::set<std::uint32_t> drawn;
    for (int i = 0; i < 300; ++i) drawn.insert(random.below(bound));
    EXPECT_EQ(drawn.size(), bound);
    EXPECT_LT(*drawn.rbegin(), bound);
  }
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(0x80000001u), 0x80000001u);
}

TEST(Random, BelowIsUniformEvenForABoundThatDividesNothing) {
  SeededRandom random(2);
  constexpr std::uint32_t kBound = 0xC0000000u;  // a plain modulo would favour the lowest third
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += random.below(kBound) < kBound / 3 ? 1 : 0;
  EXPECT_NEAR(low, 10000, 500);
}

TEST(RandomDeathTest, ABoundOfZeroIsOurFault) {
  SeededRandom random(1);
  EXPECT_DEATH((void)random.below(0), "CHECK failed");
}

TEST(Random, ATokenCarriesTheBytesAsked) {
  SystemRandom random;
  const std::string token = random.token(16);
  EXPECT_EQ(token.size(), 22u);
  ASSERT_TRUE(base64url_decode(token));
  EXPECT_EQ(base64url_decode(token)->size(), 16u);
  EXPECT_NE(token, random.token(16));
  EXPECT_EQ(random.token(0), "");
}

TEST(SystemRandom, FillsAllOfTheRoom) {
  SystemRandom random;
  std::array<std::uint8_t, 64> ever{};
  for (int round = 0; round < 32; ++round) {
    std::array<std::uint8_t, 64> bytes{};
    random.fill(bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) ever[i] |= bytes[i];
  }
  for (const std::uint8_t byte : ever) EXPECT_NE(byte, 0);
}

}  // namespace
}  // namespace turnpike
