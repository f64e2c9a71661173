#include "net/openssl_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <utility>

namespace turnpike::net {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kWanted = false;
#elif defined(__has_feature)
constexpr bool kWanted = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer) &&
                         !__has_feature(memory_sanitizer);
#else
constexpr bool kWanted = true;
#endif

struct Block {
  Block* next;
};
struct List {
  Block* first;
  std::size_t count;
};

// Plain data, so that it may be used while the thread's other objects are already destroyed: what
// OpenSSL keeps for a thread is freed at its very end.
struct Kept {
  std::array<List, kKeptBlocks.size()> lists;
  bool closed;
};
thread_local constinit Kept kept{};

struct ReleaseAtThreadEnd {
  bool needed = false;
  ~ReleaseAtThreadEnd() {
    kept.closed = true;
    for (List& list : kept.lists) {
      while (list.first != nullptr) std::free(std::exchange(list.first, list.first->next));
      list.count = 0;
    }
  }
};
thread_local ReleaseAtThreadEnd release_at_thread_end;

// The kind that a request of this size belongs to; kKeptBlocks.size() when to none.
std::size_t kind_of_request(std::size_t size) {
  std::size_t kind = 0;
  while (kind < kKeptBlocks.size() &&
         (size <= kKeptBlocks[kind].above || size > kKeptBlocks[kind].size)) {
    ++kind;
  }
  return kind;
}

// Every block is one of the C library's, so it knows its size and may be freed anywhere. One that
// is a little larger than its kind may join it.
std::size_t kind_of_block(void* block) {
  const std::size_t size = malloc_usable_size(block);
  std::size_t kind = 0;
  while (kind < kKeptBlocks.size() &&
         (size < kKeptBlocks[kind].size || size >= kKeptBlocks[kind].size * 5 / 4)) {
    ++kind;
  }
  return kind;
}

const bool installed =
    kWanted && CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;

}  // namespace

bool openssl_memory_in_use() { return installed; }

void* openssl_malloc(std::size_t size, const char*, int) {
  if (size == 0) return nullptr;
  const std::size_t kind = kind_of_request(size);
  if (kind == kKeptBlocks.size()) return std::malloc(size);
  List& list = kept.lists[kind];
  if (list.first == nullptr) return std::malloc(kKeptBlocks[kind].size);
  --list.count;
  return std::exchange(list.first, list.first->next);
}

void* openssl_realloc(void* block, std::size_t size, const char* file, int line) {
  if (block == nullptr) return openssl_malloc(size, file, line);
  if (size != 0) return std::realloc(block, size);
  openssl_free(block, file, line);
  return nullptr;
}

void openssl_free(void* block, const char*, int) {
  if (block == nullptr) return;
  const std::size_t kind = kept.closed ? kKeptBlocks.size() : kind_of_block(block);
  if (kind == kKeptBlocks.size() || kept.lists[kind].count >= kKeptBlocks[kind].maximum) {
    std::free(block);
    return;
  }
  release_at_thread_end.needed = true;  // its first use in a thread registers its destructor
  List& list = kept.lists[kind];
  auto* first = static_cast<Block*>(block);
  first->next = std::exchange(list.first, first);
  ++list.count;
}

std::size_t kept_openssl_blocks(std::size_t kind) { return kept.lists[kind].count; }

}  // namespace turnpike::net
