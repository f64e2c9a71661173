// EVEN-PORT with its R bit (RFC 8656 section 7.2): the port after the relayed one is kept for half
// a minute. What is kept is charged to its user like an allocation, and passes to the allocation of
// whoever brings the token; when nobody does, it is given back here.
#include <utility>

#include "base/check.h"
#include "turn/core.h"

namespace turnpike::turn {

using stun::ErrorCode;

Outcome Server::Core::charge(const Request& request) {
  switch (quota_.charge({std::string(request.name), request.path.remote.ip})) {
    case QuotaVerdict::kGranted:
      return {};
    case QuotaVerdict::kUserQuotaReached:
      return unexpected(ErrorCode::kAllocationQuotaReached);
    case QuotaVerdict::kTotalQuotaReached:
      break;
  }
  return unexpected(ErrorCode::kInsufficientCapacity);
}

Outcome Server::Core::open_and_reserve(Allocation& allocation, RelayWish wish,
                                       const Request& request) {
  if (reservations_.size() >= reservations_.maximum()) {
    return unexpected(ErrorCode::kInsufficientCapacity);
  }
  if (const Outcome charged = charge(request); !charged) return charged;
  wish.reserve_for = {std::string(request.name), request.path.remote.ip};
  const auto relay = request.sink.open_relay(wish);
  if (!relay) {
    quota_.release(wish.reserve_for);
    return unexpected(code_of(relay.error()));
  }
  take_up(allocation.first, *relay);
  allocation.reserved = relay->reserved;
  const auto handle = reservations_.emplace(relay->reserved, std::move(wish.reserve_for));
  Reservation* reservation = reservations_.find(handle);
  CHECK(reservation != nullptr);
  reservation->expiry.name(static_cast<std::uint32_t>(TimerKind::kReservation), handle.pack());
  wheel_.arm(reservation->expiry, request.now.mono + kReservationLifetime);
  return {};
}

// Expired, revoked, or the server ends: what was claimed meanwhile is another allocation's.
void Server::Core::give_up(Handle<Reservation> handle, Sink& sink) {
  const Reservation* reservation = reservations_.find(handle);
  CHECK(reservation != nullptr);
  if (sink.drop_reservation(reservation->token)) quota_.release(reservation->subject);
  reservations_.erase(handle);
}

}  // namespace turnpike::turn
