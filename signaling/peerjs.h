// PeerJS: what its client library expects of a PeerServer. Peers have ids and write to each other
// by id; a message for an id that is not there waits five seconds for it, then its sender is told
// EXPIRE. The client's `path` may be '/' (addresses /peerjs and /peerjs/id) or '/peerjs'
// (/peerjs/peerjs and /peerjs/peerjs/id). Where rooms ask for a token, the client's own option
// `token` is one, and the id is what it must open. Single thread, no I/O.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/slab.h"
#include "base/timer_wheel.h"
#include "signaling/endpoint.h"
#include "signaling/gate.h"
#include "signaling/groups.h"

namespace turnpike::signaling {

class PeerJs final : public Endpoint {
 public:
  struct Settings {
    std::string key = "peerjs";                // the client's option `key`
    bool allow_discovery = false;              // GET /peerjs/peers lists everybody's ids
    std::uint32_t max_peers = 5000;            // at the same time
    std::uint32_t max_peers_of_source = 1024;  // of one source prefix
    seconds alive_timeout{90};                 // without a HEARTBEAT or other message
  };
  static constexpr std::size_t kMaxMessage = 64 * 1024;
  static constexpr std::size_t kMaxId = 128;                  // bytes
  static constexpr seconds kExpiry{5};                        // of what waits for an absent peer
  static constexpr std::size_t kMaxWaiting = 64;              // messages for one absent peer
  static constexpr std::size_t kMaxWaitingPeers = 4096;       // absent ones
  static constexpr std::size_t kMaxWaitingBytes = 16u << 20;  // of all of them
  // What one peer may leave for absent ones, and all peers of one source prefix.
  static constexpr std::size_t kMaxWaitingOfPeer = 512u << 10;     // bytes
  static constexpr std::uint32_t kMaxWaitingOfSource = 4u << 20;   // bytes
  static constexpr std::uint32_t kMaxWaitingPeersOfSource = 1024;  // absent ones

  PeerJs(Settings settings, Wire& wire, Random& random, Gate& gate);
  ~PeerJs() override;

  // Requests on /peerjs and below that are no upgrades. Answers through the Wire, at once.
  void on_request(Tick now, ConnectionHandle connection, const Visit& visit);
  // Whether a WebSocket belongs on this path.
  static bool is_socket_path(std::string_view path);

  // Endpoint
  std::size_t max_message() const override { return kMaxMessage; }
  Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) override;
  void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override;
  void on_gone(Tick now, ConnectionHandle connection, Tag tag) override;
  void on_time(Tick now) override;
  MonoTime next_deadline() const override { return wheel_.next(); }

  std::size_t peer_count() const { return names_.size(); }
  std::size_t waiting_bytes() const { return waiting_bytes_; }

 private:
  struct Peer;
  struct Queue;
  using PeerHandle = Handle<Peer>;
  using QueueHandle = Handle<Queue>;
  template <typename T>
  using Names = boost::unordered_flat_map<std::string, T, NameHash, std::equal_to<>>;

  http::Response answer(Tick now, const Visit& visit);
  std::string fresh_id();
  Tag turn_away(ConnectionHandle connection, std::string_view type, std::string_view why);
  // Whoever has this id; nullptr when nobody is there.
  Peer* find_peer(std::string_view id);
  void retire(PeerHandle handle);
  void relay(Tick now, Peer& from, std::string_view type, std::string_view to, std::string text);
  void keep(Tick now, Peer& from, std::string_view to, std::string text);
  void tell_expired(std::string_view from, std::string_view to);
  void hand_over(const Peer& peer);
  void expire(QueueHandle handle);
  // The queue of whoever is `to`, or a fresh one; empty when there is no place for it.
  QueueHandle queue_for(Tick now, const Peer& from, std::string_view to);
  void drop_queue(QueueHandle handle);

  const Settings settings_;
  Wire& wire_;
  Random& random_;
  Gate& gate_;
  SourceShares peer_shares_;
  SourceShares queue_shares_{kMaxWaitingPeersOfSource};
  SourceShares byte_shares_{kMaxWaitingOfSource};
  TimerWheel wheel_;  // alive timeouts and expiries
  Slab<Peer> peers_;
  Slab<Queue> queues_;
  Names<PeerHandle> names_;
  Names<QueueHandle> waiting_;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace turnpike::signaling
