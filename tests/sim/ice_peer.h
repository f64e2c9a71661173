// IcePeer: somebody behind a NAT with an ice::Agent, who gathers a host, a server-reflexive and a
// relayed candidate, trickles them to the other, and sends numbered messages once a pair is
// selected.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ice/agent.h"
#include "stun/transaction.h"
#include "tests/sim/nat.h"
#include "tests/sim/relay_host.h"
#include "turn/client.h"

namespace turnpike::sim {

class IcePeer : private ice::Agent::Outputs, private turn::Client::Outputs {
 public:
  enum class Policy : std::uint8_t { kAll, kRelayOnly, kNoRelay };
  struct Place {
    NatKind nat;
    IpAddress external;
    IpAddress local;  // behind the NAT
    std::string name;
    Policy policy = Policy::kAll;
  };
  // Somebody above who sends media by the agent's path. May send from inside.
  class Above {
   public:
    virtual ~Above() = default;
    virtual void on_path() = 0;  // selected, for the first time or anew
    virtual void on_datagram(ByteView bytes) = 0;
  };
  static constexpr milliseconds kSignalingDelay{40};

  IcePeer(World& world, const Place& place, const RelayHost& relay,
          const ice::Agent::Settings& settings);

  // Gathers, and signals everything to `other`, as `other` has to do as well.
  void call(IcePeer& other);
  void restart();
  void say(std::uint32_t number);
  // What is not STUN goes to `above` from now on, and is not taken for messages.
  void carry(Above& above) { above_ = &above; }
  void send(ByteView bytes);
  void vanish() { present_ = false; }
  void come_back() { present_ = true; }

  const ice::Agent& agent() const { return agent_; }
  const std::vector<ice::Agent::State>& states() const { return states_; }
  std::size_t heard() const { return heard_.size(); }
  std::uint32_t corrupt() const { return corrupt_; }
  std::uint32_t selections() const { return selections_; }
  // Seven requests in a row were lost, as one in a thousand times at 20 % loss.
  bool gathering_failed() const { return gathering_failed_; }

 private:
  static constexpr ice::Base kSocket = 0;
  static constexpr ice::Base kRelay = 1;

  void send(ice::Base base, const Address& to, ByteView bytes) override;
  void on_pair(ice::Base base, const Address& remote) override;
  void on_selected(const ice::Agent::Selected& selected) override;
  void on_state(ice::Agent::State state) override { states_.push_back(state); }

  void to_server(ByteView message) override;
  void on_allocated(const Address& relayed, const Address& mapped) override;
  void on_peer_ready(const Address&) override {}
  void on_peer_refused(const Address& peer, std::uint16_t code) override;
  void on_data(const Address& peer, ByteView data) override;
  void on_ended(turn::Client::Ending, std::uint16_t) override { gathering_failed_ = true; }

  void on_datagram(const Address& from, ByteView bytes);
  void on_arrival(ice::Base base, const Address& from, ByteView bytes);
  void signal_credentials();
  void ask_for_mapping();
  void mapping_on_time();
  void gathered(const ice::Candidate& candidate, ice::Base base);
  void arm();

  World& world_;
  const Place place_;
  const Address server_;
  Nat nat_;
  turn::Client client_;
  ice::Agent agent_;
  IcePeer* other_ = nullptr;
  stun::TransactionId mapping_id_{};
  std::vector<std::uint8_t> mapping_request_;
  std::optional<stun::Transaction> mapping_;
  std::vector<ice::Candidate> gathered_;
  std::vector<ice::Agent::State> states_;
  std::set<std::uint32_t> heard_;
  std::uint32_t corrupt_ = 0;
  std::uint32_t selections_ = 0;
  bool present_ = true;
  Above* above_ = nullptr;
  bool gathering_failed_ = false;
  MonoTime armed_for_ = MonoTime::never();
};

}  // namespace turnpike::sim
