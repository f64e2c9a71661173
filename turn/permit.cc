// CreatePermission and ChannelBind (RFC 8656 sections 10 and 12): which peers an allocation may
// talk to.
#include <algorithm>
#include <array>

#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::ErrorCode;
using stun::MessageView;

}  // namespace

Outcome Server::Core::create_permission(const Request& request) {
  const auto found = own_allocation(request);
  if (!found) return unexpected(found.error());
  Allocation& allocation = **found;
  Permissions& permissions = allocation.tcp ? allocation.tcp->permissions : allocation.permissions;
  // Nothing is installed before every address has been judged (section 10.2).
  std::array<Peer, MessageView::kMaxAttributes> peers;
  std::size_t count = 0;
  std::size_t additions = 0;
  for (const MessageView::Entry& entry : request.message.entries()) {
    if (entry.type != static_cast<std::uint16_t>(Attribute::kXorPeerAddress)) continue;
    const auto named = request.message.xor_address_of(entry);
    if (!named) return unexpected(ErrorCode::kBadRequest);
    const auto peer = judge_peer(*named, allocation);
    if (!peer) return unexpected(peer.error());
    const bool repeated =
        std::any_of(peers.begin(), peers.begin() + static_cast<std::ptrdiff_t>(count),
                    [&](const Peer& other) { return other.address.ip == peer->address.ip; });
    // One that has expired may be swept to make room, so it counts as new.
    const bool lives = permissions.find_live(peer->address.ip, request.now.mono);
    if (!repeated && !lives) ++additions;
    peers[count++] = *peer;
  }
  if (count == 0) return unexpected(ErrorCode::kBadRequest);
  if (!permissions.has_room_for(additions, request.now.mono)) {
    return unexpected(ErrorCode::kInsufficientCapacity);
  }
  for (std::size_t i = 0; i < count; ++i) permit(permissions, peers[i], request.now);
  answer_plainly(request);
  return {};
}

Outcome Server::Core::channel_bind(const Request& request) {
  const auto found = own_allocation(request);
  if (!found) return unexpected(found.error());
  Allocation& allocation = **found;
  // Channels carry datagrams.
  if (allocation.tcp) return unexpected(ErrorCode::kForbidden);
  const auto number = request.message.channel_number();
  const auto named = request.message.xor_address(Attribute::kXorPeerAddress);
  const bool in_range =
      number && *number >= kFirstChannelNumber && *number <= settings_->last_channel_number;
  if (!in_range || !named || named->port == 0) return unexpected(ErrorCode::kBadRequest);
  const auto peer = judge_peer(*named, allocation);
  if (!peer) return unexpected(peer.error());
  if (peer->own && !live_relays_.is_live(peer->address)) return unexpected(ErrorCode::kForbidden);

  const MonoTime now = request.now.mono;
  switch (allocation.channels.may_bind(*number, peer->address, now)) {
    case Channels::Bind::kConflict:
      return unexpected(ErrorCode::kBadRequest);
    case Channels::Bind::kFull:
      return unexpected(ErrorCode::kInsufficientCapacity);
    case Channels::Bind::kPossible:
      break;
  }
  const std::size_t additions = allocation.permissions.find_live(peer->address.ip, now) ? 0 : 1;
  if (!allocation.permissions.has_room_for(additions, now)) {
    return unexpected(ErrorCode::kInsufficientCapacity);
  }
  permit(allocation.permissions, *peer, request.now);
  allocation.channels.bind({peer->address, *number, peer->own, now + settings_->channel_lifetime});
  answer_plainly(request);
  return {};
}

Expected<Server::Core::Peer, ErrorCode> Server::Core::judge_peer(const Address& named,
                                                                 const Allocation& from) const {
  if (from.leg(named.family()) == nullptr) {
    return unexpected(ErrorCode::kPeerAddressFamilyMismatch);
  }
  const IpAddress ip = canonical(named.ip);
  const PeerPolicy::Verdict verdict = settings_->peers.judge(ip);
  if (verdict == PeerPolicy::Verdict::kDenied) return unexpected(ErrorCode::kForbidden);
  // An IPv4 address in IPv6 clothes: nothing that an IPv6 relay could reach.
  if (ip.family() != named.family()) return unexpected(ErrorCode::kPeerAddressFamilyMismatch);
  Peer peer;
  peer.address = {settings_->external.to_local(ip), named.port};
  peer.own = verdict == PeerPolicy::Verdict::kOwn;
  peer.shown_as_external = peer.own || peer.address.ip != ip;
  const auto& relay_ips = settings_->relay_ips;
  const bool no_relay_there = !relay_ips.empty() && std::find(relay_ips.begin(), relay_ips.end(),
                                                              peer.address.ip) == relay_ips.end();
  if (peer.own && no_relay_there) return unexpected(ErrorCode::kForbidden);
  return peer;
}

void Server::Core::permit(Permissions& permissions, const Peer& peer, Tick now) {
  permissions.install({peer.address.ip, peer.own, peer.shown_as_external,
                       now.mono + settings_->permission_lifetime});
}

}  // namespace turnpike::turn
