// What the counting library and the test share: a file of this content, mapped by both.
#pragma once

#include <atomic>
#include <cstdint>

namespace turnpike::zero_alloc {

inline constexpr const char* kFileVariable = "COUNTED_ALLOCATIONS_FILE";

struct Counters {
  std::atomic<std::uint64_t> allocations;  // malloc and its kin
  std::atomic<std::uint64_t> news;         // operator new in all its forms
  std::atomic<std::uint64_t> frees;
  // How many allocations still print where they come from on standard error.
  std::atomic<std::int64_t> traces_left;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace turnpike::zero_alloc
