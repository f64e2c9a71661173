#include "net/byte_queue.h"

#include <gtest/gtest.h>

#include <array>

#include "base/random.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

// Takes at most `most` bytes from the front.
Bytes take(ByteQueue& queue, ChunkPool& pool, std::size_t most) {
  const ByteView front = queue.front();
  const ByteView part = front.first(std::min(most, front.size()));
  Bytes result(part.begin(), part.end());
  queue.consume(pool, part.size());
  return result;
}

TEST(ByteQueue, GivesBackWhatWasAppendedInAnyPortions) {
  SeededRandom random(7);
  ChunkPool pool;
  ByteQueue queue;
  Bytes appended, taken;
  for (int step = 0; step < 2000; ++step) {
    const std::size_t size = random.below(5000);
    if (random.below(3) == 0) {
      queue.append_zeros(pool, size);
      appended.insert(appended.end(), size, 0);
    } else {
      const Bytes bytes = pattern(size, static_cast<std::uint64_t>(step));
      queue.append(pool, bytes);
      appended.insert(appended.end(), bytes.begin(), bytes.end());
    }
    const Bytes part = take(queue, pool, random.below(9000));
    taken.insert(taken.end(), part.begin(), part.end());
    ASSERT_EQ(queue.size(), appended.size() - taken.size());
  }
  while (!queue.empty()) {
    const Bytes part = take(queue, pool, 100000);
    taken.insert(taken.end(), part.begin(), part.end());
  }
  EXPECT_EQ(taken, appended);
}

TEST(ByteQueue, GatherNamesTheSameBytes) {
  ChunkPool pool;
  ByteQueue queue;
  const Bytes bytes = pattern(3 * Chunk::kBytes + 5, 1);
  queue.append(pool, bytes);
  queue.consume(pool, 10);
  std::array<iovec, 8> pieces;
  ASSERT_EQ(queue.gather(pieces), 4);
  Bytes gathered;
  for (int i = 0; i < 4; ++i) {
    const auto* at = static_cast<const std::uint8_t*>(pieces[static_cast<std::size_t>(i)].iov_base);
    gathered.insert(gathered.end(), at, at + pieces[static_cast<std::size_t>(i)].iov_len);
  }
  EXPECT_TRUE(equal(gathered, ByteView(bytes).subspan(10)));
  EXPECT_EQ(queue.gather(std::span(pieces).first(2)), 2);
  queue.clear(pool);
}

TEST(ByteQueue, AnEmptyOneHoldsNoMemory) {
  ChunkPool pool;
  ByteQueue queue;
  queue.append(pool, pattern(2 * Chunk::kBytes, 1));
  EXPECT_EQ(pool.idle(), 0u);
  queue.clear(pool);
  EXPECT_EQ(pool.idle(), 2u);
  EXPECT_TRUE(queue.front().empty());
  queue.append(pool, pattern(1, 1));
  EXPECT_EQ(pool.idle(), 1u);
  queue.clear(pool);
}

TEST(ChunkPool, LendsWhatWasReservedFirst) {
  ChunkPool pool;
  pool.reserve(3);
  EXPECT_EQ(pool.idle(), 3u);
  ByteQueue queue;
  queue.append_zeros(pool, 2 * std::size_t{Chunk::kBytes});
  EXPECT_EQ(pool.idle(), 1u);
  queue.clear(pool);
  pool.reserve(2);
  EXPECT_EQ(pool.idle(), 3u);
}

TEST(ChunkPool, KeepsItsMaximumAndGivesTheRestBack) {
  ChunkPool pool;
  ByteQueue queue;
  queue.append_zeros(pool, std::size_t{ChunkPool::kMaxIdle} * Chunk::kBytes);
  queue.clear(pool);
  EXPECT_EQ(pool.idle(), ChunkPool::kMaxIdle);
  queue.append_zeros(pool, (ChunkPool::kMaxIdle + 1) * std::size_t{Chunk::kBytes});
  queue.clear(pool);
  EXPECT_EQ(pool.idle(), ChunkPool::kMaxIdle);
}

}  // namespace
}  // namespace turnpike::net
