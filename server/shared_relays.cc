#include "server/shared_relays.h"

#include "base/check.h"

namespace turnpike::server {

SharedRelays::SharedRelays(const std::vector<IpAddress>& relay_ips) {
  for (const IpAddress& ip : relay_ips) {
    if (find(ip) != nullptr) continue;
    tables_.push_back(std::make_unique<Ports>());
    tables_.back()->ip = ip;
  }
}

// Relaxed: a packet that races with a close is a packet that was a little early or late.
bool SharedRelays::is_live(const Address& relayed) const {
  const Ports* ports = find(relayed.ip);
  return ports != nullptr && ports->worker[relayed.port].load(std::memory_order_relaxed) != 0;
}

std::optional<SharedRelays::Route> SharedRelays::route(const Address& relayed) const {
  const Ports* ports = find(relayed.ip);
  if (ports == nullptr) return std::nullopt;
  const std::uint16_t worker = ports->worker[relayed.port].load(std::memory_order_relaxed);
  if (worker == 0 || worker == kService) return std::nullopt;
  return Route{worker - 1u, ports->owner[relayed.port].load(std::memory_order_relaxed)};
}

std::uint32_t SharedRelays::live_on(const IpAddress& ip) const {
  const Ports* ports = find(ip);
  return ports == nullptr ? 0 : ports->live.load(std::memory_order_relaxed);
}

SharedRelays::Listing SharedRelays::list() const {
  Listing listing;
  for (const auto& table : tables_) {
    listing.counted += table->live.load(std::memory_order_relaxed);
    for (std::size_t port = 0; port < table->worker.size(); ++port) {
      const Address address{table->ip, static_cast<std::uint16_t>(port)};
      if (const auto found = route(address)) listing.routes.emplace_back(address, *found);
    }
  }
  return listing;
}

void SharedRelays::add(const Address& relayed, const Route& route) {
  CHECK(route.worker <= kMaxWorkers);
  Ports* ports = const_cast<Ports*>(find(relayed.ip));
  CHECK(ports != nullptr);
  // The kernel lets only one socket hold the port, and remove() comes before close().
  ports->owner[relayed.port].store(route.owner, std::memory_order_relaxed);
  const auto worker = static_cast<std::uint16_t>(route.worker + 1);
  CHECK(ports->worker[relayed.port].exchange(worker, std::memory_order_relaxed) == 0);
  ports->live.fetch_add(1, std::memory_order_relaxed);
}

void SharedRelays::remove(const Address& relayed) {
  Ports* ports = const_cast<Ports*>(find(relayed.ip));
  CHECK(ports != nullptr);
  CHECK(ports->worker[relayed.port].exchange(0, std::memory_order_relaxed) != 0);
  ports->live.fetch_sub(1, std::memory_order_relaxed);
}

bool SharedRelays::open_service(const Address& service) {
  Ports* ports = const_cast<Ports*>(find(service.ip));
  if (ports == nullptr) return false;
  CHECK(ports->worker[service.port].exchange(kService, std::memory_order_relaxed) == 0);
  return true;
}

const SharedRelays::Ports* SharedRelays::find(const IpAddress& ip) const {
  for (const auto& table : tables_) {
    if (table->ip == ip) return table.get();
  }
  return nullptr;
}

}  // namespace turnpike::server
