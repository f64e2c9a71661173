#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/check.h"
#include "net/error_queue.h"
#include "net/rx_slots.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"
#include "net/udp_socket.h"

namespace turnpike::net {
namespace {

RelaySockets::OpenError open_error(int error) {
  switch (error) {
    case EADDRINUSE:
    case EACCES:  // a privileged port: another one may do
      return RelaySockets::OpenError::kAddressInUse;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return RelaySockets::OpenError::kNoSuchAddress;
    default:
      return RelaySockets::OpenError::kNoResources;
  }
}

// Without DF and without belief in what ICMP says of an IPv4 path: routers fragment, and nobody who
// forges such a message makes us send small fragments. It also lets those messages into the error
// queue, where IP_PMTUDISC_DONT would not. IPv6 has no other way to learn of a path's MTU.
void ignore_path_mtu(int fd, Family family) {
  const int omit = IP_PMTUDISC_OMIT;
  if (family != Family::kIPv4) return;
  syscalls().setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof omit);
}

}  // namespace

RelaySockets::RelaySockets(Loop& loop, RxArena& arena, Receiver& receiver, std::uint32_t maximum)
    : arena_(arena),
      receiver_(receiver),
      epoll_(syscalls().epoll_create()),
      sockets_(maximum),
      next_turn_(loop, [this] { on_next_turn(); }) {
  CHECK(epoll_ >= 0);
  unfinished_.reserve(kEventsPerWakeUp);
  now_.reserve(kEventsPerWakeUp);
  poll_ = std::make_unique<Poll>(loop, epoll_, [this](int) { on_ready(); });
  poll_->watch(Poll::kReadable);
}

RelaySockets::~RelaySockets() {
  poll_.reset();
  sockets_.for_each([this](SocketHandle handle, Socket&) { close(handle); });
  syscalls().close(epoll_);
}

Expected<RelaySockets::SocketHandle, RelaySockets::OpenError> RelaySockets::open(
    const Address& address, std::uint64_t owner) {
  const int fd = open_socket(address.family(), SOCK_DGRAM);
  if (fd < 0) return unexpected(open_error(errno));
  const SocketAddress where = to_sockaddr(address);
  if (syscalls().bind(fd, where.raw(), where.length) != 0) {
    const OpenError error = open_error(errno);
    syscalls().close(fd);
    return unexpected(error);
  }
  const Address local = address.port != 0 ? address : local_address_of(fd);
  const auto adopted = adopt(fd, local, owner);
  if (!adopted) syscalls().close(fd);
  return adopted;
}

Expected<RelaySockets::SocketHandle, RelaySockets::OpenError> RelaySockets::adopt(
    int fd, const Address& local, std::uint64_t owner) {
  prepare_udp(fd, local.family(), kReceiveBuffer);
  report_errors(fd, local.family());
  ignore_path_mtu(fd, local.family());
  const SocketHandle handle = sockets_.emplace(Socket{fd, local, owner});
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = handle.pack();
  if (!handle || syscalls().epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    sockets_.erase(handle);
    return unexpected(OpenError::kNoResources);
  }
  return handle;
}

// Closing the only descriptor of a socket takes it out of the epoll set. Events of it that were
// fetched already name a handle that resolves to nothing.
void RelaySockets::close(SocketHandle handle) {
  const Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  syscalls().close(socket->fd);
  sockets_.erase(handle);
}

void RelaySockets::on_ready() {
  std::array<epoll_event, kEventsPerWakeUp> events;
  const int ready = syscalls().epoll_wait(epoll_, events.data(), kEventsPerWakeUp, 0);
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const auto handle = SocketHandle::unpack(event.data.u64);
    if ((event.events & EPOLLERR) != 0) read_errors(handle);
    if ((event.events & EPOLLIN) != 0) read_socket(handle);
  }
}

// Everyone who was left over gets one read; whoever still has more waits for another turn.
void RelaySockets::on_next_turn() {
  now_.swap(unfinished_);
  for (const SocketHandle handle : now_) {
    Socket* socket = sockets_.find(handle);
    if (socket == nullptr) continue;
    socket->unfinished = false;
    read_socket(handle);
  }
  now_.clear();
}

void RelaySockets::read_socket(SocketHandle handle) {
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr || socket->unfinished) return;
  RxArena::Slots& slots = arena_.slots();
  const int received = slots.receive(socket->fd, statistics_);
  if (received < 0) {
    // Nothing there; any other error belongs to an earlier packet and may stand before more.
    if (errno != EAGAIN && errno != EWOULDBLOCK) read_later(handle, *socket);
    return;
  }
  // Remembered before the receiver can close it: an edge does not come twice.
  if (received == static_cast<int>(RxArena::kSlots)) read_later(handle, *socket);
  for (int i = 0; i < received; ++i) {
    const auto [from, run] = slots.take(i, socket->overflows, statistics_);
    receiver_.on_relay_datagrams(socket->owner, from, run);
    socket = sockets_.find(handle);
    if (socket == nullptr) return;
  }
}

// Whatever is left in a full queue is read when the next error comes.
void RelaySockets::read_errors(SocketHandle handle) {
  for (int i = 0; i < kErrorsPerWakeUp; ++i) {
    const Socket* socket = sockets_.find(handle);
    if (socket == nullptr) return;
    const auto error = take_error(socket->fd);
    if (!error) return;
    receiver_.on_relay_error(socket->owner, error->destination, error->icmp);
  }
}

void RelaySockets::read_later(SocketHandle handle, Socket& socket) {
  socket.unfinished = true;
  unfinished_.push_back(handle);
  next_turn_.ask();
}

}  // namespace turnpike::net
