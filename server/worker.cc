#include "server/worker.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace turnpike::server {
namespace {

net::TxBatch::Segmentation segmentation_of(const Plan& plan) {
  return plan.config.segmentation ? net::TxBatch::Segmentation::kProbe
                                  : net::TxBatch::Segmentation::kOff;
}

TurnDriver::RelayRange range_of(const Plan& plan) {
  return {plan.relay_ips, plan.config.min_port, plan.config.max_port};
}

std::unique_ptr<DtlsDoor> open_dtls_door(const Plan& plan, Random& random, DtlsDoor::Owner& owner) {
  if (!plan.dtls_context) return nullptr;
  return std::make_unique<DtlsDoor>(plan.dtls_context->raw(), random, owner, DtlsDoor::Limits{});
}

std::unique_ptr<TcpRelays> open_tcp_relays(std::uint32_t index, net::Loop& loop,
                                           const Worker::Shared& shared,
                                           TcpRelays::Receiver& receiver) {
  if (shared.tcp_relays == nullptr) return nullptr;
  const Config& config = shared.plan.config;
  return std::make_unique<TcpRelays>(
      TcpRelays::Wiring{.worker = index,
                        .max_relays = shared.plan.turn->max_allocations,
                        .first_port = config.min_port,
                        .last_port = config.max_port,
                        .loop = loop,
                        .live = *shared.tcp_relays,
                        .random = shared.random,
                        .receiver = receiver});
}

std::unique_ptr<HookDesk> open_hook_desk(std::uint32_t index, const Worker::Shared& shared) {
  if (shared.hook_cache == nullptr) return nullptr;
  // The kernel spreads the flows of one prefix over the workers; each enforces its share.
  HookDesk::Pace pace;
  pace.per_second = (pace.per_second + shared.plan.workers - 1) / shared.plan.workers;
  pace.burst = (pace.burst + shared.plan.workers - 1) / shared.plan.workers;
  return std::make_unique<HookDesk>(HookDesk::Wiring{index, *shared.hook_cache, shared.ask_hook,
                                                     shared.plan.turn->credentials.realm(), pace});
}

std::unique_ptr<JwtUsers> open_jwt_users(const signaling::JwtKeys* keys,
                                         const turn::Settings& settings,
                                         turn::UserDirectory* others) {
  if (keys == nullptr) return nullptr;
  return std::make_unique<JwtUsers>(*keys, settings.credentials.realm(), others);
}

SessionRow row_of(const SessionId& id, turn::Server::Report report) {
  SessionRow row;
  row.id = id;
  row.user = report.holder;
  row.transport = report.path.transport;
  row.client = report.path.remote;
  row.relayed = std::move(report.relayed);
  row.tcp = report.tcp;
  row.bytes_to_peers = report.bytes_to_peers;
  row.bytes_to_client = report.bytes_to_client;
  row.permissions = static_cast<std::uint32_t>(report.permissions);
  row.channels = static_cast<std::uint32_t>(report.channels);
  row.seconds_left = report.left.count();
  return row;
}

turn::UserDirectory* first_of(JwtUsers* tokens, HookDesk* service) {
  return tokens != nullptr ? static_cast<turn::UserDirectory*>(tokens) : service;
}

}  // namespace

Worker::Worker(std::uint32_t index, net::Loop& loop, WorkerSockets sockets, const Shared& shared,
               HttpTaker http)
    : index_(index),
      loop_(loop),
      http_(std::move(http)),
      batch_(segmentation_of(shared.plan)),
      relays_(loop, arena_, *this, shared.plan.turn->max_allocations),
      move_stream_(shared.move_stream),
      move_dtls_(shared.move_dtls),
      tcp_relays_(open_tcp_relays(index, loop, shared, *this)),
      tls_(shared.plan.tls),
      dtls_context_(shared.plan.dtls_context),
      front_door_(loop, tls_.get(), *this, FrontDoor::Limits{}),
      dtls_door_(open_dtls_door(shared.plan, shared.random, *this)),
      short_cuts_(index, shared.relays, shared.boxes),
      driver_(range_of(shared.plan),
              {index, batch_, relays_, front_door_, shared.relays, shared.reservations, short_cuts_,
               shared.random, loop, shared.plan.config.log_allocations}),
      hook_desk_(open_hook_desk(index, shared)),
      turn_jwt_(shared.plan.turn_jwt),
      jwt_users_(open_jwt_users(turn_jwt_.get(), *shared.plan.turn, hook_desk_.get())),
      server_(shared.plan.turn, {.quota = shared.quota,
                                 .live_relays = shared.relays,
                                 .random = shared.random,
                                 .live_tcp_relays = shared.tcp_relays,
                                 .worker = index,
                                 .workers = shared.plan.workers,
                                 .bandwidth = shared.bandwidth,
                                 .users = first_of(jwt_users_.get(), hook_desk_.get())}),
      timer_(loop, [this] { on_time(); }),
      mail_arrived_(loop, [this] { on_mail(); }),
      parcels_arrived_(loop, [this] { on_parcels(); }),
      stop_requested_(loop, [this] { on_stop(); }),
      mailbox_(kMailboxCapacity, [this] { mail_arrived_.wake(); }),
      arrivals_(kMaxArrivals, [this] { mail_arrived_.wake(); }),
      dtls_arrivals_(kMaxArrivals, [this] { mail_arrived_.wake(); }),
      forwarded_(kMaxForwarded, [this] { mail_arrived_.wake(); }),
      settled_(kMaxSettled, [this] { mail_arrived_.wake(); }),
      orders_(kMaxOrders, [this] { mail_arrived_.wake(); }),
      stops_(1, [this] { stop_requested_.wake(); }),
      sockets_(std::move(sockets)) {
  for (const auto& listener : sockets_.udp) add_udp(*listener, UdpDoor::Speaks::kAny);
  for (const auto& listener : sockets_.dtls) add_udp(*listener, UdpDoor::Speaks::kDtlsOnly);
  if (dtls_door_) driver_.serve_dtls(*dtls_door_);
  front_door_.trust(shared.plan.config.trusted_proxies);
  shared.boxes[index]->on_post([this] { parcels_arrived_.wake(); });
  if (tcp_relays_) driver_.serve_tcp(*tcp_relays_);
  driver_.forward_by(shared.move_datagrams);
  loop_.allow_rests(std::chrono::microseconds(shared.plan.config.wake_rest));
  loop_.on_flush([this] { flush(); });
}

// The doors close while the relay behind them still stands.
Worker::~Worker() {
  front_door_.close_all();
  if (dtls_door_) dtls_door_->close_all();
}

void Worker::add_udp(const net::UdpListener& listener, UdpDoor::Speaks speaks) {
  const auto number = static_cast<std::uint16_t>(udp_doors_.size());
  udp_doors_.push_back(std::make_unique<UdpDoor>(*this, number, listener.local(), speaks));
  driver_.add_listener(listener.fd());
}

void Worker::start() {
  auto door = udp_doors_.begin();
  for (auto* listeners : {&sockets_.udp, &sockets_.dtls}) {
    for (const auto& listener : *listeners) listener->start(loop_, arena_, **door++);
  }
  for (const WorkerSockets::Tcp& tcp : sockets_.tcp) {
    tcp.listener->start(loop_, [this, kind = tcp.kind](int fd) { front_door_.accept(fd, kind); });
  }
}

void Worker::request_stop(std::function<void()> stopped) {
  // A second request changes nothing: the first one is under way.
  (void)stops_.post(std::move(stopped));
}

Worker::UdpDoor::UdpDoor(Worker& its_worker, std::uint16_t index, const Address& local,
                         Speaks its_speech)
    : worker(its_worker), speaks(its_speech) {
  path.transport = turn::Transport::kUdp;
  path.listener = index;
  path.local = local;
}

void Worker::UdpDoor::on_datagrams(net::UdpListener&, const Address& from, const Run& run) {
  path.remote = from;
  // The first datagram of a train speaks for the rest, which comes from the same five-tuple.
  if (worker.dtls_door_ && dtls::is_record(run.segment(0))) {
    return worker.dtls_door_->on_datagrams(worker.loop_.tick(), path, run);
  }
  if (speaks == Speaks::kDtlsOnly) return;
  worker.from_client(path, run);
}

void Worker::on_relay_datagrams(std::uint64_t owner, const Address& from, const Run& run) {
  // By datagrams: a train has amortised its wake-up already and waits for no others.
  loop_.count_inputs(run.count);
  server_.on_peer(loop_.tick(), owner, from, run, driver_);
}

void Worker::on_relay_error(std::uint64_t owner, const Address& to, const IcmpError& error) {
  server_.on_peer_error(loop_.tick(), owner, to, error, driver_);
}

void Worker::on_stream_message(const turn::Path& path, ByteView message) {
  from_client(path, Run::one(message));
}

// A packet for another client of ours is relayed to it when the input that brought it is done.
void Worker::from_client(const turn::Path& path, const Run& run) {
  loop_.count_inputs(run.count);
  const Tick now = loop_.tick();
  short_cuts_.begin_input();
  server_.on_client(now, path, run, driver_);
  short_cuts_.end_input([&](const ShortCuts::Delivery& delivery) {
    server_.on_peer(now, delivery.owner, delivery.from, delivery.run, driver_);
  });
}

void Worker::on_parcels() {
  const Tick now = loop_.tick();
  short_cuts_.open_box([&](const ShortCuts::Delivery& delivery) {
    server_.on_peer(now, delivery.owner, delivery.from, delivery.run, driver_);
  });
}

void Worker::on_stream_gone(const turn::Path& path) {
  server_.on_client_gone(loop_.tick(), path, driver_);
}

void Worker::take_http(std::unique_ptr<net::Stream> stream, ByteView unread) {
  http_(std::move(stream), unread);
}

void Worker::send_datagram(const turn::Path& path, ByteView datagram) {
  batch_.push(driver_.listener_fd(path.listener), path.remote, datagram, {});
}

void Worker::on_dtls_message(const turn::Path& path, const Run& message) {
  from_client(path, message);
}

void Worker::on_dtls_gone(const turn::Path& path) {
  server_.on_client_gone(loop_.tick(), path, driver_);
}

bool Worker::on_dtls_departure(std::uint32_t worker, DtlsDeparture departure) {
  return move_dtls_(worker, std::move(departure));
}

void Worker::forward_datagram(const turn::Path& path, std::uint32_t worker, ByteView datagram) {
  driver_.forward(path, worker, Run::one(datagram));
}

void Worker::on_departure(const FrontDoor::Departure& departure,
                          std::unique_ptr<net::Stream> stream, ByteView unread) {
  if (departure.data) return tcp_relays_->splice(departure.data, std::move(stream), unread);
  // A full mailbox closes the connection, and its client tries again.
  (void)move_stream_(departure.worker, net::Stream::release(std::move(stream), unread));
}

void Worker::on_connected(turn::DataName data, turn::ConnectOutcome outcome) {
  server_.on_connected(loop_.tick(), data, outcome, driver_);
}

turn::DataName Worker::on_accepted(std::uint64_t owner, const Address& peer) {
  return server_.on_accepted(loop_.tick(), owner, peer, driver_);
}

MonoTime Worker::on_data(turn::DataName data, turn::Direction direction, std::size_t bytes) {
  return server_.on_data(loop_.tick(), data, direction, bytes);
}

void Worker::on_data_ended(turn::DataName data) { server_.on_data_ended(data); }

void Worker::on_time() {
  const Tick now = loop_.tick();
  server_.on_time(now, driver_);
  front_door_.on_time(now);
  if (dtls_door_) dtls_door_->on_time(now);
}

void Worker::on_mail() {
  const Tick now = loop_.tick();
  for (const Revocation& revocation : mailbox_.take_all()) {
    server_.revoke(now, revocation.name, revocation.until, driver_);
  }
  for (DtlsDeparture& session : dtls_arrivals_.take_all()) {
    dtls_door_->adopt(now, std::move(session));
  }
  for (const ForwardedDatagrams& datagrams : forwarded_.take_all()) {
    if (dtls_door_ && dtls::is_record(datagrams.run.segment(0))) {
      dtls_door_->on_datagrams(now, datagrams.path, datagrams.run);
    } else {
      from_client(datagrams.path, datagrams.run);
    }
  }
  for (net::Stream::Released& stream : arrivals_.take_all()) front_door_.adopt(std::move(stream));
  for (const HookSettled& settled : settled_.take_all()) bring_again(settled.username);
  for (const WorkerOrder& order : orders_.take_all()) {
    std::visit([this](const auto& one) { carry_out(one); }, order);
  }
}

void Worker::carry_out(const DrainOrder&) { server_.drain(); }

void Worker::carry_out(const RenewalOrder& order) {
  auto users = open_jwt_users(order.turn_jwt.get(), *order.turn, hook_desk_.get());
  server_.renew({order.turn, order.bandwidth, first_of(users.get(), hook_desk_.get())}, driver_);
  // The server knows neither any more.
  jwt_users_ = std::move(users);
  turn_jwt_ = order.turn_jwt;
  // Connections keep what OpenSSL needs of the contexts that they began with.
  if (tls_ && order.tls) {
    front_door_.use(*order.tls);
    tls_ = order.tls;
  }
  if (dtls_door_ && order.dtls_context) {
    dtls_door_->use(order.dtls_context->raw());
    dtls_context_ = order.dtls_context;
  }
}

// The first ones by their names, which are in no order: the last of those kept makes room.
void Worker::carry_out(const ListOrder& order) {
  const SessionWish& wish = order.wish;
  SessionPage page;
  std::priority_queue<std::uint64_t> first;
  server_.for_each_allocation([&](std::uint64_t allocation, std::string_view holder) {
    if (wish.after && SessionId{index_, allocation} <= *wish.after) return;
    if (!is_meant(wish, holder)) return;
    first.push(allocation);
    if (first.size() <= wish.limit) return;
    first.pop();
    page.more = true;
  });
  for (; !first.empty(); first.pop()) {
    if (auto report = server_.report(loop_.tick(), first.top())) {
      page.rows.push_back(row_of({index_, first.top()}, std::move(*report)));
    }
  }
  order.answer(std::move(page));
}

void Worker::carry_out(const KickOrder& order) {
  order.answer(server_.end(loop_.tick(), order.allocation, driver_));
}

void Worker::carry_out(const AuditOrder& order) {
  if (order.meeting->is_on()) order.meeting->hand_in(account());
}

WorkerAccount Worker::account() {
  WorkerAccount account;
  account.worker = index_;
  account.relay = server_.examine();
  relays_.for_each(
      [&](net::RelaySockets::SocketHandle handle, const net::RelaySockets::Socket& socket) {
        account.sockets.push_back({{handle.pack()}, socket.local, socket.owner});
      });
  account.privileged_streams = front_door_.audit(account.findings);
  account.connections = front_door_.connections();
  if (dtls_door_) {
    account.privileged_sessions = dtls_door_->audit(account.findings);
    account.sessions = dtls_door_->sessions();
  }
  if (tcp_relays_) {
    tcp_relays_->for_each_listener(
        [&](turn::RelayHandle relay, const Address& local, std::uint64_t owner) {
          account.tcp_sockets.push_back({relay, local, owner});
        });
    account.descriptors = tcp_relays_->descriptors();
  }
  account.descriptors.datagram +=
      sockets_.udp.size() + sockets_.dtls.size() + account.sockets.size();
  account.descriptors.listening += sockets_.tcp.size();
  account.descriptors.connected += account.connections;
  for (const WorkerSockets::Tcp& tcp : sockets_.tcp) {
    if (tcp.listener->has_spare()) ++account.descriptors.local;
  }
  account.findings.append(judge(account));
  return account;
}

void Worker::bring_again(std::string_view username) {
  for (const HookDesk::Kept& kept : hook_desk_->take(username)) {
    if (turn::is_stream(kept.path.transport)) {
      front_door_.bring(kept.path.stream, kept.message);
      continue;
    }
    if (kept.path.transport == turn::Transport::kDtls) {
      dtls_door_->bring(loop_.tick(), kept.path.stream, kept.message);
      continue;
    }
    from_client(kept.path, Run::one(kept.message));
  }
}

void Worker::on_stop() {
  sockets_.tcp.clear();
  server_.shut_down(loop_.tick(), driver_);
  front_door_.close_all();
  if (dtls_door_) dtls_door_->close_all();
  batch_.flush();
  sockets_.udp.clear();
  sockets_.dtls.clear();
  for (const auto& stopped : stops_.take_all()) stopped();
}

void Worker::flush() {
  short_cuts_.flush();
  batch_.flush();
  MonoTime next = std::min(server_.next_deadline(), front_door_.next_deadline());
  if (dtls_door_) next = std::min(next, dtls_door_->next_deadline());
  timer_.arm(next);
}

}  // namespace turnpike::server
