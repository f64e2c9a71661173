#include "tools/call/record.h"

#include <algorithm>
#include <numeric>

namespace turnpike::call {
namespace {

double milliseconds_of(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

// The mean of f(stream) over the audio streams that brought something.
template <typename F>
std::optional<double> audio_mean(const CallRecord& record, F&& f) {
  double sum = 0;
  int count = 0;
  for (const StreamRecord& stream : record.streams) {
    if (stream.kind != Kind::kAudio || stream.received.packets == 0) continue;
    sum += f(stream);
    ++count;
  }
  return count == 0 ? std::nullopt : std::optional(sum / count);
}

}  // namespace

double CallRecord::loss() const {
  std::uint64_t sent = 0, lost = 0;
  for (const StreamRecord& stream : streams) {
    sent += stream.sent;
    lost += stream.lost();
  }
  return sent == 0 ? 0 : static_cast<double>(lost) / static_cast<double>(sent);
}

double CallRecord::jitter_ms() const {
  return audio_mean(*this, [](const StreamRecord& s) { return s.received.jitter_ns / 1e6; })
      .value_or(0);
}

double CallRecord::delay_ms() const {
  return audio_mean(*this, [](const StreamRecord& s) { return s.received.delay_ms(); }).value_or(0);
}

std::optional<double> CallRecord::mos() const {
  return audio_mean(*this, [](const StreamRecord& s) {
    return mos_of({.delay_ms = s.received.delay_ms(),
                   .jitter_ms = s.received.jitter_ns / 1e6,
                   .loss = s.loss()});
  });
}

void Totals::add(const CallRecord& record) {
  records_.push_back(record);
  if (record.failed) {
    ++failed_;
    ++causes_[record.cause];
  }
  if (record.redials > 0) {
    ++redialled_;
    recovered_ += record.failed ? 0 : 1;
  }
  if (!record.path.empty()) ++paths_[record.path];
  late_ms_ = std::max(late_ms_, record.late_ms);
  for (const StreamRecord& stream : record.streams) {
    sent_ += stream.sent;
    lost_ += stream.lost();
    corrupt_ += stream.received.corrupt + stream.received.misrouted;
    duplicated_ += stream.received.duplicated;
    reordered_ += stream.received.reordered;
  }
}

void Totals::end_second(const Sums& sums) {
  const auto passed = static_cast<double>(sums.time_ns - before_.time_ns);
  const auto worked = static_cast<double>(sums.cpu_ns - before_.cpu_ns);
  seconds_.push_back({.talking = sums.talking,
                      .sent = sums.sent - before_.sent,
                      .received = sums.received - before_.received,
                      .delay_p50_ms = milliseconds_of(this_second_.percentile(0.5)),
                      .delay_p99_ms = milliseconds_of(this_second_.percentile(0.99)),
                      .late_ms = milliseconds_of(sums.late_ns),
                      .busy = passed > 0 ? worked / passed : 0});
  before_ = sums;
  this_second_.clear();
}

std::vector<double> Totals::phase(std::optional<double> Phases::*phase) const {
  std::vector<double> all;
  for (const CallRecord& record : records_) {
    if (record.phases.*phase) all.push_back(*(record.phases.*phase));
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<double> Totals::moses() const {
  std::vector<double> all;
  for (const CallRecord& record : records_) {
    if (const auto mos = record.mos()) all.push_back(*mos);
  }
  std::sort(all.begin(), all.end());
  return all;
}

double Totals::jitter_ms() const {
  double sum = 0;
  int count = 0;
  for (const CallRecord& record : records_) {
    if (!record.mos()) continue;
    sum += record.jitter_ms();
    ++count;
  }
  return count == 0 ? 0 : sum / count;
}

double percentile_of(const std::vector<double>& sorted, double part) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(part * static_cast<double>(sorted.size()));
  return sorted[std::min(at, sorted.size() - 1)];
}

}  // namespace turnpike::call
