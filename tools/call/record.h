// What came of a call, and of all of them: values that calls fill in and reports print.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/call/quality.h"
#include "tools/call/streams.h"
#include "tools/load/statistics.h"

namespace turnpike::call {

// One direction of one kind of media, as the receiving side saw it.
struct StreamRecord {
  std::uint32_t to = 0;  // the side that received
  Kind kind = Kind::kAudio;
  std::uint64_t sent = 0;
  Received received;

  std::uint64_t lost() const { return sent > received.packets ? sent - received.packets : 0; }
  double loss() const {
    return sent == 0 ? 0 : static_cast<double>(lost()) / static_cast<double>(sent);
  }
};

// What a stranger sent to a guest: only what RTP itself tells can be counted.
struct ForeignRecord {
  std::uint64_t packets = 0;
  std::uint64_t lost = 0;
  double jitter_ms = 0;
};

// From the beginning of the call until it was reached, by the later side; milliseconds.
struct Phases {
  std::optional<double> joined, selected, connected, media;
};

struct CallRecord {
  unsigned number = 0;  // from 1
  bool failed = false;
  std::string cause;
  unsigned redials = 0;  // the rest of this tells of the last time that it was set up
  Phases phases;
  std::string path;     // "relay, relay": the selected candidates of side 0, local and remote
  std::string profile;  // of SRTP
  std::vector<StreamRecord> streams;
  std::vector<ForeignRecord> foreign;
  std::optional<double> round_trip_ms;  // as RTCP tells
  double late_ms = 0;                   // the longest that this process was behind its schedule

  double loss() const;                // of all streams
  double jitter_ms() const;           // the mean of the audio streams
  double delay_ms() const;            // the same
  std::optional<double> mos() const;  // of the audio streams, the mean; none when none came
};

// A second of the whole run.
struct Second {
  unsigned talking = 0;
  std::uint64_t sent = 0, received = 0;
  double delay_p50_ms = 0, delay_p99_ms = 0;
  double late_ms = 0;  // the longest that a packet left after its time
  double busy = 0;     // how much of a CPU this process took
};

class Totals {
 public:
  void add(const CallRecord& record);
  void on_arrival(std::uint64_t delay_ns) {
    delay_.record(delay_ns);
    this_second_.record(delay_ns);
  }
  // What all calls have done since the beginning, and the latest packet since the last second.
  struct Sums {
    unsigned talking = 0;
    std::uint64_t sent = 0, received = 0;
    std::uint64_t late_ns = 0;
    std::uint64_t time_ns = 0, cpu_ns = 0;
  };
  void end_second(const Sums& sums);

  unsigned calls() const { return static_cast<unsigned>(records_.size()); }
  unsigned failed() const { return failed_; }
  unsigned redialled() const { return redialled_; }  // calls, not times
  unsigned recovered() const { return recovered_; }  // those of them that did not fail in the end
  std::uint64_t sent() const { return sent_; }
  std::uint64_t lost() const { return lost_; }
  double loss() const {
    return sent_ == 0 ? 0 : static_cast<double>(lost_) / static_cast<double>(sent_);
  }
  std::uint64_t corrupt() const { return corrupt_; }
  std::uint64_t duplicated() const { return duplicated_; }
  std::uint64_t reordered() const { return reordered_; }
  double late_ms() const { return late_ms_; }
  const std::vector<CallRecord>& records() const { return records_; }
  const std::vector<Second>& seconds() const { return seconds_; }
  const std::map<std::string, unsigned>& causes() const { return causes_; }
  const std::map<std::string, unsigned>& paths() const { return paths_; }
  const load::Histogram& delay() const { return delay_; }
  // Sorted, of the calls that came so far.
  std::vector<double> phase(std::optional<double> Phases::*phase) const;
  std::vector<double> moses() const;
  double jitter_ms() const;  // the mean of the calls

 private:
  std::vector<CallRecord> records_;
  std::vector<Second> seconds_;
  std::map<std::string, unsigned> causes_, paths_;
  load::Histogram delay_, this_second_;
  unsigned failed_ = 0, redialled_ = 0, recovered_ = 0;
  std::uint64_t sent_ = 0, lost_ = 0, corrupt_ = 0, duplicated_ = 0, reordered_ = 0;
  Sums before_;
  double late_ms_ = 0;
};

// Of sorted numbers; 0 when there are none. `part` is 0.5, 0.99...
double percentile_of(const std::vector<double>& sorted, double part);

}  // namespace turnpike::call
