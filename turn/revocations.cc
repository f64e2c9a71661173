#include "turn/revocations.h"

#include <algorithm>

namespace turnpike::turn {

void Revocations::add(std::string_view name, WallTime until, WallTime now) {
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= now) forget_first();
  if (until <= now) return;
  if (const auto found = until_.find(name); found != until_.end()) {
    by_expiry_.erase({found->second, found->first});
    found->second = std::max(found->second, until);
    by_expiry_.emplace(found->second, found->first);
    return;
  }
  if (until_.size() >= maximum_) forget_first();
  const auto added = until_.emplace(name, until).first;
  by_expiry_.emplace(until, added->first);
}

bool Revocations::contains(std::string_view name, WallTime now) const {
  const auto found = until_.find(name);
  return found != until_.end() && now < found->second;
}

void Revocations::forget_first() {
  const auto first = by_expiry_.begin();
  const auto name = until_.find(first->second);
  by_expiry_.erase(first);
  until_.erase(name);
}

}  // namespace turnpike::turn
