#include "base/timer_wheel.h"

#include <bit>

namespace turnpike {
namespace {

constexpr Duration kGranule = milliseconds(64);
constexpr std::uint64_t kNever = ~std::uint64_t{0};

// A deadline counts from the granule that begins at or after it, so nothing fires early.
std::uint64_t granule_at_or_after(MonoTime time) {
  if (time.since_start <= Duration::zero()) return 0;
  const auto whole = static_cast<std::uint64_t>(time.since_start / kGranule);
  return whole + (time.since_start % kGranule == Duration::zero() ? 0 : 1);
}

std::uint64_t granule_at_or_before(MonoTime time) {
  if (time.since_start <= Duration::zero()) return 0;
  return static_cast<std::uint64_t>(time.since_start / kGranule);
}

MonoTime start_of(std::uint64_t granule) {
  constexpr auto kLast = static_cast<std::uint64_t>(Duration::max() / kGranule);
  if (granule > kLast) return MonoTime::never();
  return {kGranule * static_cast<Duration::rep>(granule)};
}

}  // namespace

TimerWheel::TimerWheel() = default;

void TimerWheel::arm(Timer& timer, MonoTime deadline) {
  timer.disarm();
  timer.deadline_ = deadline;
  place(timer);
}

Timer* TimerWheel::take_expired(MonoTime now) {
  const std::uint64_t target = granule_at_or_before(now);
  while (due_.empty()) {
    const Position position = first_occupied();
    if (position.start > target) {
      if (target > current_) current_ = target;
      return nullptr;
    }
    current_ = position.start;
    cascade(position);
  }
  Timer& timer = due_.front();
  due_.pop_front();
  return &timer;
}

MonoTime TimerWheel::next() const {
  if (!due_.empty()) return start_of(current_);
  const Position position = first_occupied();
  return position.start == kNever ? MonoTime::never() : start_of(position.start);
}

// The level is the highest digit (base 64) in which the timer's granule differs from the current
// one. Hence all of a level's timers expire before any of the next level's, and a slot's index is
// above the current digit of its level.
void TimerWheel::place(Timer& timer) {
  const std::uint64_t granule = granule_at_or_after(timer.deadline_);
  if (granule <= current_) {
    due_.push_back(timer);
    return;
  }
  const int level = (63 - std::countl_zero(granule ^ current_)) / kDigitBits;
  const std::uint64_t index = (granule >> (level * kDigitBits)) % kSlots;
  const auto row = static_cast<std::size_t>(level);
  slots_[row][index].push_back(timer);
  occupied_[row] |= std::uint64_t{1} << index;
}

// Time has come to the slot's first granule: its timers are due or move to lower levels.
void TimerWheel::cascade(const Position& position) {
  Slot& slot = slots_[position.level][position.index];
  while (!slot.empty()) {
    Timer& timer = slot.front();
    slot.pop_front();
    place(timer);
  }
  occupied_[position.level] &= ~(std::uint64_t{1} << position.index);
}

// A timer that leaves by disarm() cannot clear its slot's bit, so bits of empty slots are cleared
// here: each is paid for by the arm() that set it.
TimerWheel::Position TimerWheel::first_occupied() const {
  for (std::size_t level = 0; level < slots_.size(); ++level) {
    const int shift = static_cast<int>(level) * kDigitBits;
    const std::uint64_t digit = (current_ >> shift) % kSlots;
    while (true) {
      const std::uint64_t ahead = occupied_[level] & ~((std::uint64_t{2} << digit) - 1);
      if (ahead == 0) break;
      const auto index = static_cast<std::size_t>(std::countr_zero(ahead));
      if (!slots_[level][index].empty()) {
        const std::uint64_t above = (current_ >> shift >> kDigitBits) << kDigitBits;
        return {level, index, (above | index) << shift};
      }
      occupied_[level] &= ~(std::uint64_t{1} << index);
    }
  }
  return {0, 0, kNever};
}

}  // namespace turnpike
