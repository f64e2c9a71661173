// SharedRelays: the live relayed transport addresses of this process, one table for all workers.
// For each relay address 65536 atomics, one a port, that name the worker whose socket is bound
// there, and as many that name its allocation. Packets read them (turn::LiveRelays); only opening
// and closing a relay writes them. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/address.h"
#include "turn/relayed_addresses.h"

namespace turnpike::server {

class SharedRelays final : public turn::LiveRelays {
 public:
  static constexpr std::uint32_t kMaxWorkers = 0xFFFD;

  // The addresses never change afterwards; duplicates count once.
  explicit SharedRelays(const std::vector<IpAddress>& relay_ips);

  bool is_live(const Address& relayed) const override;
  // The worker that owns this relayed address, or nullopt when none does. `owner` is what add() was
  // told; only the worker itself may rely on it, for it alone knows that nothing changes meanwhile.
  struct Route {
    std::uint32_t worker = 0;
    std::uint64_t owner = 0;
    bool operator==(const Route&) const = default;
  };
  std::optional<Route> route(const Address& relayed) const;
  // How many ports of this relay address are live.
  std::uint32_t live_on(const IpAddress& ip) const;

  // For an audit: everything that is live, and how many that are by count.
  struct Listing {
    std::vector<std::pair<Address, Route>> routes;
    std::uint64_t counted = 0;
  };
  Listing list() const;

  // Called by the worker whose socket is bound to `relayed`, right after binding and right before
  // closing. Addresses that are not ours are a fault of ours.
  void add(const Address& relayed, const Route& route);
  void remove(const Address& relayed);

  // A service of ours that clients may reach through a relay, at exactly this address and port: it
  // is live, but no worker's, so its packets take the way through the kernel. False: not one of our
  // relay addresses. Before the workers run.
  bool open_service(const Address& service);

 private:
  static constexpr std::uint16_t kService = 0xFFFF;  // in place of a worker
  struct Ports {
    IpAddress ip;
    std::atomic<std::uint32_t> live{0};
    std::array<std::atomic<std::uint16_t>, 65536> worker{};  // + 1; 0 is dead
    std::array<std::atomic<std::uint64_t>, 65536> owner{};
  };
  const Ports* find(const IpAddress& ip) const;

  std::vector<std::unique_ptr<Ports>> tables_;  // a handful: searched in order
};

}  // namespace turnpike::server
