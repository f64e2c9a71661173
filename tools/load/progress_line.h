// One line on standard error that is written over itself, when standard error is a terminal. Owned
// by a run; its own thread.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>

namespace turnpike::load {

class ProgressLine {
 public:
  ProgressLine() = default;
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void clear() {
    if (shown_) std::fprintf(stderr, "\r\x1b[K");
    shown_ = false;
  }
  // Whether show() would show anything.
  bool is_due(std::uint64_t now) const { return terminal_ && now >= next_; }
  // At most four times a second; `now` in nanoseconds.
  template <typename... Args>
  void show(std::uint64_t now, const char* format, Args... args) {
    if (!is_due(now)) return;
    next_ = now + kEvery;
    shown_ = true;
    std::fprintf(stderr, "\r\x1b[K");
    std::fprintf(stderr, format, args...);
    std::fflush(stderr);
  }

 private:
  static constexpr std::uint64_t kEvery = 250'000'000;
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  bool shown_ = false;
  std::uint64_t next_ = 0;
};

}  // namespace turnpike::load
