// Standstill: a moment in which all workers wait, so that what they share can be compared with what
// each of them holds. The host (the main thread) invites and lets go; each guest (a worker) hands
// in its account and waits. Nobody waits longer than the host does, and whoever comes when it is
// over goes on at once. Shared by all of them; any thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/time.h"

namespace turnpike::server {

template <typename Account>
class Standstill {
 public:
  explicit Standstill(std::size_t guests) : guests_(guests) {}

  // A guest: false when it is over already. Else hand_in() follows.
  bool is_on() {
    const std::lock_guard lock(mutex_);
    return !over_;
  }
  // A guest: returns when the host lets go.
  void hand_in(Account account) {
    std::unique_lock lock(mutex_);
    if (over_) return;
    accounts_.push_back(std::move(account));
    all_here_.notify_one();
    let_go_.wait(lock, [this] { return over_; });
  }

  // The host: nullopt when somebody has not come in time. Either way let_go() follows.
  std::optional<std::vector<Account>> wait(Duration patience) {
    std::unique_lock lock(mutex_);
    const bool complete =
        all_here_.wait_for(lock, patience, [this] { return accounts_.size() == guests_; });
    if (!complete) return std::nullopt;
    return std::move(accounts_);
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    let_go_.notify_all();
  }

 private:
  const std::size_t guests_;
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::condition_variable let_go_;
  std::vector<Account> accounts_;
  bool over_ = false;
};

}  // namespace turnpike::server
