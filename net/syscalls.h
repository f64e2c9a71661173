// The one seam between this program and the kernel's socket calls, so that tests can make them
// fail. Everything in net/ reaches the kernel through syscalls(); production never replaces it.
// Any thread.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

namespace turnpike::net {

class Syscalls {
 public:
  virtual ~Syscalls() = default;
  virtual int socket(int domain, int type, int protocol);
  virtual int bind(int fd, const sockaddr* address, socklen_t length);
  virtual int connect(int fd, const sockaddr* address, socklen_t length);
  virtual int listen(int fd, int backlog);
  virtual int accept4(int fd, sockaddr* address, socklen_t* length, int flags);
  virtual int getsockname(int fd, sockaddr* address, socklen_t* length);
  virtual int getpeername(int fd, sockaddr* address, socklen_t* length);
  virtual int getsockopt(int fd, int level, int name, void* value, socklen_t* length);
  virtual int setsockopt(int fd, int level, int name, const void* value, socklen_t length);
  virtual ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* address,
                         socklen_t length);
  virtual ssize_t sendmsg(int fd, const msghdr* message, int flags);
  virtual int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags);
  virtual ssize_t recvmsg(int fd, msghdr* message, int flags);
  virtual int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags);
  virtual ssize_t read(int fd, void* buffer, size_t size);
  virtual ssize_t writev(int fd, const iovec* pieces, int count);
  virtual int shutdown(int fd, int how);
  virtual int close(int fd);
  virtual int epoll_create();
  virtual int epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
  virtual int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms);
};

Syscalls& syscalls();
// Tests only: replaces the seam, answers what was there; nullptr restores the kernel.
Syscalls* replace_syscalls(Syscalls* replacement);

}  // namespace turnpike::net
