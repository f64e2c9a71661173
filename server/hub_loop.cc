#include "server/hub_loop.h"

#include <uv.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace turnpike::server {

using signaling::ConnectionHandle;

// One connection: a stream on one side, a handle of the carrier on the other.
struct HubLoop::Visitor final : net::Stream::Receiver {
  Visitor(HubLoop& its_hub, std::unique_ptr<net::Stream> its_stream)
      : hub(its_hub), stream(std::move(its_stream)) {}
  ~Visitor() override { hub.file_bytes_ -= file_bytes; }
  void on_secured(net::Stream&) override {}
  bool has_time(const net::Stream&) override { return hub.has_time(); }
  void on_bytes(net::Stream&, ByteView bytes) override { hub.on_bytes(*this, bytes); }
  void on_drained(net::Stream&) override { hub.on_drained(*this); }
  void on_end(net::Stream&, End) override { hub.on_end(*this); }

  HubLoop& hub;
  std::unique_ptr<net::Stream> stream;
  ConnectionHandle handle;  // empty once the carrier has closed it
  std::uint64_t file_bytes = 0;
  MonoTime leave_by = MonoTime::never();
  MonoTime leave_at_last = MonoTime::never();
  std::size_t queued = 0;                               // when leave_by was set
  std::list<std::unique_ptr<Visitor>>::iterator place;  // in leaving_
};

HubLoop::HubLoop(signaling::Carrier& carrier, Wiring wiring)
    : loop_(wiring.loop),
      wiring_(wiring),
      carrier_(carrier),
      timer_(loop_, [this] { on_time(); }),
      mail_arrived_(loop_, [this] { on_mail(); }),
      mailbox_(kMailboxCapacity, [this] { mail_arrived_.wake(); }) {
  loop_.on_flush([this] { end_turn(); });
}

HubLoop::~HubLoop() = default;

bool HubLoop::post(net::Stream::Released released) { return mailbox_.post(std::move(released)); }

void HubLoop::on_mail() {
  for (net::Stream::Released& released : mailbox_.take_all()) {
    Visitor* visitor = admit(net::Stream::adopt(loop_, std::move(released)));
    if (visitor != nullptr) visitor->stream->start(*visitor);
  }
}

void HubLoop::take(std::unique_ptr<net::Stream> stream, ByteView unread) {
  if (!unread.empty() && !has_time()) {
    stream = net::Stream::adopt(loop_, net::Stream::release(std::move(stream), unread));
    unread = {};
  }
  Visitor* visitor = admit(std::move(stream));
  if (visitor == nullptr) return;
  visitor->stream->start(*visitor);
  if (!unread.empty()) on_bytes(*visitor, unread);
}

HubLoop::Visitor* HubLoop::admit(std::unique_ptr<net::Stream> stream) {
  if (shut_down_done_) return nullptr;
  const net::Stream::Tls tls = stream->tls();
  const signaling::ConnectionOrigin origin{
      stream->remote(), stream->local(), stream->secure(), {tls.version, tls.cipher}};
  const ConnectionHandle handle = carrier_.on_connected(loop_.tick(), origin);
  if (!handle) return nullptr;
  auto visitor = std::make_unique<Visitor>(*this, std::move(stream));
  visitor->handle = handle;
  return visitors_.emplace(handle.pack(), std::move(visitor)).first->second.get();
}

HubLoop::Visitor* HubLoop::find(ConnectionHandle connection) {
  const auto found = visitors_.find(connection.pack());
  return found == visitors_.end() ? nullptr : found->second.get();
}

// The carrier may close the connection from inside on_bytes(): the visitor is looked up again.
void HubLoop::on_bytes(Visitor& visitor, ByteView bytes) {
  const ConnectionHandle handle = visitor.handle;
  if (!handle) return;  // already leaving
  if (wiring_.sharing == Sharing::kOwnLoop) {
    return carrier_.on_bytes(loop_.tick(), handle, bytes, *this);
  }
  const std::uint64_t before = uv_hrtime();
  carrier_.on_bytes(loop_.tick(), handle, bytes, *this);
  spent_ += Duration(static_cast<std::int64_t>(uv_hrtime() - before));
}

bool HubLoop::has_time() const {
  return wiring_.sharing == Sharing::kOwnLoop || spent_ < wiring_.budget;
}

void HubLoop::on_drained(Visitor& visitor) {
  file_bytes_ -= std::exchange(visitor.file_bytes, 0);
  read_waiting_files();
}

void HubLoop::on_end(Visitor& visitor) {
  if (!visitor.handle) {
    leaving_.erase(visitor.place);
    return finish_if_empty();
  }
  const ConnectionHandle handle = visitor.handle;
  visitors_.erase(handle.pack());
  carrier_.on_disconnected(loop_.tick(), handle, *this);
  read_waiting_files();
  finish_if_empty();
}

std::size_t HubLoop::write(ConnectionHandle connection, ByteView bytes) {
  Visitor* visitor = find(connection);
  if (visitor == nullptr) return 0;
  // The carrier cuts whoever has this much waiting.
  constexpr std::size_t kCut = signaling::Carrier::kMaxQueuedBytes + 1;
  if (loop_.queued_stream_bytes() > kMaxQueuedBytes + file_bytes_) return kCut;
  visitor->stream->write(bytes);
  return visitor->stream->queued_bytes();
}

void HubLoop::close(ConnectionHandle connection) {
  const auto found = visitors_.find(connection.pack());
  if (found == visitors_.end()) return;
  leaving_.push_back(std::move(found->second));
  visitors_.erase(found);
  Visitor& visitor = *leaving_.back();
  visitor.handle = {};
  visitor.leave_by = loop_.tick().mono + kFarewell;
  visitor.leave_at_last = loop_.tick().mono + kLongestFarewell;
  visitor.queued = visitor.stream->queued_bytes();
  visitor.place = std::prev(leaving_.end());
  visitor.stream->finish();
  if (leaving_.size() > kMaxLeaving) leaving_.pop_front();
}

void HubLoop::read_file(ConnectionHandle connection, signaling::Folder folder,
                        std::string_view path) {
  if (folder == signaling::Folder::kChallenges) return read_challenge(connection, path);
  if (wiring_.files == nullptr) {
    return carrier_.on_file(loop_.tick(), connection, signaling::FileAnswer{}, *this);
  }
  waiting_reads_.push_back({connection, std::string(path)});
  read_waiting_files();
}

// They are small, and do not wait behind pages for slow readers: a certificate may depend on it.
void HubLoop::read_challenge(ConnectionHandle connection, std::string_view path) {
  if (wiring_.challenges == nullptr || shut_down_done_) {
    return carrier_.on_file(loop_.tick(), connection, signaling::FileAnswer{}, *this);
  }
  ++challenge_reads_;
  wiring_.challenges->read(loop_, path, [this, connection](const signaling::FileAnswer& answer) {
    --challenge_reads_;
    on_file(connection, answer);
    finish_if_empty();
  });
}

// Every read may bring a file of the largest size, so its room is reserved before it starts.
void HubLoop::read_waiting_files() {
  while (!waiting_reads_.empty() && !shut_down_done_) {
    if (file_bytes_ + (reads_ + 1) * StaticFiles::kMaxFileSize > kMaxFileBytes) return;
    const WaitingRead next = std::move(waiting_reads_.front());
    waiting_reads_.pop_front();
    if (find(next.connection) == nullptr) continue;
    ++reads_;
    wiring_.files->read(loop_, next.path,
                        [this, connection = next.connection](const signaling::FileAnswer& answer) {
                          --reads_;
                          on_file(connection, answer);
                          read_waiting_files();
                          finish_if_empty();
                        });
  }
}

void HubLoop::on_file(ConnectionHandle connection, const signaling::FileAnswer& answer) {
  Visitor* visitor = find(connection);
  if (visitor == nullptr) return;
  // Smaller ones leave without ever filling a queue, and on_drained() tells of full ones only.
  if (answer.content.size() > net::Stream::kHighWatermark) {
    visitor->file_bytes += answer.content.size();
    file_bytes_ += answer.content.size();
  }
  carrier_.on_file(loop_.tick(), connection, answer, *this);
}

void HubLoop::on_time() {
  const Tick now = loop_.tick();
  carrier_.on_time(now, *this);
  cut_stuck(now.mono);
  if (shut_down_by_ <= now.mono) {
    shut_down_by_ = MonoTime::never();
    leaving_.clear();
    visitors_.clear();
  }
  finish_if_empty();
}

void HubLoop::cut_stuck(MonoTime now) {
  while (!leaving_.empty() && leaving_.front()->leave_by <= now) {
    Visitor& visitor = *leaving_.front();
    const std::size_t queued = visitor.stream->queued_bytes();
    if (queued == 0 || queued >= visitor.queued || visitor.leave_at_last <= now) {
      leaving_.pop_front();
      continue;
    }
    visitor.queued = queued;
    visitor.leave_by = now + kFarewell;
    leaving_.splice(leaving_.end(), leaving_, leaving_.begin());
  }
}

// Twice a turn, after the sockets were served and before the loop blocks.
void HubLoop::end_turn() {
  spent_ = Duration(0);
  timer_.arm(next_deadline());
}

MonoTime HubLoop::next_deadline() const {
  MonoTime next = std::min(carrier_.next_deadline(), shut_down_by_);
  return leaving_.empty() ? next : std::min(next, leaving_.front()->leave_by);
}

void HubLoop::shut_down(std::function<void()> done) {
  if (shut_down_done_) return;
  shut_down_done_ = std::move(done);
  shut_down_by_ = loop_.tick().mono + kShutdownTime;
  carrier_.shut_down(loop_.tick(), *this);
  finish_if_empty();
}

void HubLoop::finish_if_empty() {
  if (!shut_down_done_ || !visitors_.empty() || !leaving_.empty()) return;
  if (reads_ > 0 || challenge_reads_ > 0) return;
  if (std::exchange(finished_, true)) return;
  shut_down_done_();
}

void HubLoop::audit(Findings& findings) const {
  findings.expect_equal("signaling's connections", carrier_.connection_count(), visitors_.size());
}

}  // namespace turnpike::server
