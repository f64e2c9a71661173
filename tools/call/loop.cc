#include "tools/call/loop.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "base/check.h"

namespace turnpike::call {
namespace {

constexpr unsigned kSlots = 32;  // datagrams that are read at once

}  // namespace

Loop::Loop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      inbox_(load::Trains::kNo, kSlots, load::Stamps::kYes) {
  CHECK(epoll_ >= 0);
  ::prctl(PR_SET_TIMERSLACK, 1000ul);  // nanoseconds, for rest()
}

Loop::~Loop() { ::close(epoll_); }

Tick Loop::now() {
  Tick tick = load::tick_of(now_ns());
  tick.wall = {seconds{std::time(nullptr)}};
  return tick;
}

std::uint64_t Loop::arrived_ns() const {
  const std::uint64_t now = now_ns(), wall = inbox_.arrived_at();
  if (wall == 0) return now;
  return std::min(now, wall - std::min(wall, wall_ahead_));
}

bool Loop::add(int fd, Watcher& watcher, Interest interest) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &watcher}};
  if (interest == Interest::kReadWrite) event.events |= EPOLLOUT;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Loop::change(int fd, Watcher& watcher, Interest interest) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &watcher}};
  if (interest == Interest::kReadWrite) event.events |= EPOLLOUT;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Loop::remove(int fd, Watcher& watcher) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  for (std::size_t i = at_; i < count_; ++i) {
    if (events_[i].data.ptr == &watcher) events_[i].data.ptr = nullptr;
  }
}

void Loop::rest() {
  const std::uint64_t now = now_ns();
  if (now - slice_began_ >= kSlice) {
    many_ = events_of_slice_ * kSlice >= kManyOfASlice * (now - slice_began_);
    slice_began_ = now;
    events_of_slice_ = 0;
  }
  if (!many_) return;
  const timespec pause{.tv_sec = 0, .tv_nsec = kRest.count()};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
}

void Loop::turn(Duration at_most) {
  rest();
  const MonoTime now = load::tick_of(now_ns()).mono;
  Duration wait = at_most;
  if (!alarms_.empty()) wait = std::min(wait, alarms_.begin()->first - now);
  if (!later_.empty()) wait = Duration{0};
  const auto whole = std::chrono::ceil<milliseconds>(std::max(wait, Duration{0}));
  const int count = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()),
                                 static_cast<int>(whole.count()));
  count_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  events_of_slice_ += count_;
  wall_ahead_ = load::wall_ns() - now_ns();
  for (at_ = 0; at_ < count_;) {
    auto* watcher = static_cast<Watcher*>(events_[at_++].data.ptr);
    if (watcher != nullptr) watcher->on_ready();
  }
  at_ = count_ = 0;
  ring(now_ns());
  run_later();
}

// Alarms that keep setting themselves for the past do not keep the sockets waiting for ever.
void Loop::ring(std::uint64_t now_at) {
  const MonoTime now = load::tick_of(now_at).mono;
  std::size_t left = alarms_.size();
  while (left-- > 0 && !alarms_.empty() && alarms_.begin()->first <= now) {
    Alarm& alarm = *alarms_.begin()->second;
    alarm.clear();
    alarm.action_();
  }
}

void Loop::run_later() {
  for (const auto& action : std::exchange(later_, {})) action();
}

void Alarm::set(MonoTime when) {
  if (when == when_) return;
  auto& alarms = loop_.alarms_;
  if (when_ == MonoTime::never()) {
    alarms.emplace(when, this);
  } else {
    auto node = alarms.extract({when_, this});
    if (when != MonoTime::never()) {
      node.value().first = when;
      alarms.insert(std::move(node));
    }
  }
  when_ = when;
}

}  // namespace turnpike::call
