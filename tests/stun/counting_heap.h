// Counts what is taken from the heap by operator new and by libcrypto, in the program that links
// counting_heap.cc. Single thread.
#pragma once

#include <cstddef>

namespace turnpike {

bool heap_is_counted();
std::size_t heap_allocations();

}  // namespace turnpike
