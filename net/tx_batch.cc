#include "net/tx_batch.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"
#include "net/bind.h"
#include "net/error_queue.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace turnpike::net {
namespace {

constexpr std::size_t kArenaBytes = 1 << 20;
constexpr std::uint32_t kMessages = 2048;
constexpr std::uint32_t kPieces = 4096;
constexpr std::uint32_t kFlows = 1024;             // flows whose last message can still grow
constexpr std::uint32_t kSockets = 2 * kMessages;  // hash slots: at most half full
constexpr std::uint32_t kMaxSegments = 64;         // UDP_MAX_SEGMENTS of every kernel that has GSO
constexpr std::uint32_t kMaxDatagram = 65507;      // 65535 less the IPv4 and UDP headers
constexpr std::uint32_t kMaxSegmentV4 = 1472;      // Ethernet's 1500 less 28
constexpr std::uint32_t kMaxSegmentV6 = 1452;      // less 48
constexpr unsigned kBurst = 64;                    // messages a sendmmsg
constexpr std::uint32_t kFallbacksPerProbe = 256;
constexpr std::uint32_t kNone = ~std::uint32_t{0};
constexpr std::size_t kControl = CMSG_SPACE(sizeof(std::uint16_t)) + CMSG_SPACE(sizeof(int));

// Segments refused because of the path or the device, not because of what was sent.
bool is_segmentation_error(int error) {
  return error == EINVAL || error == EIO || error == EMSGSIZE;
}

constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

// Left behind on the socket by an ICMP message about an earlier packet.
bool may_be_stale(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
         error == EHOSTDOWN;
}

std::uint32_t largest_segment(Family family) {
  return family == Family::kIPv4 ? kMaxSegmentV4 : kMaxSegmentV6;
}

template <typename Value>
void add_control(msghdr& header, int level, int type, Value value) {
  auto* item = reinterpret_cast<cmsghdr*>(static_cast<std::uint8_t*>(header.msg_control) +
                                          header.msg_controllen);
  item->cmsg_level = level;
  item->cmsg_type = type;
  item->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(item), &value, sizeof value);
  header.msg_controllen += CMSG_SPACE(sizeof value);
}

// No control message sets it for one IPv4 datagram, so those who ask pay for two system calls.
void set_dont_fragment(int fd, Family family, DontFragment wish) {
  const bool set = wish == DontFragment::kSet;
  if (family == Family::kIPv4) {
    const int mode = set ? IP_PMTUDISC_DO : IP_PMTUDISC_OMIT;
    syscalls().setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);
  } else {
    const int on = set ? 1 : 0;
    syscalls().setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on);
  }
}

// What a probe tells. Without a descriptor or a buffer for it, it tells nothing.
enum class Probe : std::uint8_t { kWorks, kRefused, kUnknown };

// Sends two segments from one loopback socket to another: whether this kernel has UDP_SEGMENT.
Probe probe_segmentation(Family family) {
  const Expected<int> receiver =
      open_bound({IpAddress::loopback(family), 0}, SOCK_DGRAM, ReusePort::kNo);
  if (!receiver) return Probe::kUnknown;
  const int sender = open_socket(family, SOCK_DGRAM);
  std::array<std::uint8_t, 16> bytes{};
  iovec piece{bytes.data(), bytes.size()};
  SocketAddress destination = to_sockaddr(local_address_of(*receiver));
  alignas(cmsghdr) std::array<std::uint8_t, kControl> control{};
  msghdr message{};
  message.msg_name = destination.raw();
  message.msg_namelen = destination.length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  add_control(message, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(bytes.size() / 2));
  Probe found = Probe::kUnknown;
  if (sender >= 0) {
    const ssize_t sent = syscalls().sendmsg(sender, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      found = Probe::kWorks;
    } else if (is_segmentation_error(errno)) {
      found = Probe::kRefused;
    }
    syscalls().close(sender);
  }
  syscalls().close(*receiver);
  return found;
}

// Unless it is known not to.
bool segmentation_works() {
  const Probe ipv4 = probe_segmentation(Family::kIPv4);
  if (ipv4 == Probe::kWorks) return true;
  const Probe ipv6 = probe_segmentation(Family::kIPv6);
  return ipv6 == Probe::kWorks || (ipv4 != Probe::kRefused && ipv6 != Probe::kRefused);
}

}  // namespace

// What will be one sendmsg: a datagram, or up to 64 of one size of which the last may be shorter.
struct TxBatch::Message {
  Address destination;
  int fd;
  std::uint32_t segment;
  std::uint32_t total;
  std::uint32_t first_piece, last_piece;
  std::uint32_t next;  // on the same socket
  std::uint16_t count;
  std::uint8_t traffic_class;
  DontFragment dont_fragment;
  bool may_grow;
};

// The arguments of one sendmmsg.
struct TxBatch::Burst {
  std::array<mmsghdr, kBurst> headers;
  std::array<sockaddr_in6, kBurst> addresses;
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControl>, kBurst> controls;
  unsigned count = 0;

  msghdr& add(const Address& destination, std::uint8_t traffic_class) {
    msghdr& header = headers[count].msg_hdr;
    header = msghdr{};
    header.msg_name = &addresses[count];
    header.msg_namelen = write_sockaddr(destination, addresses[count]);
    header.msg_control = controls[count].data();
    ++count;
    if (traffic_class != 0 && destination.ip.is_v4()) {
      add_control<int>(header, IPPROTO_IP, IP_TOS, traffic_class);
    } else if (traffic_class != 0) {
      add_control<int>(header, IPPROTO_IPV6, IPV6_TCLASS, traffic_class);
    }
    return header;
  }
};

struct TxBatch::Arena {
  // Bytes of the arena that follow each other: one or more whole datagrams of one message.
  struct Piece {
    std::uint32_t offset;
    std::uint32_t size;
    std::uint32_t next;  // in the message
  };
  struct Chain {
    int fd;
    std::uint32_t first, last;
    std::uint32_t slot;  // in sockets
  };

  std::unique_ptr<std::uint8_t[]> bytes{new std::uint8_t[kArenaBytes]};
  std::array<Message, kMessages> messages;
  std::array<Piece, kPieces> pieces;
  std::uint32_t used_bytes = 0;
  std::uint32_t used_messages = 0;
  std::uint32_t used_pieces = 0;

  // The last message of a flow, by hash; a flow that is pushed out starts a new message.
  std::array<std::uint32_t, kFlows> flows;
  // The messages of each socket, in the order in which sockets first appeared.
  std::array<Chain, kMessages> chains;
  std::uint32_t used_chains = 0;
  std::array<std::uint32_t, kSockets> sockets;  // hash slot -> chain

  Burst burst;
  std::array<const Message*, kBurst> burst_messages;
  std::array<iovec, kPieces> burst_pieces;
  Burst plain;
  std::array<iovec, kBurst> plain_pieces;

  Arena() {
    flows.fill(kNone);
    sockets.fill(kNone);
  }
  // Only what was used is cleared, so that a flush with little in it stays cheap. What stands in
  // flows may be old: the message it names is compared before it is believed.
  void clear() {
    for (std::uint32_t i = 0; i < used_chains; ++i) sockets[chains[i].slot] = kNone;
    used_bytes = used_messages = used_pieces = used_chains = 0;
  }
  bool has_room(std::size_t size) const {
    return used_bytes + size <= kArenaBytes && used_messages < kMessages && used_pieces < kPieces;
  }
  std::uint32_t& flow_slot(int fd, const Address& destination) {
    return flows[hash_mix(hash_value(destination), static_cast<std::uint64_t>(fd)) % kFlows];
  }
  Message* last_of_flow(int fd, const Address& destination) {
    const std::uint32_t index = flow_slot(fd, destination);
    if (index >= used_messages) return nullptr;
    Message& message = messages[index];
    return message.fd == fd && message.destination == destination ? &message : nullptr;
  }
  Chain* find_chain(int fd, std::uint32_t& slot);
  Message& add_message(int fd, const Address& destination);
  void add_bytes(Message& message, const Datagram& datagram);
};

TxBatch::TxBatch(Segmentation segmentation)
    : arena_(std::make_unique<Arena>()),
      segmentation_(segmentation == Segmentation::kProbe && segmentation_works()) {}

TxBatch::~TxBatch() = default;

void TxBatch::push(int fd, const Address& destination, ByteView head, const Run& body,
                   std::uint8_t pad) {
  static constexpr std::array<std::uint8_t, 3> kZeros{};
  const ByteView padding = ByteView(kZeros).first(pad);
  Message* message = arena_->last_of_flow(fd, destination);
  if (body.count == 0) return append(message, {fd, destination, 0}, {head, {}, padding});
  const Flow flow{fd, destination, body.traffic_class, body.dont_fragment};
  for (std::uint32_t i = 0; i < body.count; ++i) {
    append(message, flow, {head, body.segment(i), padding});
  }
}

// `message` is the flow's last one, or nullptr; on return the one that took the datagram.
void TxBatch::append(Message*& message, const Flow& flow, const Datagram& datagram) {
  const std::size_t size = datagram.size();
  if (size > kMaxDatagram) {
    ++statistics_.dropped;
    return;
  }
  if (!arena_->has_room(size)) {
    flush();
    message = nullptr;
  }
  const bool grows =
      message != nullptr && message->may_grow && size != 0 && size <= message->segment &&
      message->count < kMaxSegments && message->total + size <= kMaxDatagram &&
      message->traffic_class == flow.traffic_class && message->dont_fragment == flow.dont_fragment;
  if (!grows) {
    message = &arena_->add_message(flow.fd, flow.destination);
    message->traffic_class = flow.traffic_class;
    message->dont_fragment = flow.dont_fragment;
    message->segment = static_cast<std::uint32_t>(size);
    message->may_grow = segmentation_ && size <= largest_segment(flow.destination.family());
  }
  // A shorter segment can only be the last one.
  if (size < message->segment) message->may_grow = false;
  arena_->add_bytes(*message, datagram);
}

void TxBatch::flush_before_close(int fd) {
  std::uint32_t slot = 0;
  if (arena_->find_chain(fd, slot) != nullptr) flush();
}

void TxBatch::flush() {
  for (std::uint32_t i = 0; i < arena_->used_chains; ++i) {
    send_chain(arena_->chains[i].fd, arena_->chains[i].first);
  }
  arena_->clear();
}

void TxBatch::send_chain(int fd, std::uint32_t first) {
  Arena& arena = *arena_;
  if (const Message& only = arena.messages[first]; only.next == kNone && only.count == 1 &&
                                                   only.traffic_class == 0 &&
                                                   only.dont_fragment == DontFragment::kUnset) {
    return send_alone(only);
  }
  std::size_t used_pieces = 0;
  for (std::uint32_t index = first; index != kNone; index = arena.messages[index].next) {
    const Message& message = arena.messages[index];
    if (message.count > 1 && !segmentation_) {  // given up since it was pushed
      send_burst(fd);
      send_plainly(fd, message);
      continue;
    }
    if (message.dont_fragment == DontFragment::kSet) {
      send_burst(fd);
      send_unfragmented(fd, message);
      continue;
    }
    if (arena.burst.count == kBurst) send_burst(fd);
    if (arena.burst.count == 0) used_pieces = 0;
    arena.burst_messages[arena.burst.count] = &message;
    msghdr& header = arena.burst.add(message.destination, message.traffic_class);
    header.msg_iov = &arena.burst_pieces[used_pieces];
    for (std::uint32_t at = message.first_piece; at != kNone; at = arena.pieces[at].next) {
      const Arena::Piece& piece = arena.pieces[at];
      arena.burst_pieces[used_pieces++] = {arena.bytes.get() + piece.offset, piece.size};
      ++header.msg_iovlen;
    }
    if (message.count > 1) {
      add_control(header, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(message.segment));
    }
  }
  send_burst(fd);
}

// Thin flows: a relay socket seldom has more than one datagram in a turn, and without a msghdr the
// kernel has less to fetch and to check.
void TxBatch::send_alone(const Message& message) {
  const Arena::Piece& piece = arena_->pieces[message.first_piece];
  sockaddr_in6 room;
  const socklen_t length = write_sockaddr(message.destination, room);
  const auto* destination = reinterpret_cast<const sockaddr*>(&room);
  bool retried = false;
  while (true) {
    ++statistics_.system_calls;
    if (syscalls().sendto(message.fd, arena_->bytes.get() + piece.offset, piece.size, kSendFlags,
                          destination, length) >= 0) {
      ++statistics_.datagrams;
      return;
    }
    if (errno == EINTR) continue;
    if (retried || !may_be_stale(errno)) break;
    retried = true;
  }
  ++statistics_.dropped;
}

void TxBatch::send_burst(int fd) {
  transmit(
      fd, arena_->burst,
      [this](unsigned index) {
        const Message& message = *arena_->burst_messages[index];
        statistics_.datagrams += message.count;
        if (message.count > 1) ++statistics_.segmented_sends;
      },
      [this, fd](unsigned index, int error) {
        on_refused(fd, *arena_->burst_messages[index], error);
      });
}

void TxBatch::on_refused(int fd, const Message& message, int error) {
  if (message.count == 1 || !is_segmentation_error(error)) {
    statistics_.dropped += message.count;
    return;
  }
  on_segmentation_refused();
  send_plainly(fd, message);
}

// A path with a small MTU refuses segments for ever, so the probe is not repeated each time.
void TxBatch::on_segmentation_refused() {
  if (fallbacks_until_probe_ > 0) {
    --fallbacks_until_probe_;
    return;
  }
  fallbacks_until_probe_ = kFallbacksPerProbe;
  segmentation_ = segmentation_works();
}

void TxBatch::send_plainly(int fd, const Message& message) {
  Arena& arena = *arena_;
  for (std::uint32_t at = message.first_piece; at != kNone; at = arena.pieces[at].next) {
    const Arena::Piece& piece = arena.pieces[at];
    for (std::uint32_t from = 0; from < piece.size; from += message.segment) {
      iovec& part = arena.plain_pieces[arena.plain.count];
      part = {arena.bytes.get() + piece.offset + from,
              std::min(message.segment, piece.size - from)};
      msghdr& header = arena.plain.add(message.destination, message.traffic_class);
      header.msg_iov = &part;
      header.msg_iovlen = 1;
    }
  }
  transmit(
      fd, arena.plain, [this](unsigned) { ++statistics_.datagrams; },
      [&](unsigned, int error) {
        ++statistics_.dropped;
        const bool told_without_port = error == EMSGSIZE && message.destination.ip.is_v4() &&
                                       message.dont_fragment == DontFragment::kSet;
        if (told_without_port) note_too_big(fd, message.destination);
      });
}

void TxBatch::send_unfragmented(int fd, const Message& message) {
  set_dont_fragment(fd, message.destination.family(), DontFragment::kSet);
  send_plainly(fd, message);
  set_dont_fragment(fd, message.destination.family(), DontFragment::kUnset);
}

// Offers the burst until each message was taken or refused; sendmmsg stops at the first refusal.
template <typename OnTaken, typename OnRefused>
void TxBatch::transmit(int fd, Burst& burst, OnTaken taken, OnRefused refused) {
  bool retried = false;
  for (unsigned at = 0; at < burst.count;) {
    const unsigned accepted = send_some(fd, burst, at);
    if (accepted == 0) {
      const int error = errno;
      if (error == EINTR) continue;
      if (!retried && may_be_stale(error)) {
        retried = true;
        continue;
      }
      refused(at++, error);
    }
    for (unsigned i = 0; i < accepted; ++i) taken(at++);
    retried = false;
  }
  burst.count = 0;
}

// How many of the messages from `first` on the kernel took; 0 with errno set.
unsigned TxBatch::send_some(int fd, Burst& burst, unsigned first) {
  ++statistics_.system_calls;
  mmsghdr* headers = &burst.headers[first];
  if (burst.count - first == 1) {
    return syscalls().sendmsg(fd, &headers->msg_hdr, kSendFlags) < 0 ? 0 : 1;
  }
  const int accepted = syscalls().sendmmsg(fd, headers, burst.count - first, kSendFlags);
  return accepted < 0 ? 0 : static_cast<unsigned>(accepted);
}

TxBatch::Arena::Chain* TxBatch::Arena::find_chain(int fd, std::uint32_t& slot) {
  slot = static_cast<std::uint32_t>(fd) * 0x9E3779B1u % kSockets;
  while (sockets[slot] != kNone && chains[sockets[slot]].fd != fd) slot = (slot + 1) % kSockets;
  return sockets[slot] == kNone ? nullptr : &chains[sockets[slot]];
}

TxBatch::Message& TxBatch::Arena::add_message(int fd, const Address& destination) {
  const std::uint32_t index = used_messages++;
  flow_slot(fd, destination) = index;
  std::uint32_t slot = 0;
  if (Chain* chain = find_chain(fd, slot)) {
    messages[chain->last].next = index;
    chain->last = index;
  } else {
    sockets[slot] = used_chains;
    chains[used_chains++] = {fd, index, index, slot};
  }
  Message& message = messages[index];
  message = Message{};
  message.destination = destination;
  message.fd = fd;
  message.next = message.first_piece = message.last_piece = kNone;
  return message;
}

void TxBatch::Arena::add_bytes(Message& message, const Datagram& datagram) {
  const auto size = static_cast<std::uint32_t>(datagram.size());
  if (message.last_piece != kNone &&
      pieces[message.last_piece].offset + pieces[message.last_piece].size == used_bytes) {
    pieces[message.last_piece].size += size;
  } else {
    const std::uint32_t piece = used_pieces++;
    pieces[piece] = {used_bytes, size, kNone};
    (message.last_piece == kNone ? message.first_piece : pieces[message.last_piece].next) = piece;
    message.last_piece = piece;
  }
  std::uint8_t* room = bytes.get() + used_bytes;
  for (const ByteView part : {datagram.head, datagram.body, datagram.pad}) {
    if (!part.empty()) std::memcpy(room, part.data(), part.size());
    room += part.size();
  }
  used_bytes += size;
  message.total += size;
  ++message.count;
}

}  // namespace turnpike::net
