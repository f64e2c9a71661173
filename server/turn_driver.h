// TurnDriver: what one worker's turn::Server can do to the world. Datagrams go into the worker's
// TxBatch, bytes for streams into the stream's cork, relays are sockets of the worker's
// RelaySockets. Forwarding a packet allocates nothing, locks nothing and logs nothing.
// Owned by a Worker; worker thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/random.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tx_batch.h"
#include "net/udp_socket.h"
#include "server/shared_relays.h"
#include "server/shared_reservations.h"
#include "server/short_cuts.h"
#include "server/tcp_relays.h"
#include "turn/sink.h"

namespace turnpike::server {

// The connections of a worker by the number that a Path carries.
class StreamDirectory {
 public:
  virtual ~StreamDirectory() = default;
  // nullptr when the connection is gone.
  virtual net::Stream* find_stream(std::uint64_t stream) = 0;
  enum class Allocation : std::uint8_t { kHeld, kNone };
  virtual void on_allocation(std::uint64_t stream, Allocation allocation) = 0;
  // What becomes of a connection after the message under way: it is spliced with a data connection
  // (RFC 6062), or another worker takes it over and sees that message again.
  struct Departure {
    turn::DataName data;  // empty: to `worker`
    std::uint32_t worker = 0;
  };
  virtual void depart(std::uint64_t stream, const Departure& departure) = 0;
};

// The DTLS clients of a worker, by the same number.
class DtlsClients {
 public:
  virtual ~DtlsClients() = default;
  using Allocation = StreamDirectory::Allocation;
  virtual void to_client(const turn::Path& path, const turn::Parts& parts) = 0;
  virtual void on_allocation(std::uint64_t session, Allocation allocation) = 0;
  // After the message under way another worker takes the session over, and sees that message again.
  virtual void depart(std::uint64_t session, std::uint32_t worker) = 0;
};

// Datagrams on their way to the worker that serves their client (RFC 8016).
struct ForwardedDatagrams {
  turn::Path path;
  std::vector<std::uint8_t> bytes;
  Run run;  // of `bytes`
};
// False when that worker's mailbox is full.
using DatagramMover = std::function<bool(std::uint32_t worker, ForwardedDatagrams)>;

struct DriverStatistics {
  Counter stream_messages_dropped;  // the client reads too slowly, or is gone
  Counter datagrams_not_forwarded;  // to another worker, which had no room
  Counter relays_opened;
  Counter relays_refused;  // no port left, no descriptor left, family not offered
};

class TurnDriver final : public turn::Sink {
 public:
  // Where relays may be opened.
  struct RelayRange {
    std::vector<IpAddress> ips;  // several of one family take turns
    std::uint16_t first_port = 49152;
    std::uint16_t last_port = 65535;
  };
  // Everything outlives the driver.
  struct Wiring {
    std::uint32_t worker = 0;
    net::TxBatch& batch;
    net::RelaySockets& relays;
    StreamDirectory& streams;
    SharedRelays& live_relays;
    SharedReservations& reservations;
    ShortCuts& short_cuts;
    Random& random;
    net::Loop& loop;
    bool log_allocations = false;
  };

  TurnDriver(RelayRange range, const Wiring& wiring);

  // Names the descriptor that Path::listener stands for; in order, from 0.
  void add_listener(int fd) { listener_fds_.push_back(fd); }
  int listener_fd(std::uint16_t listener) const { return listener_fds_[listener]; }
  // Before the first packet of a DTLS client.
  void serve_dtls(DtlsClients& clients) { dtls_ = &clients; }

  // Before the first TCP allocation.
  void serve_tcp(TcpRelays& relays) { tcp_ = &relays; }
  // Before the first client moves here from another worker.
  void forward_by(DatagramMover mover) { mover_ = std::move(mover); }

  void to_client(const turn::Path& path, const turn::Parts& parts) override;
  void to_peer(turn::RelayHandle relay, const Address& peer, const Run& run) override;
  Expected<turn::Relay, turn::RelayError> open_relay(const turn::RelayWish& wish) override;
  void close_relay(turn::RelayHandle relay) override;
  Expected<turn::ClaimedRelay, turn::RelayError> claim_relay(const Claim& claim) override;
  bool drop_reservation(turn::ReservationToken token) override;
  void report(const turn::Event& event) override;
  bool connect(turn::RelayHandle relay, const Address& peer, turn::DataName data) override;
  void splice(turn::DataName data, const turn::Path& client) override;
  void close_data(turn::DataName data) override;
  void hand_over(const turn::Path& client, std::uint32_t worker) override;
  void forward(const turn::Path& client, std::uint32_t worker, const Run& run) override;

  const DriverStatistics& statistics() const { return statistics_; }

 private:
  using OpenResult = Expected<turn::Relay, turn::RelayError>;
  static constexpr std::uint32_t kRandomDraws = 24;
  static constexpr std::uint32_t kScannedBinds = 256;

  const IpAddress* next_ip(Family family);
  void log_end(const turn::Event& event) const;
  void to_stream(const turn::Path& path, const turn::Parts& parts);
  OpenResult open_on(const IpAddress& ip, const turn::RelayWish& wish);
  // nullopt: that port is taken, draw another.
  std::optional<OpenResult> try_port(const Address& address, const turn::RelayWish& wish);
  // Whether the next port could be kept, for `relay`, which is closed again if not.
  std::optional<OpenResult> reserve_next(const turn::Relay& relay, const turn::RelayWish& wish);

  const RelayRange range_;
  const Wiring wiring_;
  std::vector<int> listener_fds_;
  DtlsClients* dtls_ = nullptr;
  DatagramMover mover_;
  TcpRelays* tcp_ = nullptr;  // nullptr without --tcp-relay
  std::size_t turn_ = 0;
  DriverStatistics statistics_;
};

}  // namespace turnpike::server
