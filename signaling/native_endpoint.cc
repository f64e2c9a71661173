#include "signaling/native_endpoint.h"

#include <array>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace turnpike::signaling {

namespace {

constexpr std::size_t kSequenceBytes = 8;
constexpr std::uint32_t kMemberTimer = 0;

ws::CloseCode close_code(Dismissal why) {
  switch (why) {
    case Dismissal::kLeft:
      return ws::CloseCode::kLeft;
    case Dismissal::kRemoved:
      return ws::CloseCode::kRemoved;
    case Dismissal::kResumedElsewhere:
      return ws::CloseCode::kResumedElsewhere;
  }
  return ws::CloseCode::kNormal;
}

}  // namespace

NativeEndpoint::NativeEndpoint(Hub::Settings settings, Parts parts)
    : wire_(parts.wire),
      revoke_(std::move(parts.revoke)),
      hub_(settings, parts.minter, parts.signer, parts.random, {wheel_, kMemberTimer}) {}

Endpoint::Tag NativeEndpoint::on_open(Tick, ConnectionHandle connection, const Visit& visit) {
  const PeerHandle handle = peers_.emplace();
  Peer* peer = peers_.find(handle);
  CHECK(peer != nullptr);  // one for each connection at most
  peer->dialect = &dialect_;
  peer->source = visit.source;
  peer->carrier = connection.pack();
  return handle.pack();
}

void NativeEndpoint::on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode,
                                std::string_view payload) {
  const PeerHandle handle = PeerHandle::unpack(tag);
  Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  const Verdict verdict = converse(now, handle, *peer, payload, hub_, *this);
  if (verdict == Verdict::kAbuse) wire_.close(connection, ws::CloseCode::kPolicy);
}

void NativeEndpoint::on_too_large(Tick, ConnectionHandle connection, Tag) {
  const Failure failure{ErrorCode::kTooLarge, "a message has at most 64 KiB", {}};
  std::string text;
  dialect_.address(dialect_.encode(failure), 0, text);
  wire_.send(connection, ws::Opcode::kText, text);
}

// A lost WebSocket is not a leave: the member stays, away.
void NativeEndpoint::on_gone(Tick now, ConnectionHandle, Tag tag) {
  const PeerHandle handle = PeerHandle::unpack(tag);
  const Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  const Handle<Member> member = peer->member;
  peers_.erase(handle);
  hub_.lost(now, member, handle, *this);
}

std::string NativeEndpoint::ping_payload(Tag tag) {
  const Peer* peer = peers_.find(PeerHandle::unpack(tag));
  std::array<std::uint8_t, kSequenceBytes> payload;
  turnpike::Writer out(payload);
  out.u64(peer == nullptr ? 0 : hub_.last_sequence(peer->member));
  return std::string(as_text(payload));
}

// Frames arrive in order, so whoever answers a ping has taken in all that was sent before it.
void NativeEndpoint::on_pong(Tick, ConnectionHandle, Tag tag, std::string_view payload) {
  const PeerHandle handle = PeerHandle::unpack(tag);
  const Peer* peer = peers_.find(handle);
  turnpike::Reader in(as_bytes(payload));
  const std::uint64_t sequence = in.u64();
  if (peer == nullptr || !in.ok() || in.remaining() != 0) return;
  hub_.confirm(peer->member, handle, sequence);
}

void NativeEndpoint::on_time(Tick now) {
  while (Timer* timer = wheel_.take_expired(now.mono)) hub_.on_timer(now, *timer, *this);
  if (hub_.echo_speaks()) hub_.hear_echo(*this);
  for (const std::string& member : std::exchange(to_kick_, {})) {
    if (const auto room = hub_.room_of(member)) hub_.kick(now, *room, member, *this);
  }
  if (const auto news = std::exchange(news_, std::nullopt)) hub_.announce(*news, *this);
}

bool NativeEndpoint::kick(std::string_view member) {
  if (to_kick_.size() >= kMaxToKick || !hub_.room_of(member)) return false;
  to_kick_.emplace_back(member);
  return true;
}

void NativeEndpoint::drain(std::optional<seconds> left) {
  hub_.drain();
  news_ = Draining{left};
}

void NativeEndpoint::deliver(PeerHandle handle, std::string_view text) {
  const Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  wire_.send(ConnectionHandle::unpack(peer->carrier), ws::Opcode::kText, text);
}

void NativeEndpoint::dismiss(PeerHandle handle, Dismissal why) {
  const Peer* peer = peers_.find(handle);
  if (peer == nullptr) return;
  const ConnectionHandle connection = ConnectionHandle::unpack(peer->carrier);
  // The hub knows that this peer is gone; it is not to be called back.
  peers_.erase(handle);
  wire_.close(connection, close_code(why));
}

}  // namespace turnpike::signaling
