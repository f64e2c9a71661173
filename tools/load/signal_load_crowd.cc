#include "tools/load/signal_load_crowd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace turnpike::signal_load {

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kMaxWaiting = 8 << 20;  // bytes that one client's socket does not take
constexpr int kEventsAtOnce = 256;
// Ports of one source address towards one server; a loopback server is reached from several.
constexpr std::uint32_t kClientsPerSource = 16'000;
constexpr Nanoseconds kHeartbeat = 20 * kSecond;

void leave_from(int fd, const Target& target, std::uint32_t index) {
  sockaddr_in server{};
  if (target.address.ss_family != AF_INET) return;
  std::memcpy(&server, &target.address, sizeof(server));
  if (ntohl(server.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET) return;
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + index / kClientsPerSource);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  ::bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof(source));
}

}  // namespace

Nanoseconds monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<Nanoseconds>(now.tv_sec) * kSecond + static_cast<Nanoseconds>(now.tv_nsec);
}

Crowd::Crowd(const Target& target, const Dialect& dialect, Plan plan, Listener& listener)
    : target_(target),
      dialect_(dialect),
      plan_(plan),
      listener_(listener),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      clients_(plan.clients),
      buffer_(kReadBytes),
      next_heartbeat_(monotonic_now() + kHeartbeat) {
  // Rooms of an earlier run may still be held for members that could come back.
  const std::string run = "load-" + std::to_string(::getpid()) + "-";
  for (std::uint32_t pair = 0; pair * 2 < plan.clients; ++pair) {
    rooms_.push_back(run + std::to_string(pair));
  }
  for (std::uint32_t index = 0; index < plan.clients; ++index) {
    clients_[index].seat = {index / 2, static_cast<std::uint8_t>(index % 2), 0, plan.enters};
  }
}

Crowd::~Crowd() {
  for (const Client& client : clients_) {
    if (client.fd >= 0) ::close(client.fd);
  }
  ::close(epoll_);
}

void Crowd::serve(Nanoseconds deadline) {
  open_more();
  const Nanoseconds now = monotonic_now();
  const Nanoseconds left = deadline > now ? deadline - now : 0;
  const timespec timeout{static_cast<time_t>(left / kSecond), static_cast<long>(left % kSecond)};
  std::array<epoll_event, kEventsAtOnce> events;
  const int count = ::epoll_pwait2(epoll_, events.data(), kEventsAtOnce, &timeout, nullptr);
  for (int i = 0; i < count; ++i) on_events(events[i].data.u32, events[i].events);
}

void Crowd::open_more() {
  while (begun_ < plan_.clients && in_flight_ < plan_.at_once) {
    const std::uint32_t index = begun_++;
    ++in_flight_;
    if (!open(index)) lose(index, std::string("cannot connect: ") + std::strerror(errno));
  }
}

bool Crowd::open(std::uint32_t index) {
  Client& client = clients_[index];
  client.fd =
      ::socket(target_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (client.fd < 0) return false;
  const int on = 1;
  ::setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  leave_from(client.fd, target_, index);
  client.began = monotonic_now();
  client.phase = Phase::kConnecting;
  const auto* address = reinterpret_cast<const sockaddr*>(&target_.address);
  if (::connect(client.fd, address, target_.size) != 0 && errno != EINPROGRESS) return false;
  epoll_event wish{};
  wish.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  wish.data.u32 = index;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &wish) == 0;
}

void Crowd::on_events(std::uint32_t index, std::uint32_t events) {
  Client& client = clients_[index];
  if (client.fd < 0) return;
  if (client.phase == Phase::kConnecting) {
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return lose(index, std::string("cannot connect: ") + std::strerror(error));
    if ((events & EPOLLOUT) == 0) return;
    client.phase = Phase::kShaking;
    const bool own = target_.path.empty() || target_.path == "/";
    write(client,
          handshake_request(target_.host, own ? dialect_.target(room(index)) : target_.path));
  }
  if (!client.out.empty()) write(client, {});
  if ((events & EPOLLIN) != 0) read(index, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

// The set is edge triggered: a read that is not full has emptied the socket, unless an end follows.
void Crowd::read(std::uint32_t index, bool to_the_end) {
  Client& client = clients_[index];
  while (client.fd >= 0) {
    const ssize_t size = ::read(client.fd, buffer_.data(), buffer_.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) return lose(index, std::string("connection lost: ") + std::strerror(errno));
    if (size == 0) return lose(index, "the server closed the connection");
    std::string_view bytes(buffer_.data(), static_cast<std::size_t>(size));
    if (client.in.empty()) {
      if (!consume(index, bytes)) return;
      client.in.assign(bytes);
    } else {
      client.in.append(bytes);
      const std::string joined = std::exchange(client.in, {});
      bytes = joined;
      if (!consume(index, bytes)) return;
      client.in.assign(bytes);
    }
    if (static_cast<std::size_t>(size) < buffer_.size() && !to_the_end) return;
  }
}

// False: the client is lost. What remains of `bytes` is not whole yet.
bool Crowd::consume(std::uint32_t index, std::string_view& bytes) {
  if (clients_[index].phase == Phase::kShaking && !on_handshake(index, bytes)) {
    return clients_[index].fd >= 0;
  }
  Frame frame;
  while (true) {
    switch (read_frame(bytes, frame)) {
      case Reading::kUnfinished:
        return true;
      case Reading::kBroken:
        lose(index, "the server sent a broken frame");
        return false;
      case Reading::kWhole:
        bytes.remove_prefix(frame.size);
        if (!on_frame(index, frame)) return false;
    }
  }
}

// Whether frames may follow.
bool Crowd::on_handshake(std::uint32_t index, std::string_view& bytes) {
  const HandshakeAnswer answer = read_handshake(bytes);
  if (answer.verdict == Handshake::kUnfinished) return false;
  if (answer.verdict == Handshake::kRefused) {
    lose(index, "the WebSocket was refused: " + answer.reason);
    return false;
  }
  bytes.remove_prefix(answer.size);
  Client& client = clients_[index];
  client.phase = Phase::kTalking;
  std::string reply;
  const Meaning meaning = dialect_.on_open(client.seat, room(index), reply);
  act(index, meaning, reply, {});
  return client.fd >= 0;
}

bool Crowd::on_frame(std::uint32_t index, const Frame& frame) {
  Client& client = clients_[index];
  if (frame.opcode == Opcode::kPing) {
    say(client, Opcode::kPong, frame.payload);
    return true;
  }
  if (frame.opcode == Opcode::kClose) {
    const auto text = frame.payload.size() > 2 ? frame.payload.substr(2) : std::string_view{};
    lose(index, "the server closed the WebSocket: " + std::string(text));
    return false;
  }
  if (frame.opcode != Opcode::kText || !frame.final) return true;
  std::string reply;
  std::string_view data;
  const Meaning meaning = dialect_.on_text(client.seat, room(index), frame.payload, reply, data);
  if (meaning == Meaning::kRefused) {
    lose(index, "the server refused: " + std::string(frame.payload));
    return false;
  }
  act(index, meaning, reply, data);
  return client.fd >= 0;
}

void Crowd::act(std::uint32_t index, Meaning meaning, const std::string& reply,
                std::string_view data) {
  Client& client = clients_[index];
  if (!reply.empty()) say(client, Opcode::kText, reply);
  if (meaning == Meaning::kData) return listener_.on_data(index, data, monotonic_now());
  if (meaning != Meaning::kReady || client.phase != Phase::kTalking) return;
  client.phase = Phase::kReady;
  --in_flight_;
  ++ready_;
  listener_.on_ready(index, monotonic_now() - client.began);
}

void Crowd::send(std::uint32_t client, std::string_view text) {
  if (clients_[client].phase == Phase::kReady) say(clients_[client], Opcode::kText, text);
}

void Crowd::heartbeat(Nanoseconds now) {
  if (now < next_heartbeat_) return;
  next_heartbeat_ = now + kHeartbeat;
  if (dialect_.heartbeat().empty()) return;
  for (Client& client : clients_) {
    if (client.phase == Phase::kReady) say(client, Opcode::kText, dialect_.heartbeat());
  }
}

void Crowd::say(Client& client, Opcode opcode, std::string_view payload) {
  frame_.clear();
  append_frame(frame_, opcode, payload);
  write(client, frame_);
}

// What the kernel does not take waits in `out`; an error shows at the next event.
void Crowd::write(Client& client, std::string_view bytes) {
  if (client.fd < 0) return;
  const bool waited = !client.out.empty();
  if (waited) {
    if (client.out.size() + bytes.size() <= kMaxWaiting) client.out.append(bytes);
    bytes = client.out;
  }
  const ssize_t sent = ::send(client.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  bytes.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
  if (!waited && bytes.empty()) return;
  client.out = std::string(bytes);
}

void Crowd::lose(std::uint32_t index, const std::string& why) {
  Client& client = clients_[index];
  if (client.phase == Phase::kLost) return;
  if (client.phase == Phase::kReady) {
    --ready_;
  } else {
    --in_flight_;
  }
  ++lost_;
  if (first_loss_.empty()) first_loss_ = why;
  client.phase = Phase::kLost;
  if (client.fd >= 0) ::close(client.fd);
  client.fd = -1;
  client.in = {};
  client.out = {};
}

}  // namespace turnpike::signal_load
