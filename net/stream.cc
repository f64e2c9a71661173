#include "net/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "net/sockaddr.h"
#include "net/socket_stream.h"
#include "net/syscalls.h"
#include "net/tcp_stream.h"
#include "net/tls_stream.h"

namespace turnpike::net {

std::unique_ptr<Stream> Stream::accept(Loop& loop, int fd, const TlsContext* tls) {
  auto state = std::make_unique<Released::State>();
  state->fd = fd;
  state->local = local_address_of(fd);
  state->remote = remote_address_of(fd);
  if (tls != nullptr) {
    state->tls = TlsSession::create(*tls, fd);
    CHECK(state->tls != nullptr);
  }
  return adopt(loop, Released(std::move(state)));
}

std::unique_ptr<Stream> Stream::open(Loop& loop, int fd, const TlsClientContext* tls,
                                     const std::string& host) {
  auto state = std::make_unique<Released::State>();
  state->fd = fd;
  state->local = local_address_of(fd);
  state->remote = remote_address_of(fd);
  if (tls != nullptr) {
    state->tls = TlsSession::create(*tls, fd, host);
    CHECK(state->tls != nullptr);
  }
  return adopt(loop, Released(std::move(state)));
}

std::unique_ptr<Stream> Stream::adopt(Loop& loop, Released released) {
  std::unique_ptr<Released::State> state = released.take();
  CHECK(state != nullptr);
  if (state->tls == nullptr) return std::make_unique<TcpStream>(loop, std::move(state));
  return std::make_unique<TlsStream>(loop, std::move(state));
}

Stream::Released Stream::release(std::unique_ptr<Stream> stream, ByteView unread) {
  auto* const ours = dynamic_cast<SocketStream*>(stream.get());
  CHECK(ours != nullptr);
  return Released(ours->detach(unread));
}

void Stream::Receiver::on_peer_finished(Stream&) {}

// --- Released ---

Stream::Released::State::~State() {
  tls.reset();
  if (fd >= 0) syscalls().close(fd);
}

Stream::Released::Released(std::unique_ptr<State> state) : state_(std::move(state)) {}
Stream::Released::Released(Released&&) noexcept = default;
Stream::Released& Stream::Released::operator=(Released&&) noexcept = default;
Stream::Released::~Released() = default;
std::unique_ptr<Stream::Released::State> Stream::Released::take() { return std::move(state_); }
const Address& Stream::Released::remote() const { return state_->remote; }
const Address& Stream::Released::local() const { return state_->local; }
bool Stream::Released::secure() const { return state_->tls != nullptr; }

// --- SocketStream ---

// Notices that the receiver destroyed the stream that calls it. Such calls never nest: nothing
// that a receiver can do to a stream calls a receiver.
class SocketStream::CallGuard {
 public:
  explicit CallGuard(SocketStream& stream) : stream_(stream) {
    CHECK(stream.destroyed_ == nullptr);
    stream.destroyed_ = &destroyed_;
  }
  ~CallGuard() {
    if (!destroyed_) stream_.destroyed_ = nullptr;
  }
  CallGuard(const CallGuard&) = delete;
  CallGuard& operator=(const CallGuard&) = delete;
  Alive alive() const { return destroyed_ ? Alive::kNo : Alive::kYes; }

 private:
  SocketStream& stream_;
  bool destroyed_ = false;
};

SocketStream::SocketStream(Loop& loop, const Released::State& state)
    : Stream(state.local, state.remote),
      loop_(loop),
      pool_(loop.stream_pool()),
      fd_(state.fd),
      carried_(state.unread),
      ready_(state.tls == nullptr || SSL_is_init_finished(state.tls->ssl())) {
  // A client speaks first.
  if (!ready_ && SSL_is_server(state.tls->ssl()) == 0) read_waits_ = Io::kWantWrite;
  queue_.append(pool_.chunks(), state.unsent);
}

SocketStream::~SocketStream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  poll_.reset();
  queue_.clear(pool_.chunks());
  if (fd_ >= 0) syscalls().close(fd_);
}

void SocketStream::start(Receiver& receiver) {
  receiver_ = &receiver;
  if (!queue_.empty()) pool_.flush_later(*this);
  resume_reading();
}

void SocketStream::pause_reading() {
  paused_ = true;
  watch();
}

void SocketStream::resume_reading() {
  if (state_ == State::kDead) return;
  paused_ = false;
  if (!carried_.empty() || has_buffered()) pool_.deliver_later(*this);
  watch();
}

Stream::Written SocketStream::write_datagram(ByteView head, ByteView body, std::uint8_t pad) {
  if (state_ != State::kOpen || write_ended_) return Written::kDropped;
  pool_.flush_later(*this);
  const std::size_t size = head.size() + body.size() + pad;
  // One turn can bring more than the watermark for a client that reads well.
  if (queue_.size() + size > kHighWatermark) send_queued();
  if (queue_.size() + size > kHighWatermark) {
    above_high_ = true;
    return Written::kDropped;
  }
  queue_.append(pool_.chunks(), head);
  queue_.append(pool_.chunks(), body);
  queue_.append_zeros(pool_.chunks(), pad);
  return Written::kQueued;
}

void SocketStream::write(ByteView bytes) {
  if (state_ != State::kOpen || write_ended_ || bytes.empty()) return;
  pool_.flush_later(*this);
  queue_.append(pool_.chunks(), bytes);
  if (queue_.size() > kHighWatermark) above_high_ = true;
}

void SocketStream::tell_when_drained() {
  above_high_ = true;
  pool_.flush_later(*this);
}

void SocketStream::end_writing() {
  CHECK(half_open_);
  if (state_ != State::kOpen) return;
  write_ended_ = true;
  pool_.flush_later(*this);
}

void SocketStream::finish() {
  if (state_ != State::kOpen) return;
  state_ = State::kFlushing;
  pool_.flush_later(*this);
}

std::unique_ptr<Stream::Released::State> SocketStream::detach(ByteView unread) {
  CHECK(state_ == State::kOpen);
  poll_.reset();
  auto state = std::make_unique<Released::State>();
  state->fd = std::exchange(fd_, -1);
  state->tls = take_session();
  state->local = local();
  state->remote = remote();
  state->unread.assign(unread.begin(), unread.end());
  state->unread.insert(state->unread.end(), carried_.begin(), carried_.end());
  state->unsent.reserve(queue_.size());
  while (!queue_.empty()) {
    const ByteView front = queue_.front();
    state->unsent.insert(state->unsent.end(), front.begin(), front.end());
    queue_.consume(pool_.chunks(), front.size());
  }
  return state;
}

void SocketStream::on_ready(int events) {
  on_readiness();
  if (!ready_ && shake_hands() == Alive::kNo) return;
  if (ready_) {
    const bool readable = (events & Poll::kReadable) != 0;
    const bool writable = (events & Poll::kWritable) != 0;
    if (writable || (readable && write_waits_ == Io::kWantRead)) {
      write_waits_ = Io::kProgress;
      send_queued();
      if (after_sending() == Alive::kNo) return;
    }
    if (readable || (writable && read_waits_ == Io::kWantWrite)) {
      if (read() == Alive::kNo) return;
    }
  }
  watch();
}

void SocketStream::flush() {
  if (state_ == State::kDead) return;
  send_queued();
  if (after_sending() == Alive::kYes) watch();
}

void SocketStream::deliver() {
  if (state_ == State::kDead) return;
  if (!ready_ && shake_hands() == Alive::kNo) return;
  if (ready_ && read() == Alive::kNo) return;
  watch();
}

SocketStream::Alive SocketStream::shake_hands() {
  const Io io = handshake();
  if (io == Io::kClosed || io == Io::kFailed) return end(Receiver::End::kTlsFailed);
  if (io == Io::kWantRead || io == Io::kWantWrite) {
    read_waits_ = io;
    return Alive::kYes;
  }
  ready_ = true;
  read_waits_ = Io::kWantRead;
  if (!queue_.empty()) pool_.flush_later(*this);
  if (has_buffered()) pool_.deliver_later(*this);
  if (state_ != State::kOpen || receiver_ == nullptr) return Alive::kYes;
  const CallGuard guard(*this);
  receiver_->on_secured(*this);
  return guard.alive();
}

SocketStream::Alive SocketStream::read() {
  std::size_t budget = kReadBudget;
  while (takes_bytes()) {
    if (state_ == State::kOpen && !receiver_->has_time(*this)) {
      pool_.deliver_later(*this);
      return Alive::kYes;
    }
    if (!carried_.empty()) {
      // On the stack, because the receiver may destroy the stream while it looks at them.
      const std::vector<std::uint8_t> bytes = std::exchange(carried_, {});
      if (deliver_bytes(bytes) == Alive::kNo) return Alive::kNo;
      continue;
    }
    if (peer_closed_) return Alive::kYes;
    std::size_t size = 0;
    const MutableBytes room = pool_.scratch();
    const Io io = read_some(room, size);
    if (io == Io::kClosed) return on_peer_closed();
    if (io == Io::kFailed) return end(end_of_failure());
    read_waits_ = io == Io::kWantWrite ? Io::kWantWrite : Io::kWantRead;
    if (size == 0) return Alive::kYes;
    if (deliver_bytes(room.first(size)) == Alive::kNo) return Alive::kNo;
    if (io == Io::kEmptied) {
      // Who was to be asked again and came by itself has nothing more to be asked for.
      if (DeliverHook::is_linked() && !has_buffered()) DeliverHook::unlink();
      return Alive::kYes;
    }
    if (size >= budget) {
      if (has_buffered()) pool_.deliver_later(*this);
      return Alive::kYes;
    }
    budget -= size;
  }
  return Alive::kYes;
}

SocketStream::Alive SocketStream::deliver_bytes(ByteView bytes) {
  if (state_ != State::kOpen) return Alive::kYes;  // nobody wants them any more
  const CallGuard guard(*this);
  receiver_->on_bytes(*this, bytes);
  return guard.alive();
}

// What was queued before still leaves: an HTTP client may close its direction after its request.
SocketStream::Alive SocketStream::on_peer_closed() {
  peer_closed_ = true;
  if (state_ == State::kLingering) return end(Receiver::End::kClosed);
  if (state_ == State::kOpen && half_open_) {
    if (write_closed_) return end(Receiver::End::kClosed);
    const CallGuard guard(*this);
    receiver_->on_peer_finished(*this);
    return guard.alive();
  }
  if (state_ == State::kOpen) {
    if (queue_.empty()) return end(Receiver::End::kClosed);
    state_ = State::kFlushing;
    linger();
  }
  pool_.flush_later(*this);
  return Alive::kYes;
}

// Calls nobody: a failure is told at the next flush.
void SocketStream::send_queued() {
  while (ready_ && !queue_.empty() && !send_failed_ && write_waits_ == Io::kProgress) {
    const Io io = write_some(queue_, pool_.chunks());
    if (io == Io::kWantRead || io == Io::kWantWrite) write_waits_ = io;
    if (io == Io::kFailed || io == Io::kClosed) send_failed_ = true;
  }
}

SocketStream::Alive SocketStream::after_sending() {
  if (state_ == State::kLingering) return Alive::kYes;
  if (send_failed_) return end(Receiver::End::kReset);
  if (above_high_ && queue_.size() < kLowWatermark) {
    above_high_ = false;
    if (state_ == State::kOpen && receiver_ != nullptr) {
      const CallGuard guard(*this);
      receiver_->on_drained(*this);
      if (guard.alive() == Alive::kNo) return Alive::kNo;
    }
  }
  if (state_ == State::kOpen && write_ended_ && !write_closed_ && queue_.empty()) {
    return say_nothing_more_comes();
  }
  if (state_ != State::kFlushing) return Alive::kYes;
  if (!ready_) return end(Receiver::End::kClosed);
  return queue_.empty() ? leave() : Alive::kYes;
}

SocketStream::Alive SocketStream::say_nothing_more_comes() {
  const Io io = say_goodbye();
  if (io == Io::kWantWrite || io == Io::kWantRead) {
    write_waits_ = io;
    return Alive::kYes;
  }
  if (peer_closed_ || io == Io::kFailed) return end(Receiver::End::kClosed);
  syscalls().shutdown(fd_, SHUT_WR);
  write_closed_ = true;
  return Alive::kYes;
}

SocketStream::Alive SocketStream::leave() {
  const Io io = write_closed_ ? Io::kProgress : say_goodbye();
  if (io == Io::kWantWrite || io == Io::kWantRead) {
    write_waits_ = io;
    return Alive::kYes;
  }
  if (peer_closed_ || io == Io::kFailed) return end(Receiver::End::kClosed);
  syscalls().shutdown(fd_, SHUT_WR);
  state_ = State::kLingering;
  write_waits_ = Io::kProgress;
  carried_.clear();
  if (has_buffered()) pool_.deliver_later(*this);
  linger();
  return Alive::kYes;
}

void SocketStream::linger() {
  linger_ = std::make_unique<LoopTimer>(loop_, [this] { end(Receiver::End::kClosed); });
  linger_->arm(loop_.tick().mono + kLinger);
}

// Nothing of this stream may be touched after it.
SocketStream::Alive SocketStream::end(Receiver::End end) {
  state_ = State::kDead;
  poll_.reset();
  linger_.reset();
  queue_.clear(pool_.chunks());
  if (receiver_ != nullptr) {
    const CallGuard guard(*this);
    receiver_->on_end(*this, end);
  }
  return Alive::kNo;
}

bool SocketStream::takes_bytes() const {
  if (state_ == State::kOpen) return receiver_ != nullptr && !paused_;
  return state_ != State::kDead;
}

bool SocketStream::reads() const {
  if (!ready_) return receiver_ != nullptr;
  return takes_bytes() && !peer_closed_;
}

void SocketStream::watch() {
  if (state_ == State::kDead) return;
  int events = 0;
  if (reads()) events |= read_waits_ == Io::kWantWrite ? Poll::kWritable : Poll::kReadable;
  if (write_waits_ == Io::kWantWrite) events |= Poll::kWritable;
  if (write_waits_ == Io::kWantRead) events |= Poll::kReadable;
  if (!poll_) {
    if (events == 0) return;
    poll_ = std::make_unique<Poll>(loop_, fd_, [this](int ready) { on_ready(ready); });
  }
  poll_->watch(events);
}

}  // namespace turnpike::net
