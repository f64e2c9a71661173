#include "tests/fuzz/relay_script.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "stun/classify.h"
#include "stun/message.h"
#include "tests/fuzz/findings.h"

namespace turnpike::fuzz {

namespace {

const IpAddress kLocal = IpAddress::v4(10, 0, 0, 5);
const IpAddress kLocalIPv6 = *IpAddress::parse("2600::5");
const IpAddress kExternal = IpAddress::v4(9, 9, 9, 9);

IpAddress ip(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  CHECK(parsed.has_value());
  return *parsed;
}

// The only one below 1024 that connections may go to.
constexpr std::uint16_t kPeerPort = 9;

// Some may be reached, some must not; the live relays come on top of these.
const std::array<Address, 10>& peers() {
  static const std::array<Address, 10> list = {{{ip("8.8.8.8"), kPeerPort},
                                                {ip("8.8.8.8"), 10},
                                                {ip("8.8.4.4"), kPeerPort},
                                                {ip("2600::1"), kPeerPort},
                                                {ip("10.0.0.1"), kPeerPort},
                                                {ip("127.0.0.1"), kPeerPort},
                                                {ip("::1"), kPeerPort},
                                                {ip("::ffff:8.8.8.8"), kPeerPort},
                                                {kLocal, 3478},
                                                {kExternal, 3478}}};
  return list;
}

turn::Path path(turn::Transport transport, std::string_view client, std::uint64_t stream) {
  const auto remote = Address::parse(client);
  CHECK(remote.has_value());
  return {.transport = transport,
          .listener = 0,
          .local = {kLocal, 3478},
          .remote = *remote,
          .stream = stream};
}

}  // namespace

std::shared_ptr<const turn::Settings> RelayScript::settings() {
  auto made = std::make_shared<turn::Settings>(
      turn::Credentials::Source{.realm = std::string(kRealm),
                                .users = {{std::string(kUser), std::string(kPassword)}},
                                .shared_secrets = {}});
  made->peers =
      turn::PeerPolicy({.allowed = {}, .denied = {}, .own = {kLocal, kLocalIPv6, kExternal}});
  made->external = turn::ExternalAddresses({{.external = kExternal, .local = kLocal}});
  made->unauthorized_replies_per_second = 20;
  made->unauthorized_burst = 40;
  made->max_allocations = 6;
  made->mobility = true;
  made->token_keys = turn::TokenKeys(std::string(kRealm), {{kTokenKeyId, kTokenKey}});
  made->tcp_relay = true;
  made->allowed_low_tcp_ports = {{kPeerPort, kPeerPort}};
  made->max_data_connections = 6;
  made->max_bps = 50'000;
  return made;
}

RelayScript::RelayScript(ByteView script)
    : script_(script),
      clients_{path(turn::Transport::kUdp, "7.7.7.7:1000", 0),
               path(turn::Transport::kUdp, "[2600::7]:1000", 0),
               path(turn::Transport::kTcp, "7.7.7.7:1000", 1),
               path(turn::Transport::kTls, "7.7.7.8:1000", 2)},
      server_(std::make_unique<turn::Server>(
          settings(), turn::Server::Shared{.quota = *this,
                                           .live_relays = *this,
                                           .random = random_,
                                           .live_tcp_relays = &live_tcp_relays_,
                                           .workers = kWorkers})) {}

void RelayScript::play() {
  for (std::size_t i = 0; i < kMaxSteps && script_.remaining() > 0; ++i) {
    step();
    deliver_looped();
    check();
  }
  server_->shut_down(now_, *this);
  CHECK(relays_.empty());
  CHECK(reserved_.empty());
  CHECK(charged_.empty());
  CHECK(live_ == 0);
  CHECK(data_.empty());
  const auto left = server_->examine();
  expect_none(left.findings);
  CHECK(left.held.empty() && left.promised.empty());
  CHECK(left.counts.allocations == 0 && left.counts.permissions == 0 && left.counts.channels == 0);
}

void RelayScript::step() {
  switch (script_.u8() % 11) {
    case 0:
      return raw_packet();
    case 1:
    case 2:
      return request();
    case 3:
      return channel_data();
    case 4:
      return peer_packets();
    case 5:
      return let_time_pass();
    case 6:
      return server_->on_client_gone(now_, pick_client(), *this);
    case 8:
      return connecting_ends();
    case 9:
      return peer_connects();
    case 10:
      return data_flows();
    default:
      return server_->revoke(now_, kUser, now_.wall + seconds{script_.u8()}, *this);
  }
}

void RelayScript::raw_packet() {
  const turn::Path& client = pick_client();
  deliver(client, pick_bytes(200), 0);
}

// One ChannelData message or a train of them, its numbers and lengths right or a little off.
void RelayScript::channel_data() {
  const turn::Path& client = pick_client();
  const std::uint32_t count = turn::is_stream(client.transport) ? 1 : 1 + script_.u8() % 4;
  const std::uint32_t size = script_.u8() % 64;
  Packet packet;
  std::uint32_t segment = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint8_t twist = script_.u8();
    const auto number = static_cast<std::uint16_t>(0x4000 + twist % 4);
    const auto length = static_cast<std::uint16_t>((twist & 0x40) != 0 ? twist : size);
    Packet message(4 + size);
    Writer writer(message);
    writer.u16(number);
    writer.u16(length);
    packet.insert(packet.end(), message.begin(), message.end());
    segment = static_cast<std::uint32_t>(message.size());
  }
  deliver(client, packet, segment);
}

void RelayScript::peer_packets() {
  const Address peer = pick_peer();
  const auto relay = pick(relays_);
  if (relay == relays_.end()) return;
  const std::uint32_t segment = 1 + script_.u8() % 40;
  Packet packet(std::max<std::size_t>(1, script_.u8()), 0x55);
  server_->on_peer(now_, relay->second.owner, peer,
                   Run::train(packet, std::min<std::uint32_t>(segment, 255)), *this);
}

void RelayScript::let_time_pass() {
  const seconds step{script_.u8() * 4};
  now_ = {now_.mono + step, now_.wall + step};
  for (int i = 0; server_->next_deadline() <= now_.mono; ++i) {
    CHECK(i < 10000);
    server_->on_time(now_, *this);
  }
}

void RelayScript::deliver_looped() {
  for (const Looped& looped : std::exchange(looped_, {})) {
    for (const auto& [handle, relay] : relays_) {
      if (relay.address != looped.to) continue;
      server_->on_peer(now_, relay.owner, looped.from, Run::one(looped.packet), *this);
      break;
    }
  }
  CHECK(looped_.empty());  // a peer's packet goes to its client and nowhere else
}

void RelayScript::check() {
  const auto examination = server_->examine();
  expect_none(examination.findings);
  compare(examination);
  const auto& audit = examination.counts;
  CHECK(audit.allocations <= relays_.size() && relays_.size() <= 2 * audit.allocations);
  CHECK(reserved_.size() <= audit.reservations);
  CHECK(audit.allocations + reserved_.size() == charged_.size());
  CHECK(audit.allocations == live_);
  CHECK(audit.permissions <= audit.allocations * turn::kMaxPermissionsPerAllocation);
  CHECK(audit.channels <= audit.allocations * turn::kMaxChannelsPerAllocation);
  CHECK(audit.data_connections == data_.size());
  for (const auto& [name, data] : data_) CHECK(relays_.contains(data.relay.value));
  CHECK(audit.allocations > 0 || (audit.permissions == 0 && audit.channels == 0));
  CHECK(audit.allocations == 0 || server_->next_deadline() != MonoTime::never());
}

// What the server says it holds outside, and what it was given.
void RelayScript::compare(const turn::Server::Examination& examination) const {
  std::size_t relays = 0;
  auto charged = charged_;
  const auto discharge = [&charged](const turn::QuotaSubject& subject) {
    const auto found =
        std::find(charged.begin(), charged.end(),
                  std::pair<const std::string, IpAddress>(subject.name, subject.client));
    CHECK(found != charged.end());
    charged.erase(found);
  };
  for (const auto& holding : examination.held) {
    discharge(holding.charged);
    for (const turn::Relay& relay : holding.relays) {
      const auto open = relays_.find(relay.handle.value);
      CHECK(open != relays_.end() && open->second.address == relay.address);
      CHECK(open->second.tcp == holding.tcp);
      ++relays;
    }
  }
  CHECK(relays == relays_.size());
  const auto& promised = examination.promised;
  for (const auto& [token, reserved] : reserved_) {
    CHECK(std::find(promised.begin(), promised.end(), token) != promised.end());
    discharge(reserved.second);
  }
  CHECK(charged.empty());
}

const turn::Path& RelayScript::pick_client() { return clients_[script_.u8() % kClients]; }

// A stranger, or the relayed address of one of us as the world knows it.
Address RelayScript::pick_peer() {
  const std::uint8_t choice = script_.u8();
  if (choice < 128 || relays_.empty()) return peers()[choice % peers().size()];
  const auto relay = std::next(relays_.begin(), choice % static_cast<int>(relays_.size()));
  const Address& relayed = relay->second.address;
  return {(choice & 1) != 0 && relayed.ip == kLocal ? kExternal : relayed.ip, relayed.port};
}

RelayScript::Packet RelayScript::pick_bytes(std::size_t most) {
  const std::size_t wanted = std::min<std::size_t>(script_.u8(), most);
  const ByteView bytes = script_.bytes(std::min(wanted, script_.remaining()));
  return {bytes.begin(), bytes.end()};
}

void RelayScript::deliver(const turn::Path& client, const Packet& packet, std::uint32_t segment) {
  if (packet.empty()) return;
  const turn::Path path = client;  // a splice changes the client's
  server_->on_client(now_, path, Run::train(packet, segment), *this);
}

void RelayScript::to_client(const turn::Path& client, const turn::Parts& parts) {
  const std::size_t messages = std::max<std::size_t>(1, parts.body.count);
  for (std::size_t i = 0; i < messages; ++i) {
    Packet message(parts.head.begin(), parts.head.end());
    if (parts.body.count > 0) {
      const ByteView segment = parts.body.segment(static_cast<std::uint32_t>(i));
      message.insert(message.end(), segment.begin(), segment.end());
    }
    message.insert(message.end(), parts.pad, 0);
    if (turn::is_stream(client.transport)) CHECK(message.size() % 4 == 0);
    if (stun::classify(message) == stun::PacketKind::kChannelData) continue;
    const auto view = stun::MessageView::parse(message);
    CHECK(view.has_value());
    CHECK(view->message_class() != stun::Class::kRequest);
    const auto known = std::find(clients_.begin(), clients_.end(), client);
    CHECK(known != clients_.end());
    if (const auto nonce = view->text(stun::Attribute::kNonce)) {
      nonces_[static_cast<std::size_t>(known - clients_.begin())] = *nonce;
    }
    if (const auto id = view->u32(stun::Attribute::kConnectionId)) connection_id_ = *id;
    if (const auto ticket = view->value(stun::Attribute::kMobilityTicket)) {
      ticket_.assign(ticket->begin(), ticket->end());
    }
  }
}

// Three addresses may be reached by strangers, and our own only where one of us is behind it.
bool RelayScript::is_stranger(const IpAddress& peer) {
  return peer == ip("8.8.8.8") || peer == ip("8.8.4.4") || peer == ip("2600::1");
}

void RelayScript::to_peer(turn::RelayHandle relay, const Address& peer, const Run& run) {
  CHECK(relays_.contains(relay.value) && !relays_.at(relay.value).tcp);
  CHECK(run.count > 0);
  for (std::uint32_t i = 0; i < run.count; ++i) CHECK(run.segment(i).size() <= 65535);
  CHECK(is_stranger(peer.ip) || is_live(peer));
  if (is_stranger(peer.ip)) return;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const ByteView bytes = run.segment(i);
    looped_.push_back({relays_.at(relay.value).address, peer, Packet(bytes.begin(), bytes.end())});
  }
}

Expected<turn::Relay, turn::RelayError> RelayScript::open_relay(const turn::RelayWish& wish) {
  if (wish.family != Family::kIPv4 && script_.remaining() % 4 == 0) {
    return unexpected(turn::RelayError::kFamilyNotSupported);
  }
  if (relays_.size() >= kMaxRelays) return unexpected(turn::RelayError::kNoPortLeft);
  const bool even = wish.parity != turn::PortParity::kAny;
  if (even && next_port_ % 2 != 0) ++next_port_;
  turn::Relay relay{.handle = {next_relay_++},
                    .address = {wish.family == Family::kIPv4 ? kLocal : kLocalIPv6, next_port_++}};
  if (wish.parity == turn::PortParity::kEvenAndReserveNext) {
    relay.reserved = next_token_++;
    reserved_[relay.reserved] = {{relay.address.ip, next_port_++}, wish.reserve_for};
  }
  relays_[relay.handle.value] = {relay.address, wish.owner,
                                 wish.protocol == turn::RelayProtocol::kTcp};
  return relay;
}

Expected<turn::ClaimedRelay, turn::RelayError> RelayScript::claim_relay(const Claim& claim) {
  const auto found = reserved_.find(claim.token);
  if (found == reserved_.end() || found->second.second.name != claim.name ||
      relays_.size() >= kMaxRelays) {
    return unexpected(turn::RelayError::kNoReservation);
  }
  const auto [address, subject] = found->second;
  reserved_.erase(found);
  relays_[next_relay_] = {address, claim.owner, false};
  return turn::ClaimedRelay{{.handle = {next_relay_++}, .address = address}, subject.client};
}

bool RelayScript::drop_reservation(turn::ReservationToken token) {
  return reserved_.erase(token) == 1;
}

void RelayScript::close_relay(turn::RelayHandle relay) { CHECK(relays_.erase(relay.value) == 1); }

void RelayScript::report(const turn::Event& event) {
  if (event.kind == turn::Event::Kind::kAllocationCreated) ++live_;
  if (event.kind == turn::Event::Kind::kAllocationEnded) {
    CHECK(live_ > 0);
    --live_;
  }
}

turn::QuotaVerdict RelayScript::charge(const turn::QuotaSubject& subject) {
  if (charged_.size() >= 5) return turn::QuotaVerdict::kUserQuotaReached;
  charged_.emplace(subject.name, subject.client);
  return turn::QuotaVerdict::kGranted;
}

void RelayScript::release(const turn::QuotaSubject& subject) {
  const auto held =
      std::find(charged_.begin(), charged_.end(),
                std::pair<const std::string, IpAddress>(subject.name, subject.client));
  CHECK(held != charged_.end());
  charged_.erase(held);
}

bool RelayScript::is_live(const Address& relayed) const { return is_live(relayed, false); }

bool RelayScript::is_live(const Address& relayed, bool tcp) const {
  return std::any_of(relays_.begin(), relays_.end(), [&](const auto& relay) {
    return relay.second.address == relayed && relay.second.tcp == tcp;
  });
}

}  // namespace turnpike::fuzz
