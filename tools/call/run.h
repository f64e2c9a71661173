// Run: begins calls at the rate that was asked for, drives the loop until all are over, and shows
// how it goes. Made by main; one thread.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/expected.h"
#include "tools/call/call.h"
#include "tools/call/record.h"
#include "tools/load/progress_line.h"

namespace turnpike::call {

class Run final : private Call::Owner {
 public:
  // The Error is a mistake in the options that only the network or the disk could tell.
  static Expected<Totals> run(const Options& options);

 private:
  Run(const Services& services, const Options& options);
  // A call that failed waits until it is set up again.
  struct Redial {
    Call::Place place;
    CallRecord record;  // of the time before
    std::uint64_t due = 0;
  };
  void begin_due(std::uint64_t now);
  void begin(Call::Place place);
  void redial_due(std::uint64_t now);
  void redial_later(const Call& call);
  void hang_up();
  bool is_over() const;
  void collect();
  void end_second(std::uint64_t now);
  void show(std::uint64_t now);
  void on_call_arrival(std::uint64_t delay_ns) override { totals_.on_arrival(delay_ns); }
  void on_call_over() override { some_are_over_ = true; }

  const Services& services_;
  const Options& options_;
  Desk desk_;
  Totals totals_;
  load::ProgressLine line_;
  std::string room_prefix_;
  std::uint32_t flow_base_ = 0;
  std::uint64_t started_at_ = 0, next_second_ = 0, cpu_at_start_ = 0;
  unsigned begun_ = 0;
  std::vector<std::unique_ptr<Call>> calls_;  // those that are not over
  bool some_are_over_ = false;                // but for these
  std::vector<Redial> redials_;
  bool hanging_up_ = false;
  std::uint64_t sent_ = 0, received_ = 0;  // of those that are
};

// SIGINT and SIGTERM hang up.
void hang_up_on_signals();

}  // namespace turnpike::call
