// One TURN allocation (RFC 8656 section 3.2), and Allocations, which owns those of a worker and
// finds them by five-tuple, by handle and by the name of their holder. Refer to an allocation by
// handle; pointers are for the duration of one input. Worker thread only.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/address.h"
#include "base/findings.h"
#include "base/hash.h"
#include "base/slab.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "stun/attributes.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "turn/bandwidth.h"
#include "turn/channels.h"
#include "turn/credentials.h"
#include "turn/data_connections.h"
#include "turn/message_counters.h"
#include "turn/mobility.h"
#include "turn/path.h"
#include "turn/permissions.h"
#include "turn/sink.h"

namespace turnpike::turn {

struct Holder;

// One relayed transport address of an allocation, with a lifetime of its own.
struct Leg {
  RelayHandle relay;
  Address relayed;   // where the socket is bound
  Address external;  // what the client was told: the same but behind a 1:1 NAT
  Timer expiry;

  Family family() const { return relayed.family(); }
};

struct AllocationLimits {
  std::size_t permissions = 0;
  std::size_t channels = 0;
};

struct Allocation
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  Allocation(const Path& client, Holder& owner, const AllocationLimits& limits);

  Handle<Allocation> handle;
  Leg first;
  std::unique_ptr<Leg> second;  // the other family's, of a dual allocation (RFC 8656 section 7.2)
  Path path;
  Permissions permissions;
  Channels channels;
  std::unique_ptr<TcpSide> tcp;        // of a TCP allocation; null for the others
  std::unique_ptr<Mobility> mobility;  // of one that has a ticket; null for the others

  std::array<Meter, kDirections> meters;
  std::array<Traffic, kDirections> traffic;  // data connections (RFC 6062) add bytes alone
  MonoTime icmp_told_until;
  Holder* holder;
  IpAddress charged_for;  // the client's address when the quota was charged
  MonoTime began;

  // What the success response said, for a retransmission of the request that made this allocation
  // (RFC 8656 section 7.2).
  stun::TransactionId created_by{};
  std::uint32_t granted_seconds = 0;
  stun::ErrorCode other_family_refused{};      // ADDRESS-ERROR-CODE; 0: none
  ReservationToken reserved = 0;               // RESERVATION-TOKEN; 0: none
  std::unique_ptr<const KeptCredential> kept;  // null: Credentials knows the holder
  std::uint8_t counted_as = AllocationCounters::kNone;
  // Of the access token it was made or last refreshed with (RFC 7635).
  std::optional<stun::Key> token_key;

  // nullptr: the allocation relays nothing of that family. Peers of such a family have neither
  // permissions nor channels here.
  Leg* leg(Family family) {
    if (first.family() == family) return &first;
    return second && second->family() == family ? second.get() : nullptr;
  }
  const Leg* leg(Family family) const { return const_cast<Allocation*>(this)->leg(family); }
};

// Who holds allocations: one entry for each name that has some.
struct Holder {
  std::string name;
  boost::intrusive::list<Allocation, boost::intrusive::constant_time_size<false>> held;
  // Of all its TCP allocations; and when it may connect as often as ever again.
  std::uint32_t data_connections = 0;
  MonoTime connects_full_at;
};

// "allocation 5a00000003 of alice", for findings.
std::string label_of(const Allocation& allocation);

class Allocations {
 public:
  explicit Allocations(std::uint32_t maximum) : slab_(maximum) {}

  bool full() const { return slab_.size() >= slab_.maximum(); }
  std::uint32_t size() const { return slab_.size(); }

  // Not when full(), nor when the path has one.
  Allocation& create(const Path& path, std::string_view name, const AllocationLimits& limits);
  void erase(Allocation& allocation);

  // The last answer is remembered: packets come in bursts from one client.
  Allocation* find(const Path& path) {
    if (path == last_path_) {
      if (Allocation* last = slab_.find(last_)) return last;
    }
    return find_slowly(path);
  }
  Allocation* find(Handle<Allocation> handle) { return slab_.find(handle); }
  Allocation* first_of(std::string_view name);

  // A mobile allocation's new five-tuple, until the allocation settles there: find() does not see
  // it, so that data takes this way once and requests ask.
  Allocation* find_arriving(const Path& path);
  std::size_t arriving() const { return arriving_.size(); }
  void add_arriving(Allocation& allocation, const Path& path);
  void remove_arriving(Allocation& allocation);
  // The arriving path becomes the path, and the path before is nobody's.
  void settle(Allocation& allocation);

  // Visits all; the visitor may erase the one it is given.
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    slab_.for_each([&](Handle<Allocation>, Allocation& allocation) { visit(allocation); });
  }

  // Whether each is found by its five-tuples and by its holder, and nothing else is found.
  void audit(Findings& findings);

 private:
  friend struct Tampering;  // tests make what audits are to find

  struct PathHash {
    using is_avalanching = void;
    std::size_t operator()(const Path& path) const { return hash_value(path); }
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return hash_bytes(as_bytes(name)); }
  };
  Allocation* find_slowly(const Path& path);

  std::unordered_map<std::string, Holder, NameHash, std::equal_to<>> holders_;
  Slab<Allocation> slab_;
  boost::unordered_flat_map<Path, Handle<Allocation>, PathHash> by_path_;
  boost::unordered_flat_map<Path, Handle<Allocation>, PathHash> arriving_;
  Path last_path_;
  Handle<Allocation> last_;
};

}  // namespace turnpike::turn
