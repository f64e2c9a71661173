// TcpConnector: one connection on its way out, from an address of ours that a listener may hold as
// well (TcpListener::share_port). How long it may take is the owner's to bound: destroying it gives
// up. Loop thread only.
#pragma once

#include <functional>
#include <memory>

#include "base/address.h"
#include "net/loop.h"

namespace turnpike::net {

class TcpConnector {
 public:
  // `done` is called once, later: with a descriptor that it owns (as TcpListener gives them), or
  // with -1. It may destroy the connector. nullptr: it has failed already.
  static std::unique_ptr<TcpConnector> start(Loop& loop, const Address& from, const Address& to,
                                             std::function<void(int fd)> done);
  ~TcpConnector();
  TcpConnector(const TcpConnector&) = delete;
  TcpConnector& operator=(const TcpConnector&) = delete;

 private:
  TcpConnector(Loop& loop, int fd, std::function<void(int fd)> done);
  void on_ready();

  int fd_;
  std::function<void(int fd)> done_;
  std::unique_ptr<Poll> poll_;
};

}  // namespace turnpike::net
