#include "tools/load/turn_load_report.h"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/load/turn_load_sockets.h"

namespace turnpike::load {
namespace {

constexpr int kExitTrouble = 1, kExitNothing = 3;

const char* unit_of(Mode mode) {
  switch (mode) {
    case Mode::kBinding:
      return "answers";
    case Mode::kSetup:
      return "set-ups";
    default:
      return "packets";
  }
}

double microseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-3; }

template <typename T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

nlohmann::json latency_json(const Histogram& latency) {
  return {{"mean", microseconds(latency.mean())},
          {"p50", microseconds(latency.percentile(0.5))},
          {"p90", microseconds(latency.percentile(0.9))},
          {"p99", microseconds(latency.percentile(0.99))},
          {"p99.9", microseconds(latency.percentile(0.999))},
          {"max", microseconds(latency.max())}};
}

void print_json(const Options& options, const Report& report) {
  const nlohmann::json json = {
      {"mode", name_of(options.mode)},
      {"transport", name_of(options.transport)},
      {"server", options.server.to_string()},
      {"allocations", options.allocations},
      {"idle_beside", options.idle_beside},
      {"size", options.size},
      {"burst", options.burst},
      {"trains", options.trains},
      {"framing", options.framing == Framing::kChannel ? "channel" : "indication"},
      {"pace", options.pace},
      {"short_cut", options.short_cut},
      {"seconds", report.elapsed},
      {"sent", {{"up", report.sent[0]}, {"down", report.sent[1]}}},
      {"delivered", {{"up", report.delivered[0]}, {"down", report.delivered[1]}}},
      {"measured", report.done},
      {"per_second", report.rate()},
      {"loss", report.loss()},
      {"corrupt", report.corrupt},
      {"duplicated", report.duplicated},
      {"misrouted", report.misrouted},
      {"too_old_to_judge", report.too_old},
      {"refused_by_kernel", report.refused_by_kernel},
      {"failed", report.failed},
      {"latency_us", latency_json(report.latency)},
      {"server_cpu_seconds", or_null(report.server_cpu)},
      {"server_cpu_us_each", or_null(report.cpu_per_unit())},
      {"generator_cpu_seconds", report.own_cpu},
      {"held", report.held},
      {"server_memory_before", or_null(report.memory_before)},
      {"server_memory_after", or_null(report.memory_after)},
      {"server_memory_per_allocation", or_null(report.memory_per_allocation())}};
  std::printf("%s\n", json.dump(2).c_str());
}

void print_packets(const Options& options, const Report& report) {
  const char* unit = unit_of(options.mode);
  std::printf("  %-22s %.0f a second (%llu in %.2f s)\n", unit, report.rate(),
              static_cast<unsigned long long>(report.done), report.elapsed);
  if (options.mode == Mode::kRelay) {
    std::printf("  %-22s %llu of %llu up, %llu of %llu down; lost %.3f %%\n", "delivered",
                static_cast<unsigned long long>(report.delivered[0]),
                static_cast<unsigned long long>(report.sent[0]),
                static_cast<unsigned long long>(report.delivered[1]),
                static_cast<unsigned long long>(report.sent[1]), report.loss() * 100);
  }
  std::printf("  %-22s %llu corrupt, %llu duplicated, %llu misrouted, %llu failed\n", "wrong",
              static_cast<unsigned long long>(report.corrupt),
              static_cast<unsigned long long>(report.duplicated),
              static_cast<unsigned long long>(report.misrouted),
              static_cast<unsigned long long>(report.failed));
  const Histogram& latency = report.latency;
  std::printf("  %-22s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f us\n",
              options.mode == Mode::kRelay ? "one-way latency" : "latency",
              microseconds(latency.percentile(0.5)), microseconds(latency.percentile(0.9)),
              microseconds(latency.percentile(0.99)), microseconds(latency.percentile(0.999)),
              microseconds(latency.max()));
}

void print_table(const Options& options, const Report& report) {
  std::printf("%s over %s, %u %s\n", std::string(name_of(options.mode)).c_str(),
              std::string(name_of(options.transport)).c_str(), options.allocations,
              options.mode == Mode::kBinding ? "sockets" : "allocations");
  if (options.mode != Mode::kIdle) print_packets(options, report);
  if (const auto each = report.cpu_per_unit()) {
    std::printf("  %-22s %.3f us each (%.2f of a CPU)\n", "server CPU", *each,
                *report.server_cpu / report.elapsed);
  }
  std::printf("  %-22s %.2f of a CPU\n", "generator CPU",
              report.elapsed > 0 ? report.own_cpu / report.elapsed : 0);
  if (const auto each = report.memory_per_allocation()) {
    std::printf("  %-22s %.2f kB for each of %u allocations (%.1f MB, %.1f MB before)\n",
                "server memory", *each / 1e3, report.held,
                static_cast<double>(*report.memory_after) / 1e6,
                static_cast<double>(*report.memory_before) / 1e6);
  }
}

}  // namespace

void CpuClock::start() {
  if (server_ != 0) server_at_start_ = cpu_time_of(server_);
  own_at_start_ = own_cpu_time();
  began_ = now_ns();
}

void CpuClock::stop() {
  elapsed_ = now_ns() - began_;
  own_ = own_cpu_time() - own_at_start_;
  if (!server_at_start_) return;
  const auto now = cpu_time_of(server_);
  if (now && *now >= *server_at_start_) server_ns_ = *now - *server_at_start_;
}

std::optional<double> CpuClock::server_seconds() const {
  if (!server_ns_) return std::nullopt;
  return static_cast<double>(*server_ns_) * 1e-9;
}

void Report::take(const CpuClock& clock) {
  elapsed = clock.elapsed();
  server_cpu = clock.server_seconds();
  own_cpu = clock.own_seconds();
}

std::optional<double> Report::cpu_per_unit() const {
  if (!server_cpu || done == 0) return std::nullopt;
  return *server_cpu * 1e6 / static_cast<double>(done);
}

std::optional<double> Report::memory_per_allocation() const {
  if (!memory_before || !memory_after || held == 0) return std::nullopt;
  return (static_cast<double>(*memory_after) - static_cast<double>(*memory_before)) / held;
}

double Report::loss() const {
  const std::uint64_t all = sent[0] + sent[1], arrived = delivered[0] + delivered[1];
  return all == 0 || arrived >= all ? 0
                                    : static_cast<double>(all - arrived) / static_cast<double>(all);
}

int Report::exit_code() const {
  if (corrupt + duplicated + misrouted + failed > 0) return kExitTrouble;
  return done == 0 && held == 0 ? kExitNothing : 0;
}

void print_report(const Options& options, const Report& report) {
  if (::isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\x1b[K");
  if (options.json) {
    print_json(options, report);
  } else {
    print_table(options, report);
  }
}

void print_progress(const Options& options, double at, double rate, const char* unit) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  std::fprintf(stderr, "%s%5.1f of %.1f s  %.0f %s a second%s", terminal ? "\r\x1b[K" : "", at,
               options.seconds + options.warm_up, rate, unit, terminal ? "" : "\n");
}

int print_failure(const std::string& what) {
  std::fprintf(stderr, "turnpike-load: %s\n", what.c_str());
  return kExitNothing;
}

}  // namespace turnpike::load
