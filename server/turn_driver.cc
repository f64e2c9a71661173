#include "server/turn_driver.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "net/bind.h"
#include "net/syscalls.h"
#include "server/transport_name.h"

namespace turnpike::server {
namespace {

using SocketHandle = net::RelaySockets::SocketHandle;

std::string_view reason(turn::Event::Ending ending) {
  using Ending = turn::Event::Ending;
  switch (ending) {
    case Ending::kExpired:
      return "expired";
    case Ending::kRefreshZero:
      return "released by the client";
    case Ending::kClientGone:
      return "connection closed";
    case Ending::kRevoked:
      return "member left";
    case Ending::kOperator:
      return "ended by the operator";
    case Ending::kShutdown:
      return "server shutting down";
    case Ending::kNone:
      break;
  }
  return "ended";
}

}  // namespace

TurnDriver::TurnDriver(RelayRange range, const Wiring& wiring)
    : range_(std::move(range)), wiring_(wiring) {
  CHECK(range_.first_port != 0 && range_.first_port <= range_.last_port);
}

void TurnDriver::to_client(const turn::Path& path, const turn::Parts& parts) {
  if (turn::is_stream(path.transport)) return to_stream(path, parts);
  if (path.transport == turn::Transport::kDtls) return dtls_->to_client(path, parts);
  CHECK(path.listener < listener_fds_.size());
  wiring_.batch.push(listener_fds_[path.listener], path.remote, parts.head, parts.body, parts.pad);
}

void TurnDriver::to_stream(const turn::Path& path, const turn::Parts& parts) {
  net::Stream* stream = wiring_.streams.find_stream(path.stream);
  const std::uint32_t messages = std::max(parts.body.count, 1u);
  if (stream == nullptr) return statistics_.stream_messages_dropped.add(messages);
  for (std::uint32_t i = 0; i < messages; ++i) {
    const ByteView body = parts.body.count == 0 ? ByteView() : parts.body.segment(i);
    if (stream->write_datagram(parts.head, body, parts.pad) == net::Stream::Written::kDropped) {
      return statistics_.stream_messages_dropped.add(messages - i);
    }
  }
}

void TurnDriver::to_peer(turn::RelayHandle relay, const Address& peer, const Run& run) {
  const auto* socket = wiring_.relays.find(SocketHandle::unpack(relay.value));
  CHECK(socket != nullptr);  // the server names only relays that it has not closed
  if (wiring_.short_cuts.take(socket->local, peer, run)) return;
  wiring_.batch.push(socket->fd, peer, {}, run);
}

Expected<turn::Relay, turn::RelayError> TurnDriver::open_relay(const turn::RelayWish& wish) {
  OpenResult opened = unexpected(turn::RelayError::kFamilyNotSupported);
  // Addresses take turns; where one has no port left, the others of its family are tried.
  const auto choices =
      std::count_if(range_.ips.begin(), range_.ips.end(),
                    [&wish](const IpAddress& ip) { return ip.family() == wish.family; });
  for (std::ptrdiff_t tries = 0; tries < choices && !opened; ++tries) {
    const IpAddress* ip = next_ip(wish.family);
    opened = wish.protocol == turn::RelayProtocol::kTcp ? tcp_->open(*ip, wish.owner)
                                                        : open_on(*ip, wish);
  }
  (opened ? statistics_.relays_opened : statistics_.relays_refused).add();
  return opened;
}

const IpAddress* TurnDriver::next_ip(Family family) {
  for (std::size_t step = 0; step < range_.ips.size(); ++step) {
    const IpAddress& ip = range_.ips[(turn_ + step) % range_.ips.size()];
    if (ip.family() != family) continue;
    turn_ += step + 1;
    return &ip;
  }
  return nullptr;
}

// The kernel's bind decides, for every worker draws from the whole range and other programs may
// sit in it. Ports are drawn at random, so that nobody can guess the next one (RFC 8656 section
// 7.2); when the range is crowded the rest is scanned from a random place. Ports that are live
// here cost no system call, and binds that fail because of other programs are bounded.
TurnDriver::OpenResult TurnDriver::open_on(const IpAddress& ip, const turn::RelayWish& wish) {
  const bool even = wish.parity != turn::PortParity::kAny;
  const std::uint32_t step_width = even ? 2 : 1;
  const std::uint32_t first = range_.first_port + (even ? range_.first_port % 2u : 0u);
  // The port above a reserving one must be of the range too.
  const std::uint32_t last =
      range_.last_port - (wish.parity == turn::PortParity::kEvenAndReserveNext ? 1u : 0u);
  if (first > last) return unexpected(turn::RelayError::kNoPortLeft);
  const std::uint32_t ports = (last - first) / step_width + 1;
  if (!even && wiring_.live_relays.live_on(ip) >= ports) {
    return unexpected(turn::RelayError::kNoPortLeft);
  }
  const auto port_at = [&](std::uint32_t offset) {
    return static_cast<std::uint16_t>(first + offset % ports * step_width);
  };
  for (std::uint32_t draw = 0; draw < kRandomDraws; ++draw) {
    const Address address{ip, port_at(wiring_.random.below(ports))};
    if (wiring_.live_relays.is_live(address)) continue;
    if (auto result = try_port(address, wish)) return *result;
  }
  const std::uint32_t start = wiring_.random.below(ports);
  for (std::uint32_t step = 0, binds = 0; step < ports && binds < kScannedBinds; ++step) {
    const Address address{ip, port_at(start + step)};
    if (wiring_.live_relays.is_live(address)) continue;
    if (auto result = try_port(address, wish)) return *result;
    ++binds;
  }
  return unexpected(turn::RelayError::kNoPortLeft);
}

std::optional<TurnDriver::OpenResult> TurnDriver::try_port(const Address& address,
                                                           const turn::RelayWish& wish) {
  const auto handle = wiring_.relays.open(address, wish.owner);
  if (handle) {
    wiring_.live_relays.add(address, {wiring_.worker, wish.owner});
    const turn::Relay relay{{handle->pack()}, address};
    if (wish.parity == turn::PortParity::kEvenAndReserveNext) return reserve_next(relay, wish);
    return OpenResult(relay);
  }
  switch (handle.error()) {
    case net::RelaySockets::OpenError::kAddressInUse:
      return std::nullopt;
    case net::RelaySockets::OpenError::kNoSuchAddress:
      return OpenResult(unexpected(turn::RelayError::kFamilyNotSupported));
    case net::RelaySockets::OpenError::kNoResources:
      return OpenResult(unexpected(turn::RelayError::kNoResources));
  }
  return std::nullopt;
}

std::optional<TurnDriver::OpenResult> TurnDriver::reserve_next(const turn::Relay& relay,
                                                               const turn::RelayWish& wish) {
  const Address next{relay.address.ip, static_cast<std::uint16_t>(relay.address.port + 1)};
  const auto fd = net::open_bound(next, SOCK_DGRAM, net::ReusePort::kNo);
  if (!fd) {
    close_relay(relay.handle);
    return std::nullopt;
  }
  turn::Relay pair = relay;
  pair.reserved = wiring_.reservations.add({*fd, next}, wish.reserve_for);
  if (pair.reserved != 0) return OpenResult(pair);
  net::syscalls().close(*fd);
  close_relay(relay.handle);
  return OpenResult(unexpected(turn::RelayError::kNoResources));
}

Expected<turn::ClaimedRelay, turn::RelayError> TurnDriver::claim_relay(const Claim& claim) {
  return wiring_.reservations.claim(
      claim.token, claim.name, [&](const SharedReservations::Socket& reserved) -> OpenResult {
        const auto handle = wiring_.relays.adopt(reserved.fd, reserved.local, claim.owner);
        if (!handle) return unexpected(turn::RelayError::kNoResources);
        wiring_.live_relays.add(reserved.local, {wiring_.worker, claim.owner});
        statistics_.relays_opened.add();
        return turn::Relay{{handle->pack()}, reserved.local};
      });
}

bool TurnDriver::drop_reservation(turn::ReservationToken token) {
  return wiring_.reservations.drop(token);
}

void TurnDriver::close_relay(turn::RelayHandle relay) {
  if (TcpRelays::names(relay)) return tcp_->close(relay);
  const auto handle = SocketHandle::unpack(relay.value);
  const auto* socket = wiring_.relays.find(handle);
  CHECK(socket != nullptr);
  wiring_.live_relays.remove(socket->local);
  wiring_.batch.flush_before_close(socket->fd);
  wiring_.relays.close(handle);
}

bool TurnDriver::connect(turn::RelayHandle relay, const Address& peer, turn::DataName data) {
  return tcp_->connect(relay, peer, data);
}

void TurnDriver::splice(turn::DataName data, const turn::Path& client) {
  wiring_.streams.depart(client.stream, {data, 0});
}

void TurnDriver::close_data(turn::DataName data) { tcp_->close_data(data); }

void TurnDriver::hand_over(const turn::Path& client, std::uint32_t worker) {
  if (client.transport == turn::Transport::kDtls) return dtls_->depart(client.stream, worker);
  wiring_.streams.depart(client.stream, {{}, worker});
}

void TurnDriver::forward(const turn::Path& client, std::uint32_t worker, const Run& run) {
  const std::size_t span = std::size_t{run.stride} * (run.count - 1) + run.last_size;
  ForwardedDatagrams moved{client, {run.data, run.data + span}, run};
  moved.run.data = moved.bytes.data();
  if (!mover_(worker, std::move(moved))) statistics_.datagrams_not_forwarded.add(run.count);
}

// Refusals are counted by the server and not logged: strangers cause them at any rate they like.
void TurnDriver::report(const turn::Event& event) {
  if (event.kind == turn::Event::Kind::kRequestRefused) return;
  using Kind = turn::Event::Kind;
  const bool created = event.kind == Kind::kAllocationCreated;
  const auto now_has = created || event.kind == Kind::kPathJoined
                           ? StreamDirectory::Allocation::kHeld
                           : StreamDirectory::Allocation::kNone;
  if (turn::is_stream(event.path->transport)) {
    wiring_.streams.on_allocation(event.path->stream, now_has);
  } else if (event.path->transport == turn::Transport::kDtls) {
    dtls_->on_allocation(event.path->stream, now_has);
  }
  if (event.kind == Kind::kAllocationEnded && wiring_.log_allocations) return log_end(event);
  if (!log::enabled(log::Level::kDebug)) return;
  if (created) {
    log::debug("allocation {} for {} at {}", event.relayed.to_string(), event.username,
               event.path->remote.to_string());
  } else if (event.kind == Kind::kPathJoined) {
    log::debug("allocation {} of {} moves to {}", event.relayed.to_string(), event.username,
               event.path->remote.to_string());
  } else if (event.kind == Kind::kAllocationEnded) {
    log::debug("allocation {} of {} {}", event.relayed.to_string(), event.username,
               reason(event.ending));
  }
}

// The line of --log-allocations. Its names are documented (docs/operations.md): programs read them.
void TurnDriver::log_end(const turn::Event& event) const {
  const Duration lasted = wiring_.loop.tick().mono - event.begun;
  const auto& up = event.traffic[static_cast<std::size_t>(turn::Direction::kToPeer)];
  const auto& down = event.traffic[static_cast<std::size_t>(turn::Direction::kToClient)];
  const std::string relayed = event.relayed.to_string();
  const std::string client = event.path->remote.to_string();
  log::event(log::Level::kInfo, "allocation ended",
             {{"event", "allocation_ended"},
              {"user", event.username},
              {"client", client},
              {"transport", name_of(event.path->transport)},
              {"relayed", relayed},
              {"seconds", std::chrono::duration<double>(lasted).count()},
              {"packets_to_peers", up.packets},
              {"bytes_to_peers", up.bytes},
              {"packets_to_client", down.packets},
              {"bytes_to_client", down.bytes},
              {"reason", reason(event.ending)}});
}

}  // namespace turnpike::server
