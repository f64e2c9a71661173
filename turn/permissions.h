// The permissions of one allocation (RFC 8656 section 9): which IP addresses may send to it and be
// sent to, each for five minutes. A few are searched from end to end, many through a hash. Expiry
// is a comparison at the time of use; what has expired is swept when room is needed.
#pragma once

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <cstddef>
#include <string>

#include "base/address.h"
#include "base/findings.h"
#include "base/time.h"
#include "turn/slot_index.h"

namespace turnpike::turn {

struct Permission {
  IpAddress ip;  // as packets carry it on our side of a 1:1 NAT
  // An address of ours: good for live relayed transport addresses only, so every packet must ask.
  bool own = false;
  // The client knows this peer by our external address.
  bool shown_as_external = false;
  MonoTime expires;
};

class Permissions {
 public:
  explicit Permissions(std::size_t maximum) : maximum_(maximum) {}

  const Permission* find_live(const IpAddress& ip, MonoTime now) const {
    const std::size_t at = position(ip);
    return at != SlotIndex::kNone && now < entries_[at].expires ? &entries_[at] : nullptr;
  }
  // Whether `more` addresses that are not live here can be added; forgets expired ones to make
  // room.
  bool has_room_for(std::size_t more, MonoTime now);
  // Adds or refreshes. CHECKs that there is room.
  void install(const Permission& permission);
  void forget(Family family);
  template <typename Predicate>
  void forget_if(Predicate&& predicate) {
    const auto kept = std::remove_if(entries_.begin(), entries_.end(), predicate);
    if (kept == entries_.end()) return;
    entries_.erase(kept, entries_.end());
    index_all();
  }

  std::size_t size() const { return entries_.size(); }

  // Whether each is found by its address, and there are no more than may be.
  void audit(const std::string& whose, Findings& findings) const;

 private:
  friend struct Tampering;  // tests make what audits are to find

  static constexpr std::size_t kFew = 8;

  std::size_t position(const IpAddress& ip) const;
  void index_all();

  boost::container::small_vector<Permission, 1> entries_;
  SlotIndex index_;
  std::size_t maximum_;
};

}  // namespace turnpike::turn
