#include "server/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <system_error>

#include "server/options.h"
#include "server/prometheus_text.h"
#include "server/worker_sums.h"

namespace turnpike::server {
namespace {

using turn::AllocationCounters;
using turn::MessageCounters;
using Kind = PrometheusText::Kind;

constexpr std::array<std::string_view, 4> kTransportNames = {"udp", "tcp", "tls", "dtls"};
constexpr std::array<std::string_view, 7> kMethodNames = {
    "binding",           "allocate", "refresh",        "channel_bind",
    "create_permission", "connect",  "connection_bind"};
constexpr std::array<std::string_view, AllocationCounters::kFamilies> kFamilyNames = {"4", "6",
                                                                                      "both"};
static_assert(kTransportNames.size() == MessageCounters::kTransports.size());
static_assert(kMethodNames.size() == MessageCounters::kMethods.size());

void tell_process(PrometheusText& text) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  text.family("process_cpu_seconds_total", Kind::kCounter, "User and system time, in seconds.");
  text.sample({}, in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime));

  unsigned long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%*u %lu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  text.gauge("process_resident_memory_bytes", "Resident memory, in bytes.",
             std::uint64_t{pages} * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));

  std::uint64_t open = 0;
  std::error_code failed;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", failed);
       !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    ++open;
  }
  text.gauge("process_open_fds", "Open descriptors.", open);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  text.gauge("process_max_fds", "Descriptors that may be open at once.",
             std::uint64_t{limit.rlim_cur});
}

// Of two that have the same first name, the one that ends first: a series may stand there once.
void tell_certificates(PrometheusText& text, const net::TlsContext& tls) {
  std::map<std::string_view, WallTime> ends;
  for (const auto& one : tls.certificates()) {
    const std::string_view name = one.names.empty() ? std::string_view() : one.names.front();
    const auto [end, is_first] = ends.emplace(name, one.expires);
    if (!is_first) end->second = std::min(end->second, one.expires);
  }
  text.family("turnpike_tls_certificate_expiry_timestamp_seconds", Kind::kGauge,
              "When the certificate ends, in seconds since 1970, by its first name.");
  for (const auto& [name, end] : ends) {
    text.sample({{"name", name}}, static_cast<std::uint64_t>(end.since_epoch.count()));
  }
}

void tell_server(PrometheusText& text, const MetricsSources& sources) {
  text.family("turnpike_build_info", Kind::kGauge, "The version that runs.");
  text.sample({{"version", version()}}, std::uint64_t{1});
  text.gauge("turnpike_start_time_seconds", "When the server started, in seconds since 1970.",
             static_cast<std::uint64_t>(sources.started.since_epoch.count()));
  text.gauge("turnpike_ready", "1 when /readyz answers 200.", std::uint64_t{sources.ready});
  text.gauge("turnpike_draining", "1 while nobody new is let in.", std::uint64_t{sources.draining});
  if (sources.tls != nullptr) {
    tell_certificates(text, *sources.tls);
  }
  text.gauge("turnpike_workers", "Threads that relay.", std::uint64_t{sources.workers.size()});
}

void tell_messages(PrometheusText& text, const Workers& workers) {
  text.family("turnpike_stun_requests_total", Kind::kCounter,
              "Requests of a method that this server serves.");
  for (std::size_t transport = 0; transport < kTransportNames.size(); ++transport) {
    for (std::size_t method = 0; method < kMethodNames.size(); ++method) {
      const std::uint64_t count = sum(workers, [&](const Worker& worker) {
        return worker.relay_statistics().messages.requests(transport, method);
      });
      text.sample({{"transport", kTransportNames[transport]}, {"method", kMethodNames[method]}},
                  count);
    }
  }
  text.family("turnpike_stun_responses_total", Kind::kCounter,
              "Answers, by what they said: \"success\" or the code of the error.");
  for (std::size_t method = 0; method < kMethodNames.size(); ++method) {
    for (std::size_t code = 0; code < MessageCounters::kCodes.size(); ++code) {
      const std::uint64_t count = sum(workers, [&](const Worker& worker) {
        return worker.relay_statistics().messages.answers(method, code);
      });
      // Successes always, so that there is something to divide by; of errors those that happen.
      if (code != 0 && count == 0) continue;
      const std::string name = std::to_string(MessageCounters::kCodes[code]);
      text.sample({{"method", kMethodNames[method]}, {"code", code == 0 ? "success" : name}},
                  count);
    }
  }
  text.family("turnpike_stun_dropped_total", Kind::kCounter,
              "Packets of clients that were not answered.");
  text.sample({{"reason", "malformed"}}, relayed(workers, &turn::Statistics::dropped_malformed));
  text.sample({{"reason", "ratelimit"}}, relayed(workers, &turn::Statistics::replies_throttled));
}

using KindCount = std::uint64_t (AllocationCounters::*)(std::size_t) const;

void tell_kinds(PrometheusText& text, const Workers& workers, KindCount count) {
  for (std::size_t transport = 0; transport < kTransportNames.size(); ++transport) {
    for (std::size_t family = 0; family < kFamilyNames.size(); ++family) {
      const std::size_t kind = transport * AllocationCounters::kFamilies + family;
      const std::uint64_t total = sum(workers, [&](const Worker& worker) {
        return (worker.relay_statistics().by_kind.*count)(kind);
      });
      text.sample({{"transport", kTransportNames[transport]}, {"family", kFamilyNames[family]}},
                  total);
    }
  }
}

void tell_auth_failures(PrometheusText& text, const Workers& workers) {
  text.family("turnpike_auth_failures_total", Kind::kCounter,
              "Requests whose credentials were refused. A stale nonce is no attack: clients go on "
              "with the new one.");
  const auto failures = auth_failures(workers);
  for (std::size_t i = 0; i < failures.size(); ++i) {
    text.sample({{"reason", kAuthFailureReasons[i]}}, failures[i]);
  }
}

void tell_durations(PrometheusText& text, const Workers& workers) {
  using turn::DurationHistogram;
  std::array<std::string, DurationHistogram::kBuckets> bounds;
  std::array<PrometheusText::Bucket, DurationHistogram::kBuckets> buckets;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const bool last = i == DurationHistogram::kBounds.size();
    bounds[i] = last ? "+Inf" : std::to_string(DurationHistogram::kBounds[i]);
    buckets[i] = {bounds[i], sum(workers, [i](const Worker& worker) {
                    return worker.relay_statistics().durations.bucket(i);
                  })};
  }
  const std::uint64_t lived = sum(workers, [](const Worker& worker) {
    return worker.relay_statistics().durations.sum_in_milliseconds();
  });
  text.histogram("turnpike_turn_allocation_duration_seconds",
                 "How long allocations lived that have ended.", buckets,
                 static_cast<double>(lived) / 1e3);
}

void tell_allocations(PrometheusText& text, const MetricsSources& sources) {
  const Workers& workers = sources.workers;
  text.family("turnpike_turn_allocations", Kind::kGauge,
              "Live allocations, by how the client came and the families it was given.");
  tell_kinds(text, workers, &AllocationCounters::live);
  text.family("turnpike_turn_allocations_created_total", Kind::kCounter, "Allocations made.");
  tell_kinds(text, workers, &AllocationCounters::begun);
  text.family("turnpike_turn_worker_allocations", Kind::kGauge, "Live allocations of each worker.");
  for (std::size_t i = 0; i < workers.size(); ++i) {
    text.sample({{"worker", std::to_string(i)}}, workers[i]->relay_statistics().allocations.read());
  }
  text.gauge("turnpike_turn_data_connections", "Live TCP connections to peers (RFC 6062).",
             relayed(workers, &turn::Statistics::data_connections));

  text.gauge("turnpike_turn_quota_charged",
             "Allocations, and ports reserved for one, that count for the quotas.",
             std::uint64_t{sources.charged});

  std::uint64_t used = 0;
  for (const IpAddress& ip : sources.plan.relay_ips) used += sources.relays.live_on(ip);
  const Config& config = sources.plan.config;
  text.gauge("turnpike_turn_relay_ports_used", "Relayed transport addresses that are open.", used);
  text.gauge("turnpike_turn_relay_ports", "Relayed transport addresses that can be open at once.",
             std::uint64_t{sources.plan.relay_ips.size()} *
                 (config.max_port - config.min_port + std::uint64_t{1}));
}

void tell_relaying(PrometheusText& text, const Workers& workers) {
  using turn::Statistics;
  const auto tell = [&](std::uint64_t to_peers, std::uint64_t to_clients) {
    text.sample({{"side", "client"}, {"direction", "in"}}, to_peers);
    text.sample({{"side", "client"}, {"direction", "out"}}, to_clients);
    text.sample({{"side", "peer"}, {"direction", "in"}}, to_clients);
    text.sample({{"side", "peer"}, {"direction", "out"}}, to_peers);
  };
  text.family("turnpike_turn_relay_packets_total", Kind::kCounter,
              "Packets relayed. Each is counted where it came in and where it went out.");
  tell(relayed(workers, &Statistics::client_packets_relayed),
       relayed(workers, &Statistics::peer_packets_relayed));
  text.family("turnpike_turn_relay_bytes_total", Kind::kCounter,
              "Bytes of their payloads, likewise.");
  tell(relayed(workers, &Statistics::client_bytes_relayed),
       relayed(workers, &Statistics::peer_bytes_relayed));
  text.counter("turnpike_turn_short_cut_packets_total",
               "Packets whose peer is a client of this server, relayed without the network.",
               sum(workers, [](const Worker& worker) {
                 return worker.short_cut_statistics().packets.read();
               }));

  text.family("turnpike_turn_relay_dropped_total", Kind::kCounter,
              "Packets that were not relayed, by the reason.");
  const auto drops = relay_drops(workers);
  for (std::size_t i = 0; i < drops.size(); ++i) {
    text.sample({{"reason", kRelayDropReasons[i]}}, drops[i]);
  }
  text.counter("turnpike_turn_icmp_indications_total",
               "Indications to clients that a packet of theirs was lost.",
               relayed(workers, &Statistics::icmp_indications));
}

void tell_connections(PrometheusText& text, const Workers& workers) {
  using Door = FrontDoorStatistics;
  text.counter("turnpike_connections_accepted_total", "TCP connections accepted.",
               at_door(workers, &Door::accepted));
  text.family("turnpike_connections_total", Kind::kCounter, "What they turned out to speak.");
  text.sample({{"protocol", "turn"}}, at_door(workers, &Door::turn));
  text.sample({{"protocol", "http"}}, at_door(workers, &Door::http));
  text.family("turnpike_connections_closed_total", Kind::kCounter,
              "Connections that the server closed for what they did or did not do.");
  const std::array<std::pair<std::string_view, const Counter Door::*>, 8> reasons = {{
      {"unknown_protocol", &Door::closed_unknown},
      {"garbage", &Door::closed_garbage},
      {"late", &Door::closed_late},
      {"deaf", &Door::closed_deaf},
      {"idle", &Door::closed_idle},
      {"crowded", &Door::closed_crowded},
      {"tls", &Door::closed_tls},
      {"proxy", &Door::closed_proxy},
  }};
  for (const auto& [reason, counter] : reasons) {
    text.sample({{"reason", reason}}, at_door(workers, counter));
  }
  text.family("turnpike_dtls_sessions_total", Kind::kCounter,
              "DTLS sessions, by what came of them.");
  text.sample({{"result", "begun"}}, at_dtls_door(workers, &DtlsDoorStatistics::begun));
  text.sample({{"result", "established"}}, at_dtls_door(workers, &DtlsDoorStatistics::established));
  text.sample({{"result", "late"}}, at_dtls_door(workers, &DtlsDoorStatistics::closed_late));
}

void tell_signaling(PrometheusText& text, const signaling::Service& service) {
  const auto audit = service.audit();
  text.gauge("turnpike_signal_connections", "HTTP and WebSocket connections.",
             std::uint64_t{audit.connections});
  text.gauge("turnpike_signal_rooms", "Rooms of the native protocol.", std::uint64_t{audit.rooms});
  text.gauge("turnpike_signal_peers", "Their members, those away included.",
             std::uint64_t{audit.members});
}

// Without an echo there are no such lines, so that an alert on their absence is possible.
void tell_echo(PrometheusText& text, const EchoEndpoint* echo) {
  if (echo == nullptr) return;
  text.gauge("turnpike_echo_active", "Guests of the echo endpoint.",
             std::uint64_t{echo->guest_count()});
  const EchoEndpoint::Statistics& counts = echo->statistics();
  text.counter("turnpike_echo_guests_total", "Guests that were let in.", counts.guests);
  text.counter("turnpike_echo_timed_out_total", "Guests whose time was over.", counts.timed_out);
  text.family("turnpike_echo_refused_total", Kind::kCounter, "Guests that were not let in.");
  text.sample({{"reason", "full"}}, counts.refused_full);
  text.sample({{"reason", "per_address"}}, counts.refused_per_source);
}

}  // namespace

std::string metrics_text(const MetricsSources& sources) {
  PrometheusText text;
  tell_server(text, sources);
  tell_process(text);
  tell_messages(text, sources.workers);
  tell_auth_failures(text, sources.workers);
  tell_allocations(text, sources);
  tell_durations(text, sources.workers);
  tell_relaying(text, sources.workers);
  tell_connections(text, sources.workers);
  tell_signaling(text, sources.service);
  tell_echo(text, sources.echo);
  return text.take();
}

std::string coturn_metrics_text(const MetricsSources& sources) {
  using turn::Statistics;
  constexpr std::array<std::string_view, 4> kTypes = {"UDP", "TCP", "TLS", "DTLS"};
  const Workers& workers = sources.workers;
  PrometheusText text;
  constexpr std::size_t kBinding = 0;  // of MessageCounters::kMethods
  text.counter("stun_binding_request", "Binding requests", sum(workers, [&](const Worker& worker) {
                 std::uint64_t all = 0;
                 for (std::size_t i = 0; i < kTypes.size(); ++i) {
                   all += worker.relay_statistics().messages.requests(i, kBinding);
                 }
                 return all;
               }));
  text.counter("stun_binding_response", "Binding answers",
               relayed(workers, &Statistics::binding_responses));
  text.counter("turn_unauthenticated_401_responses", "Challenges",
               relayed(workers, &Statistics::unauthorized_responses));
  text.counter("turn_unauthenticated_401_dropped_responses", "Challenges held back",
               relayed(workers, &Statistics::replies_throttled));
  const std::array<std::pair<std::string_view, const Counter Statistics::*>, 8> traffic = {{
      {"turn_total_traffic_rcvp", &Statistics::client_packets_relayed},
      {"turn_total_traffic_rcvb", &Statistics::client_bytes_relayed},
      {"turn_total_traffic_sentp", &Statistics::peer_packets_relayed},
      {"turn_total_traffic_sentb", &Statistics::peer_bytes_relayed},
      {"turn_total_traffic_peer_rcvp", &Statistics::peer_packets_relayed},
      {"turn_total_traffic_peer_rcvb", &Statistics::peer_bytes_relayed},
      {"turn_total_traffic_peer_sentp", &Statistics::client_packets_relayed},
      {"turn_total_traffic_peer_sentb", &Statistics::client_bytes_relayed},
  }};
  for (const auto& [name, counter] : traffic) {
    text.counter(name, "Relayed, of live and finished allocations", relayed(workers, counter));
  }
  text.family("turn_total_allocations", Kind::kGauge, "Live allocations by the client's transport");
  for (std::size_t transport = 0; transport < kTypes.size(); ++transport) {
    text.sample({{"type", kTypes[transport]}}, sum(workers, [&](const Worker& worker) {
                  std::uint64_t live = 0;
                  for (std::size_t i = 0; i < AllocationCounters::kFamilies; ++i) {
                    live += worker.relay_statistics().by_kind.live(
                        transport * AllocationCounters::kFamilies + i);
                  }
                  return live;
                }));
  }
  return text.take();
}

}  // namespace turnpike::server
