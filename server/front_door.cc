#include "server/front_door.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"

namespace turnpike::server {
namespace {

ssize_t receive(int fd, MutableBytes room, int flags) {
  iovec piece{room.data(), room.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  ssize_t got = 0;
  do {
    got = net::syscalls().recvmsg(fd, &message, flags);
  } while (got < 0 && errno == EINTR);
  return got;
}

enum class Peeked : std::uint8_t { kBytes, kNothingYet, kClosed };

// Looks at the first bytes and leaves them where they are: OpenSSL reads from the descriptor
// itself.
Peeked peek(int fd, MutableBytes room, std::size_t& size) {
  const ssize_t got = receive(fd, room, MSG_PEEK);
  if (got > 0) {
    size = static_cast<std::size_t>(got);
    return Peeked::kBytes;
  }
  const bool empty = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  return empty ? Peeked::kNothingYet : Peeked::kClosed;
}

// Takes away what has been looked at.
bool discard(int fd, std::size_t size) {
  std::array<std::uint8_t, 512> room;
  return receive(fd, MutableBytes(room).first(size), 0) == static_cast<ssize_t>(size);
}

}  // namespace

FrontDoor::FrontDoor(net::Loop& loop, const net::TlsContext* tls, Owner& owner,
                     const Limits& limits)
    : loop_(loop), tls_(tls), owner_(owner), limits_(limits), connections_(limits.connections) {
  CHECK(limits.undecided > 0 && limits.idle > 0);
}

FrontDoor::~FrontDoor() { close_all(); }

FrontDoor::Connection::~Connection() {
  first_byte.reset();
  if (fd >= 0) net::syscalls().close(fd);
}

void FrontDoor::accept(int fd, PortKind kind) {
  statistics_.accepted.add();
  Connection* connection = admit(fd, kind);
  if (connection == nullptr) {
    net::syscalls().close(fd);
    return;
  }
  if (kind != PortKind::kProxied) return on_first_byte(*connection);
  if (!is_trusted(fd)) return close(*connection, statistics_.closed_proxy);
  connection->header = std::make_unique<ProxyHeader>();
  read_header(*connection);
}

void FrontDoor::adopt(net::Stream::Released released) {
  Connection* connection = admit(-1, PortKind::kAny);
  if (connection == nullptr) return;
  connection->stream = net::Stream::adopt(loop_, std::move(released));
  begin_turn(*connection);
  connection->stream->start(*connection);
}

FrontDoor::Connection* FrontDoor::admit(int fd, PortKind kind) {
  const ConnectionHandle handle = connections_.emplace(*this, fd, kind);
  if (!handle) {
    statistics_.closed_crowded.add();
    return nullptr;
  }
  Connection& connection = *connections_.find(handle);
  connection.self = handle;
  connection.timer.name(0, handle.pack());
  wheel_.arm(connection.timer, loop_.tick().mono + kDecisionTime);
  enqueue(connection, undecided_);
  make_room(undecided_, limits_.undecided);
  return &connection;
}

bool FrontDoor::is_trusted(int fd) const {
  const IpAddress ip = net::remote_address_of(fd).ip;
  return std::any_of(proxies_.begin(), proxies_.end(),
                     [&ip](const IpRange& range) { return range.contains(ip); });
}

// Looks first and then takes exactly the header away, because what follows is OpenSSL's to read.
void FrontDoor::read_header(Connection& connection) {
  for (;;) {
    std::array<std::uint8_t, 512> room;
    std::size_t size = 0;
    const Peeked peeked = peek(connection.fd, room, size);
    if (peeked == Peeked::kClosed) return close(connection);
    if (peeked == Peeked::kNothingYet) return wait_for_bytes(connection);
    std::size_t taken = 0;
    const auto result = connection.header->feed(ByteView(room).first(size), taken);
    if (result == ProxyHeader::Result::kInvalid || !discard(connection.fd, taken)) {
      return close(connection, statistics_.closed_proxy);
    }
    if (result == ProxyHeader::Result::kMore) continue;
    connection.client = connection.header->client();
    connection.header.reset();
    return on_first_byte(connection);
  }
}

void FrontDoor::wait_for_bytes(Connection& connection) {
  if (connection.first_byte) return;
  connection.first_byte =
      std::make_unique<net::Poll>(loop_, connection.fd, [this, &connection](int) {
        connection.header ? read_header(connection) : on_first_byte(connection);
      });
  connection.first_byte->watch(net::Poll::kReadable);
}

void FrontDoor::on_first_byte(Connection& connection) {
  std::array<std::uint8_t, 1> first;
  std::size_t size = 0;
  const Peeked peeked = peek(connection.fd, first, size);
  if (peeked == Peeked::kClosed) return close(connection);
  if (peeked == Peeked::kNothingYet) return wait_for_bytes(connection);
  const std::uint8_t byte = first[0];
  connection.first_byte.reset();
  const auto certificate = tls_ == nullptr ? Certificate::kNone : Certificate::kHave;
  switch (admit_plain(connection.kind, byte, certificate)) {
    case Protocol::kUnknown:
      return close(connection, statistics_.closed_unknown);
    case Protocol::kTls:
      open_stream(connection, tls_);
      return connection.stream->start(connection);
    case Protocol::kTurn:
      open_stream(connection, nullptr);
      begin_turn(connection);
      return connection.stream->start(connection);
    case Protocol::kHttp:
      open_stream(connection, nullptr);
      return hand_over(connection, {});
  }
}

void FrontDoor::open_stream(Connection& connection, const net::TlsContext* tls) {
  connection.stream = net::Stream::accept(loop_, std::exchange(connection.fd, -1), tls);
  if (connection.client) connection.stream->set_remote(*connection.client);
}

// ALPN binds the connection to its protocol: whoever said stun.turn can never reach HTTP, and the
// other way round, so that no page can be tricked into speaking one to the other (ALPACA).
void FrontDoor::on_secured(Connection& connection) {
  switch (protocol_of_alpn(connection.stream->alpn())) {
    case Protocol::kHttp:
      return hand_over(connection, {});
    case Protocol::kTurn:
      connection.turn_only = true;
      return;
    default:
      return;  // the first decrypted byte decides
  }
}

void FrontDoor::on_bytes(Connection& connection, ByteView bytes) {
  if (bytes.empty()) return;
  if (connection.protocol == Protocol::kUnknown) {
    const Protocol protocol = admit_decrypted(bytes.front());
    if (protocol == Protocol::kHttp && !connection.turn_only) return hand_over(connection, bytes);
    if (protocol != Protocol::kTurn) return close(connection, statistics_.closed_unknown);
    begin_turn(connection);
  }
  relay(connection, bytes);
}

void FrontDoor::on_end(Connection& connection, net::Stream::Receiver::End end) {
  if (end == net::Stream::Receiver::End::kTlsFailed) statistics_.closed_tls.add();
  close(connection);
}

void FrontDoor::begin_turn(Connection& connection) {
  statistics_.turn.add();
  connection.protocol = Protocol::kTurn;
  const net::Stream& stream = *connection.stream;
  connection.path.transport = stream.secure() ? turn::Transport::kTls : turn::Transport::kTcp;
  connection.path.local = stream.local();
  connection.path.remote = stream.remote();
  connection.path.stream = connection.self.pack();
}

void FrontDoor::hand_over(Connection& connection, ByteView unread) {
  statistics_.http.add();
  owner_.take_http(std::move(connection.stream), unread);
  close(connection);
}

void FrontDoor::relay(Connection& connection, ByteView bytes) {
  connection.framer.feed(bytes);
  ByteView message;
  bool complete = false;
  turn::StreamFramer::Result result = connection.framer.next(message);
  while (result == turn::StreamFramer::Result::kMessage) {
    complete = true;
    owner_.on_stream_message(connection.path, message);
    if (connection.departure) return leave(connection, message);
    result = connection.framer.next(message);
  }
  if (result == turn::StreamFramer::Result::kGarbage) {
    return close(connection, statistics_.closed_garbage);
  }
  connection.framer.keep_rest();
  if (asks_without_reading(connection)) return close(connection, statistics_.closed_deaf);
  if (complete) heard(connection);
}

void FrontDoor::bring(std::uint64_t stream, ByteView message) {
  Connection* connection = connections_.find(ConnectionHandle::unpack(stream));
  if (connection == nullptr || connection->protocol != Protocol::kTurn) return;
  connection->framer.feed({});
  owner_.on_stream_message(connection->path, message);
  if (connection->departure) leave(*connection, message);
}

// Called from inside the relay's inputs, so the connection leaves when those are through.
void FrontDoor::depart(std::uint64_t stream, const Departure& departure) {
  Connection* connection = connections_.find(ConnectionHandle::unpack(stream));
  if (connection != nullptr) connection->departure = departure;
}

void FrontDoor::leave(Connection& connection, ByteView message) {
  const ByteView rest = connection.framer.rest();
  const Departure departure = *connection.departure;
  if (departure.data) {
    owner_.on_departure(departure, std::move(connection.stream), rest);
  } else {
    std::vector<std::uint8_t> unread(message.begin(), message.end());
    unread.insert(unread.end(), rest.begin(), rest.end());
    owner_.on_departure(departure, std::move(connection.stream), unread);
  }
  close(connection);
}

// Whoever has not authenticated may not make us hold answers that it does not fetch.
bool FrontDoor::asks_without_reading(const Connection& connection) const {
  if (connection.queue == nullptr) return false;
  return connection.stream->queued_bytes() > kMaxUnreadAnswers ||
         loop_.queued_stream_bytes() > kMaxQueuedOfLoop;
}

// Only connections without an allocation are watched; the others live as long as it does.
void FrontDoor::heard(Connection& connection) {
  if (connection.queue == nullptr) return;
  connection.last_heard = loop_.tick().mono;
  if (connection.queue == &undecided_) {
    wheel_.arm(connection.timer, connection.last_heard + kIdleTime);
  }
  enqueue(connection, idle_);
  make_room(idle_, limits_.idle);
}

// Called from inside the relay's inputs, so nothing is closed here: close() would call it back.
void FrontDoor::on_allocation(std::uint64_t stream, Allocation allocation) {
  Connection* connection = connections_.find(ConnectionHandle::unpack(stream));
  if (connection == nullptr) return;
  if (allocation == Allocation::kHeld) {
    leave_queue(*connection);
    connection->timer.disarm();
    return;
  }
  connection->last_heard = loop_.tick().mono;
  enqueue(*connection, idle_);
  wheel_.arm(connection->timer, connection->last_heard + kIdleTime);
}

net::Stream* FrontDoor::find_stream(std::uint64_t stream) {
  Connection* connection = connections_.find(ConnectionHandle::unpack(stream));
  return connection == nullptr ? nullptr : connection->stream.get();
}

void FrontDoor::on_time(Tick now) {
  while (const Timer* timer = wheel_.take_expired(now.mono)) {
    Connection* connection = connections_.find(ConnectionHandle::unpack(timer->subject()));
    CHECK(connection != nullptr);  // a timer lives inside what it times
    if (connection->queue == &undecided_) {
      close(*connection, statistics_.closed_late);
    } else if (connection->last_heard + kIdleTime <= now.mono) {
      close(*connection, statistics_.closed_idle);
    } else {
      wheel_.arm(connection->timer, connection->last_heard + kIdleTime);
    }
  }
}

void FrontDoor::close_all() {
  connections_.for_each([this](ConnectionHandle, Connection& connection) { close(connection); });
}

void FrontDoor::close(Connection& connection, Counter& reason) {
  reason.add();
  close(connection);
}

// The relay learns of it while the connection can still be found.
void FrontDoor::close(Connection& connection) {
  if (connection.protocol == Protocol::kTurn) owner_.on_stream_gone(connection.path);
  leave_queue(connection);
  connections_.erase(connection.self);
}

void FrontDoor::enqueue(Connection& connection, Queue& queue) {
  leave_queue(connection);
  queue.push_back(connection);
  connection.queue = &queue;
}

void FrontDoor::leave_queue(Connection& connection) {
  Queue* queue = std::exchange(connection.queue, nullptr);
  if (queue != nullptr) queue->erase(queue->iterator_to(connection));
}

void FrontDoor::make_room(Queue& queue, std::uint32_t limit) {
  while (queue.size() > limit) close(queue.front(), statistics_.closed_crowded);
}

std::vector<std::uint64_t> FrontDoor::audit(Findings& findings) {
  std::vector<std::uint64_t> privileged;
  std::size_t undecided = 0, idle = 0;
  connections_.for_each([&](ConnectionHandle handle, const Connection& connection) {
    if (connection.queue == nullptr) privileged.push_back(handle.pack());
    if (connection.queue == &undecided_) ++undecided;
    if (connection.queue == &idle_) ++idle;
    if (connection.timer.armed() == (connection.queue != nullptr)) return;
    findings.add(connection.queue == nullptr
                     ? "a connection with an allocation has a deadline"
                     : "a connection without an allocation has no deadline");
  });
  findings.expect_equal("connections that have not decided", undecided_.size(), undecided);
  findings.expect_equal("connections without an allocation", idle_.size(), idle);
  if (undecided > limits_.undecided || idle > limits_.idle) {
    findings.add("there are more connections without an allocation than may be");
  }
  return privileged;
}

}  // namespace turnpike::server
