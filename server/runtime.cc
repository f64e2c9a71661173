#include "server/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "server/credential_judge.h"
#include "server/metrics.h"
#include "server/options.h"

namespace turnpike::server {
namespace {

using net::ReusePort;

StartError cannot_listen(std::string message) { return {kExitCannotListen, std::move(message)}; }

// The sockets of all workers for one address. SO_REUSEPORT would silently let a second server in
// on the same port, so the address is first bound without it, by itself: the kernel refuses that
// when anybody is there. A port that the kernel drew may be lost again in between; it draws anew.
template <typename Listener>
Expected<std::vector<std::unique_ptr<Listener>>> bind_for_all(const Address& address,
                                                              std::uint32_t workers) {
  constexpr int kDraws = 8;
  std::vector<std::unique_ptr<Listener>> sockets;
  for (int draw = 0;; ++draw) {
    typename Listener::Wish wish;
    wish.bind = address;
    auto alone = Listener::bind(wish);
    if (!alone) return failure(alone.error().message);
    if (workers == 1) {
      sockets.push_back(std::move(*alone));
      return sockets;
    }
    wish.bind = (*alone)->local();
    wish.reuse_port = ReusePort::kYes;
    alone->reset();
    std::string problem;
    while (sockets.size() < workers) {
      auto one = Listener::bind(wish);
      if (!one) {
        problem = one.error().message;
        break;
      }
      sockets.push_back(std::move(*one));
    }
    if (problem.empty()) return sockets;
    if (address.port != 0 || draw + 1 == kDraws) return failure(problem);
    sockets.clear();
  }
}

Expected<void, StartError> bind_listeners(const Plan& plan, BoundAddresses& bound,
                                          std::vector<WorkerSockets>& sockets) {
  using Listeners = std::vector<std::unique_ptr<net::UdpListener>>;
  const auto bind_udp = [&](const std::vector<Address>& addresses, std::vector<Address>& names,
                            Listeners WorkerSockets::*list) -> Expected<void, StartError> {
    for (const Address& address : addresses) {
      auto udp = bind_for_all<net::UdpListener>(address, plan.workers);
      if (!udp) return unexpected(cannot_listen(udp.error().message));
      names.push_back(udp->front()->local());
      for (std::uint32_t i = 0; i < plan.workers; ++i) {
        (sockets[i].*list).push_back(std::move((*udp)[i]));
      }
    }
    return {};
  };
  if (auto done = bind_udp(plan.udp, bound.udp, &WorkerSockets::udp); !done) return done;
  if (auto done = bind_udp(plan.dtls, bound.dtls, &WorkerSockets::dtls); !done) return done;
  for (const Plan::TcpPort& port : plan.tcp) {
    auto tcp = bind_for_all<net::TcpListener>(port.address, plan.workers);
    if (!tcp) return unexpected(cannot_listen(tcp.error().message));
    bound.tcp.push_back({tcp->front()->local(), port.kind});
    for (std::uint32_t i = 0; i < plan.workers; ++i) {
      sockets[i].tcp.push_back({std::move((*tcp)[i]), port.kind});
    }
  }
  return {};
}

// Said at start rather than as a 508 to every client.
Expected<void, StartError> check_relay_ips(const Plan& plan) {
  for (const IpAddress& ip : plan.relay_ips) {
    net::UdpListener::Wish wish;
    wish.bind = Address{ip, 0};
    if (net::UdpListener::bind(wish)) continue;
    return unexpected(cannot_listen(fmt::format(
        "cannot relay from {}: it is not an address of this machine; give one that is with "
        "--relay-ip, and behind a NAT the public one with --external-ip",
        ip.to_string())));
  }
  return {};
}

// Nobody asked for the default port, so one that is taken stops nothing.
Expected<std::unique_ptr<net::TcpListener>, StartError> bind_metrics(const Config& config) {
  const std::uint16_t port = config.metrics_port.value_or(kDefaultMetricsPort);
  if (port == 0) return nullptr;
  net::TcpListener::Wish wish;
  wish.bind = Address{config.metrics_ip, port};
  auto listener = net::TcpListener::bind(wish);
  if (listener) return std::move(*listener);
  if (config.metrics_port) return unexpected(cannot_listen(listener.error().message));
  log::info("no /metrics: {} is taken; choose another port with --prometheus-port",
            wish.bind.to_string());
  return nullptr;
}

}  // namespace

Expected<std::unique_ptr<Runtime>, StartError> Runtime::bind(const Plan& plan) {
  BoundAddresses bound;
  std::vector<WorkerSockets> sockets(plan.workers);
  if (auto done = bind_listeners(plan, bound, sockets); !done) return unexpected(done.error());
  if (auto done = check_relay_ips(plan); !done) return unexpected(done.error());
  auto metrics = bind_metrics(plan.config);
  if (!metrics) return unexpected(metrics.error());
  auto folders = open_folders(plan.config);
  if (!folders) return unexpected(folders.error());
  return std::unique_ptr<Runtime>(new Runtime(plan, std::move(bound), std::move(*folders),
                                              std::move(sockets), std::move(*metrics)));
}

Expected<Runtime::Folders, StartError> Runtime::open_folders(const Config& config) {
  Folders folders;
  if (!config.static_dir.empty()) {
    auto opened = StaticFiles::open(config.static_dir);
    if (!opened) return unexpected(StartError{kExitUsage, opened.error().message});
    folders.files = std::move(*opened);
  }
  if (!config.acme_webroot.empty()) {
    auto opened = StaticFiles::open(config.acme_webroot, signaling::Folder::kChallenges);
    if (!opened) return unexpected(StartError{kExitUsage, opened.error().message});
    folders.challenges = std::move(*opened);
  }
  return folders;
}

Runtime::Runtime(const Plan& plan, BoundAddresses bound, Folders folders,
                 std::vector<WorkerSockets> sockets, std::unique_ptr<net::TcpListener> metrics)
    : plan_(plan),
      bound_(std::move(bound)),
      folders_(std::move(folders)),
      relays_(plan.relay_ips),
      tcp_relays_(plan.config.tcp_relay ? std::make_unique<SharedRelays>(plan.relay_ips) : nullptr),
      reservations_(random_),
      quota_(plan.config.quota),
      bandwidth_(plan.config.bps_capacity, plan.workers),
      tls_(plan.certificates()),
      turn_(plan.turn),
      stop_requested_(main_loop_, [this] { stop(); }),
      history_(plan.workers),
      stats_pass_(plan.config.metrics_token, random_),
      run_(random_.token(6)),
      sampler_(main_loop_, history_, [this](MonoTime now, Sample& sample) {
        take_sample(metrics_sources(), clocks_.busy(now), sample);
      }) {
  echo_ = EchoDoor::open({plan_, main_loop_, relays_, random_});
  signaling::Settings settings = signaling_settings(plan_, bound_);
  if (echo_) {
    settings.echo = &echo_->desk();
    for (const auto& socket : echo_->sockets()) bound_.echo.push_back(socket->local());
  }
  service_ = std::make_unique<signaling::Service>(
      std::move(settings), random_,
      [this](std::string_view name, WallTime until) { revoke(name, until); });
  const HubLoop::Wiring wiring{
      main_loop_, shares_main_loop() ? HubLoop::Sharing::kWithRelay : HubLoop::Sharing::kOwnLoop,
      folders_.files.get(), folders_.challenges.get()};
  hub_ = std::make_unique<HubLoop>(service_->carrier(), wiring);
  const auto move_stream = [this](std::uint32_t worker, net::Stream::Released stream) {
    return worker < workers_.size() && workers_[worker]->post(std::move(stream));
  };
  const auto move_datagrams = [this](std::uint32_t worker, ForwardedDatagrams datagrams) {
    return worker < workers_.size() && workers_[worker]->post(std::move(datagrams));
  };
  const auto move_dtls = [this](std::uint32_t worker, DtlsDeparture session) {
    return worker < workers_.size() && workers_[worker]->post(std::move(session));
  };
  open_hook();
  const HookAsker ask_hook = [this](HookQuestion question) {
    return hook_->post(std::move(question));
  };
  for (std::uint32_t i = 0; i < plan_.workers; ++i) boxes_.push_back(std::make_unique<ParcelBox>());
  for (std::uint32_t i = 0; i < plan_.workers; ++i) {
    if (!shares_main_loop()) worker_loops_.push_back(std::make_unique<net::Loop>());
    net::Loop& loop = shares_main_loop() ? main_loop_ : *worker_loops_.back();
    workers_.push_back(std::make_unique<Worker>(
        i, loop, std::move(sockets[i]),
        Worker::Shared{plan_, relays_, reservations_, quota_, random_, boxes_, tcp_relays_.get(),
                       bandwidth_.pool(), hook_cache_.get(), ask_hook, move_stream, move_datagrams,
                       move_dtls},
        [this](std::unique_ptr<net::Stream> stream, ByteView unread) {
          take_http(std::move(stream), unread);
        }));
  }
  pulse_ = std::make_unique<Pulse>(main_loop_, worker_loops_, [this] {
    if (report_) report_(health());
  });
  service_->judge_health_by([this] { return health(); });
  service_->judge_credentials_by([this](std::string_view username, std::string_view password,
                                        WallTime now) { return judge(username, password, now); });
  if (plan_.config.public_stats) open_public_stats();
  if (metrics) open_metrics(std::move(metrics));
}

void Runtime::open_metrics(std::unique_ptr<net::TcpListener> listener) {
  metrics_ = std::make_unique<MetricsPort>(
      main_loop_, std::move(listener), plan_.config.metrics_token,
      MetricsPort::Sources{[this] { return metrics_text(metrics_sources()); },
                           [this] { return coturn_metrics_text(metrics_sources()); },
                           [this] { return health(); }, history_, stats_pass_, run_});
}

MetricsSources Runtime::metrics_sources() const {
  const bool ready = health().stuck.empty() && health().not_ready.empty();
  const EchoEndpoint* echo = echo_ ? &echo_->endpoint() : nullptr;
  return {plan_,          workers_,   relays_,  *service_, echo,
          quota_.total(), tls_.get(), started_, ready,     draining_};
}

std::string_view Runtime::judge(std::string_view username, std::string_view password,
                                WallTime now) const {
  const bool others = plan_.auth_hook || plan_.turn_jwt || plan_.config.oauth;
  return judge_credential(turn_->credentials, others ? OtherUsers::kSome : OtherUsers::kNone,
                          username, password, now);
}

void Runtime::open_public_stats() {
  public_stats_ = std::make_unique<StatsDesk>(StatsDesk::Parts{
      service_->carrier(), history_, stats_pass_, version(), run_, StatsDesk::Port::kPublic});
  service_->add_annex(
      [this](Tick now, signaling::ConnectionHandle connection, const signaling::Visit& visit) {
        const bool ours = StatsDesk::handles(visit.request.path());
        if (ours) public_stats_->on_request(now, connection, visit);
        return ours;
      });
}

signaling::Health Runtime::health() const {
  signaling::Health health;
  if (const std::size_t stuck = pulse_->stuck(); stuck > 0) {
    health.stuck = fmt::format("{} of {} workers do not answer", stuck, workers_.size());
  }
  if (draining_) health.not_ready = "draining";
  if (!serving_) health.not_ready = "shutting down";
  return health;
}

Runtime::~Runtime() = default;

void Runtime::serve() {
  started_ = main_loop_.tick().wall;
  began_ = main_loop_.tick().mono;
  serving_ = true;
  pulse_->start();
  if (metrics_) metrics_->start();
  for (const auto& worker : workers_) worker->start();
  if (echo_) echo_->start();
  remember_descriptors();
  for (const auto& loop : worker_loops_) {
    threads_.emplace_back([running = loop.get()] { running->run(); });
    clocks_.watch(threads_.back());
  }
  if (shares_main_loop()) clocks_.watch_this_thread();
  sampler_.start();
  main_loop_.run();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Runtime::renew(const Plan& plan) {
  quota_.set_limits(plan.config.quota);
  bandwidth_.set_rate(plan.config.bps_capacity);
  const RenewalOrder order{plan.turn, plan.turn_jwt, bandwidth_.pool(), plan.tls,
                           plan.dtls_context};
  for (const auto& worker : workers_) {
    if (!worker->post(order)) log::warning("a worker is overloaded and keeps what it had");
  }
  tls_ = plan.certificates();
  turn_ = plan.turn;
  service_->renew(signaling_settings(plan, bound_));
}

void Runtime::drain(std::optional<seconds> left) {
  draining_ = true;
  for (const auto& worker : workers_) {
    if (!worker->post(DrainOrder{})) log::warning("a worker is overloaded and does not drain");
  }
  service_->drain(left);
}

std::size_t Runtime::ask_sessions(const SessionWish& wish,
                                  const std::function<void(SessionPage)>& answer) {
  std::size_t asked = 0;
  for (const auto& worker : workers_) {
    if (worker->post(ListOrder{wish, answer})) ++asked;
  }
  return asked;
}

std::size_t Runtime::ask_kick(const SessionId& id, std::function<void(bool ended)> answer) {
  if (id.worker >= workers_.size()) return 0;
  return workers_[id.worker]->post(KickOrder{id.allocation, std::move(answer)}) ? 1 : 0;
}

Live Runtime::live() const {
  Live live;
  for (const std::uint64_t count : allocations()) live.allocations += count;
  live.conversations = service_->conversations();
  return live;
}

void Runtime::request_stop() { stop_requested_.wake(); }

// Workers with a loop of their own leave it when they have stopped; the main loop ends when the hub
// has said goodbye, or its two seconds for that are over.
void Runtime::stop() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    net::Loop* own = shares_main_loop() ? nullptr : worker_loops_[i].get();
    workers_[i]->request_stop([own] {
      if (own != nullptr) own->stop();
    });
  }
  if (echo_) echo_->shut_down();
  if (hook_) hook_->shut_down();
  serving_ = false;
  hub_->shut_down([this] {
    if (!metrics_) return main_loop_.stop();
    metrics_->shut_down([this] { main_loop_.stop(); });
  });
}

void Runtime::take_http(std::unique_ptr<net::Stream> stream, ByteView unread) {
  if (shares_main_loop()) return hub_->take(std::move(stream), unread);
  if (hub_->post(net::Stream::release(std::move(stream), unread))) return;
  // Said once: whoever overloads us shall not fill the log as well.
  if (connections_refused_.fetch_add(1, std::memory_order_relaxed) == 0) {
    log::warning("signaling is overloaded: connections are being closed");
  }
}

// One client for all workers: the service sees few connections, and each user asked about once.
void Runtime::open_hook() {
  if (!plan_.auth_hook) return;
  HookCache::Limits limits;
  limits.known = seconds(plan_.config.auth_hook_cache);
  limits.unknown = std::min(limits.unknown, limits.known);
  limits.stale = seconds(plan_.config.auth_hook_stale);
  hook_cache_ = std::make_unique<HookCache>(limits);
  hook_ = std::make_unique<HookClient>(main_loop_, *plan_.auth_hook,
                                       [this](std::string_view username, const HookAnswer& answer) {
                                         on_hook_settled(username, answer);
                                       });
}

void Runtime::on_hook_settled(std::string_view username, const HookAnswer& answer) {
  for (const std::uint32_t worker : hook_cache_->settle(username, answer, main_loop_.tick().mono)) {
    // A full mailbox costs those who wait their answer; datagrams are sent again.
    (void)workers_[worker]->post(HookSettled{std::string(username)});
  }
}

void Runtime::revoke(std::string_view name, WallTime until) {
  for (const auto& worker : workers_) {
    if (worker->post({std::string(name), until})) continue;
    log::warning("a worker is overloaded: the allocations of {} end when they expire", name);
  }
}

std::string Runtime::summary() const {
  std::uint64_t live = 0, created = 0, to_peers = 0, to_clients = 0, dropped = 0, connections = 0;
  std::uint64_t inside = 0;
  std::uint64_t turned_away = connections_refused_.load(std::memory_order_relaxed);
  for (const auto& worker : workers_) {
    const turn::Statistics& relay = worker->relay_statistics();
    live += relay.allocations.read();
    created += relay.allocations_created.read();
    to_peers += relay.client_packets_relayed.read();
    to_clients += relay.peer_packets_relayed.read();
    dropped += relay.dropped_malformed.read() + relay.dropped_no_allocation.read() +
               relay.dropped_no_channel.read() + relay.dropped_no_permission.read() +
               relay.dropped_dead_relay.read() + relay.dropped_over_max_bps.read() +
               relay.dropped_over_capacity.read() +
               worker->driver_statistics().stream_messages_dropped.read() +
               worker->short_cut_statistics().dropped.read();
    inside += worker->short_cut_statistics().packets.read();
    const FrontDoorStatistics& door = worker->front_door_statistics();
    connections += door.accepted.read();
    turned_away += door.turned_away();
    if (const auto* dtls = worker->dtls_statistics()) {
      connections += dtls->begun.read();
      turned_away += dtls->turned_away();
      dropped += dtls->messages_dropped.read();
    }
  }
  return fmt::format(
      "{} allocations live, {} created, {} packets relayed to peers ({} of them to "
      "clients of ours), {} to clients, {} dropped, "
      "{} connections accepted, {} turned away",
      live, created, to_peers, inside, to_clients, dropped, connections, turned_away);
}

std::vector<std::uint64_t> Runtime::allocations() const {
  std::vector<std::uint64_t> live;
  for (const auto& worker : workers_) live.push_back(worker->relay_statistics().allocations.read());
  return live;
}

}  // namespace turnpike::server
