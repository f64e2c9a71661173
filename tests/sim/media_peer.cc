#include "tests/sim/media_peer.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace turnpike::sim {
namespace {

constexpr const char* kLabel = "words";
constexpr std::uint32_t kClock = 48000, kSamples = 960;

media::Session::Settings settings() {
  media::Session::Settings settings;
  settings.handshake_limit = seconds{60};  // a flight in three has to be repeated on bad links
  return settings;
}

std::array<std::uint8_t, MediaPeer::kPayload> payload_of(std::uint16_t sequence) {
  std::array<std::uint8_t, MediaPeer::kPayload> payload;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<std::uint8_t>(sequence * 31 + i * 7);
  }
  return payload;
}

media::MediaSection audio_section(std::uint32_t ssrc) {
  media::MediaSection section;
  section.media = "audio";
  section.protocol = "UDP/TLS/RTP/SAVPF";
  section.mid = "0";
  section.codecs.push_back({.payload_type = MediaPeer::kPayloadType,
                            .name = "opus",
                            .clock_rate = kClock,
                            .channels = 2});
  section.sources.push_back({ssrc, "sim"});
  section.rtcp_mux = true;
  return section;
}

media::MediaSection data_section() {
  media::MediaSection section;
  section.kind = media::MediaKind::kData;
  section.media = "application";
  section.protocol = "UDP/DTLS/SCTP";
  section.mid = "1";
  return section;
}

}  // namespace

MediaPeer::MediaPeer(World& world, const IcePeer::Place& place, const RelayHost& relay,
                     ice::Agent::Role role, const media::Identity& identity)
    : world_(world),
      identity_(identity),
      ice_(world, place, relay, {.role = role}),
      session_(identity, world.random(), settings(), *this),
      ssrc_(world.random().u32() | 1) {
  ice_.carry(*this);
}

std::string MediaPeer::offer() {
  media::Description offer;
  offer.trickle = true;
  for (media::MediaSection section : {audio_section(ssrc_), data_section()}) {
    section.ice = ice_.agent().credentials();
    section.fingerprints = {identity_.fingerprint()};
    section.setup = media::Setup::kActPass;
    offer.bundle.push_back(section.mid);
    offer.sections.push_back(std::move(section));
  }
  return to_sdp(offer);
}

std::string MediaPeer::answer(const std::string& offer, media::Setup setup) {
  const auto theirs = media::parse_sdp(offer);
  CHECK(theirs && media::supports(*theirs));
  media::AnswerSettings settings;
  settings.ice = ice_.agent().credentials();
  settings.fingerprint = identity_.fingerprint();
  settings.setup = setup;
  settings.ssrcs = {ssrc_};
  const media::Description ours = media::answer_to(*theirs, settings);
  learn(*theirs, *ours.transport()->setup);
  return to_sdp(ours);
}

void MediaPeer::take_answer(const std::string& answer) {
  const auto theirs = media::parse_sdp(answer);
  CHECK(theirs && media::supports(*theirs));
  learn(*theirs, media::Setup::kActPass);
}

void MediaPeer::learn(const media::Description& theirs, media::Setup ours) {
  auto remote = media::remote_of(theirs, ours);
  CHECK(remote);
  media::set_clock_rates(session_, theirs);
  session_.set_remote(world_.now(), std::move(*remote));
  arm();
}

bool MediaPeer::speak(std::uint16_t sequence) {
  const auto payload = payload_of(sequence);
  std::array<std::uint8_t, 12 + kPayload> room;
  Writer out(room);
  media::RtpPacket packet;
  packet.payload_type = kPayloadType;
  packet.sequence = sequence;
  packet.timestamp = sequence * kSamples;
  packet.ssrc = ssrc_;
  packet.payload = payload;
  CHECK(write_rtp(out, packet));
  const bool sent = session_.send_rtp(world_.now(), out.written());
  arm();
  return sent;
}

void MediaPeer::open_channel() {
  media::ChannelOptions options;
  options.label = kLabel;
  channel_ = session_.open_channel(world_.now(), options);
  CHECK(channel_);
  arm();
}

bool MediaPeer::say(const std::string& text) {
  const bool said = channel_ && session_.send_message(world_.now(), *channel_,
                                                      media::MessageKind::kText, as_bytes(text));
  arm();
  return said;
}

void MediaPeer::on_path() {
  session_.start(world_.now());
  arm();
}

void MediaPeer::on_datagram(ByteView bytes) {
  if (!media::is_session_datagram(bytes)) {
    ++wrong_;
    return;
  }
  session_.on_datagram(world_.now(), bytes);
  arm();
}

void MediaPeer::on_rtp(const media::RtpPacket& packet, ByteView) {
  const bool is_new = heard_.insert(packet.sequence).second;
  if (!is_new || !equal(packet.payload, payload_of(packet.sequence))) ++wrong_;
}

void MediaPeer::on_channel_open(media::ChannelId id, const media::ChannelOptions& options) {
  if (options.label != kLabel) ++wrong_;
  channel_ = id;
  channel_known_ = true;
}

void MediaPeer::on_channel_message(media::ChannelId, media::MessageKind kind, ByteView message) {
  if (kind != media::MessageKind::kText) ++wrong_;
  messages_.emplace_back(as_text(message));
}

void MediaPeer::arm() {
  const MonoTime next = session_.next_deadline();
  if (next == MonoTime::never() || next >= armed_for_) return;
  armed_for_ = next;
  world_.at(std::max(next, world_.now().mono), [this, next] {
    if (armed_for_ == next) armed_for_ = MonoTime::never();
    if (session_.next_deadline() <= world_.now().mono) session_.on_time(world_.now());
    arm();
  });
}

}  // namespace turnpike::sim
