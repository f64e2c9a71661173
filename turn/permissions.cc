#include "turn/permissions.h"

#include <algorithm>

#include "base/check.h"

namespace turnpike::turn {

bool Permissions::has_room_for(std::size_t more, MonoTime now) {
  if (entries_.size() + more <= maximum_) return true;
  const auto expired = std::remove_if(entries_.begin(), entries_.end(),
                                      [now](const Permission& p) { return p.expires <= now; });
  if (expired == entries_.end()) return false;
  entries_.erase(expired, entries_.end());
  index_all();
  return entries_.size() + more <= maximum_;
}

void Permissions::install(const Permission& permission) {
  if (const std::size_t at = position(permission.ip); at != SlotIndex::kNone) {
    entries_[at] = permission;
    return;
  }
  CHECK(entries_.size() < maximum_);
  entries_.push_back(permission);
  if (entries_.size() <= kFew) return;
  if (!index_.built() || !index_.add(hash_value(permission.ip), entries_.size() - 1)) index_all();
}

void Permissions::forget(Family family) {
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                [family](const Permission& p) { return p.ip.family() == family; }),
                 entries_.end());
  index_all();
}

std::size_t Permissions::position(const IpAddress& ip) const {
  if (index_.built()) {
    return index_.find(hash_value(ip), [&](std::size_t i) { return entries_[i].ip == ip; });
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].ip == ip) return i;
  }
  return SlotIndex::kNone;
}

void Permissions::index_all() {
  if (entries_.size() <= kFew) return index_.drop();
  index_.rebuild(entries_.size(), [&](std::size_t i) { return hash_value(entries_[i].ip); });
}

void Permissions::audit(const std::string& whose, Findings& findings) const {
  if (entries_.size() > maximum_) findings.add(whose + " has more permissions than may be");
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (position(entries_[i].ip) == i) continue;
    findings.add("the permission of " + whose + " for " + entries_[i].ip.to_string() +
                 " is not found by its address");
  }
}

}  // namespace turnpike::turn
