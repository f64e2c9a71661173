// Caller: somebody behind a NAT who allocates a relayed address, calls a peer and talks to it in
// numbered messages, which the other end checks.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/nat.h"
#include "tests/sim/relay_host.h"
#include "turn/client.h"

namespace turnpike::sim {

// A message: its number, and filling that follows from it, so that a mixed-up byte shows.
std::vector<std::uint8_t> message_of(std::uint32_t number);

class Caller : private turn::Client::Outputs {
 public:
  Caller(World& world, NatKind nat, const IpAddress& external, std::string name,
         const RelayHost& relay);

  void allocate();
  void call(const Address& peer, turn::Client::Binding binding);
  // Lets a host without a relay of its own speak to us, and answers to wherever it speaks from.
  void welcome(const IpAddress& host);
  // Sends one message every `interval` to whoever was called, until hang_up() or vanish().
  void talk(Duration interval);
  void fall_silent() { talking_ = false; }
  void hang_up();
  void vanish();  // the laptop is shut: not another packet

  std::optional<Address> relayed() const { return relayed_; }
  std::optional<turn::Client::Ending> ending() const { return ending_; }
  std::uint32_t said() const { return said_; }
  std::size_t heard() const { return heard_.size(); }
  std::uint32_t corrupt() const { return corrupt_; }
  std::uint32_t refused() const { return refused_; }
  bool timed_out() const { return timed_out_; }

 private:
  void to_server(ByteView message) override;
  void on_allocated(const Address& relayed, const Address& mapped) override;
  void on_peer_ready(const Address& peer) override;
  void on_peer_refused(const Address& peer, std::uint16_t code) override;
  void on_data(const Address& peer, ByteView data) override;
  void on_ended(turn::Client::Ending ending, std::uint16_t code) override;

  void say(Duration interval);
  void arm();

  World& world_;
  std::string name_;
  Address server_;
  Nat nat_;
  turn::Client client_;
  std::optional<Address> relayed_;
  std::optional<Address> peer_;
  std::optional<IpAddress> welcomed_;
  std::optional<turn::Client::Ending> ending_;
  bool ready_ = false;
  bool talking_ = false;
  bool present_ = true;
  bool timed_out_ = false;
  MonoTime armed_for_ = MonoTime::never();
  std::uint32_t said_ = 0;
  std::set<std::uint32_t> heard_;
  std::uint32_t corrupt_ = 0;
  std::uint32_t refused_ = 0;
};

}  // namespace turnpike::sim
