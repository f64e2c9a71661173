// The data connections of TCP allocations (RFC 6062): connections between a relayed transport
// address and a peer, each joined with a connection of the client's by ConnectionBind.
//
//   Connect ---> connecting ---> pending ---- ConnectionBind ----> bound ---> gone
//                                  ^
//   a peer connects, permitted ----+
//
// What is connecting or pending has a deadline; a bound one lives until either end closes or the
// allocation ends. Bounded for each allocation, each holder and the worker. Owned by one worker's
// server; single thread. Allocations for UDP have none of this.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>

#include "base/address.h"
#include "base/digest.h"
#include "base/findings.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/slab.h"
#include "base/timer_wheel.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "turn/bandwidth.h"
#include "turn/permissions.h"
#include "turn/sink.h"

namespace turnpike::turn {

struct Allocation;

struct DataConnection
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  enum class State : std::uint8_t { kConnecting, kPending, kBound };

  Handle<DataConnection> self;
  Handle<Allocation> allocation;
  Address peer;
  std::uint32_t id = 0;  // CONNECTION-ID
  State state = State::kConnecting;
  Timer timer;

  // Read, passed on, and not yet paid for out of the whole server's bandwidth.
  std::array<std::uint64_t, kDirections> unpaid{};

  // Of the Connect request, whose answer comes when the connection stands or fails.
  struct Question {
    stun::TransactionId id{};
    stun::SigningKey key;
    bool fingerprint = false;
  };
  Question question;

  DataName name() const { return {self.pack()}; }
};

// What an allocation has when its relayed transport address is a TCP one.
struct TcpSide {
  explicit TcpSide(std::size_t max_permissions) : permissions(max_permissions) {}

  // For connections that come in. Apart from those for datagrams, which stay empty: that is how
  // Send indications and ChannelData find no way through a TCP allocation.
  Permissions permissions;
  boost::intrusive::list<DataConnection, boost::intrusive::constant_time_size<false>> connections;
  std::uint32_t count = 0;

  const DataConnection* find(const Address& peer) const;
};

class DataConnections {
 public:
  // CONNECTION-IDs name the worker that made them: the id modulo `workers` is `worker`.
  struct Place {
    std::uint32_t worker = 0;
    std::uint32_t workers = 1;
  };
  DataConnections(std::uint32_t maximum, Place place, Random& random)
      : place_(place), random_(random), slab_(maximum) {}

  bool full() const { return slab_.size() >= slab_.maximum(); }
  std::uint32_t size() const { return slab_.size(); }
  std::uint32_t worker_of(std::uint32_t id) const { return id % place_.workers; }
  bool is_ours(std::uint32_t id) const { return worker_of(id) == place_.worker; }

  // Not when full(). With an id of its own that nobody can guess.
  DataConnection& create(const Address& peer);
  void erase(DataConnection& connection);
  DataConnection* find(DataName name) {
    return slab_.find(Handle<DataConnection>::unpack(name.value));
  }
  DataConnection* find_id(std::uint32_t id);
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    slab_.for_each([&](Handle<DataConnection>, DataConnection& connection) { visit(connection); });
  }
  // Whether each is found by its id, its timer runs where there is one to run, and nothing else is
  // found.
  void audit(Findings& findings);

 private:
  friend struct Tampering;  // tests make what audits are to find

  struct IdHash {
    using is_avalanching = void;
    std::size_t operator()(std::uint32_t id) const { return hash_mix(id, 0); }
  };
  std::uint32_t draw_id();

  const Place place_;
  Random& random_;
  Slab<DataConnection> slab_;
  boost::unordered_flat_map<std::uint32_t, Handle<DataConnection>, IdHash> by_id_;
};

}  // namespace turnpike::turn
