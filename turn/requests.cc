// Requests: Binding (RFC 8489 section 6.3), Allocate, Refresh, CreatePermission and ChannelBind
// (RFC 8656 sections 7 to 12), one short function a method.
#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"
#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::ErrorCode;
using stun::MessageView;

// Room for every response: the longest is a challenge with a REALM of 763 bytes.
using Room = std::array<std::uint8_t, 1280>;

std::optional<Family> family_of(std::uint8_t number) {
  if (number == 1) return Family::kIPv4;
  if (number == 2) return Family::kIPv6;
  return std::nullopt;
}

bool is_malformed_u32(const MessageView& message, Attribute attribute) {
  return message.has(attribute) && !message.u32(attribute);
}

// Step 8: the R bit asks to reserve the next port as well, which this server does not offer; it
// cannot satisfy the request then (508), and clients ask again without.
Expected<PortParity, ErrorCode> read_even_port(const MessageView& message) {
  const auto value = message.value(Attribute::kEvenPort);
  if (!value) return PortParity::kAny;
  if (value->size() != 1) return unexpected(ErrorCode::kBadRequest);
  constexpr std::uint8_t kReserveNext = 0x80;
  if ((value->front() & kReserveNext) != 0) return unexpected(ErrorCode::kInsufficientCapacity);
  return PortParity::kEven;
}

// ADDRESS-ERROR-CODE for the IPv6 leg of a dual allocation (RFC 8656 section 18.12): family,
// reserved bits, class, number, phrase.
void add_second_family_error(Builder& builder) {
  constexpr std::string_view kPhrase = "Address Family not Supported";
  std::array<std::uint8_t, 4 + kPhrase.size()> value;
  Writer out(value);
  out.u8(2);
  out.u8(0);
  out.u8(4);
  out.u8(40);
  out.bytes(as_bytes(kPhrase));
  builder.bytes(Attribute::kAddressErrorCode, value);
}

}  // namespace

void Server::Core::binding(const Request& request) {
  const auto unsupported = unsupported_attributes(request.message);
  if (unsupported.count > 0) return refuse(request, ErrorCode::kUnknownAttribute, unsupported);
  if (!may_reply(request)) return;
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, request.message);
  builder.xor_address(Attribute::kXorMappedAddress, request.path.remote);
  statistics_.binding_responses.add();
  answer(request, builder);
}

Outcome Server::Core::allocate(const Request& request) {
  if (const Allocation* existing = allocations_.find(request.path)) {
    // The same request again, because our answer was lost, gets the same answer (section 7.2).
    const bool again = existing->created_by == request.message.transaction_id() &&
                       existing->holder->name == request.name;
    if (!again) return unexpected(ErrorCode::kAllocationMismatch);
    answer_allocate(request, *existing);
    return {};
  }
  const auto wish = read_allocate_wish(request.message);
  if (!wish) return unexpected(wish.error());
  const auto opened = open_allocation(request, *wish);
  if (!opened) return unexpected(opened.error());
  const Allocation& allocation = **opened;
  statistics_.allocations_created.add();
  Event event;
  event.kind = Event::Kind::kAllocationCreated;
  event.method = request.message.method();
  event.path = &request.path;
  event.relayed = allocation.external;
  event.username = request.name;
  request.sink.report(event);
  answer_allocate(request, allocation);
  return {};
}

Outcome Server::Core::refresh(const Request& request) {
  const auto found = own_allocation(request);
  if (!found) return unexpected(found.error());
  Allocation& allocation = **found;
  const MessageView& message = request.message;
  if (is_malformed_u32(message, Attribute::kRequestedAddressFamily) ||
      is_malformed_u32(message, Attribute::kLifetime)) {
    return unexpected(ErrorCode::kBadRequest);
  }
  if (const auto family = message.requested_address_family();
      family && family_of(*family) != allocation.family()) {
    return unexpected(ErrorCode::kPeerAddressFamilyMismatch);
  }
  const seconds lifetime = message.u32(Attribute::kLifetime) == 0u
                               ? seconds(0)
                               : grant(message.u32(Attribute::kLifetime));
  if (lifetime == seconds(0)) {
    end(allocation, Event::Ending::kRefreshZero, request.sink);
  } else {
    wheel_.arm(allocation.expiry, request.now.mono + lifetime);
  }
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, message);
  builder.u32(Attribute::kLifetime, static_cast<std::uint32_t>(lifetime.count()));
  answer(request, builder);
  return {};
}

Outcome Server::Core::create_permission(const Request& request) {
  const auto found = own_allocation(request);
  if (!found) return unexpected(found.error());
  Allocation& allocation = **found;
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
    const bool lives = allocation.permissions.find_live(peer->address.ip, request.now.mono);
    if (!repeated && !lives) ++additions;
    peers[count++] = *peer;
  }
  if (count == 0) return unexpected(ErrorCode::kBadRequest);
  if (!allocation.permissions.has_room_for(additions, request.now.mono)) {
    return unexpected(ErrorCode::kInsufficientCapacity);
  }
  for (std::size_t i = 0; i < count; ++i) permit(allocation, peers[i], request.now);
  answer_plainly(request);
  return {};
}

Outcome Server::Core::channel_bind(const Request& request) {
  const auto found = own_allocation(request);
  if (!found) return unexpected(found.error());
  Allocation& allocation = **found;
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
  permit(allocation, *peer, request.now);
  allocation.channels.bind({peer->address, *number, peer->own, now + kChannelLifetime});
  answer_plainly(request);
  return {};
}

// Steps 3 to 9 of RFC 8656 section 7.2; what we do not offer at all was refused with 420 before.
Expected<Server::Core::AllocateWish, ErrorCode> Server::Core::read_allocate_wish(
    const MessageView& message) const {
  AllocateWish wish;
  const auto transport = message.requested_transport();
  if (!transport) return unexpected(ErrorCode::kBadRequest);
  if (*transport != stun::kProtocolUdp) {
    return unexpected(ErrorCode::kUnsupportedTransportProtocol);
  }
  const bool names_family = message.has(Attribute::kRequestedAddressFamily);
  const bool names_second = message.has(Attribute::kAdditionalAddressFamily);
  if ((names_family && names_second) ||
      is_malformed_u32(message, Attribute::kRequestedAddressFamily) ||
      is_malformed_u32(message, Attribute::kLifetime)) {
    return unexpected(ErrorCode::kBadRequest);
  }
  if (names_family) {
    const auto family = family_of(*message.requested_address_family());
    if (!family) return unexpected(ErrorCode::kAddressFamilyNotSupported);
    wish.family = *family;
  }
  if (names_second) {
    const auto word = message.u32(Attribute::kAdditionalAddressFamily);
    const bool is_v6 = word && family_of(static_cast<std::uint8_t>(*word >> 24)) == Family::kIPv6;
    if (!is_v6) return unexpected(ErrorCode::kBadRequest);
    wish.second_family = true;
  }
  const auto parity = read_even_port(message);
  if (!parity) return unexpected(parity.error());
  wish.parity = *parity;
  wish.lifetime = grant(message.u32(Attribute::kLifetime));
  return wish;
}

Expected<Allocation*, ErrorCode> Server::Core::open_allocation(const Request& request,
                                                               const AllocateWish& wish) {
  if (allocations_.full()) return unexpected(ErrorCode::kInsufficientCapacity);
  switch (quota_.charge({std::string(request.name), request.path.remote.ip})) {
    case QuotaVerdict::kUserQuotaReached:
      return unexpected(ErrorCode::kAllocationQuotaReached);
    case QuotaVerdict::kTotalQuotaReached:
      return unexpected(ErrorCode::kInsufficientCapacity);
    case QuotaVerdict::kGranted:
      break;
  }
  Allocation& allocation = allocations_.create(request.path, request.name);
  statistics_.allocations.add();
  const auto relay = request.sink.open_relay({wish.family, wish.parity, allocation.handle.pack()});
  if (!relay) {
    bury(allocation);
    return unexpected(relay.error() == RelayError::kFamilyNotSupported
                          ? ErrorCode::kAddressFamilyNotSupported
                          : ErrorCode::kInsufficientCapacity);
  }
  allocation.relay = relay->handle;
  allocation.relayed = relay->address;
  allocation.external = {settings_->external.to_external(relay->address.ip), relay->address.port};
  allocation.created_by = request.message.transaction_id();
  allocation.granted_seconds = static_cast<std::uint32_t>(wish.lifetime.count());
  allocation.second_family_refused = wish.second_family;
  wheel_.arm(allocation.expiry, request.now.mono + wish.lifetime);
  return &allocation;
}

void Server::Core::answer_allocate(const Request& request, const Allocation& allocation) {
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, request.message);
  builder.xor_address(Attribute::kXorRelayedAddress, allocation.external)
      .u32(Attribute::kLifetime, allocation.granted_seconds)
      .xor_address(Attribute::kXorMappedAddress, request.path.remote);
  if (allocation.second_family_refused) add_second_family_error(builder);
  answer(request, builder);
}

// The allocation that the request is about, if it belongs to who asks. A credential renewed under
// the same name is the same user (RFC 8656 section 5 speaks of the username; with usernames that
// carry an expiry, the name in it is what stays).
Expected<Allocation*, ErrorCode> Server::Core::own_allocation(const Request& request) {
  Allocation* allocation = allocations_.find(request.path);
  if (allocation == nullptr) return unexpected(ErrorCode::kAllocationMismatch);
  if (allocation->holder->name != request.name) return unexpected(ErrorCode::kWrongCredentials);
  return allocation;
}

Expected<Server::Core::Peer, ErrorCode> Server::Core::judge_peer(const Address& named,
                                                                 const Allocation& from) const {
  if (named.family() != from.family()) return unexpected(ErrorCode::kPeerAddressFamilyMismatch);
  const IpAddress ip = canonical(named.ip);
  const PeerPolicy::Verdict verdict = settings_->peers.judge(ip);
  if (verdict == PeerPolicy::Verdict::kDenied) return unexpected(ErrorCode::kForbidden);
  // An IPv4 address in IPv6 clothes: nothing that an IPv6 relay could reach.
  if (ip.family() != from.family()) return unexpected(ErrorCode::kPeerAddressFamilyMismatch);
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

void Server::Core::permit(Allocation& allocation, const Peer& peer, Tick now) {
  allocation.permissions.install(
      {peer.address.ip, peer.own, peer.shown_as_external, now.mono + kPermissionLifetime});
}

// RFC 8656 section 7.2: never less than the default, never more than the maximum.
seconds Server::Core::grant(std::optional<std::uint32_t> asked) const {
  const seconds wanted = asked ? seconds(*asked) : settings_->default_lifetime;
  return std::max(settings_->default_lifetime, std::min(wanted, settings_->max_lifetime));
}

void Server::Core::answer(const Request& request, Builder& builder) {
  if (request.key != nullptr) builder.message_integrity(*request.key);
  if (request.message.has(Attribute::kFingerprint)) builder.fingerprint();
  const ByteView bytes = builder.finish();
  CHECK(!bytes.empty());
  request.sink.to_client(request.path, Parts{bytes, {}, 0});
}

void Server::Core::answer_plainly(const Request& request) {
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, request.message);
  answer(request, builder);
}

void Server::Core::refuse(const Request& request, ErrorCode code,
                          const MessageView::UnknownTypes& unknown) {
  if (!may_reply(request)) return;
  Room room;
  Builder builder = Builder::response(room, Class::kError, request.message);
  builder.error(code);
  if (code == ErrorCode::kUnauthorized || code == ErrorCode::kStaleNonce) {
    const auto nonce = nonces_.make(request.now.wall, request.path.remote);
    builder.text(Attribute::kRealm, settings_->credentials.realm())
        .text(Attribute::kNonce, nonce.view());
    statistics_.unauthorized_responses.add();
  }
  if (unknown.count > 0) {
    builder.unknown_attributes(std::span(unknown.types).first(unknown.count));
  }
  statistics_.error_responses.add();
  Event event;
  event.code = static_cast<std::uint16_t>(code);
  event.method = request.message.method();
  event.path = &request.path;
  event.username = request.name;
  request.sink.report(event);
  answer(request, builder);
}

// Who is authenticated gets every answer, and who has a connection is where he says he is.
bool Server::Core::may_reply(const Request& request) {
  if (request.key != nullptr || request.path.transport != Transport::kUdp) return true;
  if (throttle_.allow(request.path.remote.ip, request.now.mono)) return true;
  statistics_.replies_throttled.add();
  return false;
}

}  // namespace turnpike::turn
