// ice::Gatherer: finds the candidates of one ice::Agent (RFC 8445 section 5.1.1) and carries what
// goes through its bases, as a state machine without sockets and clocks. Host candidates are the
// sockets that the owner has bound; server-reflexive ones come of Binding requests from them;
// relayed ones of a turn::Client for each TURN server. Owned beside the agent; single thread.
//
//   start -> open_link, on_candidate ... on_gathered -> reach, send, prefer ... release
//
// Each TURN server is talked to over a link of its own, which the owner opens: a UDP socket, or a
// TCP or TLS connection. So the relay's traffic is told from the peers' by where it arrives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "ice/candidate.h"
#include "ice/server_url.h"
#include "stun/transaction.h"
#include "turn/client.h"

namespace turnpike::ice {

class Gatherer {
 public:
  static constexpr std::size_t kMaxHosts = 16;
  static constexpr std::size_t kMaxServers = 16;

  struct Server {
    ServerKind kind = ServerKind::kStun;
    ServerTransport transport = ServerTransport::kUdp;
    Address address;
    std::string username, password;  // TURN only
  };
  // kRelay: relayed candidates only, so that nobody learns where we are.
  enum class Policy : std::uint8_t { kAll, kRelay };
  struct Settings {
    Policy policy = Policy::kAll;
    std::vector<Address> hosts;   // bound sockets; host i is Base i. What is above kMaxHosts,
    std::vector<Server> servers;  // or kMaxServers, is not used
  };
  enum class Trouble : std::uint8_t {
    kNoAnswer,  // of the server, in the time that a transaction has
    kRefused,   // it answered with `code`
    kLinkLost,  // the owner could not connect, or the connection ended
    kLost,      // the server has ended the allocation
  };

  class Outputs {
   public:
    virtual ~Outputs() = default;
    // From a host's socket.
    virtual void to_network(Base host, const Address& to, ByteView bytes) = 0;
    // Connect to settings.servers[server]; on_link_open() or on_link_lost() answer.
    virtual void open_link(std::size_t server) = 0;
    // A whole message; streams bring their padding along.
    virtual void to_server(std::size_t server, ByteView message) = 0;
    virtual void on_candidate(const Candidate& candidate, Base base) = 0;
    // What a peer sent to a relayed address. Do not release() in here.
    virtual void on_relayed(Base base, const Address& peer, ByteView data) = 0;
    virtual void on_trouble(std::size_t server, Trouble trouble, std::uint16_t code) = 0;
    // Every server has answered, or will not.
    virtual void on_gathered() = 0;
  };

  Gatherer(Settings settings, Random& random, Outputs& outputs);
  ~Gatherer();

  void start(Tick now);
  // A STUN message that came to a host's socket. False when it is none of ours: it is the agent's.
  bool on_network(Base host, const Address& from, ByteView message);
  void on_link_open(Tick now, std::size_t server);
  void on_link_lost(std::size_t server);
  void on_server_message(Tick now, std::size_t server, ByteView message);
  void on_time(Tick now);
  MonoTime next_deadline() const;

  // What the agent wants: a permission before the first check, and to send.
  void reach(Tick now, Base base, const Address& peer);
  void send(Base base, const Address& to, ByteView bytes);
  // This peer will get much: a channel saves 32 bytes with every packet (RFC 8656 section 12).
  void prefer(Tick now, Base base, const Address& peer);

  // Ends all allocations; released() when the servers have said so, or have not in time.
  void release(Tick now);
  bool released() const;

  const Settings& settings() const { return settings_; }
  bool is_relay(Base base) const { return base >= settings_.hosts.size(); }
  std::size_t server_of(Base base) const { return base - settings_.hosts.size(); }
  bool gathered() const { return gathered_; }

 private:
  class Relay;                           // a TURN server, our client of it and the allocation there
  static constexpr int kMaxReaches = 4;  // of a peer for which the server does not answer

  // A Binding request to learn what a host's address is mapped to.
  struct Question {
    Base host;
    std::size_t server;
    stun::TransactionId id;
    std::vector<std::uint8_t> message;
    stun::Transaction transaction;
  };

  void ask(Tick now, Base host, std::size_t server);
  void offer(CandidateType type, const Address& address, Base base,
             const std::optional<Address>& related, std::size_t server);
  std::string foundation_of(CandidateType type, const IpAddress& base, const IpAddress& server);
  void questions_on_time(Tick now);
  void settle();
  Relay* relay_of(Base base);

  Settings settings_;
  Random& random_;
  Outputs& outputs_;
  std::vector<std::unique_ptr<Relay>> relays_;  // by server; nullptr for STUN servers
  std::vector<Question> questions_;
  std::vector<std::string> foundations_;  // the key of each number
  bool started_ = false;
  bool gathered_ = false;
};

}  // namespace turnpike::ice
