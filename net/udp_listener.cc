#include <sys/socket.h>

#include <cerrno>

#include "base/check.h"
#include "net/rx_slots.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"
#include "net/udp_socket.h"

namespace turnpike::net {
namespace {

// All clients of a listener share its send buffer, and a flush may send a megabyte at once.
void widen_send_buffer(int fd, int bytes) {
  if (syscalls().setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == 0) return;
  syscalls().setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

}  // namespace

Expected<std::unique_ptr<UdpListener>> UdpListener::bind(const Wish& wish) {
  const Expected<int> fd = open_bound(wish.bind, SOCK_DGRAM, wish.reuse_port);
  if (!fd) return unexpected(fd.error());
  prepare_udp(*fd, wish.bind.family(), wish.receive_buffer);
  widen_send_buffer(*fd, wish.receive_buffer);
  return std::unique_ptr<UdpListener>(new UdpListener(*fd, local_address_of(*fd)));
}

UdpListener::~UdpListener() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  poll_.reset();
  syscalls().close(fd_);
}

void UdpListener::start(Loop& loop, RxArena& arena, Receiver& receiver) {
  CHECK(!poll_);
  arena_ = &arena;
  receiver_ = &receiver;
  poll_ = std::make_unique<Poll>(loop, fd_, [this](int) { on_readable(); });
  poll_->watch(Poll::kReadable);
}

void UdpListener::on_readable() {
  bool destroyed = false;
  destroyed_ = &destroyed;
  RxArena::Slots& slots = arena_->slots();
  for (int reads = 0; reads < kReadsPerWakeUp; ++reads) {
    const int received = slots.receive(fd_, statistics_);
    for (int i = 0; i < received; ++i) {
      const auto [from, run] = slots.take(i, overflows_, statistics_);
      receiver_->on_datagrams(*this, from, run);
      if (destroyed) return;
    }
    // An error belongs to some packet sent earlier; the loop comes back when there is more.
    if (received < static_cast<int>(RxArena::kSlots)) break;
  }
  destroyed_ = nullptr;
}

}  // namespace turnpike::net
