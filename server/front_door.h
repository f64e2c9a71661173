// FrontDoor: the connections of one worker, from accept to the protocol that they speak.
//
//   (accepted -> PROXY header read)
//   accepted -> first byte peeked -+-> TLS handshake -> ALPN, else first decrypted byte -+
//                                  +-----------------------------------------------------+
//                                                        +-> STUN/TURN: stays here, framed
//                                                        +-> HTTP: leaves, to the hub
//
// Until its first complete message (or its hand-over) a connection is undecided: it has ten
// seconds, there are at most kMaxUndecided, and a new one pushes the oldest out. A TURN connection
// without an allocation is closed after a minute of silence, and of those, too, there is a maximum.
// Nothing is allocated per message. Owned by a Worker; worker thread only.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/findings.h"
#include "base/proxy_header.h"
#include "base/slab.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls_context.h"
#include "server/plan.h"
#include "server/sniff.h"
#include "server/turn_driver.h"
#include "turn/path.h"
#include "turn/stream_framer.h"

namespace turnpike::server {

struct FrontDoorStatistics {
  Counter accepted;
  Counter turn;            // decided as STUN/TURN
  Counter http;            // handed over
  Counter closed_unknown;  // a first byte of no protocol we speak on that port
  Counter closed_garbage;  // not STUN after all
  Counter closed_late;     // no complete message in time
  Counter closed_deaf;     // no allocation and leaves its answers unread
  Counter closed_idle;     // no allocation and silent
  Counter closed_crowded;  // pushed out by newer ones
  Counter closed_tls;      // the handshake failed
  Counter closed_proxy;    // not a trusted load balancer, or a wrong PROXY header

  // Everybody who was closed for what they did or did not do.
  std::uint64_t turned_away() const {
    return closed_unknown.read() + closed_garbage.read() + closed_late.read() + closed_deaf.read() +
           closed_crowded.read() + closed_tls.read() + closed_proxy.read();
  }
};

class FrontDoor final : public StreamDirectory {
 public:
  static constexpr seconds kDecisionTime{10};
  static constexpr seconds kIdleTime{60};
  // Without an allocation: answers waiting for one connection, and anything for all of the loop.
  static constexpr std::size_t kMaxUnreadAnswers = 64 * 1024;
  static constexpr std::size_t kMaxQueuedOfLoop = 256u << 20;
  struct Limits {
    std::uint32_t connections = 1u << 17;
    std::uint32_t undecided = 2048;  // a room full of browsers that reconnect at once
    std::uint32_t idle = 8192;       // decided as TURN, without an allocation
  };

  // Where the connections' traffic goes. Must not destroy connections from inside its calls.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_stream_message(const turn::Path& path, ByteView message) = 0;
    virtual void on_stream_gone(const turn::Path& path) = 0;
    // `unread` are decrypted bytes that nobody has consumed yet; borrowed.
    virtual void take_http(std::unique_ptr<net::Stream> stream, ByteView unread) = 0;
    // As StreamDirectory::depart announced; `unread` begins with the message when another worker
    // is to see it again, else behind it.
    virtual void on_departure(const Departure& departure, std::unique_ptr<net::Stream> stream,
                              ByteView unread) = 0;
  };

  FrontDoor(net::Loop& loop, const net::TlsContext* tls, Owner& owner, const Limits& limits);
  ~FrontDoor() override;

  // Whose PROXY headers are believed (ports of kind kProxied); nobody's until then.
  void trust(std::vector<IpRange> proxies) { proxies_ = std::move(proxies); }

  // Of connections that begin from now on. Only where there has been one from the start.
  void use(const net::TlsContext& tls) { tls_ = &tls; }

  void accept(int fd, PortKind kind);
  // A connection that another worker has taken for TURN already.
  void adopt(net::Stream::Released released);
  // A message of this connection, if it is still there, that the relay could not answer before.
  void bring(std::uint64_t stream, ByteView message);
  void on_time(Tick now);
  MonoTime next_deadline() const { return wheel_.next(); }
  void close_all();

  net::Stream* find_stream(std::uint64_t stream) override;
  void on_allocation(std::uint64_t stream, Allocation allocation) override;
  void depart(std::uint64_t stream, const Departure& departure) override;

  const FrontDoorStatistics& statistics() const { return statistics_; }
  std::uint32_t connections() const { return connections_.size(); }
  // The connections that nothing limits, because they hold an allocation; by Path::stream. Finds
  // queues and timers that are not as they should be.
  std::vector<std::uint64_t> audit(Findings& findings);

 private:
  struct Connection;
  using ConnectionHandle = Handle<Connection>;
  using QueueHook = boost::intrusive::list_base_hook<>;
  using Queue = boost::intrusive::list<Connection, boost::intrusive::base_hook<QueueHook>>;

  // Waits for its first byte on the bare descriptor, then lives on a stream.
  struct Connection final : QueueHook, net::Stream::Receiver {
    Connection(FrontDoor& its_door, int descriptor, PortKind port_kind)
        : door(its_door), kind(port_kind), fd(descriptor) {}
    ~Connection() override;
    void on_secured(net::Stream&) override { door.on_secured(*this); }
    void on_bytes(net::Stream&, ByteView bytes) override { door.on_bytes(*this, bytes); }
    void on_drained(net::Stream&) override {}
    void on_end(net::Stream&, End end) override { door.on_end(*this, end); }

    FrontDoor& door;
    PortKind kind;
    ConnectionHandle self;
    int fd;  // -1 once the stream has it
    std::unique_ptr<net::Poll> first_byte;
    std::unique_ptr<ProxyHeader> header;  // while one is being read
    std::optional<Address> client;        // as a load balancer named it
    std::unique_ptr<net::Stream> stream;
    Protocol protocol = Protocol::kUnknown;
    bool turn_only = false;  // said by ALPN
    turn::Path path;         // of kTurn
    turn::StreamFramer framer;
    Queue* queue = nullptr;  // nullptr: holds an allocation, nothing limits it
    Timer timer;
    MonoTime last_heard;
    std::optional<Departure> departure;
  };

  // nullptr when there is no room.
  Connection* admit(int fd, PortKind kind);
  void on_first_byte(Connection& connection);
  bool is_trusted(int fd) const;
  void read_header(Connection& connection);
  void wait_for_bytes(Connection& connection);
  void on_secured(Connection& connection);
  void on_bytes(Connection& connection, ByteView bytes);
  void on_end(Connection& connection, net::Stream::Receiver::End end);
  void open_stream(Connection& connection, const net::TlsContext* tls);
  void begin_turn(Connection& connection);
  void hand_over(Connection& connection, ByteView unread);
  void relay(Connection& connection, ByteView bytes);
  void leave(Connection& connection, ByteView message);
  bool asks_without_reading(const Connection& connection) const;
  void heard(Connection& connection);
  void close(Connection& connection, Counter& reason);
  void close(Connection& connection);
  void enqueue(Connection& connection, Queue& queue);
  void leave_queue(Connection& connection);
  void make_room(Queue& queue, std::uint32_t limit);

  net::Loop& loop_;
  const net::TlsContext* tls_;
  Owner& owner_;
  const Limits limits_;
  std::vector<IpRange> proxies_;
  FrontDoorStatistics statistics_;
  TimerWheel wheel_;
  Queue undecided_;  // oldest first
  Queue idle_;       // silent for longest first
  Slab<Connection> connections_;
};

}  // namespace turnpike::server
