// Who has lost its connection and may come back: in the order in which they went, all and those of
// each source. Bounded by making room: who went first yields. Its owner ends those who yield. A
// value, single thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "base/time.h"
#include "signaling/source_shares.h"

namespace turnpike::signaling {

class AwayList {
 public:
  struct Limits {
    std::size_t all = 16384;
    std::uint32_t of_source = 1024;  // as many as it may have connections
  };
  struct Entry {
    SourceMark source;
    MonoTime until;  // the end of the time to come back, the same for all: it gives the order
    std::uint64_t who = 0;
    auto operator<=>(const Entry&) const = default;
  };

  explicit AwayList(Limits limits) : limits_(limits), shares_(limits.of_source) {}

  // Who is to be ended and removed before another one of this source can be added.
  std::optional<std::uint64_t> first_to_yield(SourceMark source) const {
    if (!shares_.has(source)) return by_source_.lower_bound({source, {}, 0})->who;
    if (by_age_.size() < limits_.all || by_age_.empty()) return std::nullopt;
    return std::get<std::uint64_t>(*by_age_.begin());
  }
  // False: nobody yielded, and there is no place.
  bool add(const Entry& entry) {
    if (first_to_yield(entry.source) || !by_source_.insert(entry).second) return false;
    by_age_.emplace(entry.until, entry.who);
    return shares_.take(entry.source);
  }
  void remove(const Entry& entry) {
    if (by_source_.erase(entry) == 0) return;
    by_age_.erase({entry.until, entry.who});
    shares_.give_back(entry.source);
  }
  std::size_t size() const { return by_age_.size(); }

 private:
  Limits limits_;
  SourceShares shares_;
  std::set<Entry> by_source_;
  std::set<std::tuple<MonoTime, std::uint64_t>> by_age_;
};

}  // namespace turnpike::signaling
