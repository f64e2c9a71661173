// Mobility (RFC 8016): a client whose address changed keeps its allocation by showing a ticket from
// the new five-tuple.
//
//   Allocate, empty MOBILITY-TICKET  ->  success with a ticket
//   Refresh with it from a new path  ->  success with the next ticket; the new path is `arriving`
//   Send or ChannelData from there   ->  the allocation's path is the new one, the old is nothing
//
// A ticket says which worker has which allocation, and how many moves there were; it is encrypted
// and authenticated under a key of the process, so it tells nothing and cannot be made up. Owned by
// an allocation; single thread. Allocations that did not ask for it have none of this.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/aes_gcm.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "stun/message.h"
#include "turn/path.h"

namespace turnpike::turn {

// What a ticket says.
struct TicketClaim {
  std::uint32_t worker = 0;
  std::uint32_t serial = 0;      // of the ticket among those of its allocation
  std::uint64_t allocation = 0;  // Handle<Allocation>::pack()
  bool operator==(const TicketClaim&) const = default;
};

inline constexpr std::size_t kTicketSize = AesGcm::kNonceSize + 16 + AesGcm::kTagSize;
using Ticket = std::array<std::uint8_t, kTicketSize>;
using TicketKey = std::array<std::uint8_t, 32>;

Ticket seal_ticket(const TicketKey& key, const TicketClaim& claim, Random& random);
std::optional<TicketClaim> open_ticket(const TicketKey& key, ByteView ticket);

struct Mobility {
  std::uint32_t serial = 0;
  Ticket ticket{};  // as given last
  std::optional<Path> arriving;
  bool departed = false;  // the old path's connection is gone

  // The Refresh that moved it last: its retransmissions, under the ticket before, get the same
  // answer for kOldTicketLifetime.
  struct Move {
    Path path;
    stun::TransactionId id{};
    std::uint32_t lifetime = 0;
    MonoTime answered_until;
  };
  std::optional<Move> last_move;
};

// RFC 8016 section 3.2.2: at least thirty seconds.
inline constexpr seconds kOldTicketLifetime{30};

// Paths whose packets another worker's server handles: their client has moved here, by the kernel's
// choice, with an allocation of that worker. Bounded; a path is forgotten when it has been silent.
class Forwards {
 public:
  static constexpr std::size_t kMaximum = 65536;
  static constexpr seconds kSilence{3600};  // as long as an allocation may live without a Refresh

  bool empty() const { return workers_.empty(); }
  std::size_t size() const { return workers_.size(); }
  // False when there is no room.
  bool add(const Path& path, std::uint32_t worker, MonoTime now);
  std::optional<std::uint32_t> find(const Path& path, MonoTime now);
  void remove(const Path& path) { workers_.erase(path); }

 private:
  struct PathHash {
    using is_avalanching = void;
    std::size_t operator()(const Path& path) const { return hash_value(path); }
  };
  struct Entry {
    std::uint32_t worker = 0;
    MonoTime last_seen;
  };
  void sweep(MonoTime now);

  boost::unordered_flat_map<Path, Entry, PathHash> workers_;
};

}  // namespace turnpike::turn
