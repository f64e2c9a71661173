// Allocate and Refresh (RFC 8656 sections 7 and 8), and whose allocation a request is about.
#include <algorithm>
#include <array>
#include <string>

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

Outcome Server::Core::allocate(const Request& request) {
  if (const Allocation* existing = allocations_.find(request.path)) {
    // The same request again, because our answer was lost, gets the same answer (section 7.2).
    const bool again = existing->created_by == request.message.transaction_id() &&
                       existing->holder->name == request.name;
    if (!again) return unexpected(ErrorCode::kAllocationMismatch);
    answer_allocate(request, *existing);
    return {};
  }
  const auto wish = read_allocate_wish(request);
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

// Steps 3 to 9 of RFC 8656 section 7.2; what we do not offer at all was refused with 420 before.
Expected<Server::Core::AllocateWish, ErrorCode> Server::Core::read_allocate_wish(
    const Request& request) const {
  const MessageView& message = request.message;
  AllocateWish wish;
  const auto protocol = read_transport(request);
  if (!protocol) return unexpected(protocol.error());
  wish.protocol = *protocol;
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
  if (wish.protocol == RelayProtocol::kTcp) {
    allocation.tcp = std::make_unique<TcpSide>(kMaxPermissionsPerAllocation);
  }
  const auto relay =
      request.sink.open_relay({wish.family, wish.parity, allocation.handle.pack(), wish.protocol});
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

// RFC 8656 section 7.2: never less than the default, never more than the maximum.
seconds Server::Core::grant(std::optional<std::uint32_t> asked) const {
  const seconds wanted = asked ? seconds(*asked) : settings_->default_lifetime;
  return std::max(settings_->default_lifetime, std::min(wanted, settings_->max_lifetime));
}

}  // namespace turnpike::turn
