#include "tools/load/signal_load_runs.h"

#include <algorithm>
#include <array>
#include <vector>

#include "tools/load/progress_line.h"
#include "tools/load/signal_load_message.h"

namespace turnpike::signal_load {

namespace {

constexpr Nanoseconds kPatience = 10 * kSecond;  // without any progress while opening
constexpr Nanoseconds kDrain = 2 * kSecond;      // without any progress after the last message
constexpr Nanoseconds kTick = 200'000;           // of the sending schedule

Nanoseconds from_seconds(double seconds) {
  return static_cast<Nanoseconds>(seconds * static_cast<double>(kSecond));
}
double to_seconds(Nanoseconds time) {
  return static_cast<double>(time) / static_cast<double>(kSecond);
}

// What is the same in all runs: a crowd that opens, and a server that is watched.
class Run : public Crowd::Listener {
 public:
  Run(const Options& options, bool enters)
      : options_(options),
        crowd_(options.target, *options.dialect, {options.clients, options.at_once, enters},
               *this) {
    findings_.watched = options.pid != 0;
    findings_.memory_before = memory();
  }

  void on_ready(std::uint32_t, Nanoseconds) override {}
  void on_data(std::uint32_t, std::string_view, Nanoseconds) override {}

 protected:
  void open_all() {
    Nanoseconds progress = monotonic_now();
    std::uint32_t before = 0;
    while (crowd_.opening()) {
      const Nanoseconds now = monotonic_now();
      crowd_.serve(now + kSecond / 10);
      crowd_.heartbeat(now);
      line_.show(now, "connecting: %u of %u, %u lost", crowd_.ready(), options_.clients,
                 crowd_.lost());
      if (crowd_.ready() + crowd_.lost() != before) progress = now;
      before = crowd_.ready() + crowd_.lost();
      if (now - progress > kPatience) break;
    }
  }
  void wait(Nanoseconds until) {
    for (Nanoseconds now = monotonic_now(); now < until; now = monotonic_now()) {
      crowd_.serve(until);
      crowd_.heartbeat(now);
      line_.show(now, "waiting: %.0f s", to_seconds(until - now));
    }
  }
  std::uint64_t memory() const {
    return findings_.watched ? load::resident_memory_of(options_.pid).value_or(0) : 0;
  }
  std::uint64_t cpu() const {
    return findings_.watched ? load::cpu_time_of(options_.pid).value_or(0) : 0;
  }
  Findings finish() {
    findings_.ready = crowd_.ready();
    findings_.lost_clients = options_.clients - crowd_.ready();
    findings_.first_loss = crowd_.first_loss();
    if (findings_.first_loss.empty() && findings_.lost_clients > 0) {
      findings_.first_loss = "the server did not answer";
    }
    findings_.memory_after = memory();
    return findings_;
  }

  const Options& options_;
  Findings findings_;
  load::ProgressLine line_;
  Crowd crowd_;
};

class RelayRun final : public Run {
 public:
  explicit RelayRun(const Options& options)
      : Run(options, true),
        format_(options.payload),
        numbers_(options.clients),
        orders_(options.clients),
        fan_out_(options.dialect->echoes() ? 2 : 1) {}

  Findings run() {
    open_all();
    if (crowd_.ready() < options_.clients) return finish();
    start_ = monotonic_now();
    send_for(from_seconds(options_.warm_up));
    measuring_from_ = start_ + tick_ * kTick;
    const std::uint64_t cpu_before = cpu();
    const std::uint64_t delivered_before = findings_.delivered;
    send_for(from_seconds(options_.warm_up + options_.seconds));
    drain();
    findings_.cpu_seconds = to_seconds(cpu() - cpu_before);
    findings_.measured_deliveries = findings_.delivered - delivered_before;
    findings_.measured_seconds = to_seconds(last_delivery_ - measuring_from_);
    findings_.expected = findings_.sent * fan_out_;
    return finish();
  }

 private:
  // The schedule goes on in ticks, whatever the server does: what is late is sent at once and
  // stamped with the time at which it was due.
  void send_for(Nanoseconds since_start) {
    for (; tick_ * kTick < since_start; ++tick_) {
      const Nanoseconds due = start_ + tick_ * kTick;
      do crowd_.serve(due);
      while (monotonic_now() < due);
      const auto owed = static_cast<std::uint64_t>(options_.rate * to_seconds((tick_ + 1) * kTick));
      while (findings_.sent < owed) send_one(due);
      if (tick_ % 64 == 0) {
        crowd_.heartbeat(due);
        line_.show(due, "relaying: %.0f of %.0f s, %llu sent, %llu delivered",
                   to_seconds(due - start_), options_.warm_up + options_.seconds,
                   static_cast<unsigned long long>(findings_.sent),
                   static_cast<unsigned long long>(findings_.delivered));
      }
    }
  }
  void send_one(Nanoseconds due) {
    const auto client = static_cast<std::uint32_t>(findings_.sent % options_.clients);
    const Seat& seat = crowd_.seat(client);
    data_.clear();
    format_.append(data_, {seat.pair, seat.side, numbers_[client]++, due});
    text_.clear();
    options_.dialect->wrap(crowd_.room(client), data_, text_);
    crowd_.send(client, text_);
    ++findings_.sent;
  }
  void drain() {
    const std::uint64_t all = findings_.sent * fan_out_;
    if (last_delivery_ == 0) last_delivery_ = monotonic_now();
    const Nanoseconds sent_at = monotonic_now();
    while (findings_.delivered < all) {
      const Nanoseconds now = monotonic_now();
      if (now > std::max(sent_at, last_delivery_) + kDrain) return;
      crowd_.serve(now + kSecond / 10);
    }
  }
  void on_data(std::uint32_t client, std::string_view data, Nanoseconds now) override {
    const auto head = format_.read(data);
    const Seat& seat = crowd_.seat(client);
    const bool from_peer = head && head->side != seat.side;
    if (!head || head->pair != seat.pair || (!from_peer && fan_out_ == 1)) {
      ++findings_.damaged;
      return;
    }
    if (!orders_[client][head->side].accept(head->number)) {
      ++findings_.disordered;
      return;
    }
    ++findings_.delivered;
    last_delivery_ = now;
    if (measuring_from_ != 0 && head->due >= measuring_from_) {
      findings_.latency.record(now > head->due ? now - head->due : 0);
    }
  }

  const MessageFormat format_;
  std::vector<std::uint32_t> numbers_;             // the next one of each client
  std::vector<std::array<OrderCheck, 2>> orders_;  // of each client: by the sender's side
  const std::uint64_t fan_out_;
  Nanoseconds start_ = 0;
  Nanoseconds measuring_from_ = 0;
  Nanoseconds last_delivery_ = 0;
  std::uint64_t tick_ = 0;
  std::string data_;
  std::string text_;
};

class IdleRun final : public Run {
 public:
  explicit IdleRun(const Options& options) : Run(options, false) {}
  Findings run() {
    open_all();
    const Nanoseconds start = monotonic_now();
    const std::uint64_t cpu_before = cpu();
    wait(start + from_seconds(options_.seconds));
    findings_.cpu_seconds = to_seconds(cpu() - cpu_before);
    findings_.measured_seconds = to_seconds(monotonic_now() - start);
    return finish();
  }
};

class JoinRun final : public Run {
 public:
  explicit JoinRun(const Options& options) : Run(options, true) {}
  Findings run() {
    const Nanoseconds start = monotonic_now();
    const std::uint64_t cpu_before = cpu();
    open_all();
    findings_.measured_seconds = to_seconds(monotonic_now() - start);
    findings_.cpu_seconds = to_seconds(cpu() - cpu_before);
    return finish();
  }
  void on_ready(std::uint32_t, Nanoseconds took) override { findings_.latency.record(took); }
};

}  // namespace

Findings run_relay(const Options& options) { return RelayRun(options).run(); }
Findings run_idle(const Options& options) { return IdleRun(options).run(); }
Findings run_join(const Options& options) { return JoinRun(options).run(); }

}  // namespace turnpike::signal_load
