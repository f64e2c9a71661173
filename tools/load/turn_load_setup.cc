// The setup mode: whole set-ups one after another, a number of them at a time: 401, Allocate,
// CreatePermission for one peer, ChannelBind for another, Refresh with lifetime 0. Each from a
// socket of its own, since a server may remember a five-tuple for a while.

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <vector>

#include "base/check.h"
#include "tools/load/turn_load_fleet.h"
#include "tools/load/turn_load_modes.h"

namespace turnpike::load {
namespace {

constexpr std::uint64_t kProgressInterval = 1'000'000'000;
constexpr std::uint64_t kTimeInterval = 20'000'000;
constexpr std::uint64_t kDrain = 5'000'000'000;
constexpr std::uint16_t kPermissionPort = 9, kChannelPort = 10;  // nothing is ever sent there

class Setups final : private Receiver {
 public:
  explicit Setups(const Options& options)
      : options_(options),
        context_(options.transport == Transport::kDtls ? make_dtls_context() : make_tls_context()),
        inbox_(Trains::kNo),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        slots_(options.concurrency) {}
  ~Setups() { ::close(epoll_); }
  Setups(const Setups&) = delete;
  Setups& operator=(const Setups&) = delete;

  Expected<Report> run();

 private:
  struct Slot {
    std::unique_ptr<Session> session;
    std::uint64_t began = 0;
  };
  enum class Beginning : std::uint8_t { kNo, kYes };

  void on_payload(std::uint32_t, const Address*, ByteView) override {}
  void run_until(std::uint64_t end, Beginning beginning);
  void begin(std::uint32_t slot);
  void advance(Slot& slot);
  void finish(Slot& slot);
  bool any_under_way() const;

  const Options& options_;
  SystemRandom random_;
  TlsContext context_;
  Inbox inbox_;
  int epoll_;
  std::vector<Slot> slots_;
  unsigned begun_ = 0;
  bool measuring_ = false;
  std::uint64_t timed_at_ = 0;
  Expected<void> trouble_;
  Report report_;
};

Expected<Report> Setups::run() {
  CpuClock clock(options_.server_pid);
  run_until(now_ns() + static_cast<std::uint64_t>(options_.warm_up * 1e9), Beginning::kYes);
  measuring_ = true;
  clock.start();
  const std::uint64_t began = now_ns();
  const std::uint64_t end = began + static_cast<std::uint64_t>(options_.seconds * 1e9);
  for (std::uint64_t now = began; now < end && trouble_ && !interrupted(); now = now_ns()) {
    const std::uint64_t before = report_.done;
    run_until(std::min(end, now + kProgressInterval), Beginning::kYes);
    print_progress(options_, options_.warm_up + static_cast<double>(now_ns() - began) * 1e-9,
                   static_cast<double>(report_.done - before), "set-ups");
  }
  clock.stop();
  measuring_ = false;
  run_until(now_ns() + kDrain, Beginning::kNo);
  for (const Slot& slot : slots_) report_.failed += slot.session != nullptr;
  report_.take(clock);
  if (!trouble_) return unexpected(trouble_.error());
  return report_;
}

void Setups::run_until(std::uint64_t end, Beginning beginning) {
  std::array<epoll_event, 256> events;
  for (std::uint64_t now = now_ns(); now < end; now = now_ns()) {
    if (!trouble_ || interrupted()) return;
    if (beginning == Beginning::kYes) {
      for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].session == nullptr) begin(i);
      }
    } else if (!any_under_way()) {
      return;
    }
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 5);
    now = now_ns();
    for (int i = 0; i < count; ++i) {
      Slot& slot = slots_[events[static_cast<std::size_t>(i)].data.u64];
      if (slot.session == nullptr) continue;
      slot.session->on_ready(tick_of(now), inbox_, *this);
      advance(slot);
    }
    if (now - timed_at_ < kTimeInterval) continue;
    timed_at_ = now;
    for (Slot& slot : slots_) {
      if (slot.session == nullptr) continue;
      slot.session->on_time(tick_of(now));
      advance(slot);
    }
  }
}

void Setups::begin(std::uint32_t index) {
  auto link = Link::open({.transport = options_.transport,
                          .from = {later_ip(options_.client_ip, begun_ % options_.client_ips), 0},
                          .server = options_.server,
                          .trains = Trains::kNo,
                          .context = context_.get()});
  if (!link) {
    trouble_ = unexpected(link.error());
    return;
  }
  Slot& slot = slots_[index];
  slot.began = now_ns();
  slot.session = std::make_unique<Session>(begun_++, options_, std::move(*link), random_);
  // Edge-triggered: a stream is told once that it is connected, and its requests are small.
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = index}};
  if (!slot.session->link().opens()) event.events = EPOLLIN;
  CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, slot.session->link().fd(), &event) == 0);
  slot.session->start(tick_of(slot.began));
}

void Setups::advance(Slot& slot) {
  Session& session = *slot.session;
  const Tick now = tick_of(now_ns());
  if (session.state() == Session::State::kAllocated) {
    // Two peers, so that the answers to both requests are seen.
    session.reach(now, {options_.peer_ip, kPermissionPort}, turn::Client::Binding::kPermission);
    session.reach(now, {options_.peer_ip, kChannelPort}, turn::Client::Binding::kChannel);
  } else if (session.state() == Session::State::kReady) {
    session.release(now);
  }
  if (session.is_settled()) finish(slot);
}

void Setups::finish(Slot& slot) {
  if (slot.session->state() == Session::State::kFailed) {
    ++report_.failed;
  } else if (measuring_) {
    ++report_.done;
    report_.latency.record(now_ns() - slot.began);
  }
  slot.session.reset();
}

bool Setups::any_under_way() const {
  for (const Slot& slot : slots_) {
    if (slot.session != nullptr) return true;
  }
  return false;
}

}  // namespace

Expected<Report> run_setup(const Options& options) { return Setups(options).run(); }

}  // namespace turnpike::load
