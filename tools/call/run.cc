#include "tools/call/run.h"

#include <netdb.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "net/interfaces.h"
#include "net/sockaddr.h"

namespace turnpike::call {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr Duration kLongestTurn = milliseconds{50};
constexpr std::size_t kMaxHosts = 4;
constexpr std::uint64_t kFirstRedial = kSecond / 2, kLongestRedial = 8 * kSecond;

volatile std::sig_atomic_t signals_seen = 0;

// Addresses for host candidates: what reaches the server is enough, so of loopback only itself.
std::vector<IpAddress> host_addresses(const Options& options, const Address& server) {
  if (options.from) return {*options.from};
  if (server.ip.is_loopback()) return {IpAddress::loopback(server.family())};
  std::vector<IpAddress> found;
  for (const net::InterfaceAddress& address : net::interface_addresses()) {
    if (address.ip.is_loopback() || address.link_local || found.size() == kMaxHosts) continue;
    found.push_back(address.ip);
  }
  return found;
}

Expected<load::TlsContext> tls_context(const Options& options) {
  if (options.verify_tls) return load::make_verifying_tls_context(options.ca_file);
  return load::make_tls_context();
}

}  // namespace

void hang_up_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { signals_seen = signals_seen + 1; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

std::optional<IpAddress> Resolver::resolve(const std::string& host) {
  if (const auto literal = IpAddress::parse(host)) return literal;
  const auto known = known_.find(host);
  if (known != known_.end()) return known->second;
  addrinfo wish{};
  wish.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::optional<IpAddress> ip;
  if (::getaddrinfo(host.c_str(), nullptr, &wish, &found) == 0) {
    ip = net::from_sockaddr(found->ai_addr).ip;
    ::freeaddrinfo(found);
  }
  known_[host] = ip;
  return ip;
}

Expected<Totals> Run::run(const Options& options) {
  Loop loop;
  SystemRandom random;
  Resolver resolver;
  const load::Payloads payloads;
  const auto ip = resolver.resolve(options.server.host);
  if (!ip) return failure("--server names a host that is not known: " + options.server.host);
  const auto context = tls_context(options);
  if (!context) return unexpected(context.error());
  const auto identity = media::Identity::create();
  if (identity == nullptr) return failure("no key can be made");
  Services services{loop, random, options, *identity, resolver, payloads};
  services.tls = context->get();
  services.web.address = {*ip, options.server.port};
  services.web.from = services.from(services.web.address);
  services.web.authority = options.server.authority;
  if (options.server.tls) services.web.context = context->get();
  if (options.verify_tls) services.web.name = options.server.host;
  services.hosts = host_addresses(options, services.web.address);
  Run run(services, options);
  while (!run.is_over()) {
    const std::uint64_t now = Loop::now_ns();
    if (signals_seen > 1) break;
    if (signals_seen > 0) run.hang_up();
    run.begin_due(now);
    run.redial_due(now);
    loop.turn(kLongestTurn);
    run.collect();
    run.end_second(now);
    run.show(now);
  }
  run.end_second(UINT64_MAX);
  return run.totals_;
}

Run::Run(const Services& services, const Options& options)
    : services_(services),
      options_(options),
      desk_(services),
      room_prefix_("turnpike-call-" + services.random.token(9) + "-"),
      started_at_(Loop::now_ns()),
      next_second_(started_at_ + kSecond),
      cpu_at_start_(load::own_cpu_time()) {
  // Packets of another process in the same room are not to be taken for our own.
  if (!options.join.empty()) flow_base_ = services.random.u32() & 0x0fff'ffffu;
}

void Run::begin_due(std::uint64_t now) {
  const double passed = static_cast<double>(now - started_at_) / static_cast<double>(kSecond);
  while (begun_ < options_.calls && begun_ <= passed * options_.rate) {
    const bool guest = !options_.join.empty();
    const unsigned number = ++begun_;
    const std::string room = guest ? options_.join : room_prefix_ + std::to_string(number);
    begin({.number = number, .room = room, .guest = guest, .flow = flow_base_ + number});
  }
}

// The desk may answer when the call that it was asked for has been given up and is another.
void Run::begin(Call::Place place) {
  calls_.emplace_back(new Call(services_, *this, place));
  desk_.ask(place.room, [this, place](const Expected<Desk::Pass>& pass) {
    for (const auto& call : calls_) {
      if (call->number() != place.number || call->place().redials != place.redials) continue;
      if (pass) return call->start(*pass);
      return call->refuse(pass.error().message);
    }
  });
}

void Run::redial_due(std::uint64_t now) {
  if (redials_.empty()) return;
  const auto due = std::stable_partition(redials_.begin(), redials_.end(),
                                         [now](const Redial& one) { return one.due > now; });
  const std::vector<Redial> all(std::make_move_iterator(due),
                                std::make_move_iterator(redials_.end()));
  redials_.erase(due, redials_.end());
  for (const Redial& one : all) begin(one.place);
}

// Half a second, then twice as long each time, and up to half of that more: a server that has just
// come back is not to be met by everybody at once.
void Run::redial_later(const Call& call) {
  Redial one{.place = call.place(), .record = call.record()};
  const unsigned doublings = std::min(one.place.in_a_row, 8u);
  const std::uint64_t wait = std::min(kFirstRedial << doublings, kLongestRedial);
  one.due = Loop::now_ns() + wait + services_.random.u32() % (wait / 2);
  ++one.place.redials;
  ++one.place.in_a_row;
  redials_.push_back(std::move(one));
}

void Run::hang_up() {
  hanging_up_ = true;
  begun_ = options_.calls;
  for (const auto& call : calls_) call->hang_up();
  for (const Redial& one : std::exchange(redials_, {})) totals_.add(one.record);
}

bool Run::is_over() const { return begun_ >= options_.calls && calls_.empty() && redials_.empty(); }

// With hundreds of calls the turns are many, and to look at every call in each costs more than what
// the turn is for.
void Run::collect() {
  if (!std::exchange(some_are_over_, false)) return;
  std::erase_if(calls_, [&](const std::unique_ptr<Call>& call) {
    if (call->state() != Call::State::kOver) return false;
    sent_ += call->sent();
    received_ += call->received();
    if (call->is_worth_redialling() && !hanging_up_ && call->place().in_a_row < options_.redials) {
      redial_later(*call);
    } else {
      totals_.add(call->record());
    }
    return true;
  });
}

void Run::end_second(std::uint64_t now) {
  if (now < next_second_) return;
  next_second_ += kSecond;
  Totals::Sums sums{.sent = sent_,
                    .received = received_,
                    .time_ns = Loop::now_ns() - started_at_,
                    .cpu_ns = load::own_cpu_time() - cpu_at_start_};
  for (const auto& call : calls_) {
    sums.talking += call->state() == Call::State::kTalking;
    sums.sent += call->sent();
    sums.received += call->received();
    sums.late_ns = std::max(sums.late_ns, call->take_recent_late_ns());
  }
  totals_.end_second(sums);
}

void Run::show(std::uint64_t now) {
  if (!line_.is_due(now)) return;
  unsigned talking = 0, setting_up = 0;
  for (const auto& call : calls_) {
    talking += call->state() == Call::State::kTalking;
    setting_up += call->state() == Call::State::kSettingUp;
  }
  const Second last = totals_.seconds().empty() ? Second{} : totals_.seconds().back();
  line_.show(now,
             "%.0f s: %u setting up, %u talking, %u done, %u failed; %llu packets/s, "
             "one way p99 %.1f ms",
             static_cast<double>(now - started_at_) / static_cast<double>(kSecond), setting_up,
             talking, totals_.calls() - totals_.failed(), totals_.failed(),
             static_cast<unsigned long long>(last.received), last.delay_p99_ms);
}

}  // namespace turnpike::call
