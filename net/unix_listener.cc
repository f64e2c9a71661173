#include "net/unix_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "net/syscalls.h"

namespace turnpike::net {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int open_unix() {
  return syscalls().socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

Expected<std::unique_ptr<UnixListener>> refused(const std::string& path, const std::string& why) {
  return failure("cannot listen on the UNIX socket " + path + ": " + why);
}

// Whether it is a socket that nobody answers at: what a server left that was killed.
bool is_abandoned(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return false;
  const int fd = open_unix();
  if (fd < 0) return false;
  const sockaddr_un address = address_of(path);
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  syscalls().close(fd);
  return result != 0 && error == ECONNREFUSED;
}

}  // namespace

Expected<std::unique_ptr<UnixListener>> UnixListener::bind(const std::string& path) {
  if (path.size() > kMaxPath) return refused(path, "the path is too long");
  if (is_abandoned(path)) ::unlink(path.c_str());
  const int fd = open_unix();
  if (fd < 0) return refused(path, std::strerror(errno));
  const sockaddr_un address = address_of(path);
  // The file is made by bind() with what the mask leaves; nobody else is ever let in. No other
  // thread makes files now.
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  if (bound != 0 || syscalls().listen(fd, kBacklog) != 0) {
    const int why = bound != 0 ? error : errno;
    syscalls().close(fd);
    return refused(path, why == EADDRINUSE ? "another server is there" : std::strerror(why));
  }
  return std::unique_ptr<UnixListener>(new UnixListener(path, fd));
}

UnixListener::UnixListener(std::string path, int fd) : path_(std::move(path)), fd_(fd) {
  struct stat own {};
  if (::lstat(path_.c_str(), &own) != 0) return;
  device_ = own.st_dev;
  inode_ = own.st_ino;
}

UnixListener::~UnixListener() {
  poll_.reset();
  syscalls().close(fd_);
  struct stat there {};
  if (::lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

void UnixListener::start(Loop& loop, std::function<void(int fd)> accepted) {
  accepted_ = std::move(accepted);
  poll_ = std::make_unique<Poll>(loop, fd_, [this](int) { on_readable(); });
  poll_->watch(Poll::kReadable);
}

void UnixListener::on_readable() {
  for (int i = 0; i < kAcceptsPerWakeUp; ++i) {
    const int fd = syscalls().accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    accepted_(fd);
  }
}

}  // namespace turnpike::net
