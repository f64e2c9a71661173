// What a run found out, printed as a table for people or as JSON for scripts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/load/statistics.h"
#include "tools/load/turn_load_options.h"

namespace turnpike::load {

// The server's and the generator's CPU time at two moments, and what it was spent on.
class CpuClock {
 public:
  explicit CpuClock(pid_t server) : server_(server) {}
  void start();
  void stop();
  std::optional<double> server_seconds() const;
  double own_seconds() const { return static_cast<double>(own_) * 1e-9; }
  double elapsed() const { return static_cast<double>(elapsed_) * 1e-9; }

 private:
  pid_t server_;
  std::optional<std::uint64_t> server_at_start_, server_ns_;
  std::uint64_t own_at_start_ = 0, own_ = 0, began_ = 0, elapsed_ = 0;
};

struct Report {
  // Over the whole run, warm-up and drain included.
  std::uint64_t sent[2] = {}, delivered[2] = {};  // up, down
  std::uint64_t corrupt = 0, duplicated = 0, misrouted = 0, too_old = 0, refused_by_kernel = 0;
  std::uint64_t failed = 0;  // set-ups, sessions, or wrong answers

  // While it was measured.
  std::uint64_t done = 0;  // packets delivered, answers, or set-ups
  double elapsed = 0;
  std::optional<double> server_cpu;
  double own_cpu = 0;
  Histogram latency;

  unsigned held = 0;
  std::optional<std::uint64_t> memory_before, memory_after;

  double rate() const { return elapsed > 0 ? static_cast<double>(done) / elapsed : 0; }
  std::optional<double> cpu_per_unit() const;  // microseconds
  std::optional<double> memory_per_allocation() const;
  double loss() const;  // part of what was sent
  void take(const CpuClock& clock);
  int exit_code() const;
};

void print_report(const Options& options, const Report& report);
// A line on stderr that overwrites itself on a terminal.
void print_progress(const Options& options, double at, double rate, const char* unit);
int print_failure(const std::string& what);

}  // namespace turnpike::load
