// TimerWheel: many deadlines, O(1) to arm, disarm and expire; next() is O(1) amortised.
// A hierarchical wheel with a granularity of 64 ms: a deadline fires at its time or up to one
// granule later, never earlier. A Timer is embedded in what it times (intrusive, no allocation),
// disarms itself when destroyed, and carries a tag that the owner reads when it fires. Single
// thread.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "base/time.h"

namespace turnpike {

class TimerWheel;

class Timer : public boost::intrusive::list_base_hook<
                  boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // `kind` tells the owner what expired, `subject` on which object (usually Handle::pack()).
  Timer() = default;
  Timer(std::uint32_t kind, std::uint64_t subject) : kind_(kind), subject_(subject) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  std::uint32_t kind() const { return kind_; }
  std::uint64_t subject() const { return subject_; }
  void name(std::uint32_t kind, std::uint64_t subject) { kind_ = kind, subject_ = subject; }
  bool armed() const { return is_linked(); }
  MonoTime deadline() const { return deadline_; }
  void disarm() { unlink_if_armed(); }

 private:
  friend class TimerWheel;
  void unlink_if_armed() {
    if (is_linked()) unlink();
  }
  std::uint32_t kind_ = 0;
  std::uint64_t subject_ = 0;
  MonoTime deadline_;
};

class TimerWheel {
 public:
  TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms the timer, or moves it when it is armed already.
  void arm(Timer& timer, MonoTime deadline);
  // Takes one expired timer out of the wheel (disarmed) or answers nullptr when none is due.
  // Call until nullptr; the owner may arm and destroy any timer between calls.
  Timer* take_expired(MonoTime now);
  // No timer fires before this instant; MonoTime::never() when none is armed. May be early (the
  // caller then finds nothing expired and asks again), never late.
  MonoTime next() const;

 private:
  static constexpr int kDigitBits = 6;
  static constexpr int kLevels = 7;  // 64^7 granules of 64 ms: more than a MonoTime can hold
  static constexpr std::uint32_t kSlots = 1u << kDigitBits;
  using Slot = boost::intrusive::list<Timer, boost::intrusive::constant_time_size<false>>;
  struct Position {
    std::size_t level = 0;
    std::size_t index = 0;
    std::uint64_t start = 0;  // the slot's first granule
  };

  void place(Timer& timer);
  void cascade(const Position& position);
  Position first_occupied() const;

  std::uint64_t current_ = 0;  // the granule up to which everything has expired
  Slot due_;
  std::array<std::array<Slot, kSlots>, kLevels> slots_;
  // One bit a slot; set for every slot that holds a timer, and for some that held one.
  mutable std::array<std::uint64_t, kLevels> occupied_{};
};

}  // namespace turnpike
