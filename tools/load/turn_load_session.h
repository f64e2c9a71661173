// One client of the server: its link and its turn::Client (or a floor's greeting), from connecting
// to the release of the allocation. Hands payloads that arrive to a Receiver. Owned by a fleet or
// by a mode; one thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/random.h"
#include "tools/load/turn_load_link.h"
#include "tools/load/turn_load_options.h"
#include "turn/client.h"

namespace turnpike::load {

class Receiver {
 public:
  virtual ~Receiver() = default;
  // `peer` nullptr: the channel said it.
  virtual void on_payload(std::uint32_t session, const Address* peer, ByteView payload) = 0;
};

// A floor's whole protocol: ChannelData on this channel with the peer's IPv4 address and port,
// answered in the same form with the relayed address; then ChannelData on kDataChannel.
inline constexpr std::uint16_t kFloorChannel = 0x7FFF;
inline constexpr std::uint16_t kDataChannel = 0x4000;  // the first that turn::Client binds

class Session final : private turn::Client::Outputs {
 public:
  enum class State : std::uint8_t {
    kConnecting,
    kAllocating,
    kAllocated,
    kReaching,
    kReady,
    kReleasing,
    kEnded,
    kFailed
  };

  Session(std::uint32_t index, const Options& options, std::unique_ptr<Link> link, Random& random);

  void start(Tick now);
  // A channel or a permission; kReady when all that was asked for stands.
  void reach(Tick now, const Address& peer, turn::Client::Binding binding);
  void release(Tick now);

  void on_ready(Tick now, Inbox& inbox, Receiver& receiver);
  void on_time(Tick now);

  Link& link() { return *link_; }
  State state() const { return state_; }
  bool is_settled() const { return state_ == State::kEnded || state_ == State::kFailed; }
  std::uint32_t index() const { return index_; }
  const Address& relayed() const { return relayed_; }
  const Address& peer() const { return peer_; }
  std::uint16_t error_code() const { return error_code_; }

 private:
  void begin(Tick now);
  void greet();
  void on_message(Tick now, ByteView message, Receiver& receiver);
  void on_greeting(ByteView payload);

  void to_server(ByteView message) override { link_->send(message); }
  void on_allocated(const Address& relayed, const Address& mapped) override;
  void on_peer_ready(const Address& peer) override;
  void on_peer_refused(const Address& peer, std::uint16_t code) override;
  void on_data(const Address&, ByteView) override {}
  void on_ended(turn::Client::Ending ending, std::uint16_t code) override;

  std::uint32_t index_;
  bool floor_;
  State state_ = State::kConnecting;
  std::unique_ptr<Link> link_;
  turn::Client client_;
  Address relayed_, peer_;
  unsigned wanted_ = 0, reached_ = 0;
  std::uint16_t error_code_ = 0;
  MonoTime greet_again_ = MonoTime::never();
};

}  // namespace turnpike::load
