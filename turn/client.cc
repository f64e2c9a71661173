#include "turn/client.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "stun/builder.h"
#include "stun/classify.h"

namespace turnpike::turn {
namespace {

// Permissions last 300 s and channels 600 s; both are refreshed as browsers do (RFC 8656 sections
// 9 and 12 leave the moment to the client).
constexpr seconds kPeerRefreshInterval{240};
constexpr seconds kRefreshMargin{60};
constexpr seconds kDefaultLifetime{600};
constexpr std::size_t kMaxRequest = 1200;
constexpr std::size_t kMaxDatagram = 65535;
constexpr std::uint16_t kLastChannel = 0x4FFF;
constexpr std::size_t kMaxAlgorithms = 128;

}  // namespace

Client::Client(Settings settings, Random& random)
    : settings_(std::move(settings)), random_(random) {}

void Client::allocate(Tick now, Outputs& outputs) {
  CHECK(state_ == State::kIdle || state_ == State::kEnded);
  state_ = State::kAllocating;
  peers_.clear();
  next_channel_ = 0x4000;
  start(now, stun::Method::kAllocate, kNoPeer, seconds{0}, outputs);
}

void Client::reach(Tick now, const Address& peer, Binding binding, Outputs& outputs) {
  if (state_ != State::kAllocated) return;
  Peer* known = find_peer(peer);
  if (known == nullptr) known = &peers_.emplace_back(Peer{.address = peer});
  known->binding = binding;
  if (binding == Binding::kChannel && known->channel == kNoChannel) {
    if (next_channel_ > kLastChannel) return outputs.on_peer_refused(peer, 0);
    known->channel = next_channel_++;
    known->ready = false;  // the permission that may be there serves until the channel is bound
  }
  install(now, static_cast<std::size_t>(known - peers_.data()), outputs);
}

void Client::send(const Address& peer, ByteView data, Outputs& outputs) {
  if (state_ != State::kAllocated || data.size() > kMaxDatagram - 64) return;
  std::array<std::uint8_t, kMaxDatagram> room;
  const Peer* known = find_peer(peer);
  if (known != nullptr && known->ready && known->channel != kNoChannel) {
    Writer writer(room);
    writer.u16(known->channel);
    writer.u16(static_cast<std::uint16_t>(data.size()));
    writer.bytes(data);
    if (settings_.reliability == stun::Transaction::Reliability::kReliable) {
      writer.zeros(padding_to_four(data.size()));
    }
    return outputs.to_server(writer.written());
  }
  stun::TransactionId id;
  random_.fill(id);
  stun::Builder builder(room, stun::Class::kIndication, stun::Method::kSend, id);
  builder.xor_address(stun::Attribute::kXorPeerAddress, peer).bytes(stun::Attribute::kData, data);
  outputs.to_server(builder.finish());
}

void Client::release(Tick now, Outputs& outputs) {
  if (state_ != State::kAllocated) return;
  state_ = State::kReleasing;
  requests_.clear();
  refresh_at_ = MonoTime::never();
  for (Peer& peer : peers_) peer.refresh_at = MonoTime::never();
  start(now, stun::Method::kRefresh, kNoPeer, seconds{0}, outputs);
}

void Client::on_packet(Tick now, ByteView message, Outputs& outputs) {
  const stun::PacketKind kind = stun::classify(message);
  if (kind == stun::PacketKind::kChannelData) return on_channel_data(message, outputs);
  if (kind != stun::PacketKind::kStun) return;
  const auto view = stun::MessageView::parse(message);
  if (!view) return;
  if (view->is(stun::Class::kIndication, stun::Method::kData)) {
    return on_data_indication(*view, outputs);
  }
  const stun::Class cls = view->message_class();
  if (cls == stun::Class::kSuccess || cls == stun::Class::kError) on_response(now, *view, outputs);
}

void Client::on_time(Tick now, Outputs& outputs) {
  for (std::size_t i = 0; i < requests_.size();) {
    if (requests_[i].transaction.next() > now.mono) {
      ++i;
      continue;
    }
    const stun::Transaction::Due due = requests_[i].transaction.on_time(now.mono);
    if (due == stun::Transaction::Due::kSend) outputs.to_server(requests_[i].message);
    if (due != stun::Transaction::Due::kFailed) {
      ++i;
      continue;
    }
    const Request failed = std::move(requests_[i]);
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i));
    if (failed.peer != kNoPeer) {
      peers_[failed.peer].ready = false;
      outputs.on_peer_refused(peers_[failed.peer].address, 0);
      continue;
    }
    return end(state_ == State::kReleasing ? Ending::kReleased : Ending::kTimedOut, 0, outputs);
  }
  if (state_ != State::kAllocated) return;
  if (refresh_at_ <= now.mono) {
    refresh_at_ = MonoTime::never();
    start(now, stun::Method::kRefresh, kNoPeer, kDefaultLifetime, outputs);
  }
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (peers_[i].refresh_at <= now.mono) install(now, i, outputs);
  }
}

MonoTime Client::next_deadline() const {
  MonoTime next = refresh_at_;
  for (const Request& request : requests_) next = std::min(next, request.transaction.next());
  for (const Peer& peer : peers_) next = std::min(next, peer.refresh_at);
  return next;
}

void Client::install(Tick now, std::size_t peer, Outputs& outputs) {
  peers_[peer].refresh_at = MonoTime::never();
  const bool channel = peers_[peer].binding == Binding::kChannel;
  start(now, channel ? stun::Method::kChannelBind : stun::Method::kCreatePermission, peer,
        seconds{0}, outputs);
}

void Client::start(Tick now, stun::Method method, std::size_t peer, seconds lifetime,
                   Outputs& outputs) {
  requests_.push_back(Request{.method = method,
                              .peer = peer,
                              .lifetime = lifetime,
                              .id = {},
                              .message = {},
                              .transaction = stun::Transaction(now.mono, settings_.reliability)});
  compose(requests_.back());
  outputs.to_server(requests_.back().message);
}

// A request is composed anew, with a new transaction id, for every challenge (RFC 8489 section
// 9.2.5); retransmissions send the same bytes.
void Client::compose(Request& request) {
  random_.fill(request.id);
  std::array<std::uint8_t, kMaxRequest> room;
  stun::Builder builder(room, stun::Class::kRequest, request.method, request.id);
  switch (request.method) {
    case stun::Method::kAllocate:
      builder.requested_transport(stun::kProtocolUdp);
      if (settings_.relay_family) builder.requested_address_family(*settings_.relay_family);
      break;
    case stun::Method::kRefresh:
      builder.u32(stun::Attribute::kLifetime, static_cast<std::uint32_t>(request.lifetime.count()));
      break;
    case stun::Method::kChannelBind:
      builder.channel_number(peers_[request.peer].channel);
      [[fallthrough]];
    default:
      builder.xor_address(stun::Attribute::kXorPeerAddress, peers_[request.peer].address);
  }
  if (key_) add_credentials(builder);
  const ByteView message = builder.finish();
  request.message.assign(message.begin(), message.end());
}

void Client::add_credentials(stun::Builder& builder) const {
  if (userhash_) {
    builder.bytes(stun::Attribute::kUserhash, stun::userhash(settings_.username, realm_));
  } else {
    builder.text(stun::Attribute::kUsername, settings_.username);
  }
  builder.text(stun::Attribute::kRealm, realm_).text(stun::Attribute::kNonce, nonce_);
  if (!algorithms_.empty()) {
    builder.u32(stun::Attribute::kPasswordAlgorithm, static_cast<std::uint32_t>(algorithm_) << 16)
        .bytes(stun::Attribute::kPasswordAlgorithms, algorithms_);
  }
  builder.sign(*key_);
}

void Client::on_response(Tick now, const stun::MessageView& message, Outputs& outputs) {
  const auto found = std::find_if(requests_.begin(), requests_.end(), [&](const Request& request) {
    return request.id == message.transaction_id();
  });
  if (found == requests_.end()) return;
  const bool success = message.message_class() == stun::Class::kSuccess;
  const auto error = message.error_code();
  if (!success && !error) return;
  const bool challenge = !success && (error->code == 401 || error->code == 438);
  // A forged answer is as good as none (RFC 8489 section 9.2.5); challenges cannot be protected.
  if (key_ && !challenge && !stun::verify(message, *key_)) return;
  if (key_ && !challenge) recognised_ = true;
  // Who is not proven redirects nobody (section 10).
  if (!key_ && error && error->code == 300) return;
  if (challenge && found->challenges < kMaxChallenges && take_challenge(message, error->code)) {
    ++found->challenges;
    compose(*found);
    found->transaction = stun::Transaction(now.mono, settings_.reliability);
    return outputs.to_server(found->message);
  }
  const Request request = std::move(*found);
  requests_.erase(found);
  if (success) return on_success(now, request, message, outputs);
  const auto alternate = message.plain_address(stun::Attribute::kAlternateServer);
  if (error->code == 300 && alternate) {
    outputs.on_alternate(*alternate, message.text(stun::Attribute::kAlternateDomain).value_or(""));
  }
  on_error(request, error->code, outputs);
}

// Takes realm, nonce and the choice of algorithms over; false when the challenge says nothing new
// (the credentials are wrong), or when somebody edited it on its way.
bool Client::take_challenge(const stun::MessageView& message, std::uint16_t code) {
  const auto realm = message.text(stun::Attribute::kRealm);
  const auto nonce = message.text(stun::Attribute::kNonce);
  if (!nonce || (!realm && realm_.empty())) return false;
  const stun::NonceFeatures features = stun::announced_features(*nonce).value_or(0);
  const bool hashes = (features & stun::kFeatureUsernameAnonymity) != 0;
  // The server does not find the name by its hash, and asks for it itself. A server that has found
  // it once does not ask, so that nobody on the way makes us tell it later.
  const bool asks_for_name = userhash_ && !hashes && !recognised_;
  if (code == 401 && key_ && !asks_for_name) return false;
  if (!choose_algorithm(message, features)) return false;
  if (realm) realm_ = *realm;
  nonce_ = *nonce;
  userhash_ = hashes;
  using Integrity = stun::SigningKey::Integrity;
  key_ = {stun::long_term_key(algorithm_, settings_.username, realm_, settings_.password),
          algorithms_.empty() ? Integrity::kSha1 : Integrity::kSha256};
  return true;
}

// RFC 8489 section 9.2.5: SHA-256 before MD5, and the whole list goes back to the server, which
// compares it. False: a nonce that tells of a list and no list beside it, or nothing in it that we
// know; somebody bids us down (section 16.1.3).
bool Client::choose_algorithm(const stun::MessageView& message, stun::NonceFeatures features) {
  const auto list = message.value(stun::Attribute::kPasswordAlgorithms);
  const bool announced = (features & stun::kFeaturePasswordAlgorithms) != 0;
  algorithms_.clear();
  algorithm_ = stun::PasswordAlgorithm::kMd5;
  if (!announced) return true;
  if (!list || list->size() > kMaxAlgorithms) return false;
  bool md5 = false;
  bool sha256 = false;
  for (Reader in(*list); in.remaining() > 0;) {
    const auto algorithm = static_cast<stun::PasswordAlgorithm>(in.u16());
    const std::size_t parameters = in.u16();
    in.skip(parameters + padding_to_four(parameters));
    if (!in.ok()) return false;
    md5 = md5 || (algorithm == stun::PasswordAlgorithm::kMd5 && parameters == 0);
    sha256 = sha256 || (algorithm == stun::PasswordAlgorithm::kSha256 && parameters == 0);
  }
  if (!md5 && !sha256) return false;
  if (sha256) algorithm_ = stun::PasswordAlgorithm::kSha256;
  algorithms_.assign(list->begin(), list->end());
  return true;
}

void Client::on_success(Tick now, const Request& request, const stun::MessageView& message,
                        Outputs& outputs) {
  if (request.peer != kNoPeer) {
    Peer& peer = peers_[request.peer];
    const bool was_ready = std::exchange(peer.ready, true);
    peer.refresh_at = now.mono + kPeerRefreshInterval;
    if (!was_ready) outputs.on_peer_ready(peer.address);
    return;
  }
  if (state_ == State::kReleasing) return end(Ending::kReleased, 0, outputs);
  lifetime_ = seconds{message.u32(stun::Attribute::kLifetime).value_or(600)};
  const Duration early = std::min<Duration>(kRefreshMargin, Duration{lifetime_} / 2);
  refresh_at_ = now.mono + (Duration{lifetime_} - early);
  if (request.method != stun::Method::kAllocate) return;
  const auto relayed = message.xor_address(stun::Attribute::kXorRelayedAddress);
  const auto mapped = message.xor_address(stun::Attribute::kXorMappedAddress);
  if (!relayed || !mapped) return end(Ending::kRefused, 0, outputs);
  state_ = State::kAllocated;
  outputs.on_allocated(*relayed, *mapped);
}

void Client::on_error(const Request& request, std::uint16_t code, Outputs& outputs) {
  // 437 to anything but Allocate: the server has lost or ended the allocation.
  if (code == 437 && request.method != stun::Method::kAllocate) {
    return end(state_ == State::kReleasing ? Ending::kReleased : Ending::kLost, code, outputs);
  }
  if (request.peer == kNoPeer) return end(Ending::kRefused, code, outputs);
  peers_[request.peer].ready = false;
  outputs.on_peer_refused(peers_[request.peer].address, code);
}

void Client::on_data_indication(const stun::MessageView& message, Outputs& outputs) {
  const auto peer = message.xor_address(stun::Attribute::kXorPeerAddress);
  const auto data = message.value(stun::Attribute::kData);
  if (peer && data && state_ == State::kAllocated) outputs.on_data(*peer, *data);
}

void Client::on_channel_data(ByteView message, Outputs& outputs) {
  Reader reader(message);
  const std::uint16_t channel = reader.u16();
  const ByteView data = reader.bytes(reader.u16());
  if (!reader.ok() || state_ != State::kAllocated) return;
  for (const Peer& peer : peers_) {
    if (peer.channel == channel) return outputs.on_data(peer.address, data);
  }
}

void Client::end(Ending ending, std::uint16_t code, Outputs& outputs) {
  state_ = State::kEnded;
  requests_.clear();
  peers_.clear();
  refresh_at_ = MonoTime::never();
  key_.reset();
  userhash_ = recognised_ = false;
  outputs.on_ended(ending, code);
}

Client::Peer* Client::find_peer(const Address& address) {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const Peer& peer) { return peer.address == address; });
  return found == peers_.end() ? nullptr : &*found;
}

}  // namespace turnpike::turn
