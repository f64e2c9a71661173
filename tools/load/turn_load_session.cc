#include "tools/load/turn_load_session.h"

#include <array>
#include <utility>

#include "stun/classify.h"
#include "turn/channel_data.h"

namespace turnpike::load {
namespace {

constexpr milliseconds kGreetingInterval{200};

turn::Client::Settings settings_of(const Options& options) {
  turn::Client::Settings settings;
  settings.reliability = is_datagram(options.transport)
                             ? stun::Transaction::Reliability::kUnreliable
                             : stun::Transaction::Reliability::kReliable;
  settings.username = options.user;
  settings.password = options.password;
  return settings;
}

}  // namespace

Session::Session(std::uint32_t index, const Options& options, std::unique_ptr<Link> link,
                 Random& random)
    : index_(index),
      floor_(options.floor),
      link_(std::move(link)),
      client_(settings_of(options), random) {}

void Session::start(Tick now) {
  if (link_->is_open()) begin(now);
}

void Session::begin(Tick now) {
  state_ = State::kAllocating;
  if (!floor_) return client_.allocate(now, *this);
  // A floor allocates when it hears who the peer is.
  state_ = State::kAllocated;
}

void Session::reach(Tick now, const Address& peer, turn::Client::Binding binding) {
  state_ = State::kReaching;
  peer_ = peer;
  ++wanted_;
  if (!floor_) return client_.reach(now, peer, binding, *this);
  greet();
  greet_again_ = now.mono + kGreetingInterval;
}

void Session::greet() {
  std::array<std::uint8_t, 10> room;
  Writer out(room);
  out.u16(kFloorChannel);
  out.u16(6);
  out.bytes(peer_.ip.bytes());
  out.u16(peer_.port);
  link_->send(out.written());
}

void Session::release(Tick now) {
  if (state_ == State::kFailed || state_ == State::kEnded) return;
  if (floor_ || !client_.allocated()) {
    state_ = State::kEnded;
    return;
  }
  state_ = State::kReleasing;
  client_.release(now, *this);
}

void Session::on_ready(Tick now, Inbox& inbox, Receiver& receiver) {
  link_->on_ready(inbox, [&](ByteView message) { on_message(now, message, receiver); });
  if (link_->has_failed() && !is_settled()) {
    state_ = State::kFailed;
    return;
  }
  if (state_ == State::kConnecting && link_->is_open()) begin(now);
  if (link_->opens() && link_->wants_write()) link_->flush();
}

void Session::on_message(Tick now, ByteView message, Receiver& receiver) {
  if (message.size() >= 4 && stun::classify(message) == stun::PacketKind::kChannelData) {
    const turn::ChannelDataHeader header = turn::read_channel_data(message);
    if (!header.whole) return receiver.on_payload(index_, nullptr, {});
    const ByteView payload = message.subspan(turn::kChannelDataHeaderSize, header.length);
    if (floor_ && header.number == kFloorChannel) return on_greeting(payload);
    return receiver.on_payload(index_, nullptr, payload);
  }
  const auto view = stun::MessageView::parse(message);
  if (view && view->is(stun::Class::kIndication, stun::Method::kData)) {
    const auto peer = view->xor_address(stun::Attribute::kXorPeerAddress);
    const auto data = view->value(stun::Attribute::kData);
    return receiver.on_payload(index_, peer ? &*peer : nullptr, data.value_or(ByteView{}));
  }
  client_.on_packet(now, message, *this);
}

void Session::on_greeting(ByteView payload) {
  Reader in(payload);
  const std::uint32_t ip = in.u32();
  const std::uint16_t port = in.u16();
  if (!in.ok() || state_ != State::kReaching) return;
  relayed_ = {IpAddress::v4(ip), port};
  greet_again_ = MonoTime::never();
  on_peer_ready(peer_);
}

void Session::on_time(Tick now) {
  if (state_ == State::kConnecting && link_->opens()) {
    link_->flush();  // what was lost of a DTLS handshake is sent again
    if (link_->is_open()) return begin(now);
  }
  if (state_ == State::kConnecting || is_settled()) return;
  if (greet_again_ <= now.mono) {
    greet();
    greet_again_ = now.mono + kGreetingInterval;
  }
  if (client_.next_deadline() <= now.mono) client_.on_time(now, *this);
}

void Session::on_allocated(const Address& relayed, const Address&) {
  relayed_ = relayed;
  state_ = State::kAllocated;
}

void Session::on_peer_ready(const Address&) {
  if (++reached_ == wanted_ && state_ == State::kReaching) state_ = State::kReady;
}

void Session::on_peer_refused(const Address&, std::uint16_t code) {
  error_code_ = code;
  state_ = State::kFailed;
}

void Session::on_ended(turn::Client::Ending ending, std::uint16_t code) {
  error_code_ = code;
  state_ = ending == turn::Client::Ending::kReleased ? State::kEnded : State::kFailed;
}

}  // namespace turnpike::load
