// TcpListener: accepts connections on our own descriptor (uv_tcp cannot give its descriptor up, and
// connections change loops here). Survives EMFILE: it keeps a spare descriptor to accept and close
// with, so that the queue of connections empties and the loop never spins; when even the spare is
// lost it rests for a moment. Loop thread only.
#pragma once

#include <functional>
#include <memory>

#include "base/address.h"
#include "base/expected.h"
#include "base/time.h"
#include "net/bind.h"
#include "net/loop.h"

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

  // `accepted` owns the descriptor it is given (non-blocking, close-on-exec, TCP_NODELAY). It may
  // destroy the listener.
  void start(Loop& loop, std::function<void(int fd)> accepted);
  // From now on connections out may begin at this address too (TcpConnector). It was bound alone,
  // and whoever binds it alone later is refused as before.
  void share_port();
  const Address& local() const { return local_; }
  // Not when there was no descriptor for one.
  bool has_spare() const { return spare_fd_ >= 0; }

 private:
  // Connections taken in one wake-up; the loop comes back for the rest.
  static constexpr int kAcceptsPerWakeUp = 64;
  static constexpr milliseconds kRest{100};

  TcpListener(int fd, const Address& local);
  void on_readable();
  // Whether accepting may go on after this errno.
  bool survive(int error);
  void rest();

  int fd_;
  int spare_fd_;
  Address local_;
  std::function<void(int fd)> accepted_;
  Loop* loop_ = nullptr;
  std::unique_ptr<Poll> poll_;
  std::unique_ptr<LoopTimer> rested_;
  bool* destroyed_ = nullptr;  // set while connections are accepted
};

}  // namespace turnpike::net
