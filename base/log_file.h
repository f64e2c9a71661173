// The file of --log-file, which may disappear, be rotated away or run into a full disk: it is
// opened again when asked to and when another file, or none, stands at its path, and what cannot be
// written is counted and never waited for. Used by the log's sink, under its lock.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace turnpike::log {

class LogFile {
 public:
  using Time = std::chrono::system_clock::time_point;

  explicit LogFile(std::string path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // One line, with its line break. False when it is lost.
  bool write(std::string_view line, Time now);
  void reopen();
  // Whose it is to be once this process is no longer root.
  void give_to(uid_t user, gid_t group);

  // A sentence about what has gone wrong since the last call; mostly empty. One for each trouble,
  // not one for each line.
  std::string take_complaint();
  const std::string& path() const { return path_; }

 private:
  // How often the path is looked at: rotation without a signal is noticed by then.
  static constexpr std::chrono::seconds kLook{1};

  void look(Time now);
  bool is_where_it_was() const;
  void complain(int error, std::string_view consequence);

  std::string path_;
  int fd_ = -1;
  Time next_look_{};
  bool torn_ = false;      // the last line of the file is not whole
  bool troubled_ = false;  // and this was said
  std::string complaint_;
};

}  // namespace turnpike::log
