#include "turn/revocations.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"

namespace turnpike::turn {

void Revocations::add(std::string_view name, WallTime until, WallTime now) {
  while (!by_expiry_.empty() && by_expiry_.front().at <= now) forget_first();
  if (until <= now) return;
  const Key key = hash_bytes(as_bytes(name));
  if (const auto found = until_.find(key); found != until_.end()) {
    found->second = std::max(found->second, until);
    return;
  }
  while (until_.size() >= maximum_) forget_first();
  until_.emplace(key, until);
  by_expiry_.push_back({until, key});
  std::push_heap(by_expiry_.begin(), by_expiry_.end());
}

bool Revocations::contains(std::string_view name, WallTime now) const {
  const auto found = until_.find(hash_bytes(as_bytes(name)));
  return found != until_.end() && now < found->second;
}

// Unless it was given more time: then it waits for that.
void Revocations::forget_first() {
  std::pop_heap(by_expiry_.begin(), by_expiry_.end());
  Expiry& first = by_expiry_.back();
  const auto found = until_.find(first.key);
  if (found->second > first.at) {
    first.at = found->second;
    std::push_heap(by_expiry_.begin(), by_expiry_.end());
    return;
  }
  until_.erase(found);
  by_expiry_.pop_back();
}

}  // namespace turnpike::turn
