// Names whose credentials are refused although they would still verify: their holders left. Each is
// remembered until its credentials expire anyway; when the list is full, the one that expires first
// makes room. Single thread.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"

namespace turnpike::turn {

class Revocations {
 public:
  explicit Revocations(std::size_t maximum) : maximum_(maximum) {}

  void add(std::string_view name, WallTime until, WallTime now);
  bool contains(std::string_view name, WallTime now) const;
  std::size_t size() const { return until_.size(); }

 private:
  void forget_first();

  std::size_t maximum_;
  std::map<std::string, WallTime, std::less<>> until_;
  std::set<std::pair<WallTime, std::string_view>> by_expiry_;  // views of the keys of until_
};

}  // namespace turnpike::turn
