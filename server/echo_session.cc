// The course of one echo: offers, ICE, the time limit. What is returned is in echo_returning.cc,
// what is told of it in echo_statistics.cc.
#include "server/echo_session.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"

namespace turnpike::server {
namespace {

using nlohmann::json;

constexpr std::string_view kMidExtension = "urn:ietf:params:rtp-hdrext:sdes:mid";

const json* find(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* name) {
  const json* value = find(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

// Retransmissions come as they were sent, so nothing is repeated under another SSRC.
void leave_out_repairs(media::Description& description) {
  for (media::MediaSection& section : description.sections) {
    std::erase_if(section.codecs,
                  [](const media::Codec& codec) { return media::is_codec(codec, "rtx"); });
  }
}

bool is_returned(const media::MediaSection& section) {
  const bool is_media =
      section.kind == media::MediaKind::kAudio || section.kind == media::MediaKind::kVideo;
  return is_media && !section.rejected && media::sends(section.direction);
}

// The stream itself: a group's first source, not what repairs it.
std::optional<std::uint32_t> main_source(const media::MediaSection& section) {
  for (const media::SourceGroup& group : section.source_groups) {
    if (group.semantics == "FID" && !group.ssrcs.empty()) return group.ssrcs.front();
  }
  if (section.sources.empty()) return std::nullopt;
  return section.sources.front().ssrc;
}

std::optional<EchoSession::Closing> closing_of(media::DtlsTransport::Ending ending) {
  switch (ending) {
    case media::DtlsTransport::Ending::kClosed:
      return EchoSession::Closing::kClosed;
    case media::DtlsTransport::Ending::kFingerprintRefused:
      return EchoSession::Closing::kFingerprintRefused;
    case media::DtlsTransport::Ending::kHandshakeFailed:
    case media::DtlsTransport::Ending::kHandshakeTimedOut:
      return EchoSession::Closing::kHandshakeFailed;
  }
  return std::nullopt;
}

std::string_view sentence_of(EchoSession::Closing closing) {
  switch (closing) {
    case EchoSession::Closing::kClosed:
      return "the connection was closed";
    case EchoSession::Closing::kPathLost:
      return "nothing came over the path any more";
    case EchoSession::Closing::kFingerprintRefused:
      return "the certificate is not the one that the offer's fingerprint is of";
    case EchoSession::Closing::kHandshakeFailed:
      return "the DTLS handshake failed";
  }
  return "";
}

}  // namespace

std::string_view name_of(EchoSession::Closing closing) {
  switch (closing) {
    case EchoSession::Closing::kClosed:
      return "closed";
    case EchoSession::Closing::kPathLost:
      return "path-lost";
    case EchoSession::Closing::kFingerprintRefused:
      return "fingerprint-refused";
    case EchoSession::Closing::kHandshakeFailed:
      return "handshake-failed";
  }
  return "";
}

EchoSession::EchoSession(Tick now, seconds time_limit, const Shared& shared, Owner& owner)
    : shared_(shared), owner_(owner), began_(now.mono), end_at_(now.mono + time_limit), now_(now) {}

EchoSession::~EchoSession() = default;

// --- signaling ---

void EchoSession::on_message(Tick now, std::string_view data) {
  now_ = now;
  const json message = json::parse(data, nullptr, false);
  if (const json* description = find(message, "description")) {
    if (text_of(*description, "type") == "offer") {
      take_offer(text_of(*description, "sdp"));
    } else if (!description->is_null()) {
      refuse("not-an-offer", "the echo makes no offers, so it takes no answers");
    }
  } else if (const json* candidate = find(message, "candidate")) {
    take_candidate(text_of(*candidate, "candidate"));
  }
  settle();
}

void EchoSession::refuse(std::string_view code, std::string_view why) {
  const json error = {{"error", {{"code", code}, {"message", why}}}};
  owner_.say(error.dump(-1, ' ', false, json::error_handler_t::replace));
}

void EchoSession::take_offer(const std::string& sdp) {
  const auto offer = media::parse_sdp(sdp);
  if (!offer) return refuse("bad-description", offer.error().message);
  if (const auto fits = media::supports(*offer); !fits) {
    return refuse("unsupported", fits.error().message);
  }
  const media::MediaSection& transport = *offer->transport();
  if (!media_ || transport.fingerprints != fingerprints_) {
    begin(*offer);
  } else if (transport.ice.ufrag != their_fragment_) {
    agent_->restart(now_, *this);
    owner_.listen_for(agent_->credentials().ufrag);
  }
  const media::Description ours = answer(*offer);
  if (ours.transport() == nullptr) {
    hang_up();
    return refuse("unsupported", "nothing that is offered can be returned");
  }
  note_sections(*offer, ours);
  const media::Setup setup = ours.transport()->setup.value_or(media::Setup::kActive);
  const auto remote = media::remote_of(*offer, setup);
  if (!remote) {
    hang_up();
    return refuse("unsupported", remote.error().message);
  }
  const json word = {{"description", {{"type", "answer"}, {"sdp", media::to_sdp(ours)}}}};
  owner_.say(word.dump(-1, ' ', false, json::error_handler_t::replace));
  media::set_clock_rates(*media_, ours);
  media_->set_remote(now_, *remote);
  max_message_size_ = remote->max_message_size;
  // Streams with even numbers are ours to open then, and no channel of the guest's can collide.
  if (remote->channels && setup == media::Setup::kActive) open_agreed_channels();
  if (transport.ice.ufrag != std::exchange(their_fragment_, transport.ice.ufrag)) {
    agent_->set_remote(now_, transport.ice,
                       offer->ice_lite ? ice::Agent::Mode::kLite : ice::Agent::Mode::kFull, *this);
  }
  for (const ice::ParsedCandidate& candidate : transport.candidates) {
    if (candidate.udp && candidate.host_name.empty()) {
      agent_->add_remote(now_, candidate.candidate, *this);
    }
  }
}

void EchoSession::begin(const media::Description& offer) {
  hang_up();
  fingerprints_ = offer.transport()->fingerprints;
  their_fragment_.clear();
  session_id_ = std::to_string(shared_.random.u64() >> 1);
  version_ = 0;
  agent_ = std::make_unique<ice::Agent>(
      ice::Agent::Settings{.role = ice::Agent::Role::kControlled, .mode = ice::Agent::Mode::kLite},
      shared_.random);
  owner_.listen_for(agent_->credentials().ufrag);
  for (std::size_t i = 0; i < shared_.addresses.size(); ++i) {
    agent_->add_local(now_, candidate_of(i), static_cast<ice::Base>(i), *this);
  }
  media::Session::Settings settings;
  settings.report_interval = milliseconds(1000);
  media::Session::Outputs& outputs = *this;
  media_ = std::make_unique<media::Session>(shared_.identity, shared_.random, settings, outputs);
  next_statistics_ = now_.mono + kStatisticsInterval;
  measured_at_ = now_.mono;
  before_ = {};
  counts_ = {};
}

void EchoSession::open_agreed_channels() {
  for (const media::ChannelId id : kAgreedChannels) {
    media::ChannelOptions options;
    options.negotiated = id;
    media_->open_channel(now_, options);
  }
}

ice::Candidate EchoSession::candidate_of(std::size_t base) const {
  ice::Candidate candidate;
  candidate.address = shared_.addresses[base];
  candidate.foundation = std::to_string(base + 1);
  candidate.priority =
      ice::priority_of(ice::CandidateType::kHost, static_cast<std::uint16_t>(65535 - base));
  return candidate;
}

media::Description EchoSession::answer(const media::Description& offer) {
  media::AnswerSettings settings;
  settings.ice = agent_->credentials();
  settings.fingerprint = shared_.identity.fingerprint();
  settings.setup = media::Setup::kActive;
  settings.ice_lite = true;
  settings.extensions = {std::string(kMidExtension)};
  for (std::size_t i = 0; i < shared_.addresses.size(); ++i) {
    settings.candidates.push_back({candidate_of(i), {}, true});
  }
  settings.end_of_candidates = true;
  settings.stream = settings.cname = "turnpike-echo";
  // Which sections send is decided by the answer; only then have they an SSRC.
  for (const media::MediaSection& section : media::answer_to(offer, settings).sections) {
    if (is_returned(section)) settings.ssrcs.push_back(ssrc_of(section.mid));
  }
  media::Description ours = media::answer_to(offer, settings);
  leave_out_repairs(ours);
  ours.session_id = session_id_;
  ours.version = ++version_;
  return ours;
}

std::uint32_t EchoSession::ssrc_of(std::string_view mid) {
  for (const Section& section : sections_) {
    if (section.mid == mid && section.ssrc != 0) return section.ssrc;
  }
  Section section;
  section.mid = mid;
  while (section.ssrc == 0) section.ssrc = shared_.random.u32();
  sections_.push_back(section);
  return section.ssrc;
}

void EchoSession::note_sections(const media::Description& offer, const media::Description& ours) {
  const std::vector<Section> before = std::exchange(sections_, {});
  for (const media::MediaSection& from : ours.sections) {
    if (from.kind != media::MediaKind::kAudio && from.kind != media::MediaKind::kVideo) continue;
    Section section{.mid = from.mid, .kind = from.kind, .returns = is_returned(from)};
    for (const Section& known : before) {
      if (known.mid == from.mid) section.ssrc = known.ssrc;
    }
    for (const media::Codec& codec : from.codecs)
      section.payload_types.push_back(codec.payload_type);
    for (const media::HeaderExtension& extension : from.extensions) {
      if (extension.uri == kMidExtension) mid_extension_ = extension.id;
    }
    sections_.push_back(std::move(section));
  }
  // Sections may have changed what they do.
  routes_.clear();
  for (const Section& section : sections_) {
    const media::MediaSection* theirs = offer.of_mid(section.mid);
    const auto source = theirs == nullptr ? std::nullopt : main_source(*theirs);
    if (source && routes_.size() < kMaxSources) {
      routes_.push_back({*source, section.ssrc, section.kind, section.returns});
    }
  }
}

void EchoSession::take_candidate(const std::string& line) {
  // An empty one says that there are no more.
  if (line.empty() || !agent_) return;
  const auto parsed = ice::parse_candidate(line);
  if (!parsed) return refuse("bad-candidate", parsed.error().message);
  // Others than these make themselves known by their checks.
  if (!parsed->udp || !parsed->host_name.empty()) return;
  agent_->add_remote(now_, parsed->candidate, *this);
}

// --- the path ---

void EchoSession::on_check(Tick now, ice::Base base, const Address& from, ByteView message) {
  now_ = now;
  if (!agent_ || !agent_->on_packet(now, base, from, message, *this)) return settle();
  // It knows our password, so what else it sends may be looked at.
  const Path path{base, from};
  const bool known = std::find(paths_.begin(), paths_.end(), path) != paths_.end();
  if (!known && paths_.size() < kMaxPaths) {
    paths_.push_back(path);
    owner_.listen_to(base, from);
  }
  settle();
}

void EchoSession::on_datagram(Tick now, ByteView datagram) {
  now_ = now;
  if (media_) media_->on_datagram(now, datagram);
  settle();
}

void EchoSession::on_time(Tick now) {
  now_ = now;
  if (end_at_ <= now.mono) {
    const json word = {
        {"ended", {{"code", "time-limit"}, {"message", "the time of this echo is over"}}}};
    owner_.say(word.dump());
    hang_up();
    over_ = true;
    return;
  }
  if (agent_ && agent_->next_deadline() <= now.mono) agent_->on_time(now, *this);
  if (media_ && media_->next_deadline() <= now.mono) media_->on_time(now);
  if (next_return_ <= now.mono) return_waiting();
  if (media_ && next_statistics_ <= now.mono) {
    tell_statistics();
    limit_sender();
    next_statistics_ = now.mono + kStatisticsInterval;
  }
  settle();
}

MonoTime EchoSession::next_deadline() const {
  MonoTime next = std::min({end_at_, next_statistics_, next_return_});
  if (agent_) next = std::min(next, agent_->next_deadline());
  if (media_) next = std::min(next, media_->next_deadline());
  return next;
}

// What could not be done from inside a call of the agent or of the media session.
void EchoSession::settle() {
  if (!closing_ || !media_) return;
  const Closing why = *closing_;
  hang_up();
  const json word = {{"closed", {{"code", name_of(why)}, {"message", sentence_of(why)}}}};
  owner_.say(word.dump());
}

void EchoSession::close(Tick now) {
  now_ = now;
  hang_up();
}

void EchoSession::hang_up() {
  if (media_) media_->close(now_);
  media_.reset();
  agent_.reset();
  closing_.reset();
  owner_.forget();
  paths_.clear();
  sections_.clear();
  routes_.clear();
  waiting_.clear();
  waiting_bytes_ = 0;
  next_statistics_ = next_return_ = MonoTime::never();
}

void EchoSession::send(ice::Base base, const Address& to, ByteView bytes) {
  owner_.send(base, to, bytes);
}

void EchoSession::on_selected(const ice::Agent::Selected&) {
  if (media_) media_->start(now_);
}

void EchoSession::on_state(ice::Agent::State state) {
  if (state == ice::Agent::State::kFailed && !closing_) closing_ = Closing::kPathLost;
}

void EchoSession::send_datagram(ByteView datagram) { agent_->send(datagram, *this); }

void EchoSession::on_ended(media::DtlsTransport::Ending ending) {
  if (!closing_) closing_ = closing_of(ending);
}

}  // namespace turnpike::server
