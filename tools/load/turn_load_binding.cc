// The binding mode: Binding requests from a number of sockets, a number at a time on each. The
// transaction id carries when the request left and its number; every answer is parsed and must name
// the socket's own address.

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "stun/builder.h"
#include "tools/load/turn_load_fleet.h"
#include "tools/load/turn_load_modes.h"
#include "tools/load/turn_load_payload.h"
#include "tools/load/turn_load_sockets.h"

namespace turnpike::load {
namespace {

constexpr std::uint64_t kGivenUp = 50'000'000;  // silence after which requests are sent anew
constexpr std::uint64_t kProgressInterval = 1'000'000'000;
constexpr std::uint64_t kDrain = 200'000'000;

struct Asker {
  int fd = -1;
  Address local;
  std::uint32_t next = 0;
  std::uint64_t under_way = 0, last_answer = 0;
  Arrivals arrivals;
};

class Binding {
 public:
  explicit Binding(const Options& options)
      : options_(options),
        outbox_(Trains::kNo),
        inbox_(Trains::kNo),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  ~Binding() {
    for (const Asker& asker : askers_) ::close(asker.fd);
    ::close(epoll_);
  }
  Binding(const Binding&) = delete;
  Binding& operator=(const Binding&) = delete;

  Expected<void> open();
  Report run();

 private:
  enum class Sending : std::uint8_t { kNo, kYes };
  void run_until(std::uint64_t end, Sending sending);
  void ask(Asker& asker);
  void hear(Asker& asker, ByteView datagram);

  const Options& options_;
  Outbox outbox_;
  Inbox inbox_;
  int epoll_;
  std::vector<Asker> askers_;
  std::uint64_t now_ = 0;
  bool measuring_ = false;
  Report report_;
};

Expected<void> Binding::open() {
  askers_.resize(options_.allocations);
  const net::SocketAddress server = net::to_sockaddr(options_.server);
  for (std::size_t i = 0; i < askers_.size(); ++i) {
    const auto ip = later_ip(options_.client_ip, static_cast<unsigned>(i) % options_.client_ips);
    const auto fd = open_udp({.from = {ip, 0}});
    if (!fd) return unexpected(fd.error());
    askers_[i].fd = *fd;
    if (::connect(*fd, server.raw(), server.length) != 0) {
      return failure("no way to " + options_.server.to_string());
    }
    askers_[i].local = net::local_address_of(*fd);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, *fd, &event) == 0);
  }
  return {};
}

Report Binding::run() {
  CpuClock clock(options_.server_pid);
  now_ = now_ns();
  run_until(now_ + static_cast<std::uint64_t>(options_.warm_up * 1e9), Sending::kYes);
  measuring_ = true;
  clock.start();
  const std::uint64_t began = now_ns();
  const std::uint64_t end = began + static_cast<std::uint64_t>(options_.seconds * 1e9);
  while (now_ < end && !interrupted()) {
    const std::uint64_t before = report_.done;
    run_until(std::min(end, now_ + kProgressInterval), Sending::kYes);
    print_progress(options_, options_.warm_up + static_cast<double>(now_ - began) * 1e-9,
                   static_cast<double>(report_.done - before), "answers");
  }
  clock.stop();
  measuring_ = false;
  run_until(now_ + kDrain, Sending::kNo);
  report_.take(clock);
  return report_;
}

void Binding::run_until(std::uint64_t end, Sending sending) {
  std::array<epoll_event, 256> events;
  for (now_ = now_ns(); now_ < end && !interrupted(); now_ = now_ns()) {
    if (sending == Sending::kYes) {
      for (Asker& asker : askers_) ask(asker);
    }
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
    for (int i = 0; i < count; ++i) {
      Asker& asker = askers_[events[static_cast<std::size_t>(i)].data.u64];
      now_ = now_ns();
      inbox_.receive(asker.fd, [&](const sockaddr*, ByteView datagram) { hear(asker, datagram); });
    }
  }
}

void Binding::ask(Asker& asker) {
  if (asker.under_way > 0 && now_ - asker.last_answer > kGivenUp) asker.under_way = 0;
  if (asker.under_way > options_.concurrency / 2) return;
  if (asker.under_way == 0) asker.last_answer = now_;
  for (; asker.under_way < options_.concurrency; ++asker.under_way) {
    stun::TransactionId id;
    const std::uint64_t sent_at = now_ns();
    std::memcpy(id.data(), &sent_at, sizeof sent_at);
    std::memcpy(id.data() + sizeof sent_at, &asker.next, sizeof asker.next);
    ++asker.next;
    const MutableBytes room = outbox_.add(asker.fd, nullptr, stun::kHeaderSize);
    stun::Builder(room, stun::Class::kRequest, stun::Method::kBinding, id).finish();
    ++report_.sent[0];
  }
  outbox_.flush();
}

void Binding::hear(Asker& asker, ByteView datagram) {
  const auto answer = stun::MessageView::parse(datagram);
  if (!answer || !answer->is(stun::Class::kSuccess, stun::Method::kBinding)) {
    ++report_.corrupt;
    return;
  }
  if (answer->xor_address(stun::Attribute::kXorMappedAddress) != asker.local) {
    ++report_.misrouted;
    return;
  }
  std::uint64_t sent_at = 0;
  std::uint32_t sequence = 0, passed = 0;
  const stun::TransactionId id = answer->transaction_id();
  std::memcpy(&sent_at, id.data(), sizeof sent_at);
  std::memcpy(&sequence, id.data() + sizeof sent_at, sizeof sequence);
  if (sequence >= asker.next) {
    ++report_.misrouted;
    return;
  }
  const auto verdict = asker.arrivals.arrive(sequence, passed);
  if (verdict == Arrivals::Verdict::kDuplicate) ++report_.duplicated;
  if (verdict == Arrivals::Verdict::kTooOld) ++report_.too_old;
  if (verdict != Arrivals::Verdict::kNew) return;
  asker.under_way -= std::min<std::uint64_t>(asker.under_way, passed);
  asker.last_answer = now_;
  ++report_.delivered[0];
  if (!measuring_) return;
  ++report_.done;
  report_.latency.record(now_ > sent_at ? now_ - sent_at : 0);
}

}  // namespace

Expected<Report> run_binding(const Options& options) {
  Binding binding(options);
  const auto opened = binding.open();
  if (!opened) return unexpected(opened.error());
  return binding.run();
}

}  // namespace turnpike::load
