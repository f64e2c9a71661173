// Sampler: writes a row of the History every five seconds, from the same counters that /metrics
// reads: no worker is asked, so nothing of it is on the relay's path. Lives on the main loop.
#pragma once

#include <ctime>
#include <functional>
#include <thread>
#include <vector>

#include "base/time.h"
#include "net/loop.h"
#include "server/history.h"
#include "server/metrics.h"

namespace turnpike::server {

// The CPU time of the threads that relay, which the kernel counts.
class WorkerClocks {
 public:
  // One for each worker, in order. The thread runs.
  void watch(std::thread& thread);
  void watch_this_thread();
  // How busy each was since the last call, in thousandths of the time that has passed since.
  std::vector<std::uint32_t> busy(MonoTime now);

 private:
  struct Thread {
    clockid_t clock;
    Duration used{0};
  };
  std::vector<Thread> threads_;
  MonoTime last_;
};

// `busy` of as many workers as there are.
Sample take_sample(const MetricsSources& sources, const std::vector<std::uint32_t>& busy);

class Sampler {
 public:
  Sampler(net::Loop& loop, History& history, std::function<Sample(MonoTime now)> take);
  void start();  // the first row at once

 private:
  void sample();

  net::Loop& loop_;
  History& history_;
  const std::function<Sample(MonoTime now)> take_;
  Tick started_;
  net::LoopTimer timer_;
};

}  // namespace turnpike::server
