// TcpRelays: the sockets of one worker's TCP allocations (RFC 6062). A listener for each relayed
// transport address, and for each data connection a connector, then a descriptor that waits for
// ConnectionBind (what the peer sends meanwhile waits in the kernel), then a splice with the
// client's stream. The state machine in turn/ decides; this carries it out.
// Owned by a Worker that relays TCP; worker thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/random.h"
#include "base/slab.h"
#include "net/descriptor.h"
#include "net/loop.h"
#include "net/splice.h"
#include "net/stream.h"
#include "net/tcp_connector.h"
#include "net/tcp_listener.h"
#include "server/descriptors.h"
#include "server/shared_relays.h"
#include "turn/bandwidth.h"
#include "turn/sink.h"

namespace turnpike::server {

class TcpRelays {
 public:
  // Called from the loop, never from inside a call of this object's.
  class Receiver {
   public:
    virtual ~Receiver() = default;
    virtual void on_connected(turn::DataName data, turn::ConnectOutcome outcome) = 0;
    virtual turn::DataName on_accepted(std::uint64_t owner, const Address& peer) = 0;
    // When limits of bandwidth let more be read of that direction, as turn::Server::on_data(). The
    // one call that may come from inside splice().
    virtual MonoTime on_data(turn::DataName data, turn::Direction direction, std::size_t bytes) = 0;
    virtual void on_data_ended(turn::DataName data) = 0;
  };
  // Everything outlives it.
  struct Wiring {
    std::uint32_t worker = 0;
    std::uint32_t max_relays = 0;
    std::uint16_t first_port = 0;
    std::uint16_t last_port = 0;
    net::Loop& loop;
    SharedRelays& live;  // of TCP alone
    Random& random;
    Receiver& receiver;
  };
  explicit TcpRelays(const Wiring& wiring);
  ~TcpRelays();
  TcpRelays(const TcpRelays&) = delete;
  TcpRelays& operator=(const TcpRelays&) = delete;

  // RelayHandles of TCP relays differ from those of sockets for datagrams.
  static bool names(turn::RelayHandle relay) { return (relay.value & kMark) != 0; }

  Expected<turn::Relay, turn::RelayError> open(const IpAddress& ip, std::uint64_t owner);
  void close(turn::RelayHandle relay);
  // As in turn::Sink; `first` are bytes of the client's that were read already.
  bool connect(turn::RelayHandle relay, const Address& peer, turn::DataName data);
  void splice(turn::DataName data, std::unique_ptr<net::Stream> client, ByteView first);
  void close_data(turn::DataName data);

  // For an audit: the listeners as (relay, local address, owner), and the descriptors of all.
  template <typename Visitor>
  void for_each_listener(Visitor&& visit) {
    listeners_.for_each([&](ListenerHandle handle, const Listener& listener) {
      visit(turn::RelayHandle{handle.pack() | kMark}, listener.socket->local(), listener.owner);
    });
  }
  Descriptors descriptors();

 private:
  // Slabs have far fewer places than this bit of an index could count.
  static constexpr std::uint64_t kMark = std::uint64_t{1} << 31;
  static constexpr std::uint32_t kRandomDraws = 64;

  struct Listener {
    std::unique_ptr<net::TcpListener> socket;
    std::uint64_t owner = 0;
  };
  using ListenerHandle = Handle<Listener>;
  struct Data {
    std::unique_ptr<net::TcpConnector> connector;
    net::Descriptor waiting;  // for ConnectionBind
    std::unique_ptr<net::Splice> splice;
  };

  static ListenerHandle handle_of(turn::RelayHandle relay) {
    return ListenerHandle::unpack(relay.value & ~kMark);
  }
  std::unique_ptr<net::TcpListener> bind(const IpAddress& ip);
  void on_connected(turn::DataName data, int fd);
  void on_accepted(ListenerHandle relay, int fd);

  const Wiring wiring_;
  Slab<Listener> listeners_;
  // As many as the state machine lets there be.
  std::unordered_map<std::uint64_t, Data> data_;
};

}  // namespace turnpike::server
