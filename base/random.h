// Random numbers as a dependency: the operating system's in production, a seed's in the simulator.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace turnpike {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableBytes bytes) = 0;

  std::uint32_t u32();
  std::uint64_t u64();
  std::uint32_t below(std::uint32_t bound);  // uniform in [0, bound), bound > 0
  // base64url text carrying `bytes` random bytes: 16 make a token that cannot be guessed.
  std::string token(std::size_t bytes);
};

// libcrypto's generator, seeded by the kernel. Thread safe.
class SystemRandom final : public Random {
 public:
  void fill(MutableBytes bytes) override;
};

// Reproducible: the same seed gives the same bytes. For simulators and fuzzers only.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableBytes bytes) override;

 private:
  std::uint64_t state_;
};

}  // namespace turnpike
