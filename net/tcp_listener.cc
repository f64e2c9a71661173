#include "net/tcp_listener.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"

namespace turnpike::net {
namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn

int open_spare() { return syscalls().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

}  // namespace

Expected<std::unique_ptr<TcpListener>> TcpListener::bind(const Wish& wish) {
  const Expected<int> fd = open_bound(wish.bind, SOCK_STREAM, wish.reuse_port);
  if (!fd) return unexpected(fd.error());
  if (syscalls().listen(*fd, kBacklog) != 0) {
    const int error = errno;
    syscalls().close(*fd);
    return failure(bind_sentence(wish.bind, SOCK_STREAM, error));
  }
  return std::unique_ptr<TcpListener>(new TcpListener(*fd, local_address_of(*fd)));
}

TcpListener::TcpListener(int fd, const Address& local)
    : fd_(fd), spare_fd_(open_spare()), local_(local) {}

TcpListener::~TcpListener() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  poll_.reset();
  syscalls().close(fd_);
  if (spare_fd_ >= 0) syscalls().close(spare_fd_);
}

void TcpListener::start(Loop& loop, std::function<void(int fd)> accepted) {
  CHECK(!poll_);
  loop_ = &loop;
  accepted_ = std::move(accepted);
  rested_ = std::make_unique<LoopTimer>(loop, [this] {
    if (spare_fd_ < 0) spare_fd_ = open_spare();
    // Nobody else would look for it when descriptors are to be had again.
    if (spare_fd_ < 0) rested_->arm(loop_->tick().mono + kRest);
    poll_->watch(Poll::kReadable);
  });
  poll_ = std::make_unique<Poll>(loop, fd_, [this](int) { on_readable(); });
  poll_->watch(Poll::kReadable);
}

void TcpListener::share_port() {
  const int on = 1;
  syscalls().setsockopt(fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
}

void TcpListener::on_readable() {
  bool destroyed = false;
  destroyed_ = &destroyed;
  for (int i = 0; i < kAcceptsPerWakeUp; ++i) {
    const int fd = syscalls().accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (survive(errno)) continue;
      break;
    }
    prepare_connection(fd);
    // A copy: the listener, and with it the function, may be destroyed by the call.
    const auto accepted = accepted_;
    accepted(fd);
    if (destroyed) return;
  }
  destroyed_ = nullptr;
}

bool TcpListener::survive(int error) {
  switch (error) {
    case EAGAIN:
      return false;
    case EMFILE:
    case ENFILE:
      // The spare makes room for one more: that connection is accepted and closed at once.
      if (spare_fd_ >= 0) {
        syscalls().close(spare_fd_);
        const int fd = syscalls().accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        const int then = errno;
        if (fd >= 0) syscalls().close(fd);
        spare_fd_ = open_spare();
        // Another thread was faster: it is looked for until it is there.
        if (spare_fd_ < 0) rested_->arm(loop_->tick().mono + kRest);
        if (fd >= 0) return true;
        if (then == EAGAIN) return false;
      }
      rest();
      return false;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ETIMEDOUT:
      // That connection was gone before it was accepted (accept(2) passes its errors on).
      return true;
    default:
      // No memory, or the connection stays where it is (EPERM of a security module): asking again
      // at once would be asking for ever.
      rest();
      return false;
  }
}

void TcpListener::rest() {
  poll_->watch(0);
  rested_->arm(loop_->tick().mono + kRest);
}

}  // namespace turnpike::net
