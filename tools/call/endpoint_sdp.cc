// Offers and answers of an endpoint.
#include <utility>

#include "tools/call/endpoint.h"

namespace turnpike::call {
namespace {

using media::Description;
using media::MediaKind;
using media::MediaSection;
using media::Setup;

constexpr std::uint8_t kOpus = 111, kVp8 = 96;
constexpr const char* kStream = "turnpike-call";

MediaSection section(Kind kind, std::uint32_t ssrc) {
  const bool audio = kind == Kind::kAudio;
  MediaSection section;
  section.kind = audio ? MediaKind::kAudio : MediaKind::kVideo;
  section.media = name_of(kind);
  section.protocol = "UDP/TLS/RTP/SAVPF";
  section.mid = audio ? "0" : "1";
  if (audio) {
    section.codecs.push_back({.payload_type = kOpus,
                              .name = "opus",
                              .clock_rate = kAudioClock,
                              .channels = 2,
                              .parameters = "minptime=10;useinbandfec=1"});
  } else {
    section.codecs.push_back({.payload_type = kVp8,
                              .name = "VP8",
                              .clock_rate = kVideoClock,
                              .feedback = {"nack", "nack pli", "ccm fir"}});
  }
  section.sources.push_back({ssrc, kStream});
  section.stream = kStream;
  section.track = name_of(kind);
  section.rtcp_mux = true;
  section.setup = Setup::kActPass;
  return section;
}

}  // namespace

void Endpoint::make_agent(ice::Agent::Role role) {
  if (agent_ != nullptr) return;
  ice::Agent::Settings settings;
  settings.role = role;
  settings.patience = kPatience;
  agent_ = std::make_unique<ice::Agent>(settings, services_.random);
  for (const auto& [candidate, base] : candidates_) {
    agent_->add_local(Loop::now(), candidate, base, *this);
  }
  media::Session::Settings session;
  session.channels = false;
  session.cname = kStream;
  session_.reset(new media::Session(services_.identity, services_.random, session, *this));
}

void Endpoint::make_offer() {
  if (described_ || gatherer_ == nullptr) return;
  make_agent(ice::Agent::Role::kControlling);
  Description offer;
  offer.session_id = std::to_string(services_.random.u32());
  offer.trickle = true;
  for (std::size_t i = 0; i < kKinds; ++i) {
    const auto kind = static_cast<Kind>(i);
    if (kind == Kind::kVideo && services_.options.video_bitrate == 0) continue;
    MediaSection one = section(kind, ssrcs_[i]);
    one.ice = agent_->credentials();
    one.fingerprints = {services_.identity.fingerprint()};
    offer.bundle.push_back(one.mid);
    offer.sections.push_back(std::move(one));
  }
  mid_ = offer.sections.front().mid;
  offered_ = described_ = true;
  signaling_->describe(Signaling::Type::kOffer, to_sdp(offer));
  tell_candidates();
}

void Endpoint::on_description(Signaling::Type type, const std::string& sdp) {
  if (failed_ || releasing_ || gatherer_ == nullptr) return;
  const auto theirs = media::parse_sdp(sdp);
  if (!theirs) return fail("their description: " + theirs.error().message);
  const auto supported = media::supports(*theirs);
  if (!supported) return fail("their description: " + supported.error().message);
  if (type == Signaling::Type::kOffer) {
    // Perfect negotiation: of two offers that cross, that of whoever came first counts.
    const bool impolite = arrival_ == Signaling::Arrival::kFirst;
    if (!offered_ || !impolite) take_offer(*theirs);
  } else if (offered_) {
    take_answer(*theirs);
  }
  settle();
}

void Endpoint::take_offer(const Description& offer) {
  make_agent(ice::Agent::Role::kControlled);
  offered_ = false;
  media::AnswerSettings settings;
  settings.ice = agent_->credentials();
  settings.fingerprint = services_.identity.fingerprint();
  settings.audio = {"opus"};
  settings.video = {"VP8"};
  if (services_.options.video_bitrate == 0) settings.video.clear();
  settings.feedback = {"nack", "nack pli", "ccm fir"};
  settings.data = false;
  settings.stream = settings.cname = kStream;
  if (negotiated_ && setup_ != Setup::kActPass) settings.setup = setup_;
  for (const MediaSection& one : offer.sections) {
    if (one.rejected) continue;
    if (one.kind == MediaKind::kAudio) settings.ssrcs.push_back(ssrcs_[0]);
    if (one.kind == MediaKind::kVideo) settings.ssrcs.push_back(ssrcs_[1]);
  }
  const Description answer = media::answer_to(offer, settings);
  const MediaSection* transport = answer.transport();
  if (transport == nullptr) return fail("their offer has nothing that we speak");
  mid_ = transport->mid;
  learn_remote(offer, transport->setup.value_or(Setup::kActive));
  learn_payload_types(answer);
  described_ = true;
  signaling_->describe(Signaling::Type::kAnswer, to_sdp(answer));
  tell_candidates();
}

void Endpoint::take_answer(const Description& answer) {
  offered_ = false;
  learn_remote(answer, Setup::kActPass);
  learn_payload_types(answer);
}

void Endpoint::learn_remote(const Description& theirs, Setup ours) {
  const Tick now = Loop::now();
  const MediaSection& transport = *theirs.transport();  // supports() has seen it
  if (!std::exchange(negotiated_, true)) {
    const auto remote = media::remote_of(theirs, ours);
    if (!remote) return fail("their description: " + remote.error().message);
    setup_ = ours;
    session_->set_remote(now, *remote);
    agent_->set_remote(now, transport.ice,
                       theirs.ice_lite ? ice::Agent::Mode::kLite : ice::Agent::Mode::kFull, *this);
  }
  media::set_clock_rates(*session_, theirs);
  for (const ice::ParsedCandidate& one : transport.candidates) {
    if (one.udp && one.host_name.empty()) agent_->add_remote(now, one.candidate, *this);
  }
}

void Endpoint::learn_payload_types(const Description& answer) {
  for (const MediaSection& one : answer.sections) {
    if (one.rejected || one.codecs.empty()) continue;
    const bool audio = one.kind == MediaKind::kAudio;
    if (!audio && one.kind != MediaKind::kVideo) continue;
    auto& type = payload_types_[static_cast<std::size_t>(audio ? Kind::kAudio : Kind::kVideo)];
    if (!type) type = one.codecs.front().payload_type;
  }
}

void Endpoint::tell_candidates() {
  if (!described_) return;
  for (; told_candidates_ < candidates_.size(); ++told_candidates_) {
    signaling_->tell(to_sdp(candidates_[told_candidates_].first), mid_);
  }
}

}  // namespace turnpike::call
