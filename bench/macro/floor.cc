#include "bench/macro/floor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "tools/load/turn_load_session.h"
#include "turn/channel_data.h"
#include "turn/stream_framer.h"

namespace turnpike::bench {
namespace {

constexpr std::size_t kMaxClients = 60000;
constexpr std::size_t kMaxQueued = 256 * 1024;  // of one TCP client that does not read
constexpr int kBuffer = 4 << 20;
constexpr unsigned kRelaySlots = 8;
constexpr std::size_t kReadSize = 64 * 1024;

volatile std::sig_atomic_t over = 0;

struct Stream {
  int fd = -1;
  turn::StreamFramer framer;
  std::vector<std::uint8_t> out;
  bool touched = false;
};

struct Relay {
  int fd = -1;
  std::optional<net::SocketAddress> client;  // of a UDP client
  Stream* stream = nullptr;                  // of a TCP client
  net::SocketAddress peer;
};

std::uint64_t key_of(const sockaddr* address) {
  sockaddr_in ipv4;
  std::memcpy(&ipv4, address, sizeof ipv4);
  return std::uint64_t{ipv4.sin_addr.s_addr} << 16 | ipv4.sin_port;
}

class Floor {
 public:
  Floor(load::Trains trains, IpAddress relay_ip)
      : trains_(trains),
        relay_ip_(relay_ip),
        listen_box_(trains),
        relay_box_(trains, kRelaySlots),
        up_(trains),
        down_(trains),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  Expected<void> listen(const Address& address);
  void run();

 private:
  // What an event is about: the kind in the upper half, an index in the lower.
  enum Kind : std::uint64_t { kUdp, kAccept, kRelay, kStream };

  void add(int fd, Kind kind, std::size_t index);
  void handle(Kind kind, std::size_t index);
  void read_listener();
  void read_relay(Relay& relay);
  void accept_all();
  void read_stream(std::size_t index);
  void flush_stream(Stream& stream);
  void close_stream(Stream& stream);
  void from_client(Relay* relay, ByteView message);
  // Opens a relay socket for a greeting, or gives the one that the client has another peer.
  Relay* greet(Relay* known, ByteView message, std::array<std::uint8_t, 10>& answer);

  load::Trains trains_;
  IpAddress relay_ip_;
  load::Inbox listen_box_, relay_box_;
  load::Outbox up_, down_;
  int epoll_;
  int udp_ = -1, tcp_ = -1;
  std::deque<Relay> relays_;
  std::deque<Stream> streams_;
  boost::unordered_flat_map<std::uint64_t, Relay*> by_client_;
  boost::unordered_flat_map<int, Relay*> by_stream_;
  std::vector<Stream*> touched_;
  std::vector<std::uint8_t> room_ = std::vector<std::uint8_t>(kReadSize);
};

Expected<void> Floor::listen(const Address& address) {
  const auto udp = load::open_udp({.from = address, .receive_buffer = kBuffer, .trains = trains_});
  if (!udp) return unexpected(udp.error());
  udp_ = *udp;
  tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(tcp_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const net::SocketAddress raw = net::to_sockaddr(address);
  if (::bind(tcp_, raw.raw(), raw.length) != 0 || ::listen(tcp_, SOMAXCONN) != 0) {
    return failure("cannot listen on TCP " + address.to_string() + ": " + std::strerror(errno));
  }
  add(udp_, kUdp, 0);
  add(tcp_, kAccept, 0);
  return {};
}

void Floor::add(int fd, Kind kind, std::size_t index) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kind << 32 | index}};
  if (kind == kStream) event.events |= EPOLLOUT | EPOLLET;
  CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
}

void Floor::run() {
  std::array<epoll_event, 256> events;
  while (over == 0) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1000);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t what = events[static_cast<std::size_t>(i)].data.u64;
      handle(static_cast<Kind>(what >> 32), what & UINT32_MAX);
    }
    up_.flush();
    down_.flush();
    for (Stream* stream : touched_) flush_stream(*stream);
    touched_.clear();
  }
}

void Floor::handle(Kind kind, std::size_t index) {
  switch (kind) {
    case kUdp:
      return read_listener();
    case kAccept:
      return accept_all();
    case kRelay:
      return read_relay(relays_[index]);
    case kStream:
      return read_stream(index);
  }
}

void Floor::read_listener() {
  // Once: what is left wakes the next turn, and relays have theirs in between.
  std::uint64_t last = 0;
  Relay* relay = nullptr;
  listen_box_.receive(udp_, [&](const sockaddr* from, ByteView datagram) {
    const std::uint64_t key = key_of(from);
    if (key != last) {
      const auto found = by_client_.find(key);
      relay = found == by_client_.end() ? nullptr : found->second;
      last = key;
    }
    if (datagram.size() < 4 || datagram[0] != load::kFloorChannel >> 8) {
      return from_client(relay, datagram);
    }
    std::array<std::uint8_t, 10> answer;
    relay = greet(relay, datagram, answer);
    if (relay == nullptr) return;
    relay->client = net::to_sockaddr(net::from_sockaddr(from));
    by_client_[key] = relay;
    const MutableBytes room = down_.add(udp_, &*relay->client, answer.size());
    std::memcpy(room.data(), answer.data(), answer.size());
  });
}

void Floor::from_client(Relay* relay, ByteView message) {
  const turn::ChannelDataHeader header = turn::read_channel_data(message);
  if (relay == nullptr || !header.whole) return;
  const MutableBytes room = up_.add(relay->fd, &relay->peer, header.length);
  std::memcpy(room.data(), message.data() + turn::kChannelDataHeaderSize, header.length);
}

Relay* Floor::greet(Relay* known, ByteView message, std::array<std::uint8_t, 10>& answer) {
  Reader in(message);
  in.skip(4);
  const std::uint32_t ip = in.u32();
  const std::uint16_t port = in.u16();
  if (!in.ok() || relays_.size() >= kMaxClients) return nullptr;
  if (known == nullptr) {
    const auto fd = load::open_udp({.from = {relay_ip_, 0}, .trains = trains_});
    if (!fd) return nullptr;
    known = &relays_.emplace_back(Relay{.fd = *fd});
    add(*fd, kRelay, relays_.size() - 1);
  }
  up_.flush();  // it borrows the old peer
  known->peer = net::to_sockaddr({IpAddress::v4(ip), port});
  const Address relayed = net::local_address_of(known->fd);
  Writer out(answer);
  out.u16(load::kFloorChannel);
  out.u16(6);
  out.bytes(relayed.ip.bytes());
  out.u16(relayed.port);
  return known;
}

void Floor::read_relay(Relay& relay) {
  relay_box_.receive(relay.fd, [&](const sockaddr*, ByteView datagram) {
    const auto head =
        turn::channel_data_header(load::kDataChannel, static_cast<std::uint16_t>(datagram.size()));
    MutableBytes room;
    if (relay.client) {
      room = down_.add(udp_, &*relay.client, head.size() + datagram.size());
    } else {
      if (relay.stream == nullptr || relay.stream->out.size() > kMaxQueued) return;
      Stream& stream = *relay.stream;
      const std::size_t at = stream.out.size();
      stream.out.resize(at + head.size() + datagram.size() + padding_to_four(datagram.size()));
      room = MutableBytes(stream.out).subspan(at);
      if (!stream.touched) touched_.push_back(&stream);
      stream.touched = true;
    }
    std::memcpy(room.data(), head.data(), head.size());
    std::memcpy(room.data() + head.size(), datagram.data(), datagram.size());
  });
}

void Floor::accept_all() {
  while (true) {
    const int fd = ::accept4(tcp_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (streams_.size() >= kMaxClients) {
      ::close(fd);
      return;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    streams_.emplace_back().fd = fd;
    add(fd, kStream, streams_.size() - 1);
  }
}

void Floor::read_stream(std::size_t index) {
  Stream& stream = streams_[index];
  if (!stream.out.empty()) flush_stream(stream);
  while (stream.fd >= 0) {
    const ssize_t count = ::recv(stream.fd, room_.data(), room_.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return close_stream(stream);
    stream.framer.feed({room_.data(), static_cast<std::size_t>(count)});
    ByteView message;
    while (stream.framer.next(message) == turn::StreamFramer::Result::kMessage) {
      if (message[0] != load::kFloorChannel >> 8) {
        const auto found = by_stream_.find(stream.fd);
        from_client(found == by_stream_.end() ? nullptr : found->second, message);
        continue;
      }
      std::array<std::uint8_t, 10> answer;
      Relay* relay = greet(nullptr, message, answer);
      if (relay == nullptr) continue;
      relay->stream = &stream;
      by_stream_[stream.fd] = relay;
      stream.out.insert(stream.out.end(), answer.begin(), answer.end());
      stream.out.resize(stream.out.size() + padding_to_four(answer.size()));
      flush_stream(stream);
    }
    stream.framer.keep_rest();
    if (static_cast<std::size_t>(count) < room_.size()) return;
  }
}

void Floor::flush_stream(Stream& stream) {
  stream.touched = false;
  if (stream.fd < 0 || stream.out.empty()) return;
  const ssize_t sent = ::send(stream.fd, stream.out.data(), stream.out.size(), MSG_NOSIGNAL);
  if (sent > 0) stream.out.erase(stream.out.begin(), stream.out.begin() + sent);
}

void Floor::close_stream(Stream& stream) {
  by_stream_.erase(stream.fd);
  for (Relay& relay : relays_) {
    if (relay.stream == &stream) relay.stream = nullptr;
  }
  ::close(stream.fd);
  stream.fd = -1;
  stream.out.clear();
}

// It forwards for anyone: loopback, and the network that benchmarks have (RFC 2544 appendix C.2.2).
bool is_for_tests(const IpAddress& ip) {
  constexpr std::uint32_t kBenchmarks = 198u << 24 | 18u << 16, kMask = 0xFFFE0000;
  return ip.is_loopback() || (ip.is_v4() && (ip.v4_host_order() & kMask) == kBenchmarks);
}

int complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  return 2;
}

}  // namespace

int run_floor(int argc, char** argv, load::Trains trains) {
  std::optional<Address> listen;
  std::optional<IpAddress> relay_ip;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--listen") listen = Address::parse(argv[i + 1]);
    if (name == "--relay-ip") relay_ip = IpAddress::parse(argv[i + 1]);
  }
  if (!listen || !relay_ip || !is_for_tests(listen->ip) || !is_for_tests(*relay_ip)) {
    return complain(std::string("usage: ") + argv[0] +
                    " --listen 127.0.0.1:PORT --relay-ip 127.0.0.2   (or within 198.18.0.0/15)");
  }
  struct sigaction action {};
  action.sa_handler = [](int) { over = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  Floor floor(trains, *relay_ip);
  const auto listening = floor.listen(*listen);
  if (!listening) return complain(listening.error().message);
  std::fprintf(stderr, "ready\n");
  floor.run();
  return 0;
}

}  // namespace turnpike::bench
