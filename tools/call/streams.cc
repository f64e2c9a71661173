#include "tools/call/streams.h"

#include <algorithm>
#include <utility>

namespace turnpike::call {
namespace {

constexpr Duration kSecond = seconds{1};
// RFC 7741 section 4.2: the one byte that is required; S says that a partition begins.
constexpr std::size_t kDescriptor = 1;
constexpr std::uint8_t kStartOfPartition = 0x10;
constexpr std::size_t kMinPayload = sizeof(load::Stamp) + kDescriptor;
// An ordinary frame's part of what sixty frames have, one of which is four times as big.
constexpr double kParts = kKeyFrameEvery + 3;

}  // namespace

const char* name_of(Kind kind) { return kind == Kind::kAudio ? "audio" : "video"; }

Schedule::Schedule(MonoTime start, unsigned video_bitrate, milliseconds audio_interval)
    : start_(start),
      audio_interval_(audio_interval),
      bytes_per_frame_(video_bitrate / 8.0 / kFramesPerSecond * kKeyFrameEvery / kParts),
      next_audio_(start),
      next_frame_(video_bitrate == 0 ? MonoTime::never() : start) {}

std::optional<DuePacket> Schedule::take(MonoTime now) {
  if (frame_begun_) return video();  // a frame is finished before anything else
  if (next() > now) return std::nullopt;
  if (next_audio_ <= next_frame_) return audio();
  begin_frame();
  return video();
}

DuePacket Schedule::audio() {
  DuePacket packet;
  packet.due = next_audio_;
  const auto length = static_cast<std::uint32_t>(audio_interval_.count());
  packet.timestamp = static_cast<std::uint32_t>(audio_packets_ * (kAudioClock / 1000 * length));
  packet.size = kAudioBytesPerMs * length;
  packet.first = true;
  packet.marker = audio_packets_ == 0;
  ++audio_packets_;
  next_audio_ = start_ + audio_packets_ * audio_interval_;
  return packet;
}

void Schedule::begin_frame() {
  const double parts = frames_ % kKeyFrameEvery == 0 ? 4 : 1;
  frame_left_ = std::max(static_cast<std::size_t>(bytes_per_frame_ * parts), kMinPayload);
  packets_left_ = (frame_left_ + kMaxVideoPayload - 1) / kMaxVideoPayload;
  frame_left_ = std::max(frame_left_, packets_left_ * kMinPayload);
  frame_begun_ = first_of_frame_ = true;
}

DuePacket Schedule::video() {
  DuePacket packet;
  packet.kind = Kind::kVideo;
  packet.due = next_frame_;
  packet.timestamp = static_cast<std::uint32_t>(frames_ * (kVideoClock / kFramesPerSecond));
  packet.first = std::exchange(first_of_frame_, false);
  packet.size = frame_left_ / packets_left_;
  frame_left_ -= packet.size;
  --packets_left_;
  packet.marker = packets_left_ == 0;
  if (packet.marker) {
    frame_begun_ = false;
    ++frames_;
    next_frame_ = start_ + frames_ * kSecond / kFramesPerSecond;
  }
  return packet;
}

std::uint32_t flow_of(std::uint32_t call, std::uint32_t side, Kind kind) {
  return call * 4 + side * 2 + static_cast<std::uint32_t>(kind);
}

void write_payload(const load::Payloads& payloads, const DuePacket& packet, std::uint32_t flow,
                   std::uint32_t sequence, std::uint64_t now, MutableBytes room) {
  if (packet.kind == Kind::kVideo) {
    room[0] = packet.first ? kStartOfPartition : 0;
    room = room.subspan(kDescriptor);
  }
  payloads.write(room, flow, sequence, now);
}

std::optional<std::uint64_t> Receiver::take(const load::Payloads& payloads, Kind kind,
                                            ByteView payload, std::uint64_t now) {
  const std::size_t size = payload.size();
  if (kind == Kind::kVideo) {
    if (payload.empty() || (payload[0] & ~kStartOfPartition) != 0) {
      ++received_.corrupt;
      return std::nullopt;
    }
    payload = payload.subspan(kDescriptor);
  }
  load::Stamp stamp;
  if (!payloads.read(payload, stamp)) {
    ++received_.corrupt;
    return std::nullopt;
  }
  if (stamp.flow != flow_) {
    ++received_.misrouted;
    return std::nullopt;
  }
  std::uint32_t passed = 0;
  if (arrivals_.arrive(stamp.sequence, passed) != load::Arrivals::Verdict::kNew) {
    ++received_.duplicated;
    return std::nullopt;
  }
  const std::uint64_t delay = now > stamp.sent_at ? now - stamp.sent_at : 0;
  if (received_.packets > 0) {
    if (passed == 0) ++received_.reordered;
    const double change = delay > last_delay_ ? static_cast<double>(delay - last_delay_)
                                              : static_cast<double>(last_delay_ - delay);
    received_.jitter_ns += (change - received_.jitter_ns) / 16;
  }
  last_delay_ = delay;
  ++received_.packets;
  received_.bytes += size;
  received_.delay_sum_ns += delay;
  received_.delay_max_ns = std::max(received_.delay_max_ns, delay);
  received_.last_at = now;
  return delay;
}

}  // namespace turnpike::call
