#include "base/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace turnpike::log {
namespace {

// Neither a pipe that nobody reads nor one whose reader is slow may stop the server.
int open_file(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
}

// What could not be written, 0 if everything was; errno says why.
std::size_t write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) break;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return text.size();
}

}  // namespace

LogFile::LogFile(std::string path) : path_(std::move(path)) { reopen(); }

LogFile::~LogFile() {
  if (fd_ >= 0) ::close(fd_);
}

void LogFile::reopen() {
  const int fd = open_file(path_);
  if (fd < 0) {
    return complain(errno, fd_ >= 0 ? "lines go on into the file that was open"
                                    : "lines are lost until it can be opened");
  }
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  torn_ = false;
  troubled_ = false;
}

bool LogFile::is_where_it_was() const {
  struct stat named {};
  struct stat opened {};
  return fd_ >= 0 && ::stat(path_.c_str(), &named) == 0 && ::fstat(fd_, &opened) == 0 &&
         named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

void LogFile::look(Time now) {
  if (now < next_look_ && now + kLook >= next_look_) return;
  next_look_ = now + kLook;
  if (!is_where_it_was()) reopen();
}

bool LogFile::write(std::string_view line, Time now) {
  look(now);
  if (fd_ < 0) return false;
  const bool started = !torn_ || write_all(fd_, "\n") == 0;
  const std::size_t left = started ? write_all(fd_, line) : line.size();
  if (left == 0) {
    torn_ = false;
    // A file that is no longer at its path stays a trouble although it can be written.
    if (troubled_ && is_where_it_was()) troubled_ = false;
    return true;
  }
  const int error = errno;
  torn_ = started ? left < line.size() : torn_;
  complain(error, "lines are lost until it can be written");
  return false;
}

void LogFile::give_to(uid_t user, gid_t group) {
  struct stat opened {};
  if (fd_ < 0 || ::fstat(fd_, &opened) != 0 || !S_ISREG(opened.st_mode)) return;
  if (::fchown(fd_, user, group) != 0) complain(errno, "its owner stays");
}

void LogFile::complain(int error, std::string_view consequence) {
  if (!troubled_) {
    complaint_ = fmt::format("log file {}: {}; {}", path_, std::strerror(error), consequence);
  }
  troubled_ = true;
}

std::string LogFile::take_complaint() { return std::exchange(complaint_, {}); }

}  // namespace turnpike::log
