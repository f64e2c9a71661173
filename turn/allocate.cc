// Allocate and Refresh (RFC 8656 sections 7 and 8), and whose allocation a request is about.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/check.h"
#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::ErrorCode;
using stun::MessageView;

std::optional<Family> family_of(std::uint8_t number) {
  if (number == 1) return Family::kIPv4;
  if (number == 2) return Family::kIPv6;
  return std::nullopt;
}

bool is_malformed_u32(const MessageView& message, Attribute attribute) {
  return message.has(attribute) && !message.u32(attribute);
}

// Step 8: the R bit asks to reserve the next port as well.
Expected<PortParity, ErrorCode> read_even_port(const MessageView& message) {
  const auto value = message.value(Attribute::kEvenPort);
  if (!value) return PortParity::kAny;
  if (value->size() != 1) return unexpected(ErrorCode::kBadRequest);
  constexpr std::uint8_t kReserveNext = 0x80;
  return (value->front() & kReserveNext) != 0 ? PortParity::kEvenAndReserveNext : PortParity::kEven;
}

// ADDRESS-ERROR-CODE for the leg that a dual allocation could not have (RFC 8656 section 18.12):
// family, reserved bits, class, number, phrase.
void add_address_error(Builder& builder, Family family, ErrorCode code) {
  std::array<std::uint8_t, 64> room;
  Writer out(room);
  const auto number = static_cast<std::uint16_t>(code);
  out.u8(family == Family::kIPv4 ? 1 : 2);
  out.u8(0);
  out.u8(static_cast<std::uint8_t>(number / 100));
  out.u8(static_cast<std::uint8_t>(number % 100));
  out.bytes(as_bytes(stun::reason_phrase(code)));
  CHECK(out.ok());
  builder.bytes(Attribute::kAddressErrorCode, ByteView(room).first(out.size()));
}

}  // namespace

ErrorCode code_of(RelayError error) {
  return error == RelayError::kFamilyNotSupported ? ErrorCode::kAddressFamilyNotSupported
                                                  : ErrorCode::kInsufficientCapacity;
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
  if (allocations_.find_arriving(request.path) != nullptr) {
    return unexpected(ErrorCode::kAllocationMismatch);
  }
  auto wish = read_allocate_wish(request);
  if (!wish) return unexpected(wish.error());
  // Section 7.2 has no error for a server that is about to leave. Clients take 508 for this server
  // being full, and try the next one; where the operator has named that, on_request() answered 300.
  if (draining_ && !wish->brings_token) return unexpected(ErrorCode::kInsufficientCapacity);
  wish->lifetime = within_credential(request, wish->lifetime);
  const auto opened = open_allocation(request, *wish);
  if (!opened) return unexpected(opened.error());
  const Allocation& allocation = **opened;
  statistics_.allocations_created.add();
  Event event;
  event.kind = Event::Kind::kAllocationCreated;
  event.method = request.message.method();
  event.path = &request.path;
  event.relayed = allocation.first.external;
  event.username = request.name;
  request.sink.report(event);
  answer_allocate(request, allocation);
  return {};
}

Outcome Server::Core::refresh(const Request& request) {
  if (settings_->mobility && request.message.has(Attribute::kMobilityTicket)) return move(request);
  const auto found = own_allocation(request);
  if (!found) return unexpected(found.error());
  return refresh_allocation(request, **found, nullptr);
}

Outcome Server::Core::refresh_allocation(const Request& request, Allocation& allocation,
                                         const Ticket* ticket) {
  const MessageView& message = request.message;
  if (is_malformed_u32(message, Attribute::kRequestedAddressFamily) ||
      is_malformed_u32(message, Attribute::kLifetime)) {
    return unexpected(ErrorCode::kBadRequest);
  }
  Leg* named = nullptr;  // section 8.2: one leg of a dual allocation
  if (const auto number = message.requested_address_family()) {
    const auto family = family_of(*number);
    named = family ? allocation.leg(*family) : nullptr;
    if (named == nullptr) return unexpected(ErrorCode::kPeerAddressFamilyMismatch);
  }
  const seconds lifetime =
      message.u32(Attribute::kLifetime) == 0u
          ? seconds(0)
          : within_credential(request, grant(message.u32(Attribute::kLifetime)));
  const bool both = named == nullptr || !allocation.second;
  if (lifetime > seconds(0)) {
    const MonoTime deadline = request.now.mono + lifetime;
    arm(allocation, both ? allocation.first : *named, deadline);
    if (both && allocation.second) arm(allocation, *allocation.second, deadline);
  } else if (both) {
    end(request.now, allocation, Event::Ending::kRefreshZero, request.sink);
  } else {
    end_leg(allocation, named->family(), request.sink);
  }
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, message);
  builder.u32(Attribute::kLifetime, static_cast<std::uint32_t>(lifetime.count()));
  const bool ended = lifetime == seconds(0) && both;
  if (ticket != nullptr && !ended) {
    builder.bytes(Attribute::kMobilityTicket, *ticket);
  }
  answer(request, builder);
  return {};
}

// Steps 3 to 9 of RFC 8656 section 7.2; what we do not offer at all was refused with 420 before.
Expected<Server::Core::AllocateWish, ErrorCode> Server::Core::read_allocate_wish(
    const Request& request) const {
  const MessageView& message = request.message;
  AllocateWish wish;
  const auto protocol = read_transport(request);
  if (!protocol) return unexpected(protocol.error());
  wish.protocol = *protocol;
  if (auto judged = judge_mobility_wish(request, *protocol); !judged) {
    return unexpected(judged.error());
  }
  wish.mobile = message.has(Attribute::kMobilityTicket);
  const bool names_family = message.has(Attribute::kRequestedAddressFamily);
  const bool names_second = message.has(Attribute::kAdditionalAddressFamily);
  if (const auto token = message.value(Attribute::kReservationToken)) {
    const bool stands_alone = !message.has(Attribute::kEvenPort) && !names_family && !names_second;
    if (!stands_alone || token->size() != sizeof(ReservationToken)) {
      return unexpected(ErrorCode::kBadRequest);
    }
    wish.brings_token = true;
    wish.token = Reader(*token).u64();
  }
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
  if (names_second && *parity == PortParity::kEvenAndReserveNext) {
    return unexpected(ErrorCode::kBadRequest);
  }
  wish.lifetime = grant(message.u32(Attribute::kLifetime));
  return wish;
}

// A TCP allocation wants a control connection that is a stream, and nothing that is about datagrams
// (RFC 6062 section 5.1).
Expected<RelayProtocol, ErrorCode> Server::Core::read_transport(const Request& request) const {
  const MessageView& message = request.message;
  const auto transport = message.requested_transport();
  if (!transport) return unexpected(ErrorCode::kBadRequest);
  if (*transport == stun::kProtocolUdp) return RelayProtocol::kUdp;
  if (*transport != stun::kProtocolTcp || !settings_->tcp_relay) {
    return unexpected(ErrorCode::kUnsupportedTransportProtocol);
  }
  const bool about_datagrams = message.has(Attribute::kDontFragment) ||
                               message.has(Attribute::kEvenPort) ||
                               message.has(Attribute::kReservationToken);
  if (about_datagrams || !is_stream(request.path.transport)) {
    return unexpected(ErrorCode::kBadRequest);
  }
  return RelayProtocol::kTcp;
}

Expected<Allocation*, ErrorCode> Server::Core::open_allocation(const Request& request,
                                                               const AllocateWish& wish) {
  if (allocations_.full()) return unexpected(ErrorCode::kInsufficientCapacity);
  // A reserved port is paid for already.
  if (!wish.brings_token) {
    if (const Outcome charged = charge(request); !charged) return unexpected(charged.error());
  }
  Allocation& allocation = allocations_.create(
      request.path, request.name, {settings_->max_permissions, settings_->max_channels});
  allocation.charged_for = request.path.remote.ip;
  allocation.began = request.now.mono;
  statistics_.allocations.add();
  if (wish.protocol == RelayProtocol::kTcp) {
    allocation.tcp = std::make_unique<TcpSide>(settings_->max_permissions);
  }
  const Outcome opened =
      wish.brings_token ? claim(allocation, wish, request) : open_legs(allocation, wish, request);
  if (!opened) {
    wish.brings_token ? forget(allocation) : bury(allocation);
    return unexpected(opened.error());
  }
  allocation.created_by = request.message.transaction_id();
  allocation.granted_seconds = static_cast<std::uint32_t>(wish.lifetime.count());
  if (wish.mobile) make_mobile(allocation);
  const MonoTime deadline = request.now.mono + wish.lifetime;
  arm(allocation, allocation.first, deadline);
  if (allocation.second) arm(allocation, *allocation.second, deadline);
  allocation.counted_as =
      AllocationCounters::kind(request.path.transport, allocation.leg(Family::kIPv4) != nullptr,
                               allocation.leg(Family::kIPv6) != nullptr);
  statistics_.by_kind.begin(allocation.counted_as);
  return &allocation;
}

// Step 9 and section 18.12: of two families one may fail, and the client is told which and why.
Outcome Server::Core::open_legs(Allocation& allocation, const AllocateWish& wish,
                                const Request& request) {
  RelayWish relay{wish.family, wish.parity, allocation.handle.pack(), wish.protocol, {}};
  if (wish.parity == PortParity::kEvenAndReserveNext) {
    return open_and_reserve(allocation, relay, request);
  }
  const Outcome one = open_leg(allocation.first, relay, request.sink);
  if (!wish.second_family) return one;
  auto spare = std::make_unique<Leg>();
  relay.family = Family::kIPv6;
  const Outcome other = open_leg(one ? *spare : allocation.first, relay, request.sink);
  if (one && other) {
    allocation.second = std::move(spare);
    return {};
  }
  if (!one && !other) return unexpected(std::max(one.error(), other.error()));
  allocation.other_family_refused = one ? other.error() : one.error();
  return {};
}

Outcome Server::Core::open_leg(Leg& leg, const RelayWish& wish, Sink& sink) {
  const auto relay = sink.open_relay(wish);
  if (!relay) return unexpected(code_of(relay.error()));
  take_up(leg, *relay);
  return {};
}

Outcome Server::Core::claim(Allocation& allocation, const AllocateWish& wish,
                            const Request& request) {
  const auto claimed =
      request.sink.claim_relay({wish.token, request.name, allocation.handle.pack()});
  if (!claimed) return unexpected(ErrorCode::kInsufficientCapacity);
  allocation.charged_for = claimed->charged_for;
  take_up(allocation.first, claimed->relay);
  return {};
}

void Server::Core::take_up(Leg& leg, const Relay& relay) {
  leg.relay = relay.handle;
  leg.relayed = relay.address;
  leg.external = {settings_->external.to_external(relay.address.ip), relay.address.port};
}

void Server::Core::answer_allocate(const Request& request, const Allocation& allocation) {
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, request.message);
  builder.xor_address(Attribute::kXorRelayedAddress, allocation.first.external);
  if (allocation.second) {
    builder.xor_address(Attribute::kXorRelayedAddress, allocation.second->external);
  }
  builder.u32(Attribute::kLifetime, allocation.granted_seconds)
      .xor_address(Attribute::kXorMappedAddress, request.path.remote);
  if (allocation.reserved != 0) builder.u64(Attribute::kReservationToken, allocation.reserved);
  if (allocation.other_family_refused != stun::ErrorCode{}) {
    const bool is_v4 = allocation.first.family() == Family::kIPv4;
    add_address_error(builder, is_v4 ? Family::kIPv6 : Family::kIPv4,
                      allocation.other_family_refused);
  }
  if (allocation.mobility) builder.bytes(Attribute::kMobilityTicket, allocation.mobility->ticket);
  answer(request, builder);
}

// The allocation that the request is about, if it belongs to who asks. A credential renewed under
// the same name is the same user (RFC 8656 section 5 speaks of the username; with usernames that
// carry an expiry, the name in it is what stays).
bool Server::Core::is_holders(const Allocation& allocation, const Request& request) {
  if (allocation.holder->name != request.name) return false;
  const KeptCredential* kept = allocation.kept.get();
  return kept == nullptr || !kept->by_token || kept->key == request.key->key;
}

Expected<Allocation*, ErrorCode> Server::Core::own_allocation(const Request& request) {
  Allocation* allocation = allocations_.find(request.path);
  if (allocation == nullptr) allocation = allocations_.find_arriving(request.path);
  if (allocation == nullptr) return unexpected(ErrorCode::kAllocationMismatch);
  if (allocation->holder->name != request.name) return unexpected(ErrorCode::kWrongCredentials);
  return allocation;
}

// RFC 8656 section 7.2: never less than the default, never more than the maximum.
seconds Server::Core::grant(std::optional<std::uint32_t> asked) const {
  const seconds wanted = asked ? seconds(*asked) : settings_->default_lifetime;
  return std::max(settings_->default_lifetime, std::min(wanted, settings_->max_lifetime));
}

// Not longer than the credential lives, where that counts; never 0, which would mean an end.
seconds Server::Core::within_credential(const Request& request, seconds lifetime) {
  if (!request.expires) return lifetime;
  return std::clamp(*request.expires - request.now.wall, seconds(1), lifetime);
}

}  // namespace turnpike::turn
