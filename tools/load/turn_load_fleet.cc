#include "tools/load/turn_load_fleet.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>

#include "base/check.h"

namespace turnpike::load {
namespace {

constexpr std::uint64_t kPatience = 30'000'000'000;   // for a phase without progress
constexpr std::uint64_t kTimeInterval = 100'000'000;  // between looks at all sessions' deadlines
constexpr std::uint64_t kReleasePatience = 3'000'000'000;  // the rest ends by its lifetime

volatile std::sig_atomic_t signal_seen = 0;

class Nobody final : public Receiver {
 public:
  void on_payload(std::uint32_t, const Address*, ByteView) override {}
};

}  // namespace

bool interrupted() { return signal_seen != 0; }

void end_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { signal_seen = 1; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

Fleet::Fleet(const Options& options)
    : options_(options),
      context_(options.transport == Transport::kDtls ? make_dtls_context() : make_tls_context()),
      inbox_(options.trains ? Trains::kYes : Trains::kNo),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_ >= 0);
}

Fleet::~Fleet() { ::close(epoll_); }

Expected<void> Fleet::open_one(std::uint32_t index) {
  auto link = Link::open({.transport = options_.transport,
                          .from = {later_ip(options_.client_ip, index % options_.client_ips), 0},
                          .server = options_.server,
                          .trains = options_.trains ? Trains::kYes : Trains::kNo,
                          .context = context_.get()});
  if (!link) return unexpected(link.error());
  sessions_.push_back(std::make_unique<Session>(index, options_, std::move(*link), random_));
  Session& session = *sessions_.back();
  epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
  const bool opens = session.link().opens();
  if (opens) event.events |= EPOLLOUT;
  writing_.push_back(opens);
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, session.link().fd(), &event) != 0) {
    return failure("epoll takes no more sockets");
  }
  return {};
}

Expected<void> Fleet::allocate(unsigned count) {
  sessions_.reserve(count);
  Expected<void> opened;
  const auto result = bring_all(State::kAllocated, "allocated", [&](unsigned index) {
    if (index >= count) return false;
    if (opened) opened = open_one(index);
    if (!opened) return false;
    sessions_[index]->start(tick_of(now_ns()));
    return true;
  });
  return opened ? result : opened;
}

Expected<void> Fleet::reach(const std::function<Address(std::uint32_t)>& peer_of,
                            turn::Client::Binding binding) {
  return bring_all(State::kReady, "ready", [&](unsigned index) {
    if (index >= sessions_.size()) return false;
    sessions_[index]->reach(tick_of(now_ns()), peer_of(index), binding);
    return true;
  });
}

Expected<void> Fleet::bring_all(State goal, const char* what,
                                const std::function<bool(unsigned)>& step) {
  Nobody nobody;
  std::vector<std::uint32_t> under_way;
  unsigned begun = 0;
  bool more = true;
  std::uint64_t progress = now_ns(), told = progress;
  while (more || !under_way.empty()) {
    if (interrupted()) return failure("interrupted");
    while (more && under_way.size() < options_.concurrency) {
      more = step(begun);
      if (more) under_way.push_back(begun++);
    }
    turn(under_way.empty() ? 0 : 20, nobody);
    const std::size_t before = under_way.size();
    std::erase_if(under_way, [&](std::uint32_t index) { return session(index).state() == goal; });
    for (const std::uint32_t index : under_way) {
      if (!session(index).is_settled()) continue;
      return failure("allocation " + std::to_string(index + 1) + " could not be " + what +
                     ": error " + std::to_string(session(index).error_code()));
    }
    const std::uint64_t now = now_ns();
    if (under_way.size() < before) progress = now;
    if (now - progress > kPatience) {
      return failure(std::string("the server does not answer: not all could be ") + what);
    }
    if (now - told > 1'000'000'000) {
      told = now;
      std::fprintf(stderr, "%u %s\n", begun - static_cast<unsigned>(under_way.size()), what);
    }
  }
  return {};
}

void Fleet::release() {
  Nobody nobody;
  const std::uint64_t end = now_ns() + kReleasePatience;
  std::size_t next = 0, pending = 0;
  do {
    pending = 0;
    for (std::size_t i = 0; i < next; ++i) pending += !sessions_[i]->is_settled();
    for (; next < sessions_.size() && pending < options_.concurrency; ++next, ++pending) {
      sessions_[next]->release(tick_of(now_ns()));
    }
    turn(1, nobody);
  } while ((pending > 0 || next < sessions_.size()) && now_ns() < end);
}

void Fleet::watch(int fd, std::function<void()> ready) {
  watched_ = std::move(ready);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWatched}};
  CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
}

void Fleet::turn(int timeout_ms, Receiver& receiver) {
  std::array<epoll_event, kEvents> events;
  const int count = ::epoll_wait(epoll_, events.data(), kEvents, timeout_ms);
  const std::uint64_t now = now_ns();
  for (int i = 0; i < count; ++i) {
    const std::uint64_t index = events[static_cast<std::size_t>(i)].data.u64;
    if (index == kWatched) {
      watched_();
      continue;
    }
    Session& session = *sessions_[index];
    session.on_ready(tick_of(now), inbox_, receiver);
    if (session.link().opens()) note_write_interest(session);
    if (session.link().has_failed()) {
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, session.link().fd(), nullptr);
    }
  }
  if (now - timed_at_ < kTimeInterval) return;
  timed_at_ = now;
  on_time_of_all();
}

void Fleet::want_write(Session& session) { note_write_interest(session); }

void Fleet::note_write_interest(Session& session) {
  const bool wants = session.link().wants_write();
  if (wants == writing_[session.index()]) return;
  writing_[session.index()] = wants;
  epoll_event event{.events = EPOLLIN, .data = {.u64 = session.index()}};
  if (wants) event.events |= EPOLLOUT;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, session.link().fd(), &event);
}

void Fleet::on_time_of_all() {
  const Tick now = tick_of(now_ns());
  for (const auto& session : sessions_) session->on_time(now);
}

unsigned Fleet::failed() const {
  unsigned count = 0;
  for (const auto& session : sessions_) count += session->state() == State::kFailed;
  return count;
}

}  // namespace turnpike::load
