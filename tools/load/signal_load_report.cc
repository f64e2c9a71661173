#include "tools/load/signal_load_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace turnpike::signal_load {

namespace {

constexpr std::array<const char*, 3> kModes{"relay", "idle", "join"};

double ratio(double count, double of) { return of > 0 ? count / of : 0; }
double microseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }
double kibibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1024; }

double memory_of_one(const Findings& found) {
  return ratio(kibibytes(found.memory_after) - kibibytes(found.memory_before), found.ready);
}

class Table {
 public:
  template <typename... Args>
  void row(const char* label, fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format("{:<24}", label) + fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void latency_rows(Table& table, const char* what, const load::Histogram& latency) {
  table.row(what, "p50 {:.0f}  p99 {:.0f}  p99.9 {:.0f}  max {:.0f} us",
            microseconds(latency.percentile(0.5)), microseconds(latency.percentile(0.99)),
            microseconds(latency.percentile(0.999)), microseconds(latency.max()));
}

}  // namespace

std::string table_of(const Options& options, const Findings& found) {
  Table table;
  table.row("run", "{}, {} at {}", kModes[static_cast<std::size_t>(options.mode)],
            options.dialect->name(), options.url);
  table.row("clients", "{} ready, {} lost", found.ready, found.lost_clients);
  if (!found.first_loss.empty()) table.row("the first was lost", "{}", found.first_loss);
  if (options.mode == Mode::kRelay) {
    table.row("offered", "{:.0f} messages/s of {} bytes", options.rate, options.payload);
    table.row("delivered", "{:.0f} messages/s, {} of {}",
              ratio(static_cast<double>(found.measured_deliveries), found.measured_seconds),
              found.delivered, found.expected);
    table.row("missing", "{} ({} damaged, {} out of order)", found.missing(), found.damaged,
              found.disordered);
    latency_rows(table, "latency", found.latency);
  }
  if (options.mode == Mode::kJoin) {
    table.row("joined", "{:.0f} clients/s", ratio(found.ready, found.measured_seconds));
    latency_rows(table, "from connect to room", found.latency);
  }
  if (!found.watched) return table.take();
  table.row("server's CPU", "{:.3f} s in {:.1f} s", found.cpu_seconds, found.measured_seconds);
  if (options.mode == Mode::kRelay) {
    table.row("per CPU second", "{:.0f} messages",
              ratio(static_cast<double>(found.measured_deliveries), found.cpu_seconds));
  }
  if (options.mode == Mode::kJoin) {
    table.row("per CPU second", "{:.0f} joins", ratio(found.ready, found.cpu_seconds));
  }
  table.row("server's memory", "{:.0f} KiB before, {:.0f} KiB after",
            kibibytes(found.memory_before), kibibytes(found.memory_after));
  if (options.mode != Mode::kRelay) {
    table.row("memory per client", "{:.2f} KiB", memory_of_one(found));
  }
  return table.take();
}

std::string json_of(const Options& options, const Findings& found) {
  nlohmann::ordered_json out{
      {"mode", kModes[static_cast<std::size_t>(options.mode)]},
      {"dialect", options.dialect->name()},
      {"clients", options.clients},
      {"ready", found.ready},
      {"lost_clients", found.lost_clients},
      {"first_loss", found.first_loss},
      {"seconds", found.measured_seconds},
  };
  if (options.mode == Mode::kRelay) {
    out["offered_per_second"] = options.rate;
    out["payload"] = options.payload;
    out["sent"] = found.sent;
    out["delivered"] = found.delivered;
    out["delivered_per_second"] =
        ratio(static_cast<double>(found.measured_deliveries), found.measured_seconds);
    out["missing"] = found.missing();
    out["damaged"] = found.damaged;
    out["disordered"] = found.disordered;
  }
  if (options.mode != Mode::kIdle) {
    out["latency_us"] = {{"p50", microseconds(found.latency.percentile(0.5))},
                         {"p99", microseconds(found.latency.percentile(0.99))},
                         {"p99.9", microseconds(found.latency.percentile(0.999))},
                         {"max", microseconds(found.latency.max())}};
  }
  if (options.mode == Mode::kJoin) {
    out["joins_per_second"] = ratio(found.ready, found.measured_seconds);
  }
  if (found.watched) {
    const double work =
        options.mode == Mode::kRelay ? static_cast<double>(found.measured_deliveries) : found.ready;
    out["server"] = {{"cpu_seconds", found.cpu_seconds},
                     {"per_cpu_second", ratio(work, found.cpu_seconds)},
                     {"memory_before_kib", kibibytes(found.memory_before)},
                     {"memory_after_kib", kibibytes(found.memory_after)},
                     {"memory_per_client_kib", memory_of_one(found)}};
  }
  return out.dump(2) + "\n";
}

}  // namespace turnpike::signal_load
