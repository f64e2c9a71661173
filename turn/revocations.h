// Names whose credentials are refused although they would still verify: their holders left. Each is
// remembered until its credentials expire anyway; when the list is full, the one that expires first
// makes room. A server of calls fills it for an hour, so an entry is a hash of the name and two
// times, some 50 bytes in all, and no piece of memory of its own. Two names of one hash (once in
// 2^48 at the most, with a key that nobody knows) would share their fate. Single thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace turnpike::turn {

class Revocations {
 public:
  explicit Revocations(std::size_t maximum) : maximum_(maximum) {}

  void add(std::string_view name, WallTime until, WallTime now);
  bool contains(std::string_view name, WallTime now) const;
  std::size_t size() const { return until_.size(); }

 private:
  using Key = std::uint64_t;
  struct Spread {  // keys are hashes already
    using is_avalanching = void;
    std::size_t operator()(Key key) const { return key; }
  };
  // When to look at a name; it may have been given more time since.
  struct Expiry {
    WallTime at;
    Key key;
    // For a heap with the first to expire in front.
    bool operator<(const Expiry& other) const { return other.at < at; }
  };

  void forget_first();

  std::size_t maximum_;
  boost::unordered_flat_map<Key, WallTime, Spread> until_;
  std::vector<Expiry> by_expiry_;  // a heap; one for each key
};

}  // namespace turnpike::turn
