// Worker: one of N identical relay threads. It has a loop, its own listening sockets (SO_REUSEPORT
// siblings of the other workers' sockets), its own shard of allocations, and shares nothing with
// the others but the tables in Shared. Everything runs on the loop's thread except the two calls
// marked otherwise; construction happens on the main thread before that thread exists.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/mailbox.h"
#include "base/random.h"
#include "net/loop.h"
#include "net/tcp_listener.h"
#include "net/tx_batch.h"
#include "net/udp_socket.h"
#include "server/audit.h"
#include "server/dtls_door.h"
#include "server/front_door.h"
#include "server/hook_desk.h"
#include "server/jwt_users.h"
#include "server/plan.h"
#include "server/sessions.h"
#include "server/shared_quota.h"
#include "server/shared_relays.h"
#include "server/shared_reservations.h"
#include "server/short_cuts.h"
#include "server/standstill.h"
#include "server/tcp_relays.h"
#include "server/turn_driver.h"
#include "turn/server.h"

namespace turnpike::server {

// The sockets of one worker, bound and not yet read.
struct WorkerSockets {
  struct Tcp {
    std::unique_ptr<net::TcpListener> listener;
    PortKind kind = PortKind::kAny;
  };
  std::vector<std::unique_ptr<net::UdpListener>> udp;
  std::vector<std::unique_ptr<net::UdpListener>> dtls;  // where nothing else is spoken
  std::vector<Tcp> tcp;
};

// Gives a connection to the worker of that number; false when its mailbox is full. Any thread.
using StreamMover = std::function<bool(std::uint32_t worker, net::Stream::Released)>;

// Where connections that speak HTTP go. Called on the worker's thread.
using HttpTaker = std::function<void(std::unique_ptr<net::Stream>, ByteView unread)>;

struct Revocation {
  std::string name;
  WallTime until;
};

// The server is about to stop: no new allocations.
struct DrainOrder {};
// Another configuration (turn::Server::Renewal) and other certificates, which may be those before.
struct RenewalOrder {
  std::shared_ptr<const turn::Settings> turn;
  std::shared_ptr<const signaling::JwtKeys> turn_jwt;   // null: no --turn-jwt
  turn::BandwidthPool* bandwidth = nullptr;             // as in Worker::Shared
  std::shared_ptr<const net::TlsContext> tls;           // null where there was none at the start
  std::shared_ptr<const net::TlsContext> dtls_context;  // likewise
};
// What operators ask. The answer is called on the worker's thread.
struct ListOrder {
  SessionWish wish;
  std::function<void(SessionPage)> answer;
};
struct KickOrder {
  std::uint64_t allocation = 0;
  std::function<void(bool ended)> answer;
};
// To give account of everything, and to wait until the others have.
struct AuditOrder {
  std::shared_ptr<Standstill<WorkerAccount>> meeting;
};
using WorkerOrder = std::variant<DrainOrder, RenewalOrder, ListOrder, KickOrder, AuditOrder>;

// The authorisation service has answered about this user, or has failed to.
struct HookSettled {
  std::string username;
};

class Worker final : private FrontDoor::Owner,
                     private DtlsDoor::Owner,
                     private net::RelaySockets::Receiver,
                     private TcpRelays::Receiver {
 public:
  static constexpr std::size_t kMailboxCapacity = turn::kMaxRevokedNames;
  static constexpr std::size_t kMaxArrivals = 1024;
  static constexpr std::size_t kMaxForwarded = 4096;
  static constexpr std::size_t kMaxSettled = 4096;
  static constexpr std::size_t kMaxOrders = 64;

  // Outlives the worker.
  struct Shared {
    const Plan& plan;
    SharedRelays& relays;
    SharedReservations& reservations;
    SharedQuota& quota;
    Random& random;
    const std::vector<std::unique_ptr<ParcelBox>>& boxes;  // one for each worker
    SharedRelays* tcp_relays = nullptr;                    // nullptr without --tcp-relay
    turn::BandwidthPool* bandwidth = nullptr;              // nullptr: no limit in total
    HookCache* hook_cache = nullptr;                       // nullptr without --auth-hook
    HookAsker ask_hook;
    StreamMover move_stream;
    DatagramMover move_datagrams;
    DtlsMover move_dtls;
  };
  Worker(std::uint32_t index, net::Loop& loop, WorkerSockets sockets, const Shared& shared,
         HttpTaker http);
  ~Worker() override;

  // Begins to read. When every worker's sockets are bound, on the loop's thread or before it runs.
  void start();

  // Any thread. False when the mailbox is full.
  [[nodiscard]] bool post(Revocation revocation) { return mailbox_.post(std::move(revocation)); }
  // Any thread: a connection that belongs to this worker.
  [[nodiscard]] bool post(net::Stream::Released stream) {
    return arrivals_.post(std::move(stream));
  }
  // Any thread: what a client of this worker sent to another one.
  [[nodiscard]] bool post(ForwardedDatagrams datagrams) {
    return forwarded_.post(std::move(datagrams));
  }
  // Any thread: what the authorisation service has answered about is in the cache.
  [[nodiscard]] bool post(HookSettled settled) { return settled_.post(std::move(settled)); }
  // Any thread: a DTLS session that belongs to this worker.
  [[nodiscard]] bool post(DtlsDeparture session) { return dtls_arrivals_.post(std::move(session)); }
  // Any thread: carried out in the order of coming.
  [[nodiscard]] bool post(WorkerOrder order) { return orders_.post(std::move(order)); }
  // Any thread: ends every allocation and connection, then calls `stopped` on the loop's thread.
  void request_stop(std::function<void()> stopped);

  // The loop's thread, between two inputs.
  WorkerAccount account();
  // Connections on their way here. Any thread.
  std::size_t arrivals() { return arrivals_.size(); }

  // Counters that any thread may read.
  const turn::Statistics& relay_statistics() const { return server_.statistics(); }
  const DriverStatistics& driver_statistics() const { return driver_.statistics(); }
  const ShortCuts::Statistics& short_cut_statistics() const { return short_cuts_.statistics(); }
  const FrontDoorStatistics& front_door_statistics() const { return front_door_.statistics(); }
  // nullptr without --dtls.
  const DtlsDoorStatistics* dtls_statistics() const {
    return dtls_door_ ? &dtls_door_->statistics() : nullptr;
  }

 private:
  // A UDP listener's receiver: knows the path's constant part.
  struct UdpDoor final : net::UdpListener::Receiver {
    enum class Speaks : std::uint8_t { kAny, kDtlsOnly };
    UdpDoor(Worker& its_worker, std::uint16_t index, const Address& local, Speaks speaks);
    void on_datagrams(net::UdpListener& listener, const Address& from, const Run& run) override;
    Worker& worker;
    const Speaks speaks;
    turn::Path path;
  };

  void on_stream_message(const turn::Path& path, ByteView message) override;
  void on_stream_gone(const turn::Path& path) override;
  void take_http(std::unique_ptr<net::Stream> stream, ByteView unread) override;
  void send_datagram(const turn::Path& path, ByteView datagram) override;
  void on_dtls_message(const turn::Path& path, const Run& message) override;
  void on_dtls_gone(const turn::Path& path) override;
  bool on_dtls_departure(std::uint32_t worker, DtlsDeparture departure) override;
  void forward_datagram(const turn::Path& path, std::uint32_t worker, ByteView datagram) override;
  void on_departure(const FrontDoor::Departure& departure, std::unique_ptr<net::Stream> stream,
                    ByteView unread) override;
  void on_connected(turn::DataName data, turn::ConnectOutcome outcome) override;
  turn::DataName on_accepted(std::uint64_t owner, const Address& peer) override;
  MonoTime on_data(turn::DataName data, turn::Direction direction, std::size_t bytes) override;
  void on_data_ended(turn::DataName data) override;
  void on_relay_datagrams(std::uint64_t owner, const Address& from, const Run& run) override;
  void from_client(const turn::Path& path, const Run& run);
  void on_relay_error(std::uint64_t owner, const Address& to, const IcmpError& error) override;
  void on_time();
  void on_mail();
  void carry_out(const DrainOrder& order);
  void carry_out(const RenewalOrder& order);
  void carry_out(const ListOrder& order);
  void carry_out(const KickOrder& order);
  void carry_out(const AuditOrder& order);
  void bring_again(std::string_view username);
  void on_parcels();
  void on_stop();
  void flush();
  void add_udp(const net::UdpListener& listener, UdpDoor::Speaks speaks);

  const std::uint32_t index_;
  net::Loop& loop_;
  const HttpTaker http_;
  net::RxArena arena_;
  net::TxBatch batch_;
  net::RelaySockets relays_;
  const StreamMover move_stream_;
  const DtlsMover move_dtls_;
  std::unique_ptr<TcpRelays> tcp_relays_;  // nullptr without --tcp-relay
  std::shared_ptr<const net::TlsContext> tls_;
  std::shared_ptr<const net::TlsContext> dtls_context_;
  FrontDoor front_door_;
  std::unique_ptr<DtlsDoor> dtls_door_;  // nullptr without --dtls
  ShortCuts short_cuts_;
  TurnDriver driver_;
  std::unique_ptr<HookDesk> hook_desk_;                 // nullptr without --auth-hook
  std::shared_ptr<const signaling::JwtKeys> turn_jwt_;  // null without --turn-jwt
  std::unique_ptr<JwtUsers> jwt_users_;                 // likewise
  turn::Server server_;
  net::LoopTimer timer_;
  net::Async mail_arrived_;
  net::Async parcels_arrived_;
  net::Async stop_requested_;
  Mailbox<Revocation> mailbox_;
  Mailbox<net::Stream::Released> arrivals_;
  Mailbox<DtlsDeparture> dtls_arrivals_;
  Mailbox<ForwardedDatagrams> forwarded_;
  Mailbox<HookSettled> settled_;
  Mailbox<WorkerOrder> orders_;
  Mailbox<std::function<void()>> stops_;
  WorkerSockets sockets_;
  std::vector<std::unique_ptr<UdpDoor>> udp_doors_;
};

}  // namespace turnpike::server
