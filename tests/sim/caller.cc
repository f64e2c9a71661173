#include "tests/sim/caller.h"

#include <array>
#include <utility>

#include "base/digest.h"

namespace turnpike::sim {
namespace {

turn::Client::Settings settings_for(const World& world, const std::string& name) {
  const auto expiry = (world.now().wall + hours{24}).since_epoch.count();
  const std::string username = std::to_string(expiry) + ":" + name;
  turn::Client::Settings settings;
  settings.username = username;
  settings.password = turn::rest_password(RelayHost::kSecret, username);
  return settings;
}

}  // namespace

std::vector<std::uint8_t> message_of(std::uint32_t number) {
  std::vector<std::uint8_t> message(4 + number % 61);
  Writer writer(message);
  writer.u32(number);
  for (std::size_t i = 4; i < message.size(); ++i) {
    writer.u8(static_cast<std::uint8_t>(number * 31 + i));
  }
  return message;
}

Caller::Caller(World& world, NatKind nat, const IpAddress& external, std::string name,
               const RelayHost& relay)
    : world_(world),
      name_(std::move(name)),
      server_(relay.public_address()),
      nat_(world, nat, external,
           [this](const Address& from, ByteView bytes) {
             if (!present_ || from != server_) return;
             client_.on_packet(world_.now(), bytes, *this);
             arm();
           }),
      client_(settings_for(world, name_), world.random()) {}

void Caller::allocate() {
  client_.allocate(world_.now(), *this);
  arm();
}

void Caller::call(const Address& peer, turn::Client::Binding binding) {
  peer_ = peer;
  client_.reach(world_.now(), peer, binding, *this);
  arm();
}

void Caller::welcome(const IpAddress& host) {
  welcomed_ = host;
  client_.reach(world_.now(), {host, 9}, turn::Client::Binding::kPermission, *this);
  arm();
}

void Caller::talk(Duration interval) {
  talking_ = true;
  say(interval);
}

void Caller::hang_up() {
  talking_ = false;
  client_.release(world_.now(), *this);
  arm();
}

void Caller::vanish() {
  talking_ = false;
  present_ = false;
}

void Caller::say(Duration interval) {
  if (!talking_ || !present_ || ending_) return;
  if (ready_ && peer_) client_.send(*peer_, message_of(said_++), *this);
  world_.after(interval, [this, interval] { say(interval); });
}

void Caller::arm() {
  const MonoTime next = client_.next_deadline();
  if (next == MonoTime::never() || next >= armed_for_) return;
  armed_for_ = next;
  world_.at(next, [this] {
    armed_for_ = MonoTime::never();
    if (!present_) return;
    client_.on_time(world_.now(), *this);
    arm();
  });
}

void Caller::to_server(ByteView message) {
  if (present_) nat_.send(server_, message);
}

void Caller::on_allocated(const Address& relayed, const Address&) { relayed_ = relayed; }

void Caller::on_peer_ready(const Address&) { ready_ = true; }

void Caller::on_peer_refused(const Address&, std::uint16_t code) {
  ready_ = false;
  if (code == 0) timed_out_ = true;
  if (code != 0) ++refused_;
}

void Caller::on_data(const Address& peer, ByteView data) {
  Reader reader(data);
  const std::uint32_t number = reader.u32();
  if (welcomed_ && peer.ip == *welcomed_) peer_ = peer;
  if (!peer_ || peer != *peer_ || !equal(data, message_of(number))) {
    ++corrupt_;
    return;
  }
  heard_.insert(number);
}

void Caller::on_ended(turn::Client::Ending ending, std::uint16_t) {
  ending_ = ending;
  ready_ = false;
  if (ending == turn::Client::Ending::kTimedOut) timed_out_ = true;
}

}  // namespace turnpike::sim
