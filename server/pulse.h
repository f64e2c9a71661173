// Pulse: whether every loop still turns. Asks each of them for a sign of life once a second; a loop
// that owes one for more than kPatience is stuck in a callback. What /healthz and the service
// manager's watchdog go by. Lives on the main loop's thread; made before the others run, destroyed
// after them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "net/loop.h"

namespace turnpike::server {

class Pulse {
 public:
  static constexpr seconds kInterval{1};
  static constexpr seconds kPatience{5};

  // `after_each` is called on the main loop after each asking.
  Pulse(net::Loop& main, std::span<const std::unique_ptr<net::Loop>> loops,
        std::function<void()> after_each = {});

  void start();
  // How many loops owe a sign of life; 0: all is well. The main loop itself is asking, so it turns.
  std::size_t stuck() const;

 private:
  struct Listener {
    Listener(net::Loop& loop, const std::atomic<std::uint64_t>& asked)
        : wake(loop, [this, &asked] { heard.store(asked.load()); }) {}
    std::atomic<std::uint64_t> heard{0};
    net::Async wake;
  };
  void ask();

  net::Loop& main_;
  const std::function<void()> after_each_;
  std::atomic<std::uint64_t> asked_{0};
  std::vector<std::unique_ptr<Listener>> listeners_;
  net::LoopTimer timer_;
};

}  // namespace turnpike::server
