// Sampler: writes a row of the History every five seconds, from the same counters that /metrics
// reads: no worker is asked, so nothing of it is on the relay's path. Lives on the main loop, which
// relays where there is one worker, so a row needs no memory that the first one did not have.
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
  // How busy each was since the last call, in thousandths of the time that has passed since. Good
  // until the next call.
  const std::vector<std::uint32_t>& busy(MonoTime now);

 private:
  struct Thread {
    clockid_t clock;
    Duration used{0};
  };
  std::vector<Thread> threads_;
  std::vector<std::uint32_t> shares_;
  MonoTime last_;
};

// `busy` of as many workers as there are.
void take_sample(const MetricsSources& sources, const std::vector<std::uint32_t>& busy,
                 Sample& sample);

class Sampler {
 public:
  // Fills all of the sample, which it had in its hands before.
  using Take = std::function<void(MonoTime now, Sample& sample)>;

  Sampler(net::Loop& loop, History& history, Take take);
  void start();  // the first row at once

 private:
  void sample();

  net::Loop& loop_;
  History& history_;
  const Take take_;
  Sample sample_;
  Tick started_;
  net::LoopTimer timer_;
};

}  // namespace turnpike::server
