#include "net/openssl_memory.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstring>
#include <thread>
#include <vector>

namespace turnpike::net {
namespace {

void* take(std::size_t size) { return openssl_malloc(size, __FILE__, __LINE__); }
void give(void* block) { openssl_free(block, __FILE__, __LINE__); }

// Each in a thread of its own: what a thread keeps starts empty.
template <typename Body>
void in_a_new_thread(Body body) {
  std::thread thread(body);
  thread.join();
}

TEST(OpensslMemory, ABlockOfEachKindIsUsedAgain) {
  for (std::size_t kind = 0; kind < kKeptBlocks.size(); ++kind) {
    in_a_new_thread([kind] {
      void* block = take(kKeptBlocks[kind].above + 1);
      // Every block has room for the largest request of its kind.
      std::memset(block, 1, kKeptBlocks[kind].size);
      give(block);
      EXPECT_EQ(kept_openssl_blocks(kind), 1u);
      EXPECT_EQ(take(kKeptBlocks[kind].size), block);
      EXPECT_EQ(kept_openssl_blocks(kind), 0u);
      give(block);
    });
  }
}

TEST(OpensslMemory, OtherSizesAreNotKept) {
  in_a_new_thread([] {
    for (const std::size_t size : {128, 1000, 16 * 1024, 32 * 1024}) give(take(size));
    EXPECT_EQ(kept_openssl_blocks(0), 0u);
    EXPECT_EQ(kept_openssl_blocks(1), 0u);
  });
}

TEST(OpensslMemory, AThreadKeepsTheMaximumOfAKindAndNoMore) {
  for (std::size_t kind = 0; kind < kKeptBlocks.size(); ++kind) {
    in_a_new_thread([kind] {
      std::vector<void*> blocks;
      for (std::size_t i = 0; i < kKeptBlocks[kind].maximum + 1; ++i) {
        blocks.push_back(take(kKeptBlocks[kind].size));
      }
      for (void* block : blocks) give(block);
      EXPECT_EQ(kept_openssl_blocks(kind), kKeptBlocks[kind].maximum);
    });
  }
}

TEST(OpensslMemory, ABlockMayBeFreedByAnotherThread) {
  void* block = take(40);
  in_a_new_thread([block] {
    give(block);
    EXPECT_EQ(kept_openssl_blocks(0), 1u);
  });
}

TEST(OpensslMemory, GrowsAndShrinksWithItsContent) {
  in_a_new_thread([] {
    void* block = openssl_realloc(nullptr, 10, __FILE__, __LINE__);
    std::memcpy(block, "turnpike", 9);
    block = openssl_realloc(block, 5000, __FILE__, __LINE__);
    EXPECT_STREQ(static_cast<char*>(block), "turnpike");
    block = openssl_realloc(block, 20, __FILE__, __LINE__);
    EXPECT_STREQ(static_cast<char*>(block), "turnpike");
    EXPECT_EQ(openssl_realloc(block, 0, __FILE__, __LINE__), nullptr);
  });
}

TEST(OpensslMemory, NothingIsAskedForAndNothingIsGiven) {
  EXPECT_EQ(take(0), nullptr);
  give(nullptr);
}

TEST(OpensslMemory, IsInstalledUnlessASanitizerWatches) {
  CRYPTO_malloc_fn allocate = nullptr;
  CRYPTO_get_mem_functions(&allocate, nullptr, nullptr);
  EXPECT_EQ(allocate == openssl_malloc, openssl_memory_in_use());
}

}  // namespace
}  // namespace turnpike::net
