// The channels of one allocation (RFC 8656 section 12): numbers bound to peers for ten minutes. A
// few are searched from end to end; many are found by number through pages of a table, by peer
// through a hash. Expiry is a comparison at the time of use; what has expired is swept when room is
// needed or when its number or peer is bound anew.
#pragma once

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/findings.h"
#include "base/time.h"
#include "turn/channel_data.h"
#include "turn/slot_index.h"

namespace turnpike::turn {

struct Channel {
  Address peer;  // as packets carry it on our side of a 1:1 NAT
  std::uint16_t number = 0;
  bool own = false;  // as Permission::own
  MonoTime expires;
};

class Channels {
 public:
  explicit Channels(std::size_t maximum) : maximum_(maximum) {}

  const Channel* find_live(std::uint16_t number, MonoTime now) const {
    return live(position(number), now);
  }
  const Channel* find_live(const Address& peer, MonoTime now) const {
    return live(position(peer), now);
  }

  enum class Bind : std::uint8_t { kPossible, kConflict, kFull };
  // Whether the number may be bound to the peer now (section 12.2: neither is bound to something
  // else). Forgets what has expired where it is in the way.
  Bind may_bind(std::uint16_t number, const Address& peer, MonoTime now);
  // Adds or refreshes, after may_bind() answered kPossible at the same time.
  void bind(const Channel& channel);
  // Forgets those to peers of this family, live or not.
  void forget(Family family);
  template <typename Predicate>
  void forget_if(Predicate&& predicate) {
    const auto kept = std::remove_if(entries_.begin(), entries_.end(), predicate);
    if (kept == entries_.end()) return;
    entries_.erase(kept, entries_.end());
    index_all();
  }

  std::size_t size() const { return entries_.size(); }

  // Whether each is found by its number and by its peer, and there are no more than may be.
  void audit(const std::string& whose, Findings& findings) const;

 private:
  friend struct Tampering;  // tests make what audits are to find

  static constexpr std::size_t kFew = 8;
  static constexpr std::size_t kPageSize = 256;
  static constexpr std::size_t kPages =
      (kLastChannelNumberRfc5766 - kFirstChannelNumber + 1) / kPageSize;
  using Page = std::array<std::uint16_t, kPageSize>;  // position + 1; 0 where nothing is bound
  struct Index {
    std::array<std::unique_ptr<Page>, kPages> pages;
    SlotIndex by_peer;
  };

  const Channel* live(std::size_t at, MonoTime now) const {
    return at != SlotIndex::kNone && now < entries_[at].expires ? &entries_[at] : nullptr;
  }
  std::size_t position(std::uint16_t number) const;
  std::size_t position(const Address& peer) const;
  void sweep(MonoTime now);
  void index_all();
  void index_number(std::size_t at);

  boost::container::small_vector<Channel, 1> entries_;
  std::unique_ptr<Index> index_;
  std::size_t maximum_;
};

}  // namespace turnpike::turn
