#include "net/tcp_connector.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "net/bind.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"

namespace turnpike::net {

std::unique_ptr<TcpConnector> TcpConnector::start(Loop& loop, const Address& from,
                                                  const Address& to,
                                                  std::function<void(int fd)> done) {
  const Expected<int> fd = open_bound(from, SOCK_STREAM, ReusePort::kYes);
  if (!fd) return nullptr;
  prepare_connection(*fd);
  const SocketAddress where = to_sockaddr(to);
  if (syscalls().connect(*fd, where.raw(), where.length) != 0 && errno != EINPROGRESS) {
    syscalls().close(*fd);
    return nullptr;
  }
  return std::unique_ptr<TcpConnector>(new TcpConnector(loop, *fd, std::move(done)));
}

TcpConnector::TcpConnector(Loop& loop, int fd, std::function<void(int fd)> done)
    : fd_(fd),
      done_(std::move(done)),
      poll_(std::make_unique<Poll>(loop, fd, [this](int) { on_ready(); })) {
  poll_->watch(Poll::kWritable);
}

TcpConnector::~TcpConnector() {
  poll_.reset();
  if (fd_ >= 0) syscalls().close(fd_);
}

void TcpConnector::on_ready() {
  int error = 0;
  socklen_t size = sizeof error;
  if (syscalls().getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  poll_.reset();
  const int fd = std::exchange(fd_, -1);
  if (error != 0) syscalls().close(fd);
  // Moved out: the connector, and with it the function, may be destroyed by the call.
  const auto done = std::move(done_);
  done(error == 0 ? fd : -1);
}

}  // namespace turnpike::net
