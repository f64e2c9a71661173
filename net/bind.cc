#include "net/bind.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "net/sockaddr.h"
#include "net/syscalls.h"

namespace turnpike::net {
namespace {

// Unsent bytes that the kernel takes from a connection before it says "full". Its send buffer grows
// to megabytes, and relayed media that waits there for seconds is worth less than media dropped.
constexpr int kUnsentBytes = 128 * 1024;

bool switch_on(int fd, int level, int name) {
  const int on = 1;
  return syscalls().setsockopt(fd, level, name, &on, sizeof on) == 0;
}

std::string reason(int error) {
  switch (error) {
    case EADDRINUSE:
      return "address in use (is another server running?)";
    case EADDRNOTAVAIL:
      return "this machine has no such address (see `ip address`)";
    case EACCES:
    case EPERM:
      return "not permitted (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
    case EAFNOSUPPORT:
      return "this machine does not offer this address family";
    case EMFILE:
    case ENFILE:
      return "too many open files (raise the limit, see `ulimit -n`)";
    default:
      return std::strerror(error);
  }
}

}  // namespace

Expected<void> check_free(const Address& address, int socktype) {
  const Expected<int> probe = open_bound(address, socktype, ReusePort::kNo);
  if (!probe) return unexpected(probe.error());
  // SO_REUSEADDR lets two TCP sockets bind as long as none of them listens; listening decides.
  const bool free = socktype != SOCK_STREAM || syscalls().listen(*probe, 1) == 0;
  const int error = errno;
  syscalls().close(*probe);
  if (!free) return failure(bind_sentence(address, socktype, error));
  return {};
}

int open_socket(Family family, int socktype) {
  const int domain = family == Family::kIPv4 ? AF_INET : AF_INET6;
  const int fd = syscalls().socket(domain, socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || family == Family::kIPv4 || switch_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) return fd;
  const int error = errno;
  syscalls().close(fd);
  errno = error;
  return -1;
}

Expected<int> open_bound(const Address& address, int socktype, ReusePort reuse_port) {
  const int fd = open_socket(address.family(), socktype);
  if (fd < 0) return failure(bind_sentence(address, socktype, errno));
  const SocketAddress where = to_sockaddr(address);
  const bool bound = (socktype != SOCK_STREAM || switch_on(fd, SOL_SOCKET, SO_REUSEADDR)) &&
                     (reuse_port == ReusePort::kNo || switch_on(fd, SOL_SOCKET, SO_REUSEPORT)) &&
                     syscalls().bind(fd, where.raw(), where.length) == 0;
  if (bound) return fd;
  const int error = errno;
  syscalls().close(fd);
  return failure(bind_sentence(address, socktype, error));
}

void prepare_connection(int fd) {
  switch_on(fd, IPPROTO_TCP, TCP_NODELAY);
  syscalls().setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof kUnsentBytes);
}

std::string bind_sentence(const Address& address, int socktype, int error) {
  const std::string protocol = socktype == SOCK_STREAM ? "tcp " : "udp ";
  return "cannot bind " + protocol + address.to_string() + ": " + reason(error);
}

}  // namespace turnpike::net
