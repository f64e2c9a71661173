#include "net/loop.h"

#include <sys/prctl.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <utility>

#include "base/check.h"
#include "net/stream_pool.h"

namespace turnpike::net {
namespace {

// The clock that libuv's timers use, so that a timer never fires before its deadline.
MonoTime read_mono_clock() { return {Duration(static_cast<std::int64_t>(uv_hrtime()))}; }

WallTime read_wall_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::floor<seconds>(now)};
}

// A State outlives its owner until libuv has let go of the handle.
template <typename State>
void close_and_free(State* state) {
  uv_close(reinterpret_cast<uv_handle_t*>(&state->handle),
           [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

}  // namespace

Loop::Loop() {
  std::signal(SIGPIPE, SIG_IGN);
  CHECK(uv_loop_init(&loop_) == 0);
  CHECK(uv_prepare_init(&loop_, &prepare_) == 0);
  CHECK(uv_check_init(&loop_, &check_) == 0);
  prepare_.data = this;
  check_.data = this;
  CHECK(uv_prepare_start(&prepare_, &Loop::before_blocking) == 0);
  CHECK(uv_check_start(&check_, &Loop::after_io) == 0);
}

Loop::~Loop() {
  flushes_.clear();
  stream_pool_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&check_), nullptr);
  uv_run(&loop_, UV_RUN_NOWAIT);
  // What libuv's threads have under way (FilePoll) is waited for; nothing else keeps the loop.
  if (uv_loop_alive(&loop_) != 0) uv_run(&loop_, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop_) == 0);
}

// Timers of the kernel may be late by this thread's slack, 50 us unless it is changed: as long as a
// rest.
void Loop::run() {
  if (pacing_.is_on()) ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Loop::stop() { uv_stop(&loop_); }

void Loop::run_once() { uv_run(&loop_, UV_RUN_NOWAIT); }

Tick Loop::tick() {
  if (!tick_is_fresh_) {
    tick_ = {read_mono_clock(), read_wall_clock()};
    tick_is_fresh_ = true;
  }
  return tick_;
}

void Loop::on_flush(std::function<void()> flush) { flushes_.push_back(std::move(flush)); }

StreamPool& Loop::stream_pool() {
  if (!stream_pool_) stream_pool_ = std::make_unique<StreamPool>(*this);
  return *stream_pool_;
}

std::size_t Loop::queued_stream_bytes() const {
  return stream_pool_ ? stream_pool_->chunks().lent() * Chunk::kBytes : 0;
}

void Loop::before_blocking(uv_prepare_t* handle) {
  Loop& loop = *static_cast<Loop*>(handle->data);
  loop.flush();
  if (loop.pacing_.is_on() && uv_backend_timeout(handle->loop) != 0) loop.rest();
  loop.tick_is_fresh_ = false;
}

// Everything on this loop waits, timers and streams too: for less than what a timer may be late.
void Loop::rest() {
  const MonoTime before = read_mono_clock();
  const Duration worked = tick_is_fresh_ ? before - tick_.mono : Duration::zero();
  const Duration wish = pacing_.rest_after(before, {std::exchange(inputs_, 0), worked});
  if (wish <= Duration::zero()) return;
  timespec span{};
  span.tv_nsec = static_cast<long>(wish.count());
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &span, nullptr);
  const MonoTime after = read_mono_clock();
  pacing_.on_rested(after, wish, after - before);
}

void Loop::after_io(uv_check_t* handle) { static_cast<Loop*>(handle->data)->flush(); }

// Indices, because a flush may create what registers another one.
void Loop::flush() {
  for (std::size_t i = 0; i < flushes_.size(); ++i) flushes_[i]();
  if (stream_pool_) stream_pool_->flush();
}

// --- LoopTimer ---

struct LoopTimer::State {
  uv_timer_t handle;
  Loop& loop;
  std::function<void()> fire;
  MonoTime armed_for = MonoTime::never();

  static void on_timer(uv_timer_t* timer) {
    State& state = *static_cast<State*>(timer->data);
    state.armed_for = MonoTime::never();
    state.loop.tick_is_fresh_ = false;
    state.fire();
  }
};

LoopTimer::LoopTimer(Loop& loop, std::function<void()> fire)
    : state_(new State{{}, loop, std::move(fire)}) {
  CHECK(uv_timer_init(loop.raw(), &state_->handle) == 0);
  state_->handle.data = state_;
}

LoopTimer::~LoopTimer() { close_and_free(state_); }

// libuv counts in whole milliseconds of the same clock: round the deadline up, not the delay.
void LoopTimer::arm(MonoTime deadline) {
  if (deadline == state_->armed_for) return;
  state_->armed_for = deadline;
  if (deadline == MonoTime::never()) {
    uv_timer_stop(&state_->handle);
    return;
  }
  const std::int64_t due = std::chrono::ceil<milliseconds>(deadline.since_start).count();
  const auto now = static_cast<std::int64_t>(uv_now(state_->loop.raw()));
  const std::uint64_t delay = due > now ? static_cast<std::uint64_t>(due - now) : 0;
  CHECK(uv_timer_start(&state_->handle, &State::on_timer, delay, 0) == 0);
}

// --- Poll ---

struct Poll::State {
  uv_poll_t handle;
  std::function<void(int)> ready;
  int watched = 0;

  void start() { CHECK(uv_poll_start(&handle, watched, &State::on_poll) == 0); }

  // libuv stops the handle when the descriptor has an error; the owner learns it from its read.
  static void on_poll(uv_poll_t* poll, int status, int events) {
    State& state = *static_cast<State*>(poll->data);
    if (status < 0) {
      state.start();
      events = state.watched;
    }
    state.ready(events);
  }
};

Poll::Poll(Loop& loop, int fd, std::function<void(int events)> ready)
    : state_(new State{{}, std::move(ready)}) {
  CHECK(uv_poll_init(loop.raw(), &state_->handle, fd) == 0);
  state_->handle.data = state_;
}

Poll::~Poll() { close_and_free(state_); }

void Poll::watch(int events) {
  if (events == state_->watched) return;
  state_->watched = events;
  state_->start();
}

// --- NextTurn ---

struct NextTurn::State {
  uv_idle_t handle;
  std::function<void()> work;

  static void on_idle(uv_idle_t* idle) {
    uv_idle_stop(idle);
    static_cast<State*>(idle->data)->work();
  }
};

NextTurn::NextTurn(Loop& loop, std::function<void()> work)
    : state_(new State{{}, std::move(work)}) {
  CHECK(uv_idle_init(loop.raw(), &state_->handle) == 0);
  state_->handle.data = state_;
}

NextTurn::~NextTurn() { close_and_free(state_); }

void NextTurn::ask() { CHECK(uv_idle_start(&state_->handle, &State::on_idle) == 0); }

// --- Async ---

struct Async::State {
  uv_async_t handle;
  std::function<void()> woken;
};

Async::Async(Loop& loop, std::function<void()> woken) : state_(new State{{}, std::move(woken)}) {
  const auto on_async = [](uv_async_t* async) { static_cast<State*>(async->data)->woken(); };
  CHECK(uv_async_init(loop.raw(), &state_->handle, on_async) == 0);
  state_->handle.data = state_;
}

Async::~Async() { close_and_free(state_); }

void Async::wake() { CHECK(uv_async_send(&state_->handle) == 0); }

// --- SignalWatch ---

struct SignalWatch::State {
  uv_signal_t handle;
  std::function<void()> arrived;
};

SignalWatch::SignalWatch(Loop& loop, int signal, std::function<void()> arrived)
    : state_(new State{{}, std::move(arrived)}) {
  const auto on_signal = [](uv_signal_t* watch, int) {
    static_cast<State*>(watch->data)->arrived();
  };
  CHECK(uv_signal_init(loop.raw(), &state_->handle) == 0);
  state_->handle.data = state_;
  CHECK(uv_signal_start(&state_->handle, on_signal, signal) == 0);
}

SignalWatch::~SignalWatch() { close_and_free(state_); }

}  // namespace turnpike::net
