#include "net/loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <thread>

#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

void make_readable(int fd) {
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(fd, &one, sizeof one), static_cast<ssize_t>(sizeof one));
}

Descriptor event_descriptor() { return Descriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

TEST(Loop, RunEndsWithStop) {
  Loop loop;
  NextTurn turn(loop, [&] { loop.stop(); });
  turn.ask();
  loop.run();
}

TEST(Loop, RunsEvenWithNothingToWatchUntilItIsStopped) {
  Loop loop;
  int flushes = 0;
  loop.on_flush([&] {
    if (++flushes == 1) loop.stop();
  });
  loop.run();
  EXPECT_GE(flushes, 1);
}

TEST(Loop, ReadsTheClockOnceATurn) {
  Loop loop;
  std::optional<Tick> in_flush;
  std::optional<Tick> in_work;
  NextTurn turn(loop, [&] { in_work = loop.tick(); });
  loop.on_flush([&] {
    if (!in_flush) in_flush = loop.tick();
  });
  turn.ask();
  loop.run_once();
  ASSERT_TRUE(in_flush && in_work);
  EXPECT_EQ(in_flush->mono, in_work->mono);
  const Tick later = loop.tick();
  EXPECT_EQ(loop.tick().mono, later.mono);
  EXPECT_GT(later.mono, in_work->mono);
}

TEST(Loop, FlushesAfterInputAndAgainBeforeItBlocks) {
  Loop loop;
  const Descriptor event = event_descriptor();
  std::string order;
  Poll poll(loop, event.get(), [&](int) {
    order += 'i';
    std::uint64_t value = 0;
    EXPECT_GT(::read(event.get(), &value, sizeof value), 0);
  });
  poll.watch(Poll::kReadable);
  make_readable(event.get());
  loop.on_flush([&] { order += 'f'; });
  loop.run_once();
  EXPECT_EQ(order, "fif");
}

TEST(Loop, DoesNotFlushWhileItIsDestroyed) {
  int flushes = 0;
  {
    Loop loop;
    loop.on_flush([&] { ++flushes; });
  }
  EXPECT_EQ(flushes, 0);
}

TEST(Loop, IgnoresSigpipe) {
  const Loop loop;
  struct sigaction action {};
  ASSERT_EQ(::sigaction(SIGPIPE, nullptr, &action), 0);
  EXPECT_EQ(action.sa_handler, SIG_IGN);
}

TEST(LoopTimer, FiresOnceAndNeverBeforeItsDeadline) {
  Loop loop;
  int fired = 0;
  MonoTime deadline;
  LoopTimer timer(loop, [&] {
    ++fired;
    EXPECT_GE(loop.tick().mono, deadline);
  });
  for (int i = 1; i <= 20; ++i) {
    deadline = loop.tick().mono + std::chrono::microseconds(370 * i);
    timer.arm(deadline);
    ASSERT_TRUE(turn_until(loop, [&] { return fired == i; }));
  }
  loop.run_once();
  EXPECT_EQ(fired, 20);
}

TEST(LoopTimer, APastDeadlineFiresInTheNextTurn) {
  Loop loop;
  int fired = 0;
  LoopTimer timer(loop, [&] { ++fired; });
  timer.arm(loop.tick().mono - seconds(1));
  loop.run_once();
  loop.run_once();
  EXPECT_EQ(fired, 1);
}

TEST(LoopTimer, ArmingAgainMovesTheDeadlineAndNeverCancels) {
  Loop loop;
  int fired = 0;
  LoopTimer moved(loop, [&] { ++fired; });
  LoopTimer cancelled(loop, [&] { fired += 100; });
  moved.arm(loop.tick().mono + hours(1));
  moved.arm(loop.tick().mono);
  cancelled.arm(loop.tick().mono);
  cancelled.arm(MonoTime::never());
  ASSERT_TRUE(turn_until(loop, [&] { return fired > 0; }));
  loop.run_once();
  EXPECT_EQ(fired, 1);
}

TEST(LoopTimer, MayBeArmedAgainForTheSameInstantAfterItFired) {
  Loop loop;
  int fired = 0;
  LoopTimer timer(loop, [&] { ++fired; });
  const MonoTime deadline = loop.tick().mono;
  timer.arm(deadline);
  ASSERT_TRUE(turn_until(loop, [&] { return fired == 1; }));
  timer.arm(deadline);
  EXPECT_TRUE(turn_until(loop, [&] { return fired == 2; }));
}

TEST(LoopTimer, MayBeDestroyedByItsCallback) {
  Loop loop;
  std::string text = "captured";
  std::string after;
  std::optional<LoopTimer> timer;
  timer.emplace(loop, [&timer, &after, text] {
    timer.reset();
    after = text;
  });
  timer->arm(loop.tick().mono);
  ASSERT_TRUE(turn_until(loop, [&] { return !after.empty(); }));
  EXPECT_EQ(after, "captured");
}

TEST(Poll, ADestroyedOneIsNeverCalledEvenWithItsEventAlreadyFetched) {
  Loop loop;
  const Descriptor first = event_descriptor();
  const Descriptor second = event_descriptor();
  int calls = 0;
  std::optional<Poll> one, other;
  // Both are readable in the same turn; whichever is called first destroys the other.
  one.emplace(loop, first.get(), [&](int) { ++calls, other.reset(), one->watch(0); });
  other.emplace(loop, second.get(), [&](int) { ++calls, one.reset(), other->watch(0); });
  one->watch(Poll::kReadable);
  other->watch(Poll::kReadable);
  make_readable(first.get());
  make_readable(second.get());
  loop.run_once();
  loop.run_once();
  EXPECT_EQ(calls, 1);
}

TEST(Poll, LeavesTheDescriptorFreeForAnotherAtOnce) {
  Loop loop;
  Descriptor event = event_descriptor();
  int first = 0;
  int second = 0;
  std::optional<Poll> poll;
  poll.emplace(loop, event.get(), [&](int) { ++first; });
  poll->watch(Poll::kReadable);
  poll.reset();
  poll.emplace(loop, event.get(), [&](int) { ++second, poll->watch(0); });
  poll->watch(Poll::kReadable);
  make_readable(event.get());
  loop.run_once();
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
}

TEST(Poll, ZeroPausesAndTheEventWaits) {
  Loop loop;
  const Descriptor event = event_descriptor();
  int calls = 0;
  Poll poll(loop, event.get(), [&](int) { ++calls; });
  make_readable(event.get());
  poll.watch(Poll::kReadable);
  loop.run_once();
  EXPECT_EQ(calls, 1);
  poll.watch(0);
  loop.run_once();
  EXPECT_EQ(calls, 1);
  poll.watch(Poll::kReadable);
  loop.run_once();
  EXPECT_EQ(calls, 2);
}

TEST(Poll, AnErrorShowsAsWhatIsWatchedAndTheWatchGoesOn) {
  Loop loop;
  TcpPair pair;
  std::vector<int> seen;
  Poll poll(loop, pair.ours.get(), [&](int events) { seen.push_back(events); });
  poll.watch(Poll::kReadable);
  // Closing with a zero linger time sends a reset.
  const linger hard{1, 0};
  ::setsockopt(pair.theirs.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  pair.theirs.close();
  ASSERT_TRUE(turn_until(loop, [&] { return seen.size() >= 2; }));
  EXPECT_EQ(seen[0], Poll::kReadable);
  EXPECT_EQ(seen[1], Poll::kReadable);
}

TEST(NextTurn, RunsOnceForEachTurnInWhichItWasAsked) {
  Loop loop;
  int runs = 0;
  NextTurn turn(loop, [&] {
    if (++runs < 3) turn.ask();
  });
  turn.ask();
  turn.ask();
  loop.run_once();
  EXPECT_EQ(runs, 1);
  for (int i = 0; i < 5; ++i) loop.run_once();
  EXPECT_EQ(runs, 3);
}

TEST(NextTurn, DestroyedBeforeItsTurnItDoesNotRun) {
  Loop loop;
  int runs = 0;
  {
    NextTurn turn(loop, [&] { ++runs; });
    turn.ask();
  }
  loop.run_once();
  EXPECT_EQ(runs, 0);
}

TEST(Async, WakesTheLoopFromAnotherThread) {
  Loop loop;
  int woken = 0;
  Async async(loop, [&] {
    ++woken;
    loop.stop();
  });
  std::thread other([&] { async.wake(); });
  loop.run();
  other.join();
  EXPECT_GE(woken, 1);
}

TEST(SignalWatch, DeliversOnTheLoop) {
  Loop loop;
  int arrived = 0;
  SignalWatch watch(loop, SIGUSR2, [&] { ++arrived; });
  ::raise(SIGUSR2);
  EXPECT_TRUE(turn_until(loop, [&] { return arrived == 1; }));
}

}  // namespace
}  // namespace turnpike::net
