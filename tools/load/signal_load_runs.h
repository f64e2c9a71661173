// The three runs of turnpike-signal-load, and what they find. Each owns its crowd for as long as it
// takes. The generator's own thread.
#pragma once

#include <cstdint>
#include <string>

#include "tools/load/signal_load_options.h"
#include "tools/load/statistics.h"

namespace turnpike::signal_load {

// What one receiver may expect of one sender: numbers that grow by one.
class OrderCheck {
 public:
  // Whether this number comes after all that came before it. What it skips is not counted here: a
  // message that never comes is missed in the sum.
  bool accept(std::uint32_t number) {
    if (number < next_) return false;
    next_ = number + 1;
    return true;
  }

 private:
  std::uint32_t next_ = 0;
};

struct Findings {
  std::uint32_t ready = 0;
  std::uint32_t lost_clients = 0;
  std::string first_loss;
  double measured_seconds = 0;

  // relay
  std::uint64_t sent = 0;       // the whole run, warm-up included
  std::uint64_t delivered = 0;  // and verified
  std::uint64_t expected = 0;
  std::uint64_t damaged = 0;
  std::uint64_t disordered = 0;  // repeated ones, too
  std::uint64_t measured_deliveries = 0;

  load::Histogram latency;  // relay: from due to delivered; join: from connecting to in the room

  // of the server, with --pid
  bool watched = false;
  double cpu_seconds = 0;
  std::uint64_t memory_before = 0;  // bytes
  std::uint64_t memory_after = 0;

  std::uint64_t missing() const { return expected > delivered ? expected - delivered : 0; }
  bool all_well() const {
    return lost_clients == 0 && missing() == 0 && damaged == 0 && disordered == 0;
  }
};

Findings run_relay(const Options& options);
Findings run_idle(const Options& options);
Findings run_join(const Options& options);

}  // namespace turnpike::signal_load
