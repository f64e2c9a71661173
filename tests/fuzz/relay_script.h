// RelayScript: plays a fuzz input as a story with turn::Server: clients that know the password,
// bring an access token or neither, peers with datagrams and connections, time, garbage. It is the
// server's sink, its quota and its table of live relays, and counts what the server holds; a count
// that does not come out, or a finding of the server's own audit, which is asked for after every
// step, is a bug and aborts. What clients say is in relay_script_requests.cc, TCP allocations (RFC
// 6062) in relay_script_tcp.cc. Single thread.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
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
  static constexpr std::uint32_t kWorkers = 2;  // this is the first
  static constexpr std::string_view kRealm = "r";
  static constexpr std::string_view kUser = "u";
  static constexpr std::string_view kPassword = "p";
  static constexpr const char* kTokenKeyId = "k";
  static constexpr const char* kTokenKey = "0123456789abcdef";
  struct OpenRelay {
    Address address;
    std::uint64_t owner;
    bool tcp;
  };
  struct Data {
    enum class State : std::uint8_t { kConnecting, kWaiting, kSpliced };
    turn::RelayHandle relay;
    Address peer;
    State state;
  };
  struct LiveTcpRelays final : turn::LiveRelays {
    explicit LiveTcpRelays(const RelayScript& of) : script(of) {}
    bool is_live(const Address& relayed) const override { return script.is_live(relayed, true); }
    const RelayScript& script;
  };
  // What is passed in must not be touched after the call: each packet gets memory of its own, so
  // that AddressSanitizer sees a view that was kept.
  using Packet = std::vector<std::uint8_t>;

  static std::shared_ptr<const turn::Settings> settings();

  void step();
  void raw_packet();
  void request();
  void add_attribute(stun::Builder& builder);
  void add_ticket(stun::Builder& builder);
  void seal_by_password(stun::Builder& builder, const std::string& nonce) const;
  void seal_by_token(stun::Builder& builder, const std::string& nonce);
  Packet make_token(ByteView mac_key);
  void channel_data();
  void peer_packets();
  void connecting_ends();
  void peer_connects();
  void data_flows();
  void let_time_pass();
  void deliver_looped();
  void check();
  void compare(const turn::Server::Examination& examination) const;

  const turn::Path& pick_client();
  Address pick_peer();
  Packet pick_bytes(std::size_t most);
  // One of a map's, or its end when it is empty.
  template <typename Map>
  typename Map::iterator pick(Map& map) {
    if (map.empty()) return map.end();
    return std::next(map.begin(), script_.u8() % static_cast<int>(map.size()));
  }
  static bool is_stranger(const IpAddress& peer);
  bool is_live(const Address& relayed, bool tcp) const;
  void deliver(const turn::Path& path, const Packet& packet, std::uint32_t segment);

  void to_client(const turn::Path& path, const turn::Parts& parts) override;
  void to_peer(turn::RelayHandle relay, const Address& peer, const Run& run) override;
  Expected<turn::Relay, turn::RelayError> open_relay(const turn::RelayWish& wish) override;
  void close_relay(turn::RelayHandle relay) override;
  Expected<turn::ClaimedRelay, turn::RelayError> claim_relay(const Claim& claim) override;
  bool drop_reservation(turn::ReservationToken token) override;
  void report(const turn::Event& event) override;
  bool connect(turn::RelayHandle relay, const Address& peer, turn::DataName name) override;
  void splice(turn::DataName name, const turn::Path& client) override;
  void close_data(turn::DataName name) override;
  void hand_over(const turn::Path& client, std::uint32_t worker) override;
  turn::QuotaVerdict charge(const turn::QuotaSubject& subject) override;
  void release(const turn::QuotaSubject& subject) override;
  bool is_live(const Address& relayed) const override;

  Reader script_;
  Tick now_{{seconds{1000}}, {seconds{1700000000}}};
  std::array<turn::Path, kClients> clients_;
  std::array<std::string, kClients> nonces_;  // the last one each client was given
  Packet ticket_;                             // the last one of all (RFC 8016)
  std::uint32_t connection_id_ = 0;           // the same (RFC 6062)
  std::uint64_t next_stream_ = 3;
  // What one relay of ours sent to another: it arrives after the step, since a sink may not call
  // back.
  struct Looped {
    Address from, to;
    Packet packet;
  };
  std::vector<Looped> looped_;
  std::map<std::uint64_t, OpenRelay> relays_;
  std::map<std::uint64_t, Data> data_;  // by DataName
  LiveTcpRelays live_tcp_relays_{*this};
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
