#include "tests/sim/ice_peer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "stun/builder.h"
#include "tests/sim/caller.h"

namespace turnpike::sim {
namespace {

constexpr std::uint16_t kLocalPort = 5000;

turn::Client::Settings settings_for(const World& world, const std::string& name) {
  const auto expiry = (world.now().wall + hours{24}).since_epoch.count();
  turn::Client::Settings settings;
  settings.username = std::to_string(expiry) + ":" + name;
  settings.password = turn::rest_password(RelayHost::kSecret, settings.username);
  return settings;
}

bool is_stun(ByteView bytes) { return stun::MessageView::parse(bytes).has_value(); }

}  // namespace

IcePeer::IcePeer(World& world, const Place& place, const RelayHost& relay,
                 const ice::Agent::Settings& settings)
    : world_(world),
      place_(place),
      server_(relay.public_address()),
      nat_(world, place.nat, place.external,
           [this](const Address& from, ByteView bytes) {
             if (present_) on_datagram(from, bytes);
             arm();
           }),
      client_(settings_for(world, place.name), world.random()),
      agent_(settings, world.random()) {}

void IcePeer::call(IcePeer& other) {
  other_ = &other;
  signal_credentials();
  if (place_.policy != Policy::kRelayOnly) {
    ice::Candidate host;
    host.address = {place_.local, kLocalPort};
    host.priority = ice::priority_of(host.type, 65535);
    host.foundation = "h";
    gathered(host, kSocket);
    ask_for_mapping();
  }
  if (place_.policy != Policy::kNoRelay) client_.allocate(world_.now(), *this);
  arm();
}

void IcePeer::restart() {
  agent_.restart(world_.now(), *this);
  signal_credentials();
  for (const ice::Candidate& candidate : gathered_) {
    world_.after(kSignalingDelay, [this, candidate] {
      other_->agent_.add_remote(world_.now(), candidate, *other_);
      other_->arm();
    });
  }
  arm();
}

void IcePeer::say(std::uint32_t number) {
  if (present_) agent_.send(message_of(number), *this);
}

void IcePeer::send(ByteView bytes) {
  if (present_) agent_.send(bytes, *this);
}

// Signaling loses nothing and keeps the order, as a WebSocket does.
void IcePeer::signal_credentials() {
  world_.after(kSignalingDelay, [this, mine = agent_.credentials()] {
    other_->agent_.set_remote(world_.now(), mine, ice::Agent::Mode::kFull, *other_);
    other_->arm();
  });
}

void IcePeer::ask_for_mapping() {
  world_.random().fill(mapping_id_);
  std::array<std::uint8_t, 64> room;
  stun::Builder builder(room, stun::Class::kRequest, stun::Method::kBinding, mapping_id_);
  const ByteView bytes = builder.finish();
  mapping_request_.assign(bytes.begin(), bytes.end());
  mapping_.emplace(world_.now().mono, stun::Transaction::Reliability::kUnreliable);
  nat_.send(server_, mapping_request_);
}

void IcePeer::mapping_on_time() {
  if (!mapping_) return;
  const auto due = mapping_->on_time(world_.now().mono);
  if (due == stun::Transaction::Due::kSend) nat_.send(server_, mapping_request_);
  if (due == stun::Transaction::Due::kFailed) gathering_failed_ = true;
}

void IcePeer::gathered(const ice::Candidate& candidate, ice::Base base) {
  gathered_.push_back(candidate);
  agent_.add_local(world_.now(), candidate, base, *this);
  world_.after(kSignalingDelay, [this, candidate] {
    other_->agent_.add_remote(world_.now(), candidate, *other_);
    other_->arm();
  });
}

void IcePeer::on_datagram(const Address& from, ByteView bytes) {
  if (from != server_) return on_arrival(kSocket, from, bytes);
  const auto message = stun::MessageView::parse(bytes);
  if (!message || message->transaction_id() != mapping_id_) {
    return client_.on_packet(world_.now(), bytes, *this);
  }
  const auto mapped = message->xor_address(stun::Attribute::kXorMappedAddress);
  if (!mapping_ || !mapped) return;
  mapping_.reset();
  ice::Candidate reflexive;
  reflexive.type = ice::CandidateType::kServerReflexive;
  reflexive.address = *mapped;
  reflexive.priority = ice::priority_of(reflexive.type, 65535);
  reflexive.foundation = "s";
  reflexive.related = Address{place_.local, kLocalPort};
  gathered(reflexive, kSocket);
}

void IcePeer::on_arrival(ice::Base base, const Address& from, ByteView bytes) {
  if (is_stun(bytes)) {  // late and doubled answers are not wanted any more
    agent_.on_packet(world_.now(), base, from, bytes, *this);
    return;
  }
  if (above_ != nullptr) return above_->on_datagram(bytes);
  Reader reader(bytes);
  const std::uint32_t number = reader.u32();
  if (!reader.ok() || !equal(bytes, message_of(number))) {
    ++corrupt_;
  } else {
    heard_.insert(number);
  }
}

void IcePeer::on_allocated(const Address& relayed, const Address& mapped) {
  ice::Candidate candidate;
  candidate.type = ice::CandidateType::kRelayed;
  candidate.address = relayed;
  candidate.priority = ice::priority_of(candidate.type, 65535);
  candidate.foundation = "r";
  candidate.related = mapped;
  gathered(candidate, kRelay);
}

void IcePeer::on_data(const Address& peer, ByteView data) { on_arrival(kRelay, peer, data); }

void IcePeer::send(ice::Base base, const Address& to, ByteView bytes) {
  if (!present_) return;
  if (base == kRelay) {
    client_.send(to, bytes, *this);
  } else {
    nat_.send(to, bytes);
  }
}

void IcePeer::on_pair(ice::Base base, const Address& remote) {
  if (base == kRelay) {
    client_.reach(world_.now(), remote, turn::Client::Binding::kPermission, *this);
  }
}

void IcePeer::on_selected(const ice::Agent::Selected&) {
  ++selections_;
  if (above_ != nullptr) world_.after(Duration{0}, [this] { above_->on_path(); });
}

void IcePeer::on_peer_refused(const Address& peer, std::uint16_t code) {
  if (code != 0) return;
  world_.after(milliseconds{1}, [this, peer] {  // nobody answered: once more
    on_pair(kRelay, peer);
    arm();
  });
}

void IcePeer::to_server(ByteView message) {
  if (present_) nat_.send(server_, message);
}

void IcePeer::arm() {
  const MonoTime next = std::min({agent_.next_deadline(), client_.next_deadline(),
                                  mapping_ ? mapping_->next() : MonoTime::never()});
  if (next == MonoTime::never() || next >= armed_for_) return;
  armed_for_ = next;
  world_.at(next, [this] {
    armed_for_ = MonoTime::never();
    agent_.on_time(world_.now(), *this);
    client_.on_time(world_.now(), *this);
    mapping_on_time();
    arm();
  });
}

}  // namespace turnpike::sim
