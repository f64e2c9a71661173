// Loop: one libuv loop and the clock that goes with it. A worker owns one; everything in net/ that
// takes a Loop& belongs to its thread. Wake-ups from other threads go through Async.
//
// A turn:  timers -> NextTurn -> flush -> rest -> block for I/O -> I/O callbacks -> flush
//
// The rest (WakePacing) is none unless it was allowed and many packets come one by one.
//
// A callback may destroy the object that it belongs to: what it needs lives until libuv has closed
// the handle, which is also when what the callback captured is destroyed.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <vector>

#include "base/expected.h"
#include "base/time.h"
#include "net/wake_pacing.h"

namespace turnpike::net {

class StreamPool;

class Loop {
 public:
  Loop();   // from here on the process ignores SIGPIPE: a closed connection is a return value
  ~Loop();  // every handle must have been closed; runs the close callbacks that wait
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();   // until stop()
  void stop();  // from the loop's own thread
  // One turn of the loop that does not wait; for tests.
  void run_once();

  // The clocks, read once per turn: the first call after the loop has blocked reads them, and the
  // first one in a timer's callback, so that there the deadline has passed.
  Tick tick();

  // Called after the I/O callbacks of each turn and again before the loop blocks: where batches are
  // flushed. Must be quick and may be called with nothing to do. Lives as long as the loop; called
  // by run() and run_once() only, never by the destructor. Streams are flushed after all of these.
  void on_flush(std::function<void()> flush);

  // Lets packets gather for up to `longest` where that saves wake-ups. Before run().
  void allow_rests(Duration longest) { pacing_ = WakePacing(longest); }
  // So many datagrams were handled that a rest would have delayed.
  void count_inputs(std::uint32_t count) { inputs_ += count; }

  // What the streams of this loop share.
  StreamPool& stream_pool();

  // Memory that the streams of this loop hold for bytes they have still to send.
  std::size_t queued_stream_bytes() const;

  uv_loop_t* raw() { return &loop_; }

 private:
  friend class LoopTimer;
  static void before_blocking(uv_prepare_t* handle);
  static void after_io(uv_check_t* handle);
  void flush();
  void rest();

  uv_loop_t loop_;
  uv_prepare_t prepare_;
  uv_check_t check_;
  std::vector<std::function<void()>> flushes_;
  std::unique_ptr<StreamPool> stream_pool_;
  Tick tick_;
  bool tick_is_fresh_ = false;
  WakePacing pacing_{Duration::zero()};
  std::uint32_t inputs_ = 0;
};

// A one-shot deadline. Destroying it cancels it.
class LoopTimer {
 public:
  LoopTimer(Loop& loop, std::function<void()> fire);
  ~LoopTimer();
  LoopTimer(const LoopTimer&) = delete;
  LoopTimer& operator=(const LoopTimer&) = delete;
  // Fires once, at `deadline` or right after (libuv's resolution: 1 ms). MonoTime::never() cancels.
  void arm(MonoTime deadline);

 private:
  struct State;
  State* state_;
};

// Readiness of a file descriptor that somebody else owns. Destroying it stops it at once: the
// callback never runs again, and the fd may be closed or handed over right after.
class Poll {
 public:
  enum Events : int { kReadable = UV_READABLE, kWritable = UV_WRITABLE };
  // An error on the descriptor shows as every event that is watched: the next call reports it.
  Poll(Loop& loop, int fd, std::function<void(int events)> ready);
  ~Poll();
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;
  void watch(int events);  // 0 pauses

 private:
  struct State;
  State* state_;
};

// Work that is left over when a budget is spent: asked for now, done once in the next turn, and
// until then the loop does not block. Destroying it cancels it.
class NextTurn {
 public:
  NextTurn(Loop& loop, std::function<void()> work);
  ~NextTurn();
  NextTurn(const NextTurn&) = delete;
  NextTurn& operator=(const NextTurn&) = delete;
  void ask();

 private:
  struct State;
  State* state_;
};

// Wakes a loop from any thread; several wakes may arrive as one.
class Async {
 public:
  Async(Loop& loop, std::function<void()> woken);
  ~Async();
  Async(const Async&) = delete;
  Async& operator=(const Async&) = delete;
  void wake();  // any thread

 private:
  struct State;
  State* state_;
};

// A POSIX signal, delivered on the loop's thread.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, int signal, std::function<void()> arrived);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct State;
  State* state_;
};

}  // namespace turnpike::net
