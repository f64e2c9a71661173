// Many sessions and the epoll set that drives them: connects, allocates, reaches peers and releases
// all of them, a bounded number at a time. Used by the relay and idle modes. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/random.h"
#include "tools/load/turn_load_options.h"
#include "tools/load/turn_load_session.h"

namespace turnpike::load {

class Fleet {
 public:
  explicit Fleet(const Options& options);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Sets `count` sessions up as far as their allocation; then reach() and release() do what they
  // say to all of them. An Error when it was not possible for one of them in time.
  Expected<void> allocate(unsigned count);
  Expected<void> reach(const std::function<Address(std::uint32_t)>& peer_of,
                       turn::Client::Binding binding);
  void release();

  // Another socket in the epoll set, whose readiness calls `ready`.
  void watch(int fd, std::function<void()> ready);
  // Waits at most that long and handles what came.
  void turn(int timeout_ms, Receiver& receiver);
  // A stream that could not take everything is flushed when it can.
  void want_write(Session& session);

  std::size_t size() const { return sessions_.size(); }
  Session& session(std::uint32_t index) { return *sessions_[index]; }
  unsigned failed() const;

 private:
  static constexpr std::uint64_t kWatched = UINT64_MAX;
  static constexpr int kEvents = 256;
  using State = Session::State;

  Expected<void> open_one(std::uint32_t index);
  // Begins `step` for one session after another until each has come to `goal`.
  Expected<void> bring_all(State goal, const char* what, const std::function<bool(unsigned)>& step);
  void on_time_of_all();
  void note_write_interest(Session& session);

  const Options& options_;
  SystemRandom random_;
  TlsContext context_;
  Inbox inbox_;
  int epoll_;
  std::function<void()> watched_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<bool> writing_;
  std::uint64_t timed_at_ = 0;
};

// SIGINT or SIGTERM has come: measure no longer, release and report.
bool interrupted();
void end_on_signals();

}  // namespace turnpike::load
