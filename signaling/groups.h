// Groups: named sets of conversations, in the order of joining. The rooms of the dialects that know
// no members, presence or resume: who is in a group hears it. Bounded in number and size; an empty
// group is gone. Whoever opens a group holds a share of them until it is empty (source_shares.h).
// Whoever uses it leaves every group it joined. Single thread.
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/slab.h"
#include "signaling/source_shares.h"

namespace turnpike::signaling {

// For tables whose names strangers choose.
struct NameHash {
  using is_transparent = void;
  using is_avalanching = void;
  std::size_t operator()(std::string_view text) const { return hash_bytes(as_bytes(text)); }
};

template <typename T>
class Groups {
 public:
  struct Limits {
    std::size_t groups = 16384;
    std::size_t members = 64;        // of one group
    SourceShares* shares = nullptr;  // of groups; outlives this. nullptr: none are counted
  };
  enum class Outcome : std::uint8_t { kJoined, kAlreadyIn, kFull, kTooMany, kTooManyOfSource };

  explicit Groups(Limits limits) : limits_(limits) {}

  Outcome join(std::string_view name, Handle<T> who, SourceMark source = {}) {
    auto found = groups_.find(name);
    if (found == groups_.end()) {
      if (groups_.size() >= limits_.groups) return Outcome::kTooMany;
      if (limits_.members == 0) return Outcome::kFull;
      if (!may_open(source)) return Outcome::kTooManyOfSource;
      if (limits_.shares != nullptr) limits_.shares->take(source);
      found = groups_.emplace(std::string(name), Group{{}, source}).first;
    }
    Members& members = found->second.members;
    if (std::find(members.begin(), members.end(), who) != members.end()) return Outcome::kAlreadyIn;
    if (members.size() >= limits_.members) return Outcome::kFull;
    members.push_back(who);
    return Outcome::kJoined;
  }

  // False when it was not inside.
  bool leave(std::string_view name, Handle<T> who) {
    const auto found = groups_.find(name);
    if (found == groups_.end() || std::erase(found->second.members, who) == 0) return false;
    if (!found->second.members.empty()) return true;
    if (limits_.shares != nullptr) limits_.shares->give_back(found->second.opener);
    groups_.erase(found);
    return true;
  }

  bool contains(std::string_view name, Handle<T> who) const {
    const auto all = members(name);
    return std::find(all.begin(), all.end(), who) != all.end();
  }

  // Until the next join or leave.
  std::span<const Handle<T>> members(std::string_view name) const {
    const auto found = groups_.find(name);
    if (found == groups_.end()) return {};
    return found->second.members;
  }

  // Whether this source's share has room for another group.
  bool may_open(SourceMark source) const {
    return limits_.shares == nullptr || limits_.shares->has(source);
  }
  std::size_t size() const { return groups_.size(); }

 private:
  using Members = std::vector<Handle<T>>;
  struct Group {
    Members members;
    SourceMark opener;
  };
  Limits limits_;
  boost::unordered_flat_map<std::string, Group, NameHash, std::equal_to<>> groups_;
};

}  // namespace turnpike::signaling
