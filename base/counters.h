// Counter: written by one thread, read by any (metrics, status). A relaxed load and store, which
// compiles to a plain add; no lock prefix on the relay path.
#pragma once

#include <atomic>
#include <cstdint>

namespace turnpike {

class Counter {
 public:
  void add(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) - amount, std::memory_order_relaxed);
  }
  std::uint64_t read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace turnpike
