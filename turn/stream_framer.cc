#include "turn/stream_framer.h"

#include <algorithm>

#include "stun/attributes.h"
#include "stun/classify.h"

namespace turnpike::turn {

namespace {

// What the first bytes say about the message that they open.
struct Measure {
  std::size_t message = 0;  // without padding
  std::size_t framed = 0;   // with it; 0 while too few bytes are there
  bool garbage = false;
};

constexpr std::size_t kChannelDataHeader = 4;
constexpr std::size_t kStunPrefix = 8;  // as far as the magic cookie

Measure measure_channel_data(Reader in) {
  if (in.remaining() < kChannelDataHeader) return {};
  in.skip(2);
  const std::size_t message = kChannelDataHeader + in.u16();
  return {message, message + padding_to_four(message), false};
}

Measure measure_stun(Reader in) {
  if (in.remaining() < kStunPrefix) return {};
  in.skip(2);
  const std::size_t message = stun::kHeaderSize + in.u16();
  const bool is_stun = in.u32() == stun::kMagicCookie && message % 4 == 0;
  if (!is_stun || message > StreamFramer::kMaxMessage) return {0, 0, true};
  return {message, message, false};
}

Measure measure(ByteView bytes) {
  if (bytes.empty()) return {};
  switch (stun::classify(bytes)) {
    case stun::PacketKind::kChannelData:
      return measure_channel_data(Reader(bytes));
    case stun::PacketKind::kStun:
      return measure_stun(Reader(bytes));
    default:
      return {0, 0, true};
  }
}

}  // namespace

void StreamFramer::feed(ByteView bytes) {
  drop_delivered();
  fed_ = bytes;
}

StreamFramer::Result StreamFramer::next(ByteView& message) {
  if (kept_.size() > consumed_of_kept_) return complete_kept(message);
  const Measure size = measure(fed_);
  if (size.garbage) return Result::kGarbage;
  if (size.framed == 0 || size.framed > fed_.size()) return Result::kNeedMore;
  message = fed_.first(size.message);
  fed_ = fed_.subspan(size.framed);
  return Result::kMessage;
}

void StreamFramer::keep_rest() {
  drop_delivered();
  if (!fed_.empty()) keep(fed_.size());
  if (kept_.empty() && kept_.capacity() > kKeptCapacity) kept_ = {};
}

// A message that began in earlier bytes: takes over just what it lacks.
StreamFramer::Result StreamFramer::complete_kept(ByteView& message) {
  while (true) {
    const Measure size = measure(kept_);
    if (size.garbage) return Result::kGarbage;
    if (size.framed != 0 && size.framed <= kept_.size()) {
      message = ByteView(kept_).first(size.message);
      consumed_of_kept_ = kept_.size();
      return Result::kMessage;
    }
    if (fed_.empty()) return Result::kNeedMore;
    if (size.framed != 0) kept_.reserve(size.framed);
    const std::size_t wanted = size.framed != 0 ? size.framed - kept_.size() : 1;
    keep(std::min(wanted, fed_.size()));
  }
}

void StreamFramer::keep(std::size_t count) {
  kept_.reserve(std::max(kKeptCapacity, kept_.size() + count));
  kept_.insert(kept_.end(), fed_.begin(), fed_.begin() + static_cast<std::ptrdiff_t>(count));
  fed_ = fed_.subspan(count);
}

void StreamFramer::drop_delivered() {
  if (consumed_of_kept_ == 0) return;
  kept_.clear();
  consumed_of_kept_ = 0;
}

}  // namespace turnpike::turn
