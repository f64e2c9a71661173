// What the tests of net/ share: turning a loop until something has happened, sockets on the
// loopback interface, and a seam that can be made to fail.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/syscalls.h"

namespace turnpike::net {

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(std::string_view text);
std::string text_of(ByteView bytes);
// `size` bytes that depend on the seed.
Bytes pattern(std::size_t size, std::uint64_t seed);

// Turns the loop until the condition holds. The turns do not block, because the condition may
// itself move the other end, which the loop does not watch. False when nothing has come of it after
// ten seconds: a guard against hanging, not a measurement.
[[nodiscard]] bool turn_until(Loop& loop, const std::function<bool()>& condition);

// Replaces the seam for as long as it lives.
class SyscallsScope {
 public:
  explicit SyscallsScope(Syscalls& replacement) : before_(replace_syscalls(&replacement)) {}
  ~SyscallsScope() { replace_syscalls(before_); }
  SyscallsScope(const SyscallsScope&) = delete;
  SyscallsScope& operator=(const SyscallsScope&) = delete;

 private:
  Syscalls* before_;
};

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(other.take()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  int take();
  void close();

 private:
  int fd_;
};

// A UDP socket of a client or a peer.
class UdpSocket {
 public:
  explicit UdpSocket(const IpAddress& ip = IpAddress::loopback(Family::kIPv4));
  int fd() const { return fd_.get(); }
  const Address& local() const { return local_; }
  void send(const Address& to, ByteView bytes);
  // One UDP_SEGMENT send; false when the kernel lacks it.
  [[nodiscard]] bool send_train(const Address& to, ByteView bytes, std::uint16_t segment);
  struct Received {
    Address from;
    Bytes bytes;
    int traffic_class = 0;
  };
  // Waits at most five seconds.
  std::optional<Received> receive();
  // Does not wait.
  std::optional<Received> receive_now();

 private:
  Descriptor fd_;
  Address local_;
};

bool kernel_segments_and_merges();

// A connected pair over the loopback interface; both ends are non-blocking.
struct TcpPair {
  TcpPair();
  Descriptor ours, theirs;
};

// The other end of a stream, without a loop.
class Peer {
 public:
  explicit Peer(Descriptor fd) : fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }
  // What fits now; answers how much that was.
  std::size_t send(ByteView bytes);
  // Reads what is there.
  void read_available();
  Bytes received;
  bool closed = false;  // the other side's FIN was seen
  bool reset = false;
  void shut_down_sending();
  void close() { fd_.close(); }

 private:
  Descriptor fd_;
};

// Remembers what a stream delivered.
class Collector : public Stream::Receiver {
 public:
  bool has_time(const Stream&) override { return !when_asked || when_asked(); }
  void on_secured(Stream&) override { ++secured; }
  void on_bytes(Stream& stream, ByteView bytes) override {
    received.insert(received.end(), bytes.begin(), bytes.end());
    ++deliveries;
    if (when_bytes) when_bytes(stream, bytes);
  }
  void on_drained(Stream& stream) override {
    ++drained;
    if (when_drained) when_drained(stream);
  }
  void on_end(Stream& stream, End how) override {
    end = how;
    if (when_end) when_end(stream);
  }

  Bytes received;
  int secured = 0;
  int deliveries = 0;
  int drained = 0;
  std::optional<End> end;
  std::function<bool()> when_asked;
  std::function<void(Stream&, ByteView)> when_bytes;
  std::function<void(Stream&)> when_drained;
  std::function<void(Stream&)> when_end;
};

}  // namespace turnpike::net
