// Timers of as many allocations as the argument says: what arming, asking and expiring cost.
#include <benchmark/benchmark.h>

#include <deque>

#include "base/timer_wheel.h"

namespace turnpike {
namespace {

MonoTime after(std::int64_t milliseconds) {
  return {std::chrono::milliseconds(1'000'000 + milliseconds)};
}

void Refresh(benchmark::State& state) {
  TimerWheel wheel;
  std::deque<Timer> timers(static_cast<std::size_t>(state.range(0)));
  std::int64_t at = 600'000;
  for (Timer& timer : timers) wheel.arm(timer, after(at += 7));
  std::size_t next = 0;
  for (auto _ : state) {
    wheel.arm(timers[next], after(at += 7));
    if (++next == timers.size()) next = 0;
  }
}
BENCHMARK(Refresh)->Arg(100)->Arg(10000);

// Asked at the end of every turn of the loop.
void NextDeadline(benchmark::State& state) {
  TimerWheel wheel;
  std::deque<Timer> timers(static_cast<std::size_t>(state.range(0)));
  std::int64_t at = 600'000;
  for (Timer& timer : timers) wheel.arm(timer, after(at += 7));
  for (auto _ : state) benchmark::DoNotOptimize(wheel.next());
}
BENCHMARK(NextDeadline)->Arg(1)->Arg(10000);

void ExpireAndArm(benchmark::State& state) {
  TimerWheel wheel;
  std::deque<Timer> timers(static_cast<std::size_t>(state.range(0)));
  std::int64_t at = 0;
  for (Timer& timer : timers) wheel.arm(timer, after(at += 64));
  std::int64_t now = 0, expired = 0;
  for (auto _ : state) {
    now += 64;
    while (Timer* timer = wheel.take_expired(after(now))) {
      wheel.arm(*timer, after(now + at));
      ++expired;
    }
  }
  state.SetItemsProcessed(expired);
}
BENCHMARK(ExpireAndArm)->Arg(100)->Arg(10000);

}  // namespace
}  // namespace turnpike
