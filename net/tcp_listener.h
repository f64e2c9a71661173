// TcpListener: accepts connections on our own descriptor (uv_tcp cannot give its descriptor up, and
// connections change loops here). Survives EMFILE: it keeps a spare descriptor to accept and close
// with, and never spins. Loop thread only.
#pragma once

#include <functional>
#include <memory>

#include "base/address.h"
#include "base/expected.h"
#include "net/loop.h"
#include "net/udp_socket.h"

namespace turnpike::net {

class TcpListener {
 public:
  struct Wish {
    Address bind;  // a port of 0 draws one
    ReusePort reuse_port = ReusePort::kNo;
  };
  static Expected<std::unique_ptr<TcpListener>> bind(const Wish& wish);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  // `accepted` owns the descriptor it is given (non-blocking, close-on-exec, TCP_NODELAY).
  void start(Loop& loop, std::function<void(int fd)> accepted);
  const Address& local() const { return local_; }

 private:
  TcpListener(int fd, const Address& local);
  void on_readable();

  int fd_;
  int spare_fd_;
  Address local_;
  std::function<void(int fd)> accepted_;
  std::unique_ptr<Poll> poll_;
};

}  // namespace turnpike::net
