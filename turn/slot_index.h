// SlotIndex: finds entries of a small array by hash, for arrays too long to search from end to end.
// It stores positions only; the array owns the keys, and rebuilds the index when positions change.
// At most kMaxEntries, which bounds both the memory and a rebuild. Single thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace turnpike::turn {

class SlotIndex {
 public:
  static constexpr std::size_t kMaxEntries = 16384;
  static constexpr std::size_t kNone = ~std::size_t{0};

  bool built() const { return !cells_.empty(); }
  void drop() { cells_ = {}; }

  // `hash_at(i)` is the hash of entry i; room is made for some more.
  template <typename HashAt>
  void rebuild(std::size_t entries, HashAt&& hash_at) {
    CHECK(entries <= kMaxEntries);
    cells_.assign(std::bit_ceil(entries * 4 + 4), kEmpty);
    count_ = 0;
    for (std::size_t i = 0; i < entries; ++i) add(hash_at(i), i);
  }
  // False when it is full: rebuild.
  bool add(std::uint64_t hash, std::size_t position) {
    if ((count_ + 1) * 2 > cells_.size()) return false;
    std::size_t cell = hash & (cells_.size() - 1);
    while (cells_[cell] != kEmpty) cell = (cell + 1) & (cells_.size() - 1);
    cells_[cell] = static_cast<std::uint16_t>(position);
    ++count_;
    return true;
  }
  // The position that `is_it` accepts, or kNone.
  template <typename IsIt>
  std::size_t find(std::uint64_t hash, IsIt&& is_it) const {
    std::size_t cell = hash & (cells_.size() - 1);
    while (cells_[cell] != kEmpty) {
      if (is_it(cells_[cell])) return cells_[cell];
      cell = (cell + 1) & (cells_.size() - 1);
    }
    return kNone;
  }

 private:
  static constexpr std::uint16_t kEmpty = 0xFFFF;
  std::vector<std::uint16_t> cells_;  // a power of two, at most half full
  std::size_t count_ = 0;
};

}  // namespace turnpike::turn
