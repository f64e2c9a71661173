// In a source of its own: the replacements must not be inlined into what uses them.
#include "tests/turn/counting_new.h"

#include <cstdlib>
#include <new>

namespace {
std::size_t made = 0;
}

void* operator new(std::size_t size) {
  ++made;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace turnpike::turn {
std::size_t allocations_made() { return made; }
}  // namespace turnpike::turn
