// Runtime: a server put together, from bound sockets to joined threads. run() wraps it with signals
// and root's privileges; tests use it inside their own process.
//
// With one worker a single thread does everything: relay and signaling share the main loop. With
// more, each worker has a thread and a loop, and the main loop hosts the signaling hub.
// Made, served and destroyed on one thread; request_stop() and summary() may come from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "net/loop.h"
#include "server/audit.h"
#include "server/banner.h"
#include "server/drain.h"
#include "server/echo_door.h"
#include "server/hub_loop.h"
#include "server/metrics_port.h"
#include "server/plan.h"
#include "server/pulse.h"
#include "server/sampler.h"
#include "server/shared_bandwidth.h"
#include "server/shared_quota.h"
#include "server/shared_relays.h"
#include "server/static_files.h"
#include "server/stats_desk.h"
#include "server/worker.h"
#include "signaling/service.h"

namespace turnpike::server {

class Runtime {
 public:
  // Binds every socket and opens every file, reads nothing yet.
  static Expected<std::unique_ptr<Runtime>, StartError> bind(const Plan& plan);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const BoundAddresses& bound() const { return bound_; }
  const signaling::Service& service() const { return *service_; }
  net::Loop& main_loop() { return main_loop_; }
  const StaticFiles* files() const { return folders_.files.get(); }  // nullptr: no --static
  // nullptr: no --acme-webroot
  const StaticFiles* challenges() const { return folders_.challenges.get(); }

  // Starts the workers' threads, begins to read, and serves until request_stop().
  void serve();
  // Any thread; also from the main loop's own callbacks.
  void request_stop();

  // A plan that reload.h made: what of it can change, does. Main loop's thread.
  void renew(const Plan& plan);
  // From now on nobody new is let in; who is there stays. Main loop's thread.
  void drain(std::optional<seconds> left);
  Live live() const;

  // --- for operators; main loop's thread ---
  // Each worker's answer comes on its own thread; the numbers of workers that were asked.
  std::size_t ask_sessions(const SessionWish& wish, const std::function<void(SessionPage)>& answer);
  std::size_t ask_kick(const SessionId& id, std::function<void(bool ended)> answer);
  // All workers stand still while they are compared with what they share. nullopt: one of them does
  // not answer. `callers` are the connections of whoever asks.
  std::optional<AuditReport> audit(std::size_t callers);
  signaling::Service& signaling() { return *service_; }
  WallTime started() const { return started_; }
  // Whatever becomes of the wall clock meanwhile.
  seconds uptime() { return std::chrono::duration_cast<seconds>(main_loop_.tick().mono - began_); }

  // Said once each second from the main loop while serving, with what /healthz would answer.
  void on_pulse(std::function<void(const signaling::Health&)> report) {
    report_ = std::move(report);
  }

  // One line of counters, summed over the workers.
  std::string summary() const;
  // Live allocations of each worker.
  std::vector<std::uint64_t> allocations() const;

 private:
  struct Folders {
    std::unique_ptr<StaticFiles> files;
    std::unique_ptr<StaticFiles> challenges;
  };
  static Expected<Folders, StartError> open_folders(const Config& config);
  Runtime(const Plan& plan, BoundAddresses bound, Folders folders,
          std::vector<WorkerSockets> sockets, std::unique_ptr<net::TcpListener> metrics);
  bool shares_main_loop() const { return plan_.workers == 1; }
  void take_http(std::unique_ptr<net::Stream> stream, ByteView unread);
  void revoke(std::string_view name, WallTime until);
  void open_hook();
  void on_hook_settled(std::string_view username, const HookAnswer& answer);
  void stop();
  void open_metrics(std::unique_ptr<net::TcpListener> listener);
  void open_public_stats();
  std::string_view judge(std::string_view username, std::string_view password, WallTime now) const;
  MetricsSources metrics_sources() const;
  signaling::Health health() const;
  std::optional<std::vector<WorkerAccount>> gather(
      const std::shared_ptr<Standstill<WorkerAccount>>& meeting);
  SharedAccount shared_account(std::size_t callers);
  Descriptors own_descriptors(std::size_t callers);
  void remember_descriptors();

  const Plan plan_;
  BoundAddresses bound_;
  const Folders folders_;
  SystemRandom random_;
  SharedRelays relays_;
  std::unique_ptr<SharedRelays> tcp_relays_;  // nullptr without --tcp-relay
  SharedReservations reservations_;
  SharedQuota quota_;
  SharedBandwidth bandwidth_;
  std::shared_ptr<const net::TlsContext> tls_;  // as last renewed; null: no TLS
  std::shared_ptr<const turn::Settings> turn_;  // likewise
  std::unique_ptr<HookCache> hook_cache_;
  std::vector<std::unique_ptr<ParcelBox>> boxes_;      // of the workers
  std::atomic<std::uint64_t> connections_refused_{0};  // by a hub that is overloaded
  // Loops outlive what lives on them.
  net::Loop main_loop_;
  std::vector<std::unique_ptr<net::Loop>> worker_loops_;
  net::Async stop_requested_;
  std::unique_ptr<EchoDoor> echo_;  // nullptr: there is none
  History history_;
  StatsPass stats_pass_;
  const std::string run_;  // a name for this run, in ids of rows of the history
  std::unique_ptr<signaling::Service> service_;
  std::unique_ptr<StatsDesk> public_stats_;  // nullptr without --public-stats
  std::unique_ptr<HubLoop> hub_;
  std::unique_ptr<HookClient> hook_;  // null, with its cache, without --auth-hook
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Pulse> pulse_;
  std::unique_ptr<MetricsPort> metrics_;  // nullptr: nobody watches
  WorkerClocks clocks_;
  Sampler sampler_;
  std::function<void(const signaling::Health&)> report_;
  WallTime started_;
  MonoTime began_;
  // When serving began: descriptors that are no Internet sockets, UNIX sockets without spare ones.
  std::size_t other_at_start_ = 0;
  std::size_t local_at_start_ = 0;
  bool serving_ = false;
  bool draining_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace turnpike::server
