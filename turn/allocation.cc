#include "turn/allocation.h"

#include "base/check.h"

namespace turnpike::turn {

Allocation::Allocation(const Path& client, Holder& owner, const AllocationLimits& limits)
    : path(client), permissions(limits.permissions), channels(limits.channels), holder(&owner) {}

Allocation& Allocations::create(const Path& path, std::string_view name,
                                const AllocationLimits& limits) {
  auto holder = holders_.find(name);
  if (holder == holders_.end()) {
    holder = holders_.try_emplace(std::string(name)).first;
    holder->second.name = holder->first;
  }
  const Handle<Allocation> handle = slab_.emplace(path, holder->second, limits);
  Allocation* allocation = slab_.find(handle);
  CHECK(allocation != nullptr);
  allocation->handle = handle;
  holder->second.held.push_back(*allocation);
  const bool added = by_path_.emplace(path, handle).second;
  CHECK(added);
  return *allocation;
}

void Allocations::erase(Allocation& allocation) {
  Holder& holder = *allocation.holder;
  if (allocation.mobility && allocation.mobility->arriving) remove_arriving(allocation);
  by_path_.erase(allocation.path);
  slab_.erase(allocation.handle);
  if (holder.held.empty()) holders_.erase(holders_.find(holder.name));
}

Allocation* Allocations::first_of(std::string_view name) {
  const auto holder = holders_.find(name);
  return holder == holders_.end() ? nullptr : &holder->second.held.front();
}

Allocation* Allocations::find_arriving(const Path& path) {
  if (arriving_.empty()) return nullptr;
  const auto found = arriving_.find(path);
  return found == arriving_.end() ? nullptr : slab_.find(found->second);
}

void Allocations::add_arriving(Allocation& allocation, const Path& path) {
  // Whoever else was expected there has shown no data yet, and this five-tuple is one client's.
  if (Allocation* other = find_arriving(path)) remove_arriving(*other);
  allocation.mobility->arriving = path;
  arriving_.emplace(path, allocation.handle);
}

void Allocations::remove_arriving(Allocation& allocation) {
  arriving_.erase(*allocation.mobility->arriving);
  allocation.mobility->arriving.reset();
}

void Allocations::settle(Allocation& allocation) {
  const Path path = *allocation.mobility->arriving;
  remove_arriving(allocation);
  by_path_.erase(allocation.path);
  if (last_path_ == allocation.path) last_ = {};
  allocation.path = path;
  by_path_.emplace(path, allocation.handle);
}

Allocation* Allocations::find_slowly(const Path& path) {
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return nullptr;
  last_path_ = path;
  last_ = found->second;
  return slab_.find(last_);
}

}  // namespace turnpike::turn
