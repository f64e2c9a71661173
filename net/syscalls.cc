#include "net/syscalls.h"

#include <unistd.h>

#include <atomic>

namespace turnpike::net {
namespace {

Syscalls kernel;
std::atomic<Syscalls*> current{&kernel};

}  // namespace

Syscalls& syscalls() { return *current.load(std::memory_order_relaxed); }

Syscalls* replace_syscalls(Syscalls* replacement) {
  return current.exchange(replacement == nullptr ? &kernel : replacement);
}

int Syscalls::socket(int domain, int type, int protocol) {
  return ::socket(domain, type, protocol);
}
int Syscalls::bind(int fd, const sockaddr* address, socklen_t length) {
  return ::bind(fd, address, length);
}
int Syscalls::connect(int fd, const sockaddr* address, socklen_t length) {
  return ::connect(fd, address, length);
}
int Syscalls::listen(int fd, int backlog) { return ::listen(fd, backlog); }
int Syscalls::accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  return ::accept4(fd, address, length, flags);
}
int Syscalls::getsockname(int fd, sockaddr* address, socklen_t* length) {
  return ::getsockname(fd, address, length);
}
int Syscalls::getpeername(int fd, sockaddr* address, socklen_t* length) {
  return ::getpeername(fd, address, length);
}
int Syscalls::getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  return ::getsockopt(fd, level, name, value, length);
}
int Syscalls::setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  return ::setsockopt(fd, level, name, value, length);
}
ssize_t Syscalls::sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* address,
                         socklen_t length) {
  return ::sendto(fd, bytes, size, flags, address, length);
}
ssize_t Syscalls::sendmsg(int fd, const msghdr* message, int flags) {
  return ::sendmsg(fd, message, flags);
}
int Syscalls::sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  return ::sendmmsg(fd, messages, count, flags);
}
ssize_t Syscalls::recvmsg(int fd, msghdr* message, int flags) {
  return ::recvmsg(fd, message, flags);
}
int Syscalls::recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  return ::recvmmsg(fd, messages, count, flags, nullptr);
}
ssize_t Syscalls::read(int fd, void* buffer, size_t size) { return ::read(fd, buffer, size); }
ssize_t Syscalls::writev(int fd, const iovec* pieces, int count) {
  return ::writev(fd, pieces, count);
}
int Syscalls::shutdown(int fd, int how) { return ::shutdown(fd, how); }
int Syscalls::close(int fd) { return ::close(fd); }
int Syscalls::epoll_create() { return ::epoll_create1(EPOLL_CLOEXEC); }
int Syscalls::epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  return ::epoll_ctl(epoll, operation, fd, event);
}
int Syscalls::epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
  return ::epoll_wait(epoll, events, count, timeout_ms);
}

}  // namespace turnpike::net
