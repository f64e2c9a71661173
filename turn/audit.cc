// The audit of a relay: everything that is said twice must agree. Operators and tests ask for it;
// it walks all tables, so it is not for the time between two packets.
#include <map>
#include <utility>

#include "turn/core.h"

namespace turnpike::turn {

namespace {

void examine_leg(const Allocation& allocation, const Leg& leg, const std::string& who,
                 Findings& findings) {
  const auto kind = leg.family() == Family::kIPv4 ? TimerKind::kIPv4Leg : TimerKind::kIPv6Leg;
  const std::string which = leg.relayed.to_string() + " of " + who;
  if (leg.relayed.port == 0) findings.add("the relayed address " + which + " is none");
  if (!leg.expiry.armed()) {
    findings.add("the relayed address " + which + " will never expire: its timer is not armed");
  } else if (leg.expiry.subject() != allocation.handle.pack() ||
             leg.expiry.kind() != static_cast<std::uint32_t>(kind)) {
    findings.add("the timer of the relayed address " + which + " names another");
  }
}

}  // namespace

Server::Examination Server::Core::examine() {
  Examination examination;
  examination.counts = audit();
  Findings& findings = examination.findings;
  allocations_.audit(findings);
  data_connections_.audit(findings);
  allocations_.for_each([&](const Allocation& allocation) {
    examine(allocation, findings);
    examination.held.push_back(holding_of(allocation));
  });
  reservations_.for_each([&](Handle<Reservation> handle, const Reservation& reservation) {
    examination.promised.push_back(reservation.token);
    const bool will_end =
        reservation.expiry.armed() && reservation.expiry.subject() == handle.pack();
    if (!will_end) findings.add("a reservation of " + reservation.subject.name + " never ends");
  });
  examine_counters(findings);
  examine_data_connections(findings);
  return examination;
}

void Server::Core::examine(const Allocation& allocation, Findings& findings) const {
  const std::string who = label_of(allocation);
  examine_leg(allocation, allocation.first, who, findings);
  if (allocation.second) {
    examine_leg(allocation, *allocation.second, who, findings);
    if (allocation.second->family() == allocation.first.family()) {
      findings.add(who + " has two relayed addresses of one family");
    }
  }
  allocation.permissions.audit(who, findings);
  allocation.channels.audit(who, findings);
  if (!allocation.tcp) return;
  allocation.tcp->permissions.audit(who, findings);
  if (allocation.permissions.size() + allocation.channels.size() > 0) {
    findings.add(who + " relays TCP and has permissions or channels for datagrams");
  }
  findings.expect_equal("data connections of " + who, allocation.tcp->count,
                        allocation.tcp->connections.size());
}

void Server::Core::examine_counters(Findings& findings) {
  constexpr std::size_t kKinds =
      MessageCounters::kTransports.size() * AllocationCounters::kFamilies;
  std::array<std::uint64_t, kKinds> kinds{};
  allocations_.for_each([&](const Allocation& allocation) {
    if (allocation.counted_as < kKinds) {
      ++kinds[allocation.counted_as];
    } else {
      findings.add(label_of(allocation) + " is counted as no kind");
    }
  });
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    findings.expect_equal("allocations of kind " + std::to_string(kind),
                          statistics_.by_kind.live(kind), kinds[kind]);
  }
  findings.expect_equal("allocations", statistics_.allocations.read(), allocations_.size());
  findings.expect_equal("data connections", statistics_.data_connections.read(),
                        data_connections_.size());
}

// Each belongs to an allocation for TCP, and is counted for whoever holds that.
void Server::Core::examine_data_connections(Findings& findings) {
  std::map<const Holder*, std::uint32_t> counted;
  data_connections_.for_each([&](const DataConnection& connection) {
    const Allocation* allocation = allocations_.find(connection.allocation);
    if (allocation == nullptr || !allocation->tcp) {
      findings.add("the data connection with " + connection.peer.to_string() +
                   " belongs to no allocation");
    } else {
      ++counted[allocation->holder];
    }
  });
  std::map<const Holder*, bool> seen;
  allocations_.for_each([&](const Allocation& allocation) {
    const Holder* holder = allocation.holder;
    if (!seen.emplace(holder, true).second) return;
    findings.expect_equal("data connections of " + holder->name, holder->data_connections,
                          counted[holder]);
  });
}

Server::Holding Server::Core::holding_of(const Allocation& allocation) {
  Holding holding;
  holding.label = label_of(allocation);
  holding.allocation = allocation.handle.pack();
  holding.charged = {allocation.holder->name, allocation.charged_for};
  holding.relays.push_back({allocation.first.relay, allocation.first.relayed});
  if (allocation.second) {
    holding.relays.push_back({allocation.second->relay, allocation.second->relayed});
  }
  holding.tcp = allocation.tcp != nullptr;
  if (!allocation.mobility || !allocation.mobility->departed) {
    holding.paths.push_back(allocation.path);
  }
  if (allocation.mobility && allocation.mobility->arriving) {
    holding.paths.push_back(*allocation.mobility->arriving);
  }
  return holding;
}

}  // namespace turnpike::turn
