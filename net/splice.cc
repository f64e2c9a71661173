#include "net/splice.h"

#include <utility>

namespace turnpike::net {

Splice::Splice(Loop& loop, std::unique_ptr<Stream> client, std::unique_ptr<Stream> peer,
               std::function<void()> ended)
    : loop_(loop),
      ended_(std::move(ended)),
      client_(*this, std::move(client)),
      peer_(*this, std::move(peer)) {}

Splice::~Splice() = default;

void Splice::start(ByteView first) {
  client_.stream->keep_half_open();
  peer_.stream->keep_half_open();
  peer_.stream->start(peer_);
  client_.stream->start(client_);
  if (!first.empty()) carry(client_, first);
}

void Splice::carry(Side& from, ByteView bytes) {
  moved_ = true;
  Stream* to = other(from).stream.get();
  if (to == nullptr) return;
  to->write(bytes);
  const bool crowded = loop_.queued_stream_bytes() > kMaxQueuedOfLoop;
  if (to->queued_bytes() > (crowded ? 0 : kHighWatermark)) {
    from.waits_for_drain = true;
    from.stream->pause_reading();
    to->tell_when_drained();
  }
  if (pace_) keep_pace(from, bytes.size());
}

void Splice::keep_pace(Side& from, std::size_t bytes) {
  if (from.stream == nullptr) return;
  const MonoTime until = pace_(&from == &client_ ? From::kClient : From::kPeer, bytes);
  from.waits_for_time = until > loop_.tick().mono;
  if (!from.waits_for_time) return read_on(from);
  from.stream->pause_reading();
  if (!from.wait) {
    from.wait = std::make_unique<LoopTimer>(loop_, [this, &from] { keep_pace(from, 0); });
  }
  from.wait->arm(until);
}

void Splice::read_on(Side& from) {
  if (from.stream == nullptr || from.waits_for_drain || from.waits_for_time) return;
  from.stream->resume_reading();
}

void Splice::on_drained(const Side& side) {
  Side& from = other(side);
  from.waits_for_drain = false;
  read_on(from);
}

void Splice::on_finished(const Side& side) {
  watch_silence();
  Stream* to = other(side).stream.get();
  if (to != nullptr) to->end_writing();
}

void Splice::on_end(Side& side) {
  side.stream.reset();
  Stream* left = other(side).stream.get();
  if (left == nullptr) {
    // Moved out: the splice may be destroyed by the call.
    const auto ended = std::move(ended_);
    return ended();
  }
  watch_silence();
  left->finish();
}

void Splice::watch_silence() {
  if (!silence_) silence_ = std::make_unique<LoopTimer>(loop_, [this] { on_time(); });
  moved_ = false;
  for (Side* side : {&client_, &peer_}) {
    side->queued_before = side->stream ? side->stream->queued_bytes() : 0;
  }
  silence_->arm(loop_.tick().mono + kSilence);
}

// Bytes that arrive are a sign of life, and so are bytes that leave.
void Splice::on_time() {
  for (const Side* side : {&client_, &peer_}) {
    const bool waits = side->waits_for_time;  // so there is more to come
    moved_ =
        moved_ || (side->stream && (waits || side->stream->queued_bytes() != side->queued_before));
  }
  if (moved_) return watch_silence();
  const auto ended = std::move(ended_);
  ended();
}

}  // namespace turnpike::net
