// UDP sockets that deliver runs: our own non-blocking descriptors, because libuv's UDP handle has
// no SO_REUSEPORT, no GSO or GRO and no control messages.
//
//   UdpListener    one per local address and family (IPV6_V6ONLY), so that every answer leaves from
//                  the address that was asked; watched by the loop directly.
//   RelaySockets   the thousands of relay sockets of one worker in an epoll set of their own
//                  (edge-triggered), whose one descriptor the loop watches: thin flows cost no
//                  re-arming and one wake-up serves many sockets.
//
// Both ask for GRO (a train of datagrams of one flow arrives as one run), read with recvmmsg, and
// do not touch a socket again when a short read has already told that it is empty. A wake-up reads
// a bounded number of times; what is left is read in the next turn of the loop. Packets leave
// without DF, so that what does not fit a path is fragmented, but for those whose sender asked for
// it (TxBatch). Relay sockets also tell what ICMP says of the datagrams that they sent.
//
// Receive memory (RxArena) belongs to the worker, not to the socket. Worker thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/address.h"
#include "base/expected.h"
#include "base/icmp.h"
#include "base/run.h"
#include "base/slab.h"
#include "net/bind.h"
#include "net/loop.h"

namespace turnpike::net {

// Receive slots for one recvmmsg call: message headers, addresses, control space and 64 KiB of
// payload each (what one GRO train can be). One per worker, shared by all of its sockets.
class RxArena {
 public:
  static constexpr unsigned kSlots = 16;
  RxArena();
  ~RxArena();
  RxArena(const RxArena&) = delete;
  RxArena& operator=(const RxArena&) = delete;

  struct Slots;
  Slots& slots() { return *slots_; }

 private:
  std::unique_ptr<Slots> slots_;
};

struct UdpStatistics {
  std::uint64_t receive_calls = 0;
  std::uint64_t receive_runs = 0;
  std::uint64_t receive_datagrams = 0;
  std::uint64_t receive_queue_overflows = 0;  // SO_RXQ_OVFL
};

class UdpListener {
 public:
  class Receiver {
   public:
    virtual ~Receiver() = default;
    virtual void on_datagrams(UdpListener& listener, const Address& from, const Run& run) = 0;
  };
  struct Wish {
    Address bind;  // a port of 0 draws one
    ReusePort reuse_port = ReusePort::kNo;
    int receive_buffer = 4 << 20;  // bytes; what the kernel grants
  };
  // The sentence names the address and says what to do ("... in use: is another server running?").
  // Binding and reading are separate steps, so that all workers bind before any of them reads.
  static Expected<std::unique_ptr<UdpListener>> bind(const Wish& wish);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  void start(Loop& loop, RxArena& arena, Receiver& receiver);
  int fd() const { return fd_; }
  const Address& local() const { return local_; }
  const UdpStatistics& statistics() const { return statistics_; }

 private:
  // Reads of kSlots messages a wake-up; the loop comes back for the rest. So many that under load a
  // turn holds several datagrams of each of a hundred flows, which then leave together.
  static constexpr int kReadsPerWakeUp = 16;

  UdpListener(int fd, const Address& local) : fd_(fd), local_(local) {}
  void on_readable();

  int fd_;
  Address local_;
  RxArena* arena_ = nullptr;
  Receiver* receiver_ = nullptr;
  std::unique_ptr<Poll> poll_;
  UdpStatistics statistics_;
  std::uint32_t overflows_ = 0;
  bool* destroyed_ = nullptr;  // set while the receiver is called
};

class RelaySockets {
 public:
  struct Socket {
    int fd = -1;
    Address local;
    std::uint64_t owner = 0;
    std::uint32_t overflows = 0;  // SO_RXQ_OVFL as last seen
    bool unfinished = false;      // in the list of those that may hold more
  };
  using SocketHandle = Handle<Socket>;

  class Receiver {
   public:
    virtual ~Receiver() = default;
    virtual void on_relay_datagrams(std::uint64_t owner, const Address& from, const Run& run) = 0;
    // A datagram that went from this socket to `to` did not arrive.
    virtual void on_relay_error(std::uint64_t owner, const Address& to, const IcmpError& error) = 0;
  };
  enum class OpenError : std::uint8_t { kAddressInUse, kNoSuchAddress, kNoResources };

  // The receiver may close any socket from inside its callback, but not destroy the set.
  RelaySockets(Loop& loop, RxArena& arena, Receiver& receiver, std::uint32_t maximum);
  ~RelaySockets();
  RelaySockets(const RelaySockets&) = delete;
  RelaySockets& operator=(const RelaySockets&) = delete;

  // Binds exactly `address` (no SO_REUSEPORT: the kernel's refusal is the answer).
  Expected<SocketHandle, OpenError> open(const Address& address, std::uint64_t owner);
  // Takes a socket that is bound to `local`; unless that fails, the descriptor is ours then.
  Expected<SocketHandle, OpenError> adopt(int fd, const Address& local, std::uint64_t owner);
  void close(SocketHandle handle);
  const Socket* find(SocketHandle handle) const { return sockets_.find(handle); }
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    sockets_.for_each(visit);  // visit(handle, const Socket&)
  }
  const UdpStatistics& statistics() const { return statistics_; }

 private:
  static constexpr int kEventsPerWakeUp = 256;
  static constexpr int kErrorsPerWakeUp = 64;
  static constexpr int kReceiveBuffer = 512 * 1024;  // bytes; what the kernel grants

  void on_ready();
  void on_next_turn();
  // One recvmmsg; a socket that may hold more joins the unfinished ones.
  void read_socket(SocketHandle handle);
  void read_later(SocketHandle handle, Socket& socket);
  void read_errors(SocketHandle handle);

  RxArena& arena_;
  Receiver& receiver_;
  int epoll_ = -1;
  Slab<Socket> sockets_;
  std::vector<SocketHandle> unfinished_;
  std::vector<SocketHandle> now_;  // those of the turn under way
  std::unique_ptr<Poll> poll_;
  NextTurn next_turn_;
  UdpStatistics statistics_;
};

}  // namespace turnpike::net
