#include "net/error_queue.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "net/sockaddr.h"
#include "net/syscalls.h"

namespace turnpike::net {
namespace {

constexpr std::size_t kControl = 512;  // the error, its offender, and what a receive brings too

bool is_error(const cmsghdr& item) {
  return (item.cmsg_level == IPPROTO_IP && item.cmsg_type == IP_RECVERR) ||
         (item.cmsg_level == IPPROTO_IPV6 && item.cmsg_type == IPV6_RECVERR);
}

bool is_too_big(const IcmpError& icmp, Family family) {
  const IcmpError& known = family == Family::kIPv4 ? kIcmpFragmentationNeeded : kIcmpPacketTooBig;
  return icmp.type == known.type && (family == Family::kIPv6 || icmp.code == known.code);
}

// What the kernel found by itself is told in the words that a router would use.
std::optional<IcmpError> read_error(const sock_extended_err& error, Family family) {
  IcmpError icmp{error.ee_type, error.ee_code, 0};
  switch (error.ee_origin) {
    case SO_EE_ORIGIN_ICMP:
    case SO_EE_ORIGIN_ICMP6:
      break;
    case SO_EE_ORIGIN_LOCAL:
      if (error.ee_errno != EMSGSIZE) return std::nullopt;
      icmp = family == Family::kIPv4 ? kIcmpFragmentationNeeded : kIcmpPacketTooBig;
      break;
    default:
      return std::nullopt;
  }
  if (is_too_big(icmp, family)) icmp.mtu = error.ee_info;
  return icmp;
}

// A queue of errors is read in the turn of the loop after the send, so a few notes are enough; when
// they are not, the client is told of port 0.
struct Notes {
  static constexpr std::size_t kMost = 64;
  struct Note {
    int fd = -1;
    Address destination;
  };
  std::array<Note, kMost> ring;
  std::size_t next = 0;
};
thread_local Notes notes;

// The oldest note of this socket and host is that of the oldest error.
std::uint16_t noted_port(int fd, const IpAddress& ip) {
  for (std::size_t i = 0; i < Notes::kMost; ++i) {
    Notes::Note& note = notes.ring[(notes.next + i) % Notes::kMost];
    if (note.fd != fd || note.destination.ip != ip) continue;
    note.fd = -1;
    return note.destination.port;
  }
  return 0;
}

}  // namespace

void note_too_big(int fd, const Address& destination) {
  notes.ring[notes.next] = {fd, destination};
  notes.next = (notes.next + 1) % Notes::kMost;
}

void report_errors(int fd, Family family) {
  const int on = 1;
  const bool v4 = family == Family::kIPv4;
  syscalls().setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on,
                        sizeof on);
}

std::optional<SentError> take_error(int fd) {
  for (;;) {
    sockaddr_in6 destination{};
    alignas(cmsghdr) std::array<std::uint8_t, kControl> control;
    msghdr message{};
    message.msg_name = &destination;
    message.msg_namelen = sizeof destination;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (syscalls().recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      return std::nullopt;
    }
    for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr;
         item = CMSG_NXTHDR(&message, item)) {
      if (!is_error(*item) || message.msg_namelen == 0) continue;
      sock_extended_err error;
      std::memcpy(&error, CMSG_DATA(item), sizeof error);
      Address to = from_sockaddr(reinterpret_cast<const sockaddr*>(&destination));
      if (to.port == 0) to.port = noted_port(fd, to.ip);
      if (const auto icmp = read_error(error, to.family())) return SentError{to, *icmp};
    }
  }
}

}  // namespace turnpike::net
