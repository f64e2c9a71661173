#include "server/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace turnpike::server {
namespace {

using Holding = turn::Server::Holding;

// Each relay of an allocation is a socket of the driver's, and each of those is some allocation's.
void match_sockets(const std::vector<Holding>& held, const std::vector<RelaySocket>& sockets,
                   bool tcp, Findings& findings) {
  std::map<std::uint64_t, const RelaySocket*> unclaimed;
  for (const RelaySocket& socket : sockets) unclaimed.emplace(socket.handle.value, &socket);
  for (const Holding& holding : held) {
    if (holding.tcp != tcp) continue;
    for (const turn::Relay& relay : holding.relays) {
      const auto found = unclaimed.find(relay.handle.value);
      if (found == unclaimed.end()) {
        findings.add(
            fmt::format("{} has no socket at {}", holding.label, relay.address.to_string()));
        continue;
      }
      const RelaySocket& socket = *found->second;
      if (socket.local != relay.address || socket.owner != holding.allocation) {
        findings.add(fmt::format("{} is at {}, its socket at {} or another's", holding.label,
                                 relay.address.to_string(), socket.local.to_string()));
      }
      unclaimed.erase(found);
    }
  }
  for (const auto& [handle, socket] : unclaimed) {
    findings.add(fmt::format("the socket at {} is no allocation's", socket->local.to_string()));
  }
}

// Connections, or sessions, without limits are those of allocations and no others.
template <typename Counts>
void match_clients(const std::vector<Holding>& held, std::vector<std::uint64_t> privileged,
                   Counts&& counts, const char* what, Findings& findings) {
  std::set<std::uint64_t> without_limit(privileged.begin(), privileged.end());
  for (const Holding& holding : held) {
    for (const turn::Path& path : holding.paths) {
      if (!counts(path) || without_limit.erase(path.stream) == 1) continue;
      findings.add(
          fmt::format("{} has lost its {} with {}", holding.label, what, path.remote.to_string()));
    }
  }
  if (without_limit.empty()) return;
  findings.add(fmt::format("{} {}s have no limit and no allocation", without_limit.size(), what));
}

std::string in_words(const SharedRelays::Route& route) {
  return fmt::format("{:x} of worker {}", route.owner, route.worker);
}

// The table that packets ask, and the sockets that there are.
void match_live(const SharedRelays::Listing& live, std::span<const WorkerAccount> workers,
                std::vector<RelaySocket> WorkerAccount::*sockets, Findings& findings) {
  std::map<Address, SharedRelays::Route> unclaimed(live.routes.begin(), live.routes.end());
  findings.expect_equal("live relayed addresses", live.counted, live.routes.size());
  for (const WorkerAccount& worker : workers) {
    for (const RelaySocket& socket : worker.*sockets) {
      const SharedRelays::Route expected{worker.worker, socket.owner};
      const auto found = unclaimed.find(socket.local);
      if (found == unclaimed.end()) {
        findings.add(fmt::format("{} of allocation {} is not known to be live",
                                 socket.local.to_string(), in_words(expected)));
        continue;
      }
      if (found->second != expected) {
        findings.add(fmt::format("{} leads to allocation {}, and belongs to {}",
                                 socket.local.to_string(), in_words(found->second),
                                 in_words(expected)));
      }
      unclaimed.erase(found);
    }
  }
  for (const auto& [address, route] : unclaimed) {
    findings.add(fmt::format("{} leads to allocation {}, which has no socket there",
                             address.to_string(), in_words(route)));
  }
}

// A reserved port is nobody's relay, and the worker that gave the token away remembers it.
void match_reservations(const SharedAccount& shared, std::span<const WorkerAccount> workers,
                        Findings& findings) {
  std::set<turn::ReservationToken> promised;
  std::set<Address> bound;
  for (const WorkerAccount& worker : workers) {
    promised.insert(worker.relay.promised.begin(), worker.relay.promised.end());
    for (const RelaySocket& socket : worker.sockets) bound.insert(socket.local);
  }
  for (const SharedReservations::Reserved& reserved : shared.reserved) {
    const std::string where = reserved.local.to_string();
    if (!promised.contains(reserved.token)) {
      findings.add(fmt::format("{} is reserved for {}, and nobody will give it back", where,
                               reserved.subject.name));
    }
    if (bound.contains(reserved.local)) {
      findings.add(fmt::format("{} is reserved and an allocation's as well", where));
    }
  }
}

void add(Descriptors& sum, const Descriptors& more) {
  sum.datagram += more.datagram;
  sum.listening += more.listening;
  sum.connected += more.connected;
  sum.local += more.local;
  sum.other += more.other;
}

}  // namespace

Findings judge(const WorkerAccount& account) {
  Findings findings = account.relay.findings;
  const auto& held = account.relay.held;
  match_sockets(held, account.sockets, false, findings);
  match_sockets(held, account.tcp_sockets, true, findings);
  match_clients(
      held, account.privileged_streams,
      [](const turn::Path& path) { return turn::is_stream(path.transport); }, "connection",
      findings);
  match_clients(
      held, account.privileged_sessions,
      [](const turn::Path& path) { return path.transport == turn::Transport::kDtls; },
      "DTLS session", findings);
  return findings;
}

Findings judge(const SharedAccount& shared, std::span<const WorkerAccount> workers) {
  Findings findings = shared.findings;
  turn::QuotaLedger held;
  Descriptors explained = shared.own;
  explained.datagram += shared.reserved.size();
  for (const WorkerAccount& worker : workers) {
    findings.append(worker.findings);
    for (const Holding& holding : worker.relay.held) held.charge(holding.charged);
    add(explained, worker.descriptors);
  }
  for (const SharedReservations::Reserved& reserved : shared.reserved)
    held.charge(reserved.subject);
  turn::compare(shared.booked, held, findings);
  match_live(shared.live, workers, &WorkerAccount::sockets, findings);
  match_live(shared.live_tcp, workers, &WorkerAccount::tcp_sockets, findings);
  match_reservations(shared, workers, findings);
  compare(shared.open, explained, shared.other_at_start, findings);
  return findings;
}

}  // namespace turnpike::server
