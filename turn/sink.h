// Sink: everything the relay can ask of the outside. The driver in server/ turns it into sockets,
// the simulator into events. Every call is made from inside a turn::Server input and must not call
// back into the server. Views are borrowed for the call only.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "base/expected.h"
#include "base/run.h"
#include "base/time.h"
#include "stun/attributes.h"
#include "turn/bandwidth.h"
#include "turn/path.h"
#include "turn/quota.h"

namespace turnpike::turn {

// Messages for a client: each segment of `body` becomes one message, head + segment + pad zero
// bytes. All segments of one Parts have the same size (a train with a short last segment is passed
// as two), so one head fits all. A message without payload of its own (a STUN response) is all
// head, with body.count == 0.
struct Parts {
  ByteView head;
  Run body;
  std::uint8_t pad = 0;  // 0..3; of an attribute, or of ChannelData on a stream
};

// The socket behind a relayed transport address, as the driver names it.
struct RelayHandle {
  std::uint64_t value = 0;
  bool operator==(const RelayHandle&) const = default;
};

// EVEN-PORT (RFC 8656 section 18.6), for clients that put RTP on an even port. With its R bit the
// next port is kept for RTCP, until somebody brings the token.
enum class PortParity : std::uint8_t { kAny, kEven, kEvenAndReserveNext };

// RESERVATION-TOKEN (section 18.10): eight bytes that cannot be guessed and say nothing; 0 is none.
using ReservationToken = std::uint64_t;

// What peers speak to the relayed transport address: datagrams, or connections (RFC 6062).
enum class RelayProtocol : std::uint8_t { kUdp, kTcp };

struct RelayWish {
  Family family = Family::kIPv4;
  PortParity parity = PortParity::kAny;
  // Comes back with every packet of this relay: Server::on_peer's `owner`.
  std::uint64_t owner = 0;
  RelayProtocol protocol = RelayProtocol::kUdp;
  QuotaSubject reserve_for;  // whose the next port will be
};
struct Relay {
  RelayHandle handle;
  Address address;  // where the socket is bound, before any external mapping
  ReservationToken reserved = 0;
};
// A reserved relay that changed hands, and who was charged for it.
struct ClaimedRelay {
  Relay relay;
  IpAddress charged_for;
};
enum class RelayError : std::uint8_t {
  kFamilyNotSupported,
  kNoPortLeft,
  kNoResources,
  kNoReservation,  // the token is unknown, used, expired, or of another user
};

// A data connection of a TCP allocation (RFC 6062), as server and driver name it to each other.
struct DataName {
  std::uint64_t value = 0;  // 0 names nothing
  explicit operator bool() const { return value != 0; }
  bool operator==(const DataName&) const = default;
};
enum class ConnectOutcome : std::uint8_t { kConnected, kFailed };

// What is worth counting or telling, rare enough for a virtual call. Packets are not events: they
// are in Statistics.
struct Event {
  enum class Kind : std::uint8_t {
    kAllocationCreated,
    kAllocationEnded,
    kPathJoined,      // a mobile allocation is reached by this path as well (RFC 8016),
    kPathLeft,        // and no more by this one
    kRequestRefused,  // an error response was sent; `code` says which
  };
  enum class Ending : std::uint8_t {
    kNone,
    kExpired,
    kRefreshZero,
    kClientGone,
    kRevoked,
    kOperator,
    kShutdown
  };

  Kind kind = Kind::kRequestRefused;
  Ending ending = Ending::kNone;
  std::uint16_t code = 0;
  std::uint16_t method = 0;
  const Path* path = nullptr;
  Address relayed;            // as the client was told
  std::string_view username;  // the name part; empty before authentication
  MonoTime begun;             // the allocation, and what it has relayed by Direction
  std::array<Traffic, kDirections> traffic;
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void to_client(const Path& path, const Parts& parts) = 0;
  // Each segment is one datagram to the peer, from the relayed transport address.
  virtual void to_peer(RelayHandle relay, const Address& peer, const Run& run) = 0;
  virtual Expected<Relay, RelayError> open_relay(const RelayWish& wish) = 0;
  virtual void close_relay(RelayHandle relay) = 0;
  // The relay that this token keeps for a user of this name, of whichever worker; on success what
  // it was charged for is the caller's to release.
  struct Claim {
    ReservationToken token = 0;
    std::string_view name;
    std::uint64_t owner = 0;  // as RelayWish::owner
  };
  virtual Expected<ClaimedRelay, RelayError> claim_relay(const Claim& claim) = 0;
  // Gives the reserved port up; false when it was claimed before.
  virtual bool drop_reservation(ReservationToken token) = 0;
  virtual void report(const Event& event) = 0;

  // TCP allocations; a sink that opens no TCP relays is never asked.

  // From the relayed transport address. False: it has failed already; else Server::on_connected
  // will say, unless close_data() comes first.
  virtual bool connect(RelayHandle relay, const Address& peer, DataName data);
  // From the message under way on, the bytes of the client's connection and those of the data
  // connection are each other's; Server::on_data_ended when that is over.
  virtual void splice(DataName data, const Path& client);
  // Closes it in whatever state it is, and what it is spliced with; nothing is told afterwards.
  virtual void close_data(DataName data);
  // The client's connection belongs to another worker, which is to see the message under way again.
  virtual void hand_over(const Path& client, std::uint32_t worker);
  // These datagrams are for another worker's server: their client has moved (RFC 8016).
  virtual void forward(const Path& client, std::uint32_t worker, const Run& run);
};

}  // namespace turnpike::turn
