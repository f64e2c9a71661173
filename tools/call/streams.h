// The media of a call: what is sent when, as Opus and VP8 would be, and what one side counts of
// what it receives. Values, driven by whoever has the clock.
//
//   audio   a packet every 20 ms, or up to 120 ms, of 8 bytes for each of them (64 kbit/s), clock
//           48 kHz
//   video   30 frames a second, cut into packets of at most 1200 bytes behind a payload descriptor
//           of one byte (RFC 7741 section 4.2); every 60th frame is a key frame, four times as big
//
// The payload is load::Payloads' pattern: who sent it, its number, when, and bytes that follow from
// all of that, so that a mixed up or damaged packet is noticed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "tools/load/turn_load_payload.h"

namespace turnpike::call {

enum class Kind : std::uint8_t { kAudio, kVideo };
inline constexpr std::size_t kKinds = 2;
const char* name_of(Kind kind);

inline constexpr std::uint32_t kAudioClock = 48000, kVideoClock = 90000;
inline constexpr std::size_t kAudioBytesPerMs = 8;
inline constexpr std::size_t kMaxVideoPayload = 1200;
// What a packet of Opus may hold; the first is the usual one.
inline constexpr std::array<milliseconds, 6> kAudioIntervals = {
    milliseconds{20}, milliseconds{40},  milliseconds{60},
    milliseconds{80}, milliseconds{100}, milliseconds{120}};
inline constexpr unsigned kFramesPerSecond = 30, kKeyFrameEvery = 60;

struct DuePacket {
  Kind kind = Kind::kAudio;
  std::uint32_t timestamp = 0;
  std::size_t size = 0;  // of the payload, descriptor included
  bool first = false;    // of its frame
  bool marker = false;   // the last of its frame; the first audio packet
  MonoTime due;
};

// When one side sends what.
class Schedule {
 public:
  Schedule(MonoTime start, unsigned video_bitrate,
           milliseconds audio_interval = kAudioIntervals.front());

  MonoTime next() const { return next_audio_ < next_frame_ ? next_audio_ : next_frame_; }
  // One packet that is due; a frame's packets follow each other.
  std::optional<DuePacket> take(MonoTime now);

 private:
  DuePacket audio();
  DuePacket video();
  void begin_frame();

  const MonoTime start_;
  const milliseconds audio_interval_;
  const double bytes_per_frame_;  // of an ordinary one; 0: no video
  MonoTime next_audio_, next_frame_;
  std::uint64_t audio_packets_ = 0, frames_ = 0;
  std::size_t frame_left_ = 0;  // payload bytes of the frame under way
  std::size_t packets_left_ = 0;
  bool frame_begun_ = false, first_of_frame_ = false;
};

// Who a stream is of: call, side and kind in one number.
std::uint32_t flow_of(std::uint32_t call, std::uint32_t side, Kind kind);

// Fills in what follows the RTP header.
void write_payload(const load::Payloads& payloads, const DuePacket& packet, std::uint32_t flow,
                   std::uint32_t sequence, std::uint64_t now, MutableBytes room);

// What arrived of one stream.
struct Received {
  std::uint64_t packets = 0;  // good ones, each once
  std::uint64_t bytes = 0;    // of payload
  std::uint64_t duplicated = 0, reordered = 0, corrupt = 0, misrouted = 0;
  std::uint64_t delay_sum_ns = 0, delay_max_ns = 0;
  double jitter_ns = 0;  // RFC 3550 section 6.4.1
  std::uint64_t last_at = 0;

  double delay_ms() const {
    return packets == 0 ? 0
                        : static_cast<double>(delay_sum_ns) / static_cast<double>(packets) / 1e6;
  }
};

class Receiver {
 public:
  explicit Receiver(std::uint32_t flow) : flow_(flow) {}
  // Answers how long a good packet that is new was on its way.
  std::optional<std::uint64_t> take(const load::Payloads& payloads, Kind kind, ByteView payload,
                                    std::uint64_t now);
  const Received& received() const { return received_; }

 private:
  const std::uint32_t flow_;
  Received received_;
  load::Arrivals arrivals_;
  std::uint64_t last_delay_ = 0;
};

}  // namespace turnpike::call
