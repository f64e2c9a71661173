// The native protocol on the wire: peers and their conversations with the hub. Single thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/slab.h"
#include "base/timer_wheel.h"
#include "signaling/carrier.h"
#include "signaling/endpoint.h"
#include "signaling/hub.h"
#include "signaling/native.h"
#include "signaling/peer.h"

namespace turnpike::signaling {

class NativeEndpoint final : public Endpoint, public HubSink {
 public:
  // A member left for good: its relay allocations end, its credentials are refused until then.
  using Revoke = std::function<void(std::string_view name, WallTime until)>;
  struct Parts {
    Wire& wire;
    Random& random;
    const Minter& minter;
    const InvitationSigner& signer;
    Revoke revoke;
  };
  NativeEndpoint(Hub::Settings settings, Parts parts);

  Hub& hub() { return hub_; }
  const Hub& hub() const { return hub_; }

  // Nobody joins any more; members are told, and may resume. `left`: until they are cut off;
  // nullopt: they are not.
  void drain(std::optional<seconds> left);

  // Removes the member as soon as there is time. False: there is none of this id, or too many wait.
  bool kick(std::string_view member);

  // Endpoint
  bool belongs_to_kept(const Visit&) const override { return true; }  // a member may resume on it
  std::size_t max_message() const override { return dialect_.max_message(); }
  Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) override;
  void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override;
  void on_too_large(Tick now, ConnectionHandle connection, Tag tag) override;
  void on_gone(Tick now, ConnectionHandle connection, Tag tag) override;
  std::string ping_payload(Tag tag) override;
  void on_pong(Tick now, ConnectionHandle connection, Tag tag, std::string_view payload) override;
  void on_time(Tick now) override;
  MonoTime next_deadline() const override {
    return hub_.echo_speaks() || news_ || !to_kick_.empty() ? MonoTime() : wheel_.next();
  }

  // HubSink
  void deliver(PeerHandle peer, std::string_view text) override;
  void dismiss(PeerHandle peer, Dismissal why) override;
  void revoke(std::string_view name, WallTime until) override { revoke_(name, until); }

 private:
  Wire& wire_;
  Revoke revoke_;
  NativeDialect dialect_;
  TimerWheel wheel_;  // of members
  Slab<Peer> peers_{Carrier::kMaxConnections};
  Hub hub_;
  static constexpr std::size_t kMaxToKick = 1024;
  std::vector<std::string> to_kick_;
  std::optional<Draining> news_;  // that members are to be told when there is time
};

}  // namespace turnpike::signaling
