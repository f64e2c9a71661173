#include "base/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "base/random.h"

namespace turnpike {
namespace {

constexpr Duration kGranule = milliseconds(64);

MonoTime at(Duration since_start) { return {since_start}; }

int count_expired(TimerWheel& wheel, MonoTime now) {
  int count = 0;
  while (wheel.take_expired(now) != nullptr) ++count;
  return count;
}

// The first instant at which the wheel promises nothing may be later than this.
MonoTime latest_fire_time(MonoTime deadline) { return deadline + kGranule; }

TEST(TimerWheel, AnEmptyWheelHasNothingToWaitFor) {
  TimerWheel wheel;
  EXPECT_EQ(wheel.next(), MonoTime::never());
  EXPECT_EQ(wheel.take_expired(at(hours(1))), nullptr);
}

TEST(TimerWheel, FiresNeverEarlyAndAtMostOneGranuleLate) {
  for (int offset = 0; offset < 200; ++offset) {
    const MonoTime start = at(hours(5) + milliseconds(13));
    TimerWheel wheel;
    EXPECT_EQ(wheel.take_expired(start), nullptr);
    Timer timer(1, 2);
    const MonoTime deadline = start + milliseconds(offset);
    wheel.arm(timer, deadline);
    EXPECT_EQ(wheel.take_expired(deadline - Duration(1)), nullptr) << offset;
    EXPECT_TRUE(timer.armed());
    EXPECT_EQ(wheel.take_expired(latest_fire_time(deadline)), &timer) << offset;
    EXPECT_FALSE(timer.armed());
    EXPECT_EQ(wheel.take_expired(latest_fire_time(deadline)), nullptr);
  }
}

TEST(TimerWheel, ADeadlineOnAGranuleFiresAtItsVeryInstant) {
  TimerWheel wheel;
  Timer timer;
  const MonoTime deadline = at(kGranule * 1000);
  wheel.arm(timer, deadline);
  EXPECT_EQ(wheel.take_expired(deadline - Duration(1)), nullptr);
  EXPECT_EQ(wheel.take_expired(deadline), &timer);
}

TEST(TimerWheel, ADeadlineInThePastIsDueAtOnce) {
  TimerWheel wheel;
  const MonoTime now = at(hours(1));
  EXPECT_EQ(wheel.take_expired(now), nullptr);
  Timer past, negative;
  wheel.arm(past, now - seconds(10));
  wheel.arm(negative, at(-hours(1)));
  EXPECT_LE(wheel.next(), now);
  EXPECT_EQ(count_expired(wheel, now), 2);
}

TEST(TimerWheel, TheTimerCarriesItsName) {
  TimerWheel wheel;
  Timer timer(3, 99);
  wheel.arm(timer, at(seconds(1)));
  const Timer* expired = wheel.take_expired(at(seconds(2)));
  ASSERT_EQ(expired, &timer);
  EXPECT_EQ(expired->kind(), 3u);
  EXPECT_EQ(expired->subject(), 99u);
  EXPECT_EQ(expired->deadline(), at(seconds(1)));
}

TEST(TimerWheel, RearmingMovesTheDeadlineBothWays) {
  TimerWheel wheel;
  Timer timer;
  wheel.arm(timer, at(seconds(10)));
  wheel.arm(timer, at(seconds(600)));
  EXPECT_EQ(count_expired(wheel, at(seconds(599))), 0);
  wheel.arm(timer, at(seconds(601)));
  wheel.arm(timer, at(seconds(600)));
  EXPECT_EQ(count_expired(wheel, at(seconds(600) + kGranule)), 1);
  EXPECT_EQ(wheel.next(), MonoTime::never());
}

TEST(TimerWheel, ADisarmedOrDestroyedTimerNeverFires) {
  TimerWheel wheel;
  Timer kept, disarmed;
  auto destroyed = std::make_unique<Timer>();
  for (Timer* timer : {&kept, &disarmed, destroyed.get()}) wheel.arm(*timer, at(seconds(5)));
  disarmed.disarm();
  disarmed.disarm();
  destroyed.reset();
  EXPECT_EQ(wheel.take_expired(at(seconds(6))), &kept);
  EXPECT_EQ(wheel.take_expired(at(seconds(6))), nullptr);
  EXPECT_EQ(wheel.next(), MonoTime::never());
}

TEST(TimerWheel, TheOwnerMayArmAndDestroyBetweenTwoExpired) {
  TimerWheel wheel;
  Timer first;
  auto second = std::make_unique<Timer>();
  wheel.arm(first, at(seconds(1)));
  wheel.arm(*second, at(seconds(1)));
  const MonoTime now = at(seconds(2));
  EXPECT_EQ(wheel.take_expired(now), &first);
  second.reset();                      // was due in the same turn
  wheel.arm(first, now + seconds(1));  // periodic
  EXPECT_EQ(wheel.take_expired(now), nullptr);
  EXPECT_EQ(wheel.take_expired(now + seconds(2)), &first);
}

TEST(TimerWheel, AWheelDestroyedBeforeItsTimersLeavesThemUsable) {
  Timer timer;
  {
    TimerWheel wheel;
    wheel.arm(timer, at(seconds(1)));
  }
  EXPECT_FALSE(timer.armed());
  TimerWheel other;
  other.arm(timer, at(seconds(1)));
  EXPECT_EQ(other.take_expired(at(seconds(2))), &timer);
}

TEST(TimerWheel, EarlierGranulesExpireFirst) {
  TimerWheel wheel;
  std::vector<std::unique_ptr<Timer>> timers;
  for (const int second : {3600, 1, 86400, 60, 5, 600}) {
    timers.push_back(std::make_unique<Timer>(0, static_cast<std::uint64_t>(second)));
    wheel.arm(*timers.back(), at(seconds(second)));
  }
  std::uint64_t last = 0;
  for (int i = 0; i < 6; ++i) {
    const Timer* timer = wheel.take_expired(at(hours(48)));
    ASSERT_NE(timer, nullptr);
    EXPECT_GT(timer->subject(), last);
    last = timer->subject();
  }
}

// A loop that sleeps exactly until next() fires everything in time, and wakes for one timer at most
// once a level.
TEST(TimerWheel, ALoopThatSleepsUntilNextMissesNothing) {
  for (const Duration wait :
       {Duration(milliseconds(1)), Duration(seconds(1)), Duration(seconds(300)),
        Duration(seconds(600)), Duration(hours(10)), Duration(hours(24 * 365 * 3))}) {
    TimerWheel wheel;
    MonoTime now = at(hours(24 * 200) + milliseconds(5));  // a machine that has been up for long
    EXPECT_EQ(wheel.take_expired(now), nullptr);
    Timer timer;
    const MonoTime deadline = now + wait;
    wheel.arm(timer, deadline);
    int wakes = 0;
    while (timer.armed()) {
      now = std::max(now, wheel.next());
      ASSERT_LE(now, latest_fire_time(deadline));
      (void)wheel.take_expired(now);
      ASSERT_LE(++wakes, 7);
    }
    EXPECT_GE(now, deadline);
  }
}

TEST(TimerWheel, HoldsTheLastInstantThatThereIs) {
  TimerWheel wheel;
  Timer timer;
  wheel.arm(timer, MonoTime::never());
  EXPECT_EQ(wheel.take_expired(at(Duration::max() - kGranule)), nullptr);
  EXPECT_TRUE(timer.armed());
  EXPECT_EQ(wheel.next(), MonoTime::never());
}

TEST(TimerWheel, TimeThatStandsStillOrGoesBackDoesNoHarm) {
  TimerWheel wheel;
  Timer timer;
  EXPECT_EQ(wheel.take_expired(at(seconds(100))), nullptr);
  wheel.arm(timer, at(seconds(101)));
  EXPECT_EQ(wheel.take_expired(at(seconds(100))), nullptr);
  EXPECT_EQ(wheel.take_expired(at(seconds(53))), nullptr);
  EXPECT_EQ(wheel.take_expired(at(seconds(102))), &timer);
}

// The wheel against an ordered map, in random walks through days and months.
class RandomWalk {
 public:
  explicit RandomWalk(std::uint64_t seed) : random_(seed) {
    now_ = at(seconds(random_.below(1'000'000)) + Duration(random_.below(1'000'000'000)));
    for (auto& timer : timers_) timer = std::make_unique<Timer>();
    if (random_.below(2) == 0) advance_to(now_);  // or let the first arm() come before any look
  }

  void step() {
    auto& timer = timers_[random_.below(kTimers)];
    switch (random_.below(8)) {
      case 0:
        disarm(*timer);
        break;
      case 1:
        disarm(*timer);
        timer = std::make_unique<Timer>();
        break;
      case 2:
        advance_to(now_ + pick(seconds(3600 * 24)));
        break;
      case 3:
        advance_to(now_ + pick(milliseconds(200)));
        break;
      case 4:
        check_next();
        break;
      default:
        arm(*timer, now_ + pick(random_.below(4) == 0 ? Duration(hours(24 * 90)) : seconds(700)) -
                        milliseconds(100));
    }
  }

 private:
  static constexpr std::uint32_t kTimers = 40;

  Duration pick(Duration below) {
    return Duration(
        static_cast<Duration::rep>(random_.u64() % static_cast<std::uint64_t>(below.count())));
  }
  void arm(Timer& timer, MonoTime deadline) {
    disarm_in_model(timer);
    wheel_.arm(timer, deadline);
    model_.emplace(deadline, &timer);
  }
  void disarm(Timer& timer) {
    disarm_in_model(timer);
    timer.disarm();
  }
  void disarm_in_model(const Timer& timer) {
    for (auto entry = model_.begin(); entry != model_.end(); ++entry) {
      if (entry->second != &timer) continue;
      model_.erase(entry);
      return;
    }
  }
  void advance_to(MonoTime now) {
    now_ = now;
    while (Timer* timer = wheel_.take_expired(now_)) {
      ASSERT_LE(timer->deadline(), now_) << "early";
      ASSERT_FALSE(timer->armed());
      disarm_in_model(*timer);
    }
    if (!model_.empty()) {
      ASSERT_GT(latest_fire_time(model_.begin()->first), now_) << "late";
    }
    for (const auto& [deadline, timer] : model_) {
      ASSERT_TRUE(timer->armed());
      ASSERT_EQ(timer->deadline(), deadline);
    }
  }
  void check_next() {
    const MonoTime next = wheel_.next();
    if (model_.empty()) {
      ASSERT_EQ(next, MonoTime::never());
      return;
    }
    ASSERT_LT(next, latest_fire_time(model_.begin()->first)) << "next() is late";
    if (next <= now_) return;
    const std::size_t armed = model_.size();
    advance_to(next - Duration(1));
    ASSERT_EQ(model_.size(), armed) << "a timer fired before next()";
  }

  SeededRandom random_;
  MonoTime now_;
  TimerWheel wheel_;
  std::array<std::unique_ptr<Timer>, kTimers> timers_;
  std::multimap<MonoTime, Timer*> model_;
};

TEST(TimerWheel, AgreesWithAnOrderedMapOnRandomWalks) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomWalk walk(seed);
    for (int i = 0; i < 1000; ++i) {
      walk.step();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace turnpike
