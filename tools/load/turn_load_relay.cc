// The relay and the idle mode: both hold a fleet of allocations, one of them with traffic.

#include <cstdio>

#include "net/descriptor.h"
#include "tools/load/turn_load_fleet.h"
#include "tools/load/turn_load_modes.h"
#include "tools/load/turn_load_traffic.h"

namespace turnpike::load {
namespace {

constexpr std::uint64_t kDrain = 300'000'000;  // what is still under way arrives or is lost
constexpr std::uint64_t kProgressInterval = 1'000'000'000;
constexpr int kPeerBuffer = 4 << 20;
constexpr std::uint16_t kIdlePeerPort = 9;  // discard: nothing is ever sent there

std::uint64_t nanoseconds(double seconds) { return static_cast<std::uint64_t>(seconds * 1e9); }

void run_part(const Options& options, Traffic& traffic, std::uint64_t began, double seconds) {
  const std::uint64_t end = now_ns() + nanoseconds(seconds);
  std::uint64_t before = traffic.delivered();
  for (std::uint64_t now = now_ns(); now < end && !interrupted(); now = now_ns()) {
    const std::uint64_t stop = std::min(end, now + kProgressInterval);
    traffic.run_until(stop, Traffic::Sending::kYes);
    const std::uint64_t delivered = traffic.delivered();
    const double part = static_cast<double>(now_ns() - now) * 1e-9;
    print_progress(options, static_cast<double>(now_ns() - began) * 1e-9,
                   static_cast<double>(delivered - before) / part, "packets");
    before = delivered;
  }
}

Report run_traffic(const Options& options, Traffic& traffic) {
  const std::uint64_t began = now_ns();
  CpuClock clock(options.server_pid);
  run_part(options, traffic, began, options.warm_up);
  traffic.begin_measuring();
  clock.start();
  run_part(options, traffic, began, options.seconds);
  clock.stop();
  traffic.end_measuring();
  traffic.run_until(now_ns() + kDrain, Traffic::Sending::kNo);
  traffic.report().take(clock);
  return traffic.report();
}

}  // namespace

Expected<Report> run_relay(const Options& options) {
  // With the short-cut each allocation that is asked for is one end of a pair.
  const unsigned active =
      options.short_cut ? options.allocations + options.allocations % 2 : options.allocations;
  const auto opened = options.short_cut
                          ? Expected<int>(-1)
                          : open_udp({.from = {options.peer_ip, 0},
                                      .receive_buffer = kPeerBuffer,
                                      .trains = options.trains ? Trains::kYes : Trains::kNo});
  if (!opened) return unexpected(opened.error());
  const net::Descriptor peer_socket(*opened);
  const Address peer = options.short_cut ? Address{} : net::local_address_of(*opened);

  Fleet fleet(options);
  const auto allocated = fleet.allocate(active + options.idle_beside);
  if (!allocated) return unexpected(allocated.error());
  const auto peer_of = [&](std::uint32_t index) {
    if (index >= active) return Address{options.peer_ip, kIdlePeerPort};
    return options.short_cut ? fleet.session(index ^ 1u).relayed() : peer;
  };
  const auto reached = fleet.reach(peer_of, options.framing == Framing::kChannel
                                                ? turn::Client::Binding::kChannel
                                                : turn::Client::Binding::kPermission);
  if (!reached) return unexpected(reached.error());

  Traffic traffic(options, fleet, active, peer_socket.get(), peer);
  Report report = run_traffic(options, traffic);
  report.held = options.idle_beside;
  report.failed = fleet.failed();
  fleet.release();
  return report;
}

Expected<Report> run_idle(const Options& options) {
  class Nobody final : public Receiver {
   public:
    void on_payload(std::uint32_t, const Address*, ByteView) override {}
  } nobody;
  Report report;
  report.memory_before = resident_memory_of(options.server_pid);
  Fleet fleet(options);
  const auto allocated = fleet.allocate(options.allocations);
  if (!allocated) return unexpected(allocated.error());
  // A channel installs the permission as well (RFC 8656 section 12.2).
  const auto reached = fleet.reach(
      [&](std::uint32_t) {
        return Address{options.peer_ip, kIdlePeerPort};
      },
      turn::Client::Binding::kChannel);
  if (!reached) return unexpected(reached.error());
  std::fprintf(stderr, "holding %u allocations\n", options.allocations);
  CpuClock clock(options.server_pid);
  clock.start();
  const std::uint64_t end = now_ns() + nanoseconds(options.seconds);
  while (now_ns() < end && !interrupted()) fleet.turn(100, nobody);
  clock.stop();
  report.take(clock);
  report.memory_after = resident_memory_of(options.server_pid);
  report.held = options.allocations;
  report.failed = fleet.failed();
  fleet.release();
  return report;
}

}  // namespace turnpike::load
