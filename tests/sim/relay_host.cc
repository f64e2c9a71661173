#include "tests/sim/relay_host.h"

#include <utility>
#include <vector>

namespace turnpike::sim {

RelayHost::RelayHost(World& world, Placement placement)
    : world_(world),
      local_(placement == Placement::kPublic ? IpAddress::v4(198, 51, 100, 1)
                                             : IpAddress::v4(10, 0, 0, 5)),
      external_(IpAddress::v4(198, 51, 100, 1)) {
  auto settings = std::make_shared<turn::Settings>(turn::Credentials::Source{
      .realm = std::string(kRealm), .users = {}, .shared_secrets = {std::string(kSecret)}});
  settings->peers = turn::PeerPolicy({.allowed = {}, .denied = {}, .own = {local_, external_}});
  if (local_ != external_) {
    settings->external = turn::ExternalAddresses({{.external = external_, .local = local_}});
  }
  world.random().fill(settings->nonce_key);
  server_ = std::make_unique<turn::Server>(
      settings,
      turn::Server::Shared{.quota = *this, .live_relays = *this, .random = world.random()});
  world.attach(external_, *this);
}

void RelayHost::on_datagram(const Address& to, const Address& from, ByteView bytes) {
  if (to.port == kListeningPort) {
    const turn::Path path{.transport = turn::Transport::kUdp,
                          .listener = 0,
                          .local = {local_, kListeningPort},
                          .remote = from};
    server_->on_client(world_.now(), path, Run::one(bytes), *this);
  } else if (const auto relay = relay_of_port_.find(to.port); relay != relay_of_port_.end()) {
    server_->on_peer(world_.now(), relays_.at(relay->second).owner, from, Run::one(bytes), *this);
  }
  arm();
}

// A packet from this host to itself never leaves it: no external mapping, no loss.
void RelayHost::send(const Address& from, const Address& to, ByteView bytes) {
  if (to.ip == local_) {
    world_.after(milliseconds{0},
                 [this, from, to, copy = std::vector<std::uint8_t>(bytes.begin(), bytes.end())] {
                   on_datagram(to, from, copy);
                 });
    return;
  }
  world_.transmit({external_, from.port}, to, bytes);
}

void RelayHost::to_client(const turn::Path& path, const turn::Parts& parts) {
  std::vector<std::uint8_t> message(parts.head.begin(), parts.head.end());
  if (parts.body.count == 0) return send(path.local, path.remote, message);
  for (std::uint32_t i = 0; i < parts.body.count; ++i) {
    const ByteView segment = parts.body.segment(i);
    message.resize(parts.head.size());
    message.insert(message.end(), segment.begin(), segment.end());
    message.insert(message.end(), parts.pad, 0);
    send(path.local, path.remote, message);
  }
}

void RelayHost::to_peer(turn::RelayHandle relay, const Address& peer, const Run& run) {
  const OpenRelay& open = relays_.at(relay.value);
  for (std::uint32_t i = 0; i < run.count; ++i) {
    send({local_, open.port}, peer, run.segment(i));
  }
}

Expected<turn::Relay, turn::RelayError> RelayHost::open_relay(const turn::RelayWish& wish) {
  if (wish.parity == turn::PortParity::kEvenAndReserveNext) {
    return unexpected(turn::RelayError::kNoPortLeft);
  }
  if (wish.family != Family::kIPv4) return unexpected(turn::RelayError::kFamilyNotSupported);
  std::uint16_t port = 0;
  do {
    port = static_cast<std::uint16_t>(49152 + world_.random().below(16384));
  } while (relay_of_port_.contains(port));
  const std::uint64_t handle = next_relay_++;
  relays_[handle] = {port, wish.owner};
  relay_of_port_[port] = handle;
  return turn::Relay{.handle = {handle}, .address = {local_, port}};
}

void RelayHost::close_relay(turn::RelayHandle relay) {
  relay_of_port_.erase(relays_.at(relay.value).port);
  relays_.erase(relay.value);
}

turn::QuotaVerdict RelayHost::charge(const turn::QuotaSubject& subject) {
  charged_.insert(subject.name);
  return turn::QuotaVerdict::kGranted;
}

void RelayHost::release(const turn::QuotaSubject& subject) {
  const auto held = charged_.find(subject.name);
  CHECK(held != charged_.end());  // released twice
  charged_.erase(held);
}

bool RelayHost::is_live(const Address& relayed) const {
  return relayed.ip == local_ && relay_of_port_.contains(relayed.port);
}

void RelayHost::arm() {
  const MonoTime next = server_->next_deadline();
  if (next == MonoTime::never() || next >= armed_for_) return;
  armed_for_ = next;
  world_.at(next, [this] {
    armed_for_ = MonoTime::never();
    server_->on_time(world_.now(), *this);
    arm();
  });
}

}  // namespace turnpike::sim
