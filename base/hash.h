// A fast keyed hash for tables that strangers can fill. The seed is drawn once per process
// (set_hash_seed at start, before any table exists; simulators set a fixed one), so nobody outside
// can aim for one bucket.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace turnpike {

void set_hash_seed(std::uint64_t seed);
std::uint64_t hash_bytes(ByteView bytes);
// Multiplies to 128 bits and folds: every bit of the inputs reaches every bit of the result.
inline std::uint64_t hash_mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;  // not ISO C++; both our compilers have it
  const Wide product = static_cast<Wide>(a ^ 0x9E3779B97F4A7C15ull) * (b ^ 0xD6E8FEB86659FD93ull);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace turnpike
