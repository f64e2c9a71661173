// RelayScript: plays a fuzz input as a story with turn::Server: clients that know the password or
// do not, peers, time, garbage. It is the server's sink, its quota and its table of live relays,
// and counts what the server holds; a count that does not come out, or a finding of the server's
// own audit, which is asked for after every step, is a bug and aborts. Single thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "stun/builder.h"
#include "turn/server.h"

namespace turnpike::fuzz {

class RelayScript : private turn::Sink, private turn::Quota, private turn::LiveRelays {
 public:
  explicit RelayScript(ByteView script);

  // The whole story, then the end of the world: everything must be given back.
  void play();

 private:
  static constexpr std::size_t kMaxSteps = 400;
  static constexpr std::size_t kClients = 4;
  static constexpr std::size_t kMaxRelays = 8;
  struct OpenRelay {
    Address address;
    std::uint64_t owner;
  };
  // What is passed in must not be touched after the call: each packet gets memory of its own, so
  // that AddressSanitizer sees a view that was kept.
  using Packet = std::vector<std::uint8_t>;

  void step();
  void raw_packet();
  void request();
  void add_attribute(stun::Builder& builder);
  void add_ticket(stun::Builder& builder);
  void channel_data();
  void peer_packets();
  void let_time_pass();
  void deliver_looped();
  void check();
  void compare(const turn::Server::Examination& examination) const;

  const turn::Path& pick_client();
  Address pick_peer();
  Packet pick_bytes(std::size_t most);
  void deliver(const turn::Path& path, const Packet& packet, std::uint32_t segment);

  void to_client(const turn::Path& path, const turn::Parts& parts) override;
  void to_peer(turn::RelayHandle relay, const Address& peer, const Run& run) override;
  Expected<turn::Relay, turn::RelayError> open_relay(const turn::RelayWish& wish) override;
  void close_relay(turn::RelayHandle relay) override;
  Expected<turn::ClaimedRelay, turn::RelayError> claim_relay(const Claim& claim) override;
  bool drop_reservation(turn::ReservationToken token) override;
  void report(const turn::Event& event) override;
  turn::QuotaVerdict charge(const turn::QuotaSubject& subject) override;
  void release(const turn::QuotaSubject& subject) override;
  bool is_live(const Address& relayed) const override;

  Reader script_;
  Tick now_{{seconds{1000}}, {seconds{1700000000}}};
  std::array<turn::Path, kClients> clients_;
  std::array<std::string, kClients> nonces_;  // the last one each client was given
  Packet ticket_;                             // the last one of all (RFC 8016)
  // What one relay of ours sent to another: it arrives after the step, since a sink may not call
  // back.
  struct Looped {
    Address from, to;
    Packet packet;
  };
  std::vector<Looped> looped_;
  std::map<std::uint64_t, OpenRelay> relays_;
  std::map<turn::ReservationToken, std::pair<Address, turn::QuotaSubject>> reserved_;
  static constexpr turn::ReservationToken kFirstToken = 0x1122334455667788;
  turn::ReservationToken next_token_ = kFirstToken;
  std::uint64_t next_relay_ = 1;
  std::uint16_t next_port_ = 50000;
  std::multimap<std::string, IpAddress> charged_;
  std::size_t live_ = 0;  // by the events
  SeededRandom random_{1};
  std::unique_ptr<turn::Server> server_;
};

}  // namespace turnpike::fuzz
