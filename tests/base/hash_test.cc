#include "base/hash.h"

#include <gtest/gtest.h>

#include <array>
#include <unordered_set>
#include <vector>

namespace turnpike {
namespace {

TEST(Hash, DependsOnEveryByteAndOnTheLength) {
  std::unordered_set<std::uint64_t> hashes;
  for (std::size_t length = 0; length < 40; ++length) {
    const std::vector<std::uint8_t> zeros(length, 0);
    hashes.insert(hash_bytes(zeros));
    for (std::size_t at = 0; at < length; ++at) {
      std::vector<std::uint8_t> one = zeros;
      one[at] = 1;
      hashes.insert(hash_bytes(one));
    }
  }
  EXPECT_EQ(hashes.size(), 40u + 39u * 40u / 2u);
}

TEST(Hash, DependsOnTheSeed) {
  const ByteView bytes = as_bytes("192.0.2.1");
  set_hash_seed(1);
  const std::uint64_t first = hash_bytes(bytes);
  EXPECT_EQ(hash_bytes(bytes), first);
  set_hash_seed(2);
  EXPECT_NE(hash_bytes(bytes), first);
  set_hash_seed(1);
  EXPECT_EQ(hash_bytes(bytes), first);
}

// Consecutive addresses must spread over buckets whichever bits a table takes.
TEST(Hash, SpreadsOverLowAndHighBits) {
  constexpr std::size_t kBuckets = 256, kKeys = 25600;
  std::array<int, kBuckets> low{}, high{};
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    std::array<std::uint8_t, 4> bytes;
    Writer(bytes).u32(0x0A000000 + key);
    const std::uint64_t hash = hash_bytes(bytes);
    ++low[hash % kBuckets];
    ++high[hash >> 56];
  }
  for (std::size_t i = 0; i < kBuckets; ++i) {  // 100 expected, standard deviation 10
    EXPECT_NEAR(low[i], 100, 60);
    EXPECT_NEAR(high[i], 100, 60);
  }
}

}  // namespace
}  // namespace turnpike
