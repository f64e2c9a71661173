// Another configuration while allocations live.
#include "turn/core.h"

namespace turnpike::turn {

void Server::Core::renew(const Server::Renewal& renewal, Sink& sink) {
  const std::shared_ptr<const Settings> before = settings_;
  settings_ = renewal.settings;
  nonces_ = stun::NonceSource(settings_->nonce_key, settings_->nonce_lifetime);
  authenticator_.emplace(Authenticator::Sources{settings_->credentials, settings_->token_keys,
                                                revocations_, nonces_, renewal.users});
  // Whoever has used its rate up gets no other one by a reload that does not change it.
  if (before->unauthorized_replies_per_second != settings_->unauthorized_replies_per_second ||
      before->unauthorized_burst != settings_->unauthorized_burst) {
    throttle_ = Throttle(settings_->unauthorized_replies_per_second, settings_->unauthorized_burst);
  }
  bandwidth_ = renewal.bandwidth;
  metered_ = settings_->max_bps != 0 || bandwidth_ != nullptr;
  allocations_.for_each([&](Allocation& allocation) { judge_peers_again(allocation, sink); });
}

// A peer of ours is known here by its address on our side of a 1:1 NAT, whichever one was named.
bool Server::Core::may_still_reach(const IpAddress& peer, bool own) const {
  using Verdict = PeerPolicy::Verdict;
  const Verdict inside = settings_->peers.judge(peer);
  const Verdict outside = settings_->peers.judge(settings_->external.to_external(peer));
  if (own) return inside != Verdict::kDenied && outside != Verdict::kDenied;
  return inside == Verdict::kAllowed || outside == Verdict::kAllowed;
}

void Server::Core::judge_peers_again(Allocation& allocation, Sink& sink) {
  const auto lost = [this](const Permission& permission) {
    return !may_still_reach(permission.ip, permission.own);
  };
  allocation.permissions.forget_if(lost);
  allocation.channels.forget_if(
      [this](const Channel& channel) { return !may_still_reach(channel.peer.ip, channel.own); });
  if (!allocation.tcp) return;
  allocation.tcp->permissions.forget_if(lost);
  auto& connections = allocation.tcp->connections;
  for (auto next = connections.begin(); next != connections.end();) {
    DataConnection& connection = *next++;
    const bool own = live_tcp_relays_.is_live(connection.peer);
    if (!may_still_reach(connection.peer.ip, own)) on_data_late(connection, sink);
  }
}

}  // namespace turnpike::turn
