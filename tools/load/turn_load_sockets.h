// The generator's own sockets: a clock, non-blocking UDP sockets, an outbox that leaves by sendmmsg
// (and UDP_SEGMENT where asked) and an inbox that fills by recvmmsg (and UDP_GRO). Nothing of
// net/'s I/O is used, so that generator and server share no mistakes. One thread.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/expected.h"
#include "base/time.h"
#include "net/sockaddr.h"

namespace turnpike::load {

std::uint64_t now_ns();
Tick tick_of(std::uint64_t now);
std::uint64_t wall_ns();
std::uint64_t own_cpu_time();

enum class Trains : std::uint8_t { kNo, kYes };
enum class Stamps : std::uint8_t { kNo, kYes };

// As many descriptors as this process may have.
void raise_file_limit();
// The kernel notes when datagrams come to `fd`; an inbox with stamps reads it. False: it does not.
bool note_arrivals(int fd);

struct UdpWish {
  Address from;
  int receive_buffer = 1 << 20;
  Trains trains = Trains::kNo;
};
Expected<int> open_udp(const UdpWish& wish);
// The address after `ip` by `steps`, within the last byte.
IpAddress later_ip(const IpAddress& ip, unsigned steps);

class Outbox {
 public:
  explicit Outbox(Trains trains) : trains_(trains), room_(kRoom) {}

  // Room for one datagram from `fd`; `to` nullptr: where the socket is connected. Must outlive
  // flush().
  MutableBytes add(int fd, const net::SocketAddress* to, std::size_t size);
  void flush();
  std::uint64_t refused() const { return refused_; }

 private:
  static constexpr std::size_t kRoom = 256 * 1024;
  static constexpr std::size_t kMessages = 64;
  static constexpr std::size_t kTrainBytes = 64000;
  static constexpr unsigned kTrainPackets = 64;
  struct Message {
    const net::SocketAddress* to;
    std::size_t at, size, segment;
    unsigned packets;
  };

  Trains trains_;
  std::vector<std::uint8_t> room_;
  std::array<Message, kMessages> messages_;
  std::size_t used_ = 0, count_ = 0;
  int fd_ = -1;
  std::uint64_t refused_ = 0;
};

class Inbox {
 public:
  explicit Inbox(Trains trains);
  Inbox(Trains trains, unsigned slots, Stamps stamps = Stamps::kNo);

  // Reads once; answers how many messages came. f(from, datagram) for every datagram; trains are
  // cut here.
  template <typename F>
  unsigned receive(int fd, F&& f) {
    const unsigned count = fill(fd);
    for (unsigned i = 0; i < count; ++i) {
      ByteView rest(bytes_.data() + i * slot_, messages_[i].msg_len);
      const std::size_t segment = segment_of(messages_[i].msg_hdr, rest.size());
      arrived_at_ = arrival_of(messages_[i].msg_hdr);
      do {
        const std::size_t size = std::min(segment, rest.size());
        f(reinterpret_cast<const sockaddr*>(&names_[i]), rest.first(size));
        rest = rest.subspan(size);
      } while (!rest.empty());
    }
    arrived_at_ = 0;
    return count;
  }
  // Inside of receive(): when the kernel got the datagram, in nanoseconds of the wall clock; 0: not
  // known.
  std::uint64_t arrived_at() const { return arrived_at_; }
  unsigned slots() const { return static_cast<unsigned>(messages_.size()); }

 private:
  struct Control {
    alignas(cmsghdr)
        std::array<std::uint8_t, CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(timespec))> bytes;
  };
  unsigned fill(int fd);
  std::size_t segment_of(msghdr& header, std::size_t whole) const;
  std::uint64_t arrival_of(msghdr& header) const;

  Trains trains_;
  Stamps stamps_;
  std::uint64_t arrived_at_ = 0;
  std::size_t slot_;
  unsigned touched_ = 0;  // slots whose header must be made good before the next reading
  std::vector<std::uint8_t> bytes_;
  std::vector<sockaddr_in6> names_;
  std::vector<Control> control_;
  std::vector<iovec> pieces_;
  std::vector<mmsghdr> messages_;
};

}  // namespace turnpike::load
