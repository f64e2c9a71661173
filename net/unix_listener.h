// UnixListener: accepts connections on a UNIX socket that only its owner (and root) may open. Loop
// thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/expected.h"
#include "net/loop.h"

namespace turnpike::net {

class UnixListener {
 public:
  static constexpr std::size_t kMaxPath = 107;  // of sockaddr_un, with the NUL that ends it

  // A socket that nobody listens on any more is replaced; anything else at that path is left alone.
  // The Error says what to do.
  static Expected<std::unique_ptr<UnixListener>> bind(const std::string& path);
  ~UnixListener();  // removes the socket, if it is still this one
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;

  // `accepted` owns the descriptor it is given (non-blocking, close-on-exec).
  void start(Loop& loop, std::function<void(int fd)> accepted);
  const std::string& path() const { return path_; }

 private:
  static constexpr int kAcceptsPerWakeUp = 8;
  static constexpr int kBacklog = 16;

  UnixListener(std::string path, int fd);
  void on_readable();

  const std::string path_;
  const int fd_;
  unsigned long device_ = 0;  // of the socket's file
  unsigned long inode_ = 0;
  std::function<void(int fd)> accepted_;
  std::unique_ptr<Poll> poll_;
};

}  // namespace turnpike::net
