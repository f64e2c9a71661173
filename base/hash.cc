#include "base/hash.h"

#include <algorithm>
#include <bit>

namespace turnpike {
namespace {

// Written once, before any table exists and before there is a second thread.
std::uint64_t process_seed = 0x243F6A8885A308D3ull;

std::uint64_t load(const std::uint8_t* from, std::size_t size) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, size);
  return word;
}

}  // namespace

void set_hash_seed(std::uint64_t seed) { process_seed = seed; }

std::uint64_t hash_bytes(ByteView bytes) {
  const std::uint64_t seed = process_seed;
  const std::uint64_t second = std::rotl(seed, 32) ^ 0x452821E638D01377ull;
  std::uint64_t state = seed;
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    const std::size_t size = std::min<std::size_t>(8, bytes.size() - at);
    state = hash_mix(state ^ load(bytes.data() + at, size), second);
  }
  // With the length, so that a tail padded with zeros differs from real zeros.
  return hash_mix(state ^ bytes.size(), seed);
}

}  // namespace turnpike
