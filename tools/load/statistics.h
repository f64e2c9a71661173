// What both load generators count with: a histogram of durations, and the two things that /proc
// tells about the server under load, the run time of all its threads and its resident memory.
// Values and readers of files; the generator's own thread.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

namespace turnpike::load {

// Durations in nanoseconds in 64 octaves of 64 linear steps: every percentile is exact to 1.6 %,
// record() is a few instructions, and merging adds.
class Histogram {
 public:
  void record(std::uint64_t nanoseconds) {
    ++counts_[index_of(nanoseconds)];
    ++count_;
    sum_ += nanoseconds;
    if (nanoseconds > max_) max_ = nanoseconds;
  }
  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    if (other.max_ > max_) max_ = other.max_;
  }
  void clear() { *this = Histogram{}; }

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  std::uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }
  // The duration that `part` (0.5, 0.99) of all records do not exceed; 0 when there are none.
  std::uint64_t percentile(double part) const {
    if (count_ == 0) return 0;
    auto left = static_cast<std::uint64_t>(part * static_cast<double>(count_));
    if (left >= count_) left = count_ - 1;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (left < counts_[i]) return upper_end_of(i) < max_ ? upper_end_of(i) : max_;
      left -= counts_[i];
    }
    return max_;
  }

 private:
  static constexpr unsigned kStepBits = 6;
  static constexpr std::uint64_t kSteps = 1u << kStepBits;

  static std::size_t index_of(std::uint64_t value) {
    if (value < kSteps) return static_cast<std::size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kStepBits;
    return static_cast<std::size_t>((shift + 1) * kSteps + (value >> shift) - kSteps);
  }
  static std::uint64_t upper_end_of(std::size_t index) {
    if (index < kSteps) return index;
    const unsigned shift = static_cast<unsigned>(index / kSteps) - 1;
    return ((index % kSteps + kSteps + 1) << shift) - 1;
  }

  std::array<std::uint64_t, (64 - kStepBits + 1) * kSteps> counts_{};
  std::uint64_t count_ = 0, sum_ = 0, max_ = 0;
};

// The first number in a file of /proc that follows `label` ("" is the start of the file).
inline std::optional<std::uint64_t> read_proc_number(const std::string& path,
                                                     const std::string& label = "") {
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return std::nullopt;
  std::string text(8192, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  const std::size_t at = text.find(label);
  if (at == std::string::npos || text.empty()) return std::nullopt;
  return std::strtoull(text.c_str() + at + label.size(), nullptr, 10);
}

// Nanoseconds that all threads of a process have run since they began (/proc/PID/task/*/schedstat,
// first field: time on the CPU, user and kernel). Threads that ended are not in it.
inline std::optional<std::uint64_t> cpu_time_of(pid_t process) {
  const std::string folder = "/proc/" + std::to_string(process) + "/task/";
  DIR* tasks = ::opendir(folder.c_str());
  if (tasks == nullptr) return std::nullopt;
  std::uint64_t total = 0;
  while (const dirent* task = ::readdir(tasks)) {
    if (task->d_name[0] == '.') continue;
    total += read_proc_number(folder + task->d_name + "/schedstat").value_or(0);
  }
  ::closedir(tasks);
  return total;
}

// Bytes of resident memory of a process: exact, not the kernel's lazily summed counters.
inline std::optional<std::uint64_t> resident_memory_of(pid_t process) {
  const auto kilobytes =
      read_proc_number("/proc/" + std::to_string(process) + "/smaps_rollup", "Rss:");
  if (!kilobytes) return std::nullopt;
  return *kilobytes * 1024;
}

}  // namespace turnpike::load
