// Cuts a fuzz input into pieces of uneven size, so that a parser that takes bytes as they come can
// be compared with itself: the same bytes must mean the same, however they arrive.
#pragma once

#include <algorithm>

#include "base/bytes.h"

namespace turnpike::fuzz {

class Pieces {
 public:
  // `seed` decides the sizes: 0 is byte by byte.
  Pieces(ByteView bytes, std::uint8_t seed) : rest_(bytes), state_(seed) {}

  bool empty() const { return rest_.empty(); }
  ByteView next() {
    state_ = state_ * 1103515245u + 12345u * (state_ != 0);
    const std::size_t wanted = state_ == 0 ? 1 : 1 + (state_ >> 16) % 97;
    const ByteView piece = rest_.first(std::min(wanted, rest_.size()));
    rest_ = rest_.subspan(piece.size());
    return piece;
  }

 private:
  ByteView rest_;
  std::uint32_t state_;
};

}  // namespace turnpike::fuzz
