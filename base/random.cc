#include "base/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"
#include "base/digest.h"

namespace turnpike {

std::uint32_t Random::u32() {
  std::array<std::uint8_t, 4> bytes;
  fill(bytes);
  return Reader(bytes).u32();
}

std::uint64_t Random::u64() {
  std::array<std::uint8_t, 8> bytes;
  fill(bytes);
  return Reader(bytes).u64();
}

std::uint32_t Random::below(std::uint32_t bound) {
  CHECK(bound > 0);
  // Draws from the incomplete last block of size `bound` are thrown away: no modulo bias.
  const std::uint32_t rest = (std::numeric_limits<std::uint32_t>::max() % bound + 1) % bound;
  const std::uint32_t last_fair = std::numeric_limits<std::uint32_t>::max() - rest;
  std::uint32_t drawn = u32();
  while (drawn > last_fair) drawn = u32();
  return drawn % bound;
}

std::string Random::token(std::size_t bytes) {
  std::string drawn(bytes, '\0');
  fill({reinterpret_cast<std::uint8_t*>(drawn.data()), drawn.size()});
  std::string text = base64url_encode(as_bytes(drawn));
  wipe(drawn);
  return text;
}

void SystemRandom::fill(MutableBytes bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t part = std::min<std::size_t>(bytes.size() - at, 1u << 20);
    CHECK(RAND_bytes(bytes.data() + at, static_cast<int>(part)) == 1);
    at += part;
  }
}

void SeededRandom::fill(MutableBytes bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
    state_ += 0x9E3779B97F4A7C15ull;
    std::uint64_t word = state_;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ull;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBull;
    word ^= word >> 31;
    for (int i = 0; i < 8 && at < bytes.size(); ++i, word >>= 8) {
      bytes[at++] = static_cast<std::uint8_t>(word);
    }
  }
}

}  // namespace turnpike
