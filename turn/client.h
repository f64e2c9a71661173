// turn::Client: the client's side of one allocation (RFC 8656 sections 7 to 12) as a state machine:
// allocates with long-term credentials, keeps the allocation, its permissions and its channels
// alive, moves data, follows stale nonces. It never sees a socket or a clock. Used by the
// simulator, by our load tools and by ice/. Single thread.
//
//   allocate() -> on_allocated -> reach(peer) -> on_peer_ready -> send(peer, ...) ... release()
//
// The owner calls on_packet() with each message from the server (from a stream: one framed message)
// and on_time() when next_deadline() has passed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "stun/attributes.h"
#include "stun/builder.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/nonce.h"
#include "stun/transaction.h"

namespace turnpike::turn {

class Client {
 public:
  struct Settings {
    stun::Transaction::Reliability reliability = stun::Transaction::Reliability::kUnreliable;
    std::string username;
    std::string password;
    std::optional<Family>
        relay_family;  // nullopt: what the server gives without being asked (IPv4)
  };

  enum class Ending : std::uint8_t { kReleased, kRefused, kTimedOut, kLost };
  // How a peer is reached: by Send and Data indications, or by a channel.
  enum class Binding : std::uint8_t { kPermission, kChannel };

  class Outputs {
   public:
    virtual ~Outputs() = default;
    virtual void to_server(ByteView message) = 0;
    virtual void on_allocated(const Address& relayed, const Address& mapped) = 0;
    virtual void on_peer_ready(const Address& peer) = 0;
    virtual void on_peer_refused(const Address& peer, std::uint16_t code) = 0;
    virtual void on_data(const Address& peer, ByteView data) = 0;
    // The server, proven by its integrity, wants the client to ask another one (RFC 8489 section
    // 10); on_ended(kRefused, 300) follows. `domain` is what its certificate should be for; it is
    // empty when the same as this server's. The owner decides, and sees to it that nobody is sent
    // in circles.
    virtual void on_alternate(const Address& server, std::string_view domain) {
      (void)server;
      (void)domain;
    }
    // The allocation is over; `code` is the server's error for kRefused and kLost, else 0.
    virtual void on_ended(Ending ending, std::uint16_t code) = 0;
  };

  Client(Settings settings, Random& random);

  void allocate(Tick now, Outputs& outputs);
  // Installs a permission or a channel for the peer and refreshes it until release().
  void reach(Tick now, const Address& peer, Binding binding, Outputs& outputs);
  // By ChannelData when a channel to the peer is bound, else as a Send indication.
  void send(const Address& peer, ByteView data, Outputs& outputs);
  void release(Tick now, Outputs& outputs);

  void on_packet(Tick now, ByteView message, Outputs& outputs);
  void on_time(Tick now, Outputs& outputs);
  MonoTime next_deadline() const;

  bool allocated() const { return state_ == State::kAllocated; }

 private:
  enum class State : std::uint8_t { kIdle, kAllocating, kAllocated, kReleasing, kEnded };
  static constexpr std::uint16_t kNoChannel = 0;
  static constexpr int kMaxChallenges = 4;  // 401 and 438 in a row before a request is given up
  static constexpr std::size_t kNoPeer = SIZE_MAX;

  struct Peer {
    Address address;
    Binding binding = Binding::kPermission;
    std::uint16_t channel = kNoChannel;
    bool ready = false;
    MonoTime refresh_at = MonoTime::never();
  };
  struct Request {
    stun::Method method;
    std::size_t peer;  // index into peers_, or kNoPeer
    seconds lifetime;  // of a Refresh
    stun::TransactionId id;
    std::vector<std::uint8_t> message;
    stun::Transaction transaction;
    int challenges = 0;
  };

  void start(Tick now, stun::Method method, std::size_t peer, seconds lifetime, Outputs& outputs);
  void compose(Request& request);
  void install(Tick now, std::size_t peer, Outputs& outputs);
  void on_response(Tick now, const stun::MessageView& message, Outputs& outputs);
  bool take_challenge(const stun::MessageView& message, std::uint16_t code);
  bool choose_algorithm(const stun::MessageView& message, stun::NonceFeatures features);
  void add_credentials(stun::Builder& builder) const;
  void on_success(Tick now, const Request& request, const stun::MessageView& message,
                  Outputs& outputs);
  void on_error(const Request& request, std::uint16_t code, Outputs& outputs);
  void on_data_indication(const stun::MessageView& message, Outputs& outputs);
  void on_channel_data(ByteView message, Outputs& outputs);
  void end(Ending ending, std::uint16_t code, Outputs& outputs);
  Peer* find_peer(const Address& address);

  Settings settings_;
  Random& random_;
  State state_ = State::kIdle;
  std::string realm_, nonce_;
  std::optional<stun::SigningKey> key_;
  std::vector<std::uint8_t> algorithms_;  // PASSWORD-ALGORITHMS as the server sent it; may be none
  stun::PasswordAlgorithm algorithm_ = stun::PasswordAlgorithm::kMd5;
  bool userhash_ = false;    // the server asks for hashed usernames
  bool recognised_ = false;  // an answer was signed with our key
  std::vector<Request> requests_;
  std::vector<Peer> peers_;
  std::uint16_t next_channel_ = 0x4000;
  MonoTime refresh_at_ = MonoTime::never();
  seconds lifetime_{0};
};

}  // namespace turnpike::turn
