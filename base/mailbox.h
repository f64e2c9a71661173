// Mailbox<T>: how one thread hands values to another. Any thread posts; only the owner takes.
// Bounded: post() answers false when `capacity` messages wait, and the caller decides what that
// means. `wake` is called by the posting thread when the box was empty before (net::Async::wake).
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace turnpike {

template <typename T>
class Mailbox {
 public:
  Mailbox(std::size_t capacity, std::function<void()> wake)
      : capacity_(capacity), wake_(std::move(wake)) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  [[nodiscard]] bool post(T message) {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= capacity_) return false;
      was_empty = waiting_.empty();
      waiting_.push_back(std::move(message));
    }
    if (was_empty) wake_();
    return true;
  }

  // How many wait just now. Any thread.
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

  // Everything that waits, in order. Owner thread only.
  std::vector<T> take_all() {
    std::vector<T> taken;
    const std::lock_guard lock(mutex_);
    taken.swap(waiting_);
    return taken;
  }

 private:
  const std::size_t capacity_;
  const std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<T> waiting_;
};

}  // namespace turnpike
