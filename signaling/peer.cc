#include "signaling/peer.h"

#include <string>

#include "signaling/hub.h"

namespace turnpike::signaling {

namespace {

// One message of one client, answered.
class Turn {
 public:
  Turn(Tick now, PeerHandle handle, Peer& peer, Hub& hub, HubSink& sink)
      : now_(now), handle_(handle), peer_(peer), hub_(hub), sink_(sink) {}

  Verdict take(const ClientMessage& message, std::size_t size) {
    reference_ = message.reference;
    const auto tokens = static_cast<std::uint32_t>(1 + size / kBytesPerToken);
    if (!peer_.pace.take(now_.mono, kMessageRate, tokens)) {
      refuse({ErrorCode::kTooFast, "slower, please: this message was dropped"});
      return ++peer_.dropped >= kMaxDropped ? Verdict::kAbuse : Verdict::kGoOn;
    }
    peer_.dropped = 0;
    return std::visit([this](const auto& request) { return on(request); }, message.request);
  }

 private:
  bool joined() const { return hub_.is_member(peer_.member, handle_); }
  Hub::Caller caller() const { return {handle_, peer_.dialect, peer_.source}; }

  Verdict on(const Unintelligible& request) {
    refuse({ErrorCode::kBadMessage, request.why});
    return fault();
  }
  Verdict on(const JoinRequest& request) {
    if (joined()) return refuse({ErrorCode::kAlreadyJoined, "one room for each connection"});
    return become(hub_.join(now_, caller(), request, sink_));
  }
  Verdict on(const ResumeRequest& request) {
    if (joined()) return refuse({ErrorCode::kAlreadyJoined, "this connection is in a room"});
    return become(hub_.resume(now_, caller(), request, sink_));
  }
  Verdict on(const SendRequest& request) {
    if (!joined()) return refuse({ErrorCode::kNotJoined, "join a room first"});
    return answer(hub_.send(now_, peer_.member, request, sink_));
  }
  Verdict on(const IceRequest&) {
    if (!joined()) return refuse({ErrorCode::kNotJoined, "join a room first"});
    return answer(hub_.send_ice(now_, peer_.member, sink_));
  }
  Verdict on(const PingRequest&) {
    say(Pong{reference_});
    return Verdict::kGoOn;
  }
  Verdict on(const LeaveRequest&) {
    if (!joined()) return refuse({ErrorCode::kNotJoined, "join a room first"});
    hub_.leave(now_, peer_.member, sink_);
    return Verdict::kGoOn;
  }

  Verdict become(const Expected<Handle<Member>, Refusal>& outcome) {
    if (outcome) {
      peer_.member = *outcome;
      return Verdict::kGoOn;
    }
    refuse(outcome.error());
    // Guessing invitations, tokens and sessions is hopeless; the count only ends the noise.
    const bool guess = outcome.error().code == ErrorCode::kBadInvitation ||
                       outcome.error().code == ErrorCode::kBadToken ||
                       outcome.error().code == ErrorCode::kUnknownSession;
    return guess ? fault() : Verdict::kGoOn;
  }
  Verdict answer(const std::optional<Refusal>& refusal) {
    return refusal ? refuse(*refusal) : Verdict::kGoOn;
  }
  Verdict refuse(const Refusal& refusal) {
    say(Failure{refusal.code, refusal.why, reference_});
    return Verdict::kGoOn;
  }
  Verdict fault() { return ++peer_.faults >= kMaxFaults ? Verdict::kAbuse : Verdict::kGoOn; }
  void say(const HubMessage& message) {
    const std::string encoded = peer_.dialect->encode(message);
    if (encoded.empty()) return;
    std::string text;
    peer_.dialect->address(encoded, 0, text);
    sink_.deliver(handle_, text);
  }

  Tick now_;
  PeerHandle handle_;
  Peer& peer_;
  Hub& hub_;
  HubSink& sink_;
  std::string_view reference_;
};

}  // namespace

Verdict converse(Tick now, PeerHandle handle, Peer& peer, std::string_view text, Hub& hub,
                 HubSink& sink) {
  return Turn(now, handle, peer, hub, sink).take(peer.dialect->decode(text), text.size());
}

}  // namespace turnpike::signaling
