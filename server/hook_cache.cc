#include "server/hook_cache.h"

#include <algorithm>
#include <utility>

namespace turnpike::server {

// What can be said without asking; nullopt: nothing.
std::optional<HookCache::View> HookCache::judge(Entry& entry, std::uint32_t worker,
                                                MonoTime now) const {
  using Status = View::Status;
  const bool known = entry.last == Entry::Last::kKnown;
  if (entry.last != Entry::Last::kNothing && now < entry.fresh_until) {
    return View{known ? Status::kKnown : Status::kUnknown, entry.user};
  }
  const bool stale = known && entry.failing && now < entry.stale_until;
  if (stale && (entry.asking || now < entry.failed_until)) return View{Status::kKnown, entry.user};
  if (entry.asking) {
    if (std::find(entry.waiting.begin(), entry.waiting.end(), worker) == entry.waiting.end()) {
      entry.waiting.push_back(worker);
    }
    return View{Status::kPending, {}};
  }
  if (entry.failing && now < entry.failed_until) return View{Status::kFailed, {}};
  if (stale) return View{Status::kKnown, entry.user, true};
  return std::nullopt;
}

HookCache::View HookCache::look(std::string_view username, std::uint32_t worker, MonoTime now,
                                MayAsk may_ask) {
  using Status = View::Status;
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(username);
  std::optional<View> view;
  if (found != entries_.end()) view = judge(found->second, worker, now);
  const bool must_ask = !view || view->ask;
  if (!must_ask || may_ask == MayAsk::kNo) return view.value_or(View{});
  if (lookups_ >= limits_.max_lookups) {
    if (view) view->ask = false;
    return view.value_or(View{Status::kFailed, {}});
  }
  if (found == entries_.end()) found = entries_.emplace(username, Entry{}).first;
  ++lookups_;
  found->second.asking = true;
  if (view) return *view;  // stale, and good enough until there is an answer
  found->second.waiting.push_back(worker);
  return View{Status::kPending, {}, true};
}

std::vector<std::uint32_t> HookCache::settle(std::string_view username, const HookAnswer& answer,
                                             MonoTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(username);
  if (found == entries_.end() || !found->second.asking) return {};
  Entry& entry = found->second;
  --lookups_;
  entry.asking = false;
  std::vector<std::uint32_t> waiting = std::exchange(entry.waiting, {});
  entry.failing = answer.kind == HookAnswer::Kind::kFailed;
  if (entry.failing) {
    entry.failed_until = now + limits_.failed;
    // Remembered among the unknown, so that failures have a maximum as well.
    if (entry.last == Entry::Last::kNothing) {
      entry.fresh_until = entry.stale_until = now;
      entry.last = Entry::Last::kUnknown;
      list(found);
    }
    return waiting;
  }
  unlist(entry);
  const bool known = answer.kind == HookAnswer::Kind::kKnown;
  entry.last = known ? Entry::Last::kKnown : Entry::Last::kUnknown;
  entry.user = answer.user;
  const seconds most = known ? limits_.known : limits_.unknown;
  // At least a second, for those who wait for this very answer.
  entry.fresh_until = now + std::clamp(answer.life.value_or(most), seconds(1), most);
  entry.stale_until = entry.fresh_until + limits_.stale;
  list(found);
  return waiting;
}

HookCache::Sizes HookCache::sizes() const {
  const std::lock_guard lock(mutex_);
  return {known_.size(), unknown_.size(), lookups_};
}

void HookCache::unlist(Entry& entry) {
  if (entry.last == Entry::Last::kNothing) return;
  (entry.last == Entry::Last::kKnown ? known_ : unknown_).erase(entry.place);
  entry.last = Entry::Last::kNothing;
}

void HookCache::list(Entries::iterator entry) {
  const bool known = entry->second.last == Entry::Last::kKnown;
  Order& order = known ? known_ : unknown_;
  entry->second.place = order.insert(order.end(), &entry->first);
  if (order.size() <= (known ? limits_.max_known : limits_.max_unknown)) return;
  forget(entries_.find(*order.front()));
}

// Who is being asked about stays, without what was known of him.
void HookCache::forget(Entries::iterator entry) {
  unlist(entry->second);
  if (!entry->second.asking) entries_.erase(entry);
}

}  // namespace turnpike::server
