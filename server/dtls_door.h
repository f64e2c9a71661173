// DtlsDoor: the DTLS clients of one worker (RFC 7350), over the same UDP sockets as everybody else.
//
//   ClientHello -> HelloVerifyRequest, nothing kept -> ClientHello with its cookie: a session
//     handshaking (kHandshakeTime) -> idle (kIdleTime) <-> holds an allocation, nothing limits it
//
// A session costs some forty kilobytes, so those without an allocation are bounded three ways: in
// all, by source prefix, and by pushing the oldest out. A client that comes back on the same
// five-tuple proves its address again before its old session ends (RFC 6347 section 4.2.8).
//
// A mobile client (RFC 8016) may arrive at another worker than its allocation's. Then the session
// departs: its keys go to that worker, whose door adopts it, and what the kernel brings here of its
// five-tuple from then on is sent after it. The door that has a session keeps no such forward for
// it, so forwards never go in circles.
// Owned by a Worker; worker thread only.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/counters.h"
#include "base/dtls.h"
#include "base/findings.h"
#include "base/random.h"
#include "base/run.h"
#include "base/slab.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "server/turn_driver.h"
#include "turn/mobility.h"
#include "turn/path.h"
#include "turn/throttle.h"

namespace turnpike::server {

struct DtlsDoorStatistics {
  Counter begun;             // a cookie came back
  Counter established;       // the handshake is over
  Counter hellos_throttled;  // the source prefix has used up its rate
  Counter refused_crowded;   // the source prefix or the table is full
  Counter closed_crowded;    // pushed out by newer ones
  Counter closed_late;       // the handshake took too long
  Counter closed_idle;       // no allocation and silent
  Counter closed_by_client;  // close_notify, a failure, or a new session on the five-tuple
  Counter departed;          // to another worker
  Counter adopted;           // from another worker
  Counter messages_dropped;  // to the client: too long for a record, or it is gone

  std::uint64_t turned_away() const {
    return refused_crowded.read() + closed_crowded.read() + closed_late.read();
  }
};

// A session on its way to another worker, with what its client said and nobody has answered.
struct DtlsDeparture {
  turn::Path path;
  std::unique_ptr<dtls::Association> association;
  std::vector<std::vector<std::uint8_t>> messages;
};
// False when that worker's mailbox is full.
using DtlsMover = std::function<bool(std::uint32_t worker, DtlsDeparture)>;

class DtlsDoor final : public DtlsClients {
 public:
  static constexpr seconds kHandshakeTime{20};
  static constexpr seconds kIdleTime{60};
  struct Limits {
    std::uint32_t sessions = 1u << 16;
    std::uint32_t handshakes = 1024;
    std::uint32_t idle = 2048;              // established, without an allocation
    std::uint32_t per_prefix = 256;         // of both together
    std::uint32_t hellos_per_second = 100;  // of one source prefix
  };

  // Must not call the door from inside send_datagram() and on_dtls_gone().
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void send_datagram(const turn::Path& path, ByteView datagram) = 0;
    virtual void on_dtls_message(const turn::Path& path, const Run& message) = 0;
    virtual void on_dtls_gone(const turn::Path& path) = 0;
    // False: that worker has no room for it, and the session is lost.
    virtual bool on_dtls_departure(std::uint32_t worker, DtlsDeparture departure) = 0;
    // To be given to that worker's door.
    virtual void forward_datagram(const turn::Path& path, std::uint32_t worker,
                                  ByteView datagram) = 0;
  };

  // The context has been through dtls::require_cookies().
  DtlsDoor(ssl_ctx_st* context, Random& random, Owner& owner, const Limits& limits);
  ~DtlsDoor() override;

  // Of sessions that begin from now on; the ones there are go on with theirs.
  void use(ssl_ctx_st* context) { listener_.use(context); }

  // `path` is the listener's, with the sender as remote.
  void on_datagrams(Tick now, const turn::Path& path, const Run& run);
  void on_time(Tick now);
  MonoTime next_deadline() const { return wheel_.next(); }
  void close_all();
  void adopt(Tick now, DtlsDeparture departure);
  // Gives the owner a message of this session (Path::stream) once more, if it is still there.
  void bring(Tick now, std::uint64_t session, ByteView message);

  void to_client(const turn::Path& path, const turn::Parts& parts) override;
  void on_allocation(std::uint64_t session, Allocation allocation) override;
  void depart(std::uint64_t session, std::uint32_t worker) override;

  const DtlsDoorStatistics& statistics() const { return statistics_; }
  std::uint32_t sessions() const { return sessions_.size(); }
  // The sessions that nothing limits, because they hold an allocation; by Path::stream. Finds
  // tables and queues that are not as they should be.
  std::vector<std::uint64_t> audit(Findings& findings);

 private:
  struct Session;
  using SessionHandle = Handle<Session>;
  using QueueHook = boost::intrusive::list_base_hook<>;
  using Queue = boost::intrusive::list<Session, boost::intrusive::base_hook<QueueHook>>;

  struct Session final : QueueHook, dtls::Output {
    explicit Session(DtlsDoor& its_door) : door(its_door) {}
    void send(ByteView datagram) override { door.owner_.send_datagram(path, datagram); }

    DtlsDoor& door;
    SessionHandle self;
    turn::Path path;
    std::unique_ptr<dtls::Association> association;
    Queue* queue = nullptr;  // nullptr: holds an allocation
    Timer timer;
    MonoTime handshake_ends;
    MonoTime last_heard;
    std::optional<std::uint32_t> departs_to;
  };
  // The answers to strangers.
  struct Stranger final : dtls::Output {
    Stranger(DtlsDoor& its_door, const turn::Path& its_path) : door(its_door), path(its_path) {}
    void send(ByteView datagram) override { door.owner_.send_datagram(path, datagram); }
    DtlsDoor& door;
    const turn::Path& path;
  };
  struct Key {
    std::uint16_t listener;
    Address remote;
    bool operator==(const Key&) const = default;
    friend std::size_t hash_value(const Key& key) {
      return hash_mix(hash_value(key.remote), key.listener);
    }
  };

  Session* find(const turn::Path& path);
  void on_hello(const turn::Path& path, ByteView datagram, Session* known);
  void open(const turn::Path& path, std::unique_ptr<dtls::Association> association);
  // nullptr when there is no room.
  Session* add(const turn::Path& path, std::unique_ptr<dtls::Association> association);
  void send_away(Session& session, ByteView message);
  void forget(Session& session);
  void feed(Session& session, ByteView datagram, std::uint8_t traffic_class);
  void settle(Session& session);
  void arm(Session& session);
  void write(Session& session, const turn::Parts& parts, ByteView body);
  void close(Session& session, Counter& reason);
  void enqueue(Session& session, Queue& queue);
  void leave_queue(Session& session);
  void make_room(Queue& queue, std::uint32_t limit);
  std::uint32_t& crowd_of(const IpAddress& ip);

  static constexpr std::size_t kPrefixCells = 4096;

  Owner& owner_;
  const Limits limits_;
  DtlsDoorStatistics statistics_;
  dtls::Listener listener_;
  turn::Throttle throttle_;
  TimerWheel wheel_;
  Queue handshaking_;  // oldest first
  Queue idle_;         // silent for longest first
  Slab<Session> sessions_;
  boost::unordered_flat_map<Key, SessionHandle, boost::hash<Key>> by_address_;
  turn::Forwards departed_;  // by the listener's path
  // Sessions without an allocation of the source prefixes of one hash; nothing is kept per prefix.
  std::vector<std::uint32_t> crowds_;
  Tick now_;
  std::array<std::uint8_t, dtls::kMaxPayload> received_;
  std::array<std::uint8_t, dtls::kMaxPayload> sending_;
};

}  // namespace turnpike::server
