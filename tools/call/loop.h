// Loop: one epoll set and the alarms of everything in this process. Created by main; one thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "base/time.h"
#include "tools/load/turn_load_sockets.h"

namespace turnpike::call {

class Alarm;

class Loop {
 public:
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void on_ready() = 0;
  };
  enum class Interest : std::uint8_t { kRead, kReadWrite };

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The clock as it is now, not when the turn began: delays are measured with it.
  static std::uint64_t now_ns() { return load::now_ns(); }
  static Tick now();
  // Of the datagram that is being handled, by the clock of now_ns(): when the kernel got it, so
  // that what this process lets it wait is not counted as delay. Of what came by a stream, now.
  std::uint64_t arrived_ns() const;

  bool add(int fd, Watcher& watcher, Interest interest);
  void change(int fd, Watcher& watcher, Interest interest);
  void remove(int fd, Watcher& watcher);

  // At the end of this turn: for what may not be done inside a callback, such as destroying it.
  void later(std::function<void()> action) { later_.push_back(std::move(action)); }
  // Waits for sockets or the next alarm, at most that long, and serves them.
  void turn(Duration at_most);

  // All datagrams come through it.
  load::Inbox& inbox() { return inbox_; }

 private:
  friend class Alarm;
  static constexpr std::size_t kEvents = 256;
  // Being woken costs more than handling a packet. Where many come, they are let gather: what they
  // wait is not in arrived_ns(), and what is sent is late by no more than this.
  static constexpr Duration kRest = std::chrono::microseconds{250};
  static constexpr std::uint64_t kSlice = 10'000'000;  // over which they are counted
  static constexpr std::uint64_t kManyOfASlice = 20;
  void rest();
  void ring(std::uint64_t now);
  void run_later();

  int epoll_;
  std::array<epoll_event, kEvents> events_;
  std::size_t at_ = 0, count_ = 0;  // of this turn's events
  std::uint64_t wall_ahead_ = 0;    // the wall clock's lead over the other one
  std::uint64_t slice_began_ = 0, events_of_slice_ = 0;
  bool many_ = false;
  std::set<std::pair<MonoTime, Alarm*>> alarms_;
  std::vector<std::function<void()>> later_;
  load::Inbox inbox_;
};

// Calls `action` once when its time has come; can be set again. Quiet when destroyed.
class Alarm {
 public:
  Alarm(Loop& loop, std::function<void()> action) : loop_(loop), action_(std::move(action)) {}
  ~Alarm() { clear(); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set(MonoTime when);
  void clear() { set(MonoTime::never()); }

 private:
  friend class Loop;
  Loop& loop_;
  const std::function<void()> action_;
  MonoTime when_ = MonoTime::never();
};

}  // namespace turnpike::call
