#include "tests/stun/counting_heap.h"

#include <openssl/crypto.h>

#include <cstdlib>
#include <new>

namespace {

std::size_t allocations = 0;

void* counted_malloc(std::size_t size, const char*, int) {
  ++allocations;
  return std::malloc(size);
}
void* counted_realloc(void* old, std::size_t size, const char*, int) {
  ++allocations;
  return std::realloc(old, size);
}
void plain_free(void* memory, const char*, int) { std::free(memory); }

// libcrypto takes these only before its first allocation, hence before main().
const bool installed = CRYPTO_set_mem_functions(counted_malloc, counted_realloc, plain_free) == 1;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace turnpike {

bool heap_is_counted() { return installed; }
std::size_t heap_allocations() { return allocations; }

}  // namespace turnpike
