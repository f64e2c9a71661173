#include "tests/turn/conversation.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "stun/integrity.h"
#include "turn/channel_data.h"

namespace turnpike::turn {

using stun::Attribute;
using stun::Class;
using stun::Method;

Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }
Bytes filled(std::size_t size, std::uint8_t with) { return Bytes(size, with); }
std::string text_of(ByteView bytes) { return std::string(as_text(bytes)); }

Address address(std::string_view text) {
  const auto parsed = Address::parse(text);
  CHECK(parsed.has_value());
  return *parsed;
}

IpAddress ip(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  CHECK(parsed.has_value());
  return *parsed;
}

bool Reply::success() const { return !silent() && view().message_class() == Class::kSuccess; }

int Reply::code() const {
  if (silent()) return -1;
  const auto error = view().error_code();
  CHECK(error.has_value() == (view().message_class() == Class::kError));
  return error ? error->code : 0;
}

stun::MessageView Reply::view() const {
  const auto parsed = stun::MessageView::parse(bytes_);
  CHECK(parsed.has_value());
  return *parsed;
}

std::uint32_t Reply::lifetime() const {
  const auto lifetime = view().u32(Attribute::kLifetime);
  CHECK(lifetime.has_value());
  return *lifetime;
}

Address Reply::relayed() const {
  const auto relayed = view().xor_address(Attribute::kXorRelayedAddress);
  CHECK(relayed.has_value());
  return *relayed;
}

std::vector<Address> Reply::relayed_all() const {
  std::vector<Address> all;
  const stun::MessageView message = view();
  for (const stun::MessageView::Entry& entry : message.entries()) {
    if (entry.type != static_cast<std::uint16_t>(Attribute::kXorRelayedAddress)) continue;
    all.push_back(*message.xor_address_of(entry));
  }
  return all;
}

std::vector<std::uint16_t> Reply::unknown_attributes() const {
  std::vector<std::uint16_t> types;
  const auto value = view().value(Attribute::kUnknownAttributes);
  if (!value) return types;
  Reader in(*value);
  while (in.remaining() >= 2) types.push_back(in.u16());
  return types;
}

void FakeSink::to_client(const Path& path, const Parts& parts) {
  ++calls_to_clients;
  if (parts.body.count == 0) {
    clients_got.push_back({path, Bytes(parts.head.begin(), parts.head.end())});
    return;
  }
  CHECK(parts.body.last_size == parts.body.size);
  for (std::uint32_t i = 0; i < parts.body.count; ++i) {
    Bytes message(parts.head.begin(), parts.head.end());
    const ByteView segment = parts.body.segment(i);
    message.insert(message.end(), segment.begin(), segment.end());
    message.insert(message.end(), parts.pad, 0);
    clients_got.push_back({path, std::move(message)});
  }
}

void FakeSink::to_peer(RelayHandle relay, const Address& peer, const Run& run) {
  CHECK(run.count > 0 && run.last_size <= run.size);
  CHECK(run.count == 1 || run.last_size > 0);
  trains_to_peers.push_back(run);
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const ByteView segment = run.segment(i);
    peers_got.push_back({relay, peer, Bytes(segment.begin(), segment.end())});
  }
}

Expected<Relay, RelayError> FakeSink::open_relay(const RelayWish& wish) {
  last_wish = wish;
  if (next_open_fails && (!family_that_fails || *family_that_fails == wish.family)) {
    const RelayError error = *next_open_fails;
    next_open_fails.reset();
    return unexpected(error);
  }
  const IpAddress& on = wish.family == Family::kIPv4 ? relay_ipv4 : relay_ipv6;
  if (wish.parity != PortParity::kAny && next_port_ % 2 != 0) ++next_port_;
  Relay relay{{next_handle_++}, {on, next_port_++}};
  if (wish.parity == PortParity::kEvenAndReserveNext) {
    relay.reserved = next_token_++;
    reservations[relay.reserved] = {{on, next_port_++}, wish.reserve_for};
  }
  open_relays.push_back({relay.handle, relay.address, wish.owner});
  (wish.protocol == RelayProtocol::kTcp ? live_tcp : live_).live.insert(relay.address);
  return relay;
}

Expected<ClaimedRelay, RelayError> FakeSink::claim_relay(const Claim& claim) {
  const auto found = reservations.find(claim.token);
  if (found == reservations.end() || found->second.subject.name != claim.name) {
    return unexpected(RelayError::kNoReservation);
  }
  const auto [address, subject] = found->second;
  reservations.erase(found);
  const Relay relay{{next_handle_++}, address};
  open_relays.push_back({relay.handle, address, claim.owner});
  live_.live.insert(address);
  return ClaimedRelay{relay, subject.client};
}

bool FakeSink::drop_reservation(ReservationToken token) { return reservations.erase(token) == 1; }

void FakeSink::close_relay(RelayHandle relay) {
  const auto found = std::find_if(open_relays.begin(), open_relays.end(),
                                  [&](const OpenRelay& open) { return open.handle == relay; });
  CHECK(found != open_relays.end());
  live_.live.erase(found->address);
  live_tcp.live.erase(found->address);
  open_relays.erase(found);
}

void FakeSink::report(const Event& event) {
  events.push_back({event.kind, event.ending, event.code, std::string(event.username), event.begun,
                    event.traffic});
}

bool FakeSink::connect(RelayHandle relay, const Address& peer, DataName data) {
  connects.push_back({relay, peer, data});
  return !std::exchange(next_connect_fails, false);
}
void FakeSink::splice(DataName data, const Path& client) { splices.emplace_back(data, client); }
void FakeSink::close_data(DataName data) { closed_data.push_back(data); }
void FakeSink::hand_over(const Path& client, std::uint32_t worker) {
  handed_over.emplace_back(client, worker);
}

void FakeSink::forward(const Path& client, std::uint32_t worker, const Run& run) {
  const ByteView first = run.segment(0);
  forwarded.push_back({client, worker, Bytes(first.begin(), first.end())});
}

const FakeSink::OpenRelay* FakeSink::relay_at(const Address& address) const {
  const auto found = std::find_if(open_relays.begin(), open_relays.end(),
                                  [&](const OpenRelay& open) { return open.address == address; });
  return found == open_relays.end() ? nullptr : &*found;
}

RelayHouse::RelayHouse(HouseRules rules) : quota(rules.quota) {
  now.mono = MonoTime{hours(5)};
  now.wall = WallTime{seconds(1'700'000'000)};
  auto made =
      std::make_shared<Settings>(Credentials::Source{.realm = rules.realm,
                                                     .users = rules.users,
                                                     .shared_secrets = rules.shared_secrets,
                                                     .announce_userhash = rules.announce_userhash});
  made->peers = PeerPolicy(rules.peers);
  made->nonce_key.fill(0x5a);
  if (rules.adjust) rules.adjust(*made);
  settings = made;
  server = std::make_unique<Server>(
      settings, Server::Shared{quota, live, random, &sink.live_tcp, rules.worker, rules.workers,
                               rules.bandwidth, rules.others});
}

void RelayHouse::pass(Duration time) {
  const Tick end{now.mono + time, now.wall + std::chrono::duration_cast<seconds>(time)};
  while (server->next_deadline() <= end.mono) {
    now.mono = std::max(now.mono, server->next_deadline());
    server->on_time(now, sink);
    if (server->next_deadline() <= now.mono) now.mono = now.mono + milliseconds(1);
  }
  now = end;
  server->on_time(now, sink);
}

void RelayHouse::from_peer(const Address& peer, const Address& relayed, ByteView datagram) {
  from_peer(peer, relayed, Run::one(datagram));
}

void RelayHouse::from_peer(const Address& peer, const Address& relayed, const Run& run) {
  const FakeSink::OpenRelay* relay = sink.relay_at(relayed);
  CHECK(relay != nullptr);
  server->on_peer(now, relay->owner, peer, run, sink);
}

Guest::Guest(RelayHouse& house, std::string_view remote, std::string name, std::string pass,
             Transport transport)
    : username(std::move(name)), password(std::move(pass)), house_(house) {
  path.transport = transport;
  path.local = address("192.0.2.1:3478");
  path.remote = address(remote);
  if (is_stream(transport)) path.stream = 77;
}

stun::TransactionId Guest::next_id() {
  stun::TransactionId id{};
  Writer out(id);
  out.u32(path.remote.port);
  out.u64(++ids_);
  return id;
}

Bytes Guest::bare_request(Method method, const Fill& fill) {
  Bytes room(4096);
  stun::Builder builder(room, Class::kRequest, method, next_id());
  if (fill) fill(builder);
  const ByteView done = builder.finish();
  return Bytes(done.begin(), done.end());
}

Bytes Guest::request(Method method, const Fill& fill) {
  if (nonce.empty()) {
    const Reply challenge = exchange(bare_request(method));
    CHECK(challenge.code() == 401);
    nonce = std::string(*challenge.view().text(Attribute::kNonce));
  }
  Bytes room(4096);
  stun::Builder builder(room, Class::kRequest, method, next_id());
  if (fill) fill(builder);
  builder.text(Attribute::kUsername, username)
      .text(Attribute::kRealm, realm)
      .text(Attribute::kNonce, nonce)
      .message_integrity(stun::long_term_key(username, realm, password));
  const ByteView done = builder.finish();
  CHECK(!done.empty());
  return Bytes(done.begin(), done.end());
}

Reply Guest::ask(Method method, const Fill& fill) { return exchange(request(method, fill)); }

Reply Guest::exchange(ByteView message) {
  const std::size_t before = house_.sink.clients_got.size();
  deliver(message);
  const std::size_t answers = house_.sink.clients_got.size() - before;
  CHECK(answers <= 1);
  if (answers == 0) return Reply();
  CHECK(house_.sink.clients_got.back().path == path);
  Reply reply(house_.sink.clients_got.back().message);
  house_.sink.clients_got.pop_back();
  const auto sent = stun::MessageView::parse(message);
  CHECK(sent && reply.view().transaction_id() == sent->transaction_id());
  CHECK(reply.view().method() == sent->method());
  return reply;
}

void Guest::deliver(ByteView packet) { deliver(Run::one(packet)); }
void Guest::deliver(const Run& run) {
  house_.server->on_client(house_.now, path, run, house_.sink);
}

Reply Guest::allocate(const Fill& more) {
  Reply reply = ask(Method::kAllocate, [&](stun::Builder& b) {
    b.requested_transport(stun::kProtocolUdp);
    if (more) more(b);
  });
  if (reply.success()) relayed = reply.relayed();
  return reply;
}

Reply Guest::refresh(std::optional<std::uint32_t> lifetime) {
  return ask(Method::kRefresh, [&](stun::Builder& b) {
    if (lifetime) b.u32(Attribute::kLifetime, *lifetime);
  });
}

Reply Guest::permit(std::vector<Address> peers) {
  return ask(Method::kCreatePermission, [&](stun::Builder& b) {
    for (const Address& peer : peers) b.xor_address(Attribute::kXorPeerAddress, peer);
  });
}

Reply Guest::bind(std::uint16_t number, const Address& peer) {
  return ask(Method::kChannelBind, [&](stun::Builder& b) {
    b.channel_number(number).xor_address(Attribute::kXorPeerAddress, peer);
  });
}

void Guest::send(const Address& peer, ByteView data) {
  deliver(send_indication(peer, data, ++ids_));
}
void Guest::send_on(std::uint16_t channel, ByteView data) {
  deliver(channel_message(channel, data));
}

Bytes send_indication(const Address& peer, ByteView data, std::uint64_t id) {
  stun::TransactionId transaction{};
  Writer(transaction).u64(id);
  Bytes room(70000);
  stun::Builder builder(room, Class::kIndication, Method::kSend, transaction);
  builder.xor_address(Attribute::kXorPeerAddress, peer).bytes(Attribute::kData, data);
  const ByteView done = builder.finish();
  CHECK(!done.empty());
  return Bytes(done.begin(), done.end());
}

Bytes channel_message(std::uint16_t number, ByteView data, std::size_t padding) {
  const auto head = channel_data_header(number, static_cast<std::uint16_t>(data.size()));
  Bytes message(head.begin(), head.end());
  message.insert(message.end(), data.begin(), data.end());
  message.insert(message.end(), padding, 0);
  return message;
}

Train::Train(const std::vector<Bytes>& datagrams) {
  segment_ = static_cast<std::uint32_t>(datagrams.front().size());
  for (const Bytes& datagram : datagrams) {
    CHECK(datagram.size() == segment_ ||
          (&datagram == &datagrams.back() && datagram.size() < segment_));
    bytes_.insert(bytes_.end(), datagram.begin(), datagram.end());
  }
}

}  // namespace turnpike::turn
