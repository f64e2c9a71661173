// What the tests of the relay speak through: a relay with fake sockets in virtual time (RelayHouse)
// and clients of it (Guest) that authenticate by themselves, so that a test reads as a
// conversation.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/random.h"
#include "base/run.h"
#include "stun/builder.h"
#include "stun/message.h"
#include "turn/server.h"

namespace turnpike::turn {

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(std::string_view text);
Bytes filled(std::size_t size, std::uint8_t with = 'x');
std::string text_of(ByteView bytes);
Address address(std::string_view text);  // CHECKs that it parses
IpAddress ip(std::string_view text);

// An answer as the client got it; silent when there was none.
class Reply {
 public:
  Reply() = default;
  explicit Reply(Bytes bytes) : bytes_(std::move(bytes)) {}

  bool silent() const { return bytes_.empty(); }
  bool success() const;
  int code() const;  // of an error response; 0 for a success, -1 for silence
  stun::MessageView view() const;
  const Bytes& bytes() const { return bytes_; }
  std::uint32_t lifetime() const;  // CHECKs that it is there
  Address relayed() const;
  std::vector<Address> relayed_all() const;
  std::vector<std::uint16_t> unknown_attributes() const;

 private:
  Bytes bytes_;
};

// Relayed transport addresses that are live "in this process".
class FakeLiveRelays final : public LiveRelays {
 public:
  bool is_live(const Address& relayed) const override { return live.contains(relayed); }
  std::set<Address> live;
};

class FakeSink final : public Sink {
 public:
  explicit FakeSink(FakeLiveRelays& live) : live_(live) {}

  struct ToClient {
    Path path;
    Bytes message;
  };
  struct ToPeer {
    RelayHandle relay;
    Address peer;
    Bytes datagram;
  };

  void to_client(const Path& path, const Parts& parts) override;
  void to_peer(RelayHandle relay, const Address& peer, const Run& run) override;
  Expected<Relay, RelayError> open_relay(const RelayWish& wish) override;
  void close_relay(RelayHandle relay) override;
  Expected<ClaimedRelay, RelayError> claim_relay(const Claim& claim) override;
  bool drop_reservation(ReservationToken token) override;
  void report(const Event& event) override;
  bool connect(RelayHandle relay, const Address& peer, DataName data) override;
  void splice(DataName data, const Path& client) override;
  void close_data(DataName data) override;
  void hand_over(const Path& client, std::uint32_t worker) override;
  void forward(const Path& client, std::uint32_t worker, const Run& run) override;

  struct OpenRelay {
    RelayHandle handle;
    Address address;
    std::uint64_t owner = 0;
  };
  const OpenRelay* relay_at(const Address& address) const;

  std::vector<ToClient> clients_got;
  std::vector<ToPeer> peers_got;
  std::vector<Run> trains_to_peers;  // one for each call; do not follow `data`
  std::uint32_t calls_to_clients = 0;
  std::vector<OpenRelay> open_relays;
  struct Reserved {
    Address address;
    QuotaSubject subject;
  };
  std::map<ReservationToken, Reserved> reservations;
  RelayWish last_wish;
  std::optional<RelayError> next_open_fails;
  std::optional<Family> family_that_fails;  // with next_open_fails: only opens of this family
  struct Told {
    Event::Kind kind;
    Event::Ending ending;
    std::uint16_t code;
    std::string username;
    MonoTime begun;
    std::array<Traffic, kDirections> traffic;
  };
  std::vector<Told> events;
  // Of TCP allocations.
  FakeLiveRelays live_tcp;
  struct Connecting {
    RelayHandle relay;
    Address peer;
    DataName data;
  };
  std::vector<Connecting> connects;
  bool next_connect_fails = false;
  std::vector<std::pair<DataName, Path>> splices;
  std::vector<DataName> closed_data;
  std::vector<std::pair<Path, std::uint32_t>> handed_over;
  struct Forwarded {
    Path path;
    std::uint32_t worker;
    Bytes first;  // of the run
  };
  std::vector<Forwarded> forwarded;
  IpAddress relay_ipv4 = IpAddress::v4(198, 18, 0, 1);
  IpAddress relay_ipv6 = *IpAddress::parse("2600::1");

 private:
  FakeLiveRelays& live_;
  std::uint16_t next_port_ = 50000;
  std::uint64_t next_handle_ = 1;
  ReservationToken next_token_ = 0xA1A2A3A4A5A6A7A8;
};

struct HouseRules {
  std::string realm = "example.org";
  std::vector<StaticUser> users = {{"alice", "secret"}, {"bob", "hush"}};
  bool announce_userhash = false;
  std::vector<std::string> shared_secrets;
  PeerPolicy::Rules peers;
  QuotaLimits quota;
  BandwidthPool* bandwidth = nullptr;
  UserDirectory* others = nullptr;
  std::function<void(Settings&)> adjust;
  std::uint32_t worker = 0;
  std::uint32_t workers = 1;
};

class RelayHouse {
 public:
  explicit RelayHouse(HouseRules rules = {});

  static constexpr std::string_view kRealm = "example.org";

  void pass(Duration time);  // lets time pass, firing what is due on the way
  // What a peer sends to a relayed address arrives there.
  void from_peer(const Address& peer, const Address& relayed, ByteView datagram);
  void from_peer(const Address& peer, const Address& relayed, const Run& run);

  Tick now;
  LocalQuota quota;
  FakeLiveRelays live;
  SeededRandom random{7};
  FakeSink sink{live};
  std::shared_ptr<const Settings> settings;
  std::unique_ptr<Server> server;
};

// One client, on UDP unless told otherwise.
class Guest {
 public:
  using Fill = std::function<void(stun::Builder&)>;

  Guest(RelayHouse& house, std::string_view remote, std::string username = "alice",
        std::string password = "secret", Transport transport = Transport::kUdp);

  // With credentials and a nonce, which is fetched when there is none yet.
  Reply ask(stun::Method method, const Fill& fill = {});
  // The bytes of such a request, to be sent by hand.
  Bytes request(stun::Method method, const Fill& fill = {});
  Bytes bare_request(stun::Method method, const Fill& fill = {});  // no credentials at all
  Reply exchange(ByteView message);                                // sends and takes the one answer
  void deliver(ByteView packet);  // sends and leaves what comes in the sink
  void deliver(const Run& run);

  Reply allocate(const Fill& more = {});
  Reply refresh(std::optional<std::uint32_t> lifetime = {});
  Reply permit(std::vector<Address> peers);
  Reply bind(std::uint16_t number, const Address& peer);
  void send(const Address& peer, ByteView data);
  void send_on(std::uint16_t channel, ByteView data);

  Path path;
  std::string username, password;
  std::string realm = std::string(RelayHouse::kRealm);
  std::string nonce;
  Address relayed;  // after allocate()

 private:
  stun::TransactionId next_id();
  RelayHouse& house_;
  std::uint64_t ids_ = 0;
};

// Wire forms.
Bytes send_indication(const Address& peer, ByteView data, std::uint64_t id = 1);
Bytes channel_message(std::uint16_t number, ByteView data, std::size_t padding = 0);
// Datagrams one after the other, all but the last of the same size, as GRO delivers them.
class Train {
 public:
  explicit Train(const std::vector<Bytes>& datagrams);
  Run run() const { return Run::train(bytes_, segment_); }

 private:
  Bytes bytes_;
  std::uint32_t segment_ = 0;
};

}  // namespace turnpike::turn
