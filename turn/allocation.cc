#include "turn/allocation.h"

#include <charconv>

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

std::string label_of(const Allocation& allocation) {
  std::array<char, 16> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), allocation.handle.pack(), 16).ptr;
  return "allocation " + std::string(digits.data(), end) + " of " + allocation.holder->name;
}

void Allocations::audit(Findings& findings) {
  std::size_t expected = 0;  // arriving paths
  slab_.for_each([&](Handle<Allocation> handle, const Allocation& allocation) {
    const std::string who = label_of(allocation);
    const auto path = by_path_.find(allocation.path);
    if (path == by_path_.end() || path->second != handle || allocation.handle != handle) {
      findings.add(who + " is not found by its five-tuple");
    }
    if (allocation.mobility && allocation.mobility->arriving) {
      ++expected;
      const auto arriving = arriving_.find(*allocation.mobility->arriving);
      if (arriving == arriving_.end() || arriving->second != handle) {
        findings.add(who + " is not expected on the five-tuple that it moves to");
      }
    }
    const auto holder = holders_.find(allocation.holder->name);
    if (holder == holders_.end() || &holder->second != allocation.holder) {
      findings.add(who + " has a holder whom nobody knows");
    }
  });
  findings.expect_equal("five-tuples of allocations", by_path_.size(), slab_.size());
  findings.expect_equal("five-tuples that allocations move to", arriving_.size(), expected);
  std::size_t held = 0;
  for (const auto& [name, holder] : holders_) {
    held += holder.held.size();
    if (holder.held.empty()) findings.add("holder " + name + " holds nothing");
  }
  findings.expect_equal("allocations by holder", held, slab_.size());
  const Allocation* last = slab_.find(last_);
  if (last != nullptr && last->path != last_path_) {
    findings.add("the five-tuple found last leads to " + label_of(*last));
  }
}

}  // namespace turnpike::turn
