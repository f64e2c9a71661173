// The payload that travels and how it is judged. Every byte is known to the receiver:
//
//   0        4        8          12       16              24
//   | magic  | flow   | sequence | check  | time sent, ns | a stretch of noise that the sequence
//                                                           number chooses ...
//
// A flow is one direction of one allocation. Host byte order: both ends are this process.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/random.h"

namespace turnpike::load {

inline constexpr std::uint32_t kMagic = 0x7E57DA7A;

struct Stamp {
  std::uint32_t magic = kMagic;
  std::uint32_t flow = 0;
  std::uint32_t sequence = 0;
  std::uint32_t check = 0;
  std::uint64_t sent_at = 0;
};
static_assert(sizeof(Stamp) == 24);

class Payloads {
 public:
  Payloads() {
    SeededRandom random(1);
    random.fill(noise_);
  }

  void write(MutableBytes room, std::uint32_t flow, std::uint32_t sequence,
             std::uint64_t now) const {
    Stamp stamp{.flow = flow, .sequence = sequence, .sent_at = now};
    stamp.check = check_of(stamp, room.size());
    std::memcpy(room.data(), &stamp, sizeof stamp);
    if (room.size() > sizeof stamp) {
      std::memcpy(room.data() + sizeof stamp, noise_of(stamp), room.size() - sizeof stamp);
    }
  }

  // False: not one byte may be believed.
  bool read(ByteView payload, Stamp& stamp) const {
    if (payload.size() < sizeof stamp || payload.size() > kNoise / 2) return false;
    std::memcpy(&stamp, payload.data(), sizeof stamp);
    const std::size_t body = payload.size() - sizeof stamp;
    return stamp.magic == kMagic && stamp.check == check_of(stamp, payload.size()) &&
           (body == 0 || std::memcmp(payload.data() + sizeof stamp, noise_of(stamp), body) == 0);
  }

 private:
  static constexpr std::size_t kNoise = 4096;

  static std::uint32_t check_of(const Stamp& stamp, std::size_t size) {
    std::uint64_t mixed = stamp.sent_at ^ (std::uint64_t{stamp.flow} << 32 | stamp.sequence);
    mixed = (mixed ^ size) * 0x9E3779B97F4A7C15ull;
    return static_cast<std::uint32_t>(mixed >> 32);
  }
  const std::uint8_t* noise_of(const Stamp& stamp) const {
    return noise_.data() + (stamp.sequence * 7 + stamp.flow * 13) % (kNoise / 2);
  }

  std::array<std::uint8_t, kNoise> noise_;
};

// Which of a flow's latest sequence numbers have arrived.
class Arrivals {
 public:
  enum class Verdict : std::uint8_t { kNew, kDuplicate, kTooOld };

  // `passed` becomes how many numbers this arrival is beyond the highest before.
  Verdict arrive(std::uint32_t sequence, std::uint32_t& passed) {
    passed = 0;
    if (sequence >= next_) {
      passed = sequence - next_ + 1;
      if (passed >= kRemembered) {
        seen_.fill(0);
      } else {
        for (std::uint32_t i = next_; i < sequence; ++i) word(i) &= ~bit(i);
      }
      word(sequence) |= bit(sequence);
      next_ = sequence + 1;
      return Verdict::kNew;
    }
    if (next_ - sequence > kRemembered) return Verdict::kTooOld;
    if ((word(sequence) & bit(sequence)) != 0) return Verdict::kDuplicate;
    word(sequence) |= bit(sequence);
    return Verdict::kNew;
  }

 private:
  static constexpr std::uint32_t kRemembered = 1024;
  std::uint64_t& word(std::uint32_t sequence) { return seen_[sequence % kRemembered / 64]; }
  static std::uint64_t bit(std::uint32_t sequence) { return std::uint64_t{1} << sequence % 64; }

  std::array<std::uint64_t, kRemembered / 64> seen_{};
  std::uint32_t next_ = 0;
};

}  // namespace turnpike::load
