// Counts what this test program takes from the heap with operator new.
#pragma once

#include <cstddef>

namespace turnpike::turn {
std::size_t allocations_made();
}
