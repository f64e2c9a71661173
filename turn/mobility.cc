// Tickets, and the moves of mobile allocations (RFC 8016).
#include "turn/mobility.h"

#include <algorithm>

#include "base/check.h"
#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::ErrorCode;

constexpr std::string_view kPurpose = "turnpike mobility ticket";

}  // namespace

Ticket seal_ticket(const TicketKey& key, const TicketClaim& claim, Random& random) {
  std::array<std::uint8_t, 16> plain;
  Writer words(plain);
  words.u32(claim.worker);
  words.u32(claim.serial);
  words.u64(claim.allocation);
  Ticket ticket;
  const MutableBytes nonce = MutableBytes(ticket).first(AesGcm::kNonceSize);
  random.fill(nonce);
  AesGcm().seal(key, nonce, as_bytes(kPurpose), plain,
                MutableBytes(ticket).subspan(AesGcm::kNonceSize));
  return ticket;
}

std::optional<TicketClaim> open_ticket(const TicketKey& key, ByteView ticket) {
  if (ticket.size() != kTicketSize) return std::nullopt;
  std::array<std::uint8_t, 16> plain;
  const bool genuine = AesGcm().open(key, ticket.first(AesGcm::kNonceSize), as_bytes(kPurpose),
                                     ticket.subspan(AesGcm::kNonceSize), plain);
  if (!genuine) return std::nullopt;
  Reader in(plain);
  TicketClaim claim;
  claim.worker = in.u32();
  claim.serial = in.u32();
  claim.allocation = in.u64();
  return claim;
}

bool Forwards::add(const Path& path, std::uint32_t worker, MonoTime now) {
  if (workers_.size() >= kMaximum && !workers_.contains(path)) {
    sweep(now);
    if (workers_.size() >= kMaximum) return false;
  }
  workers_[path] = {worker, now};
  return true;
}

std::optional<std::uint32_t> Forwards::find(const Path& path, MonoTime now) {
  const auto found = workers_.find(path);
  if (found == workers_.end()) return std::nullopt;
  if (found->second.last_seen + kSilence <= now) {
    workers_.erase(found);
    return std::nullopt;
  }
  found->second.last_seen = now;
  return found->second.worker;
}

void Forwards::sweep(MonoTime now) {
  boost::unordered::erase_if(
      workers_, [now](const auto& entry) { return entry.second.last_seen + kSilence <= now; });
}

// Whether the client of this path has moved here with another worker's allocation.
bool Server::Core::forward(Tick now, const Path& path, const Run& run, Sink& sink) {
  const auto worker = forwards_.find(path, now.mono);
  if (worker) sink.forward(path, *worker, run);
  return worker.has_value();
}

// Allocate with MOBILITY-TICKET (section 3.1.2).
Outcome Server::Core::judge_mobility_wish(const Request& request, RelayProtocol protocol) const {
  const auto value = request.message.value(Attribute::kMobilityTicket);
  if (!value) return {};
  if (!value->empty()) return unexpected(ErrorCode::kBadRequest);
  // Data connections cannot move.
  const bool possible = settings_->mobility && protocol == RelayProtocol::kUdp;
  if (!possible) return unexpected(ErrorCode::kMobilityForbidden);
  return {};
}

void Server::Core::make_mobile(Allocation& allocation) {
  allocation.mobility = std::make_unique<Mobility>();
  allocation.mobility->ticket = make_ticket(allocation, allocation.mobility->serial);
}

Ticket Server::Core::make_ticket(const Allocation& allocation, std::uint32_t serial) const {
  return seal_ticket(settings_->ticket_key, {worker_, serial, allocation.handle.pack()}, random_);
}

// Refresh with MOBILITY-TICKET (section 3.2.2).
Outcome Server::Core::move(const Request& request) {
  const auto claim =
      open_ticket(settings_->ticket_key, *request.message.value(Attribute::kMobilityTicket));
  if (!claim) return unexpected(ErrorCode::kBadRequest);
  const bool taken = allocations_.find(request.path) != nullptr;
  if (claim->worker != worker_) {
    if (taken) return unexpected(ErrorCode::kBadRequest);
    return send_to_owner(request, claim->worker);
  }
  Allocation* allocation = allocations_.find(Handle<Allocation>::unpack(claim->allocation));
  if (allocation == nullptr) {
    return unexpected(taken ? ErrorCode::kBadRequest : ErrorCode::kAllocationMismatch);
  }
  if (!is_holders(*allocation, request)) return unexpected(ErrorCode::kWrongCredentials);
  CHECK(allocation->mobility);  // it has given a ticket
  const Mobility& mobility = *allocation->mobility;
  if (is_last_move(request, *claim, mobility)) {
    answer_move_again(request, mobility);
    return {};
  }
  if (taken || mobility.arriving == request.path || claim->serial != mobility.serial) {
    return unexpected(ErrorCode::kBadRequest);
  }
  return arrive(request, *allocation);
}

bool Server::Core::is_last_move(const Request& request, const TicketClaim& claim,
                                const Mobility& mobility) {
  const auto& last = mobility.last_move;
  return last && claim.serial + 1 == mobility.serial && last->path == request.path &&
         last->id == request.message.transaction_id() && request.now.mono < last->answered_until;
}

// Its packets are forwarded from here on; a connection or DTLS session goes there as a whole.
Outcome Server::Core::send_to_owner(const Request& request, std::uint32_t worker) {
  if (worker >= workers_) return unexpected(ErrorCode::kAllocationMismatch);
  if (request.path.transport != Transport::kUdp) {
    request.sink.hand_over(request.path, worker);
    return {};
  }
  if (!forwards_.add(request.path, worker, request.now.mono)) {
    return unexpected(ErrorCode::kInsufficientCapacity);
  }
  request.sink.forward(request.path, worker, Run::one(request.message.bytes()));
  return {};
}

Outcome Server::Core::arrive(const Request& request, Allocation& allocation) {
  const Handle<Allocation> handle = allocation.handle;
  const std::uint32_t serial = allocation.mobility->serial + 1;
  const Ticket ticket = make_ticket(allocation, serial);
  if (auto done = refresh_allocation(request, allocation, &ticket); !done) return done;
  if (allocations_.find(handle) == nullptr) return {};  // a lifetime of 0

  Mobility& mobility = *allocation.mobility;
  if (mobility.arriving) forget_arriving(allocation, request.sink);
  allocations_.add_arriving(allocation, request.path);
  report_path(Event::Kind::kPathJoined, allocation, request.path, request.sink);
  mobility.serial = serial;
  mobility.ticket = ticket;
  const seconds lifetime =
      within_credential(request, grant(request.message.u32(Attribute::kLifetime)));
  mobility.last_move = Mobility::Move{request.path, request.message.transaction_id(),
                                      static_cast<std::uint32_t>(lifetime.count()),
                                      request.now.mono + kOldTicketLifetime};
  if (mobility.departed) settle(allocation, request.sink);
  return {};
}

void Server::Core::answer_move_again(const Request& request, const Mobility& mobility) {
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, request.message);
  builder.u32(Attribute::kLifetime, mobility.last_move->lifetime)
      .bytes(Attribute::kMobilityTicket, mobility.ticket);
  answer(request, builder);
}

// The first data from the new five-tuple: it is the allocation's now.
Allocation* Server::Core::settle_by_data(const Path& path, Sink& sink) {
  Allocation* allocation = allocations_.find_arriving(path);
  if (allocation != nullptr) settle(*allocation, sink);
  return allocation;
}

void Server::Core::settle(Allocation& allocation, Sink& sink) {
  const Path before = allocation.path;
  allocations_.settle(allocation);
  allocation.mobility->departed = false;
  report_path(Event::Kind::kPathLeft, allocation, before, sink);
}

void Server::Core::forget_arriving(Allocation& allocation, Sink& sink) {
  const Path path = *allocation.mobility->arriving;
  allocations_.remove_arriving(allocation);
  report_path(Event::Kind::kPathLeft, allocation, path, sink);
}

// A connection that breaks is what mobility is for: the allocation waits for its client until it
// expires.
bool Server::Core::outlives_connection(Allocation& allocation, Sink& sink) {
  if (!allocation.mobility) return false;
  allocation.mobility->departed = true;
  if (allocation.mobility->arriving) settle(allocation, sink);
  return true;
}

void Server::Core::report_path(Event::Kind kind, const Allocation& allocation, const Path& path,
                               Sink& sink) {
  Event event;
  event.kind = kind;
  event.path = &path;
  event.relayed = allocation.first.external;
  event.username = allocation.holder->name;
  sink.report(event);
}

}  // namespace turnpike::turn
