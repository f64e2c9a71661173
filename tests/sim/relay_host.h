// RelayHost: a machine that runs turn::Server in the simulated network. It plays the driver: binds
// relay ports, keeps the shared tables, fires the timer. What it holds can be counted, so that a
// test sees every leak.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "tests/sim/world.h"
#include "turn/server.h"

namespace turnpike::sim {

class RelayHost : public Node, private turn::Sink, private turn::Quota, private turn::LiveRelays {
 public:
  enum class Placement : std::uint8_t { kPublic, kBehindOneToOneNat };
  static constexpr std::string_view kRealm = "sim";
  static constexpr std::string_view kSecret = "simulated-secret";

  RelayHost(World& world, Placement placement);

  Address public_address() const { return {external_, kListeningPort}; }
  void on_datagram(const Address& to, const Address& from, ByteView bytes) override;

  const turn::Server& server() const { return *server_; }
  std::size_t open_ports() const { return relays_.size(); }
  std::size_t charged() const { return charged_.size(); }

 private:
  static constexpr std::uint16_t kListeningPort = 3478;
  struct OpenRelay {
    std::uint16_t port;
    std::uint64_t owner;
  };

  void to_client(const turn::Path& path, const turn::Parts& parts) override;
  void to_peer(turn::RelayHandle relay, const Address& peer, const Run& run) override;
  Expected<turn::Relay, turn::RelayError> open_relay(const turn::RelayWish& wish) override;
  void close_relay(turn::RelayHandle relay) override;
  // No client of the simulator asks for pairs of ports.
  Expected<turn::ClaimedRelay, turn::RelayError> claim_relay(const Claim&) override {
    return unexpected(turn::RelayError::kNoReservation);
  }
  bool drop_reservation(turn::ReservationToken) override { return false; }
  void report(const turn::Event&) override {}
  turn::QuotaVerdict charge(const turn::QuotaSubject& subject) override;
  void release(const turn::QuotaSubject& subject) override;
  bool is_live(const Address& relayed) const override;

  void send(const Address& from, const Address& to, ByteView bytes);
  void arm();

  World& world_;
  IpAddress local_;
  IpAddress external_;
  std::map<std::uint64_t, OpenRelay> relays_;
  std::map<std::uint16_t, std::uint64_t> relay_of_port_;
  std::uint64_t next_relay_ = 1;
  std::multiset<std::string> charged_;
  MonoTime armed_for_ = MonoTime::never();
  std::unique_ptr<turn::Server> server_;
};

}  // namespace turnpike::sim
