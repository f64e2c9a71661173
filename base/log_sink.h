// Where the lines of the log go: standard error, a file or syslog, as text or JSON. Lines come from
// spdlog's thread, before and after the server runs from any. Used by log.cc alone.
#pragma once

#include <spdlog/sinks/base_sink.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/log_file.h"
#include "base/log_format.h"

namespace turnpike::log {

class Sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  Sink();
  void configure(const Settings& settings);
  void give_file_to(uid_t user, gid_t group);
  // Before the next line. Never waits for a line that is being written.
  void reopen() { reopen_.store(true); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

  std::string dressed(const Line& line, Head head) const;
  void to_standard_error(const Line& line);
  void to_file(const Line& line);
  void to_syslog(const Line& line);
  // What the log itself has to say, where somebody may see it.
  void pass_on_complaint();

  Settings settings_;
  std::unique_ptr<LogFile> file_;
  bool journal_;  // standard error is read by journald, which knows <4> as a priority
  std::uint64_t lost_ = 0;
  std::atomic<bool> reopen_{false};
};

}  // namespace turnpike::log
