// Shares: what one source may hold of a table that everybody shares, so that nobody can take all of
// it. Sources are told apart by prefix (/32 for IPv4, /64 for IPv6), in a table of fixed size:
// prefixes that fall on the same mark share what they may hold; the hash is seeded, so nobody can
// aim. Loopback is exempt, as it is for connections: a proxy there speaks for everybody. Values,
// single thread.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/address.h"
#include "base/check.h"

namespace turnpike::signaling {

// What is remembered of a source: two bytes, made once for each conversation.
class SourceMark {
 public:
  static constexpr std::size_t kMarks = 4096;

  SourceMark() = default;  // exempt
  explicit SourceMark(const IpAddress& source) {
    if (source.is_loopback()) return;
    mark_ = static_cast<std::uint16_t>(hash_value(source_prefix(source)) % kMarks);
  }
  bool exempt() const { return mark_ == kExempt; }
  std::size_t index() const { return mark_; }
  auto operator<=>(const SourceMark&) const = default;

 private:
  static constexpr std::uint16_t kExempt = 0xffff;
  std::uint16_t mark_ = kExempt;
};

// Counts places or bytes. Who takes gives back the same amount under the same mark.
class SourceShares {
 public:
  explicit SourceShares(std::uint32_t most) : most_(most), held_(SourceMark::kMarks) {}

  bool has(SourceMark source, std::size_t amount = 1) const {
    return source.exempt() || held_[source.index()] + amount <= most_;
  }
  bool take(SourceMark source, std::size_t amount = 1) {
    if (!has(source, amount)) return false;
    if (!source.exempt()) held_[source.index()] += static_cast<std::uint32_t>(amount);
    return true;
  }
  void give_back(SourceMark source, std::size_t amount = 1) {
    if (source.exempt()) return;
    CHECK(held_[source.index()] >= amount);
    held_[source.index()] -= static_cast<std::uint32_t>(amount);
  }

 private:
  std::uint32_t most_;
  std::vector<std::uint32_t> held_;
};

}  // namespace turnpike::signaling
