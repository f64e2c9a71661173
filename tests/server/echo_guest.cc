#include "tests/server/echo_guest.h"

#include <algorithm>
#include <array>

namespace turnpike::server::testing {

void EchoWorld::pass(Duration duration) {
  const MonoTime end = now.mono + duration;
  const Tick begin = now;
  for (int turns = 0; turns < 100000; ++turns) {
    while (!there.empty() || !back.empty()) {
      if (!there.empty()) {
        const Datagram one = std::move(there.front());
        there.pop_front();
        if (lets_pass(one.bytes)) endpoint.on_datagram(now, 0, one.address, one.bytes);
      }
      if (!back.empty()) {
        const Datagram one = std::move(back.front());
        back.pop_front();
        for (TestGuest* guest : guests) {
          if (guest->address == one.address) guest->on_datagram(one.bytes);
        }
      }
    }
    while (const auto word = endpoint.next_word()) {
      for (TestGuest* guest : guests) {
        if (guest->id != word->guest) continue;
        if (!word->data.empty()) guest->take(json::parse(word->data));
        if (word->leaves) guest->take({{"left", true}});
      }
    }
    if (!there.empty() || !back.empty()) continue;
    MonoTime next = endpoint.next_deadline();
    for (const TestGuest* guest : guests) next = std::min(next, guest->next_deadline());
    if (next > end) break;
    now.mono = std::max(now.mono, next);
    now.wall = begin.wall + std::chrono::floor<seconds>(now.mono - begin.mono);
    endpoint.on_time(now);
    for (TestGuest* guest : guests) guest->on_time();
  }
  now.mono = end;
  now.wall = begin.wall + std::chrono::floor<seconds>(duration);
}

bool EchoWorld::until(const std::function<bool()>& done, Duration patience) {
  for (const MonoTime end = now.mono + patience; now.mono < end;) {
    pass();
    if (done()) return true;
    pass(milliseconds(10));
  }
  return done();
}

TestGuest::TestGuest(EchoWorld& world, EchoEndpoint::Guest its_id, std::string_view its_address)
    : id(its_id),
      address(*Address::parse(its_address)),
      world_(world),
      identity_(media::Identity::create()),
      agent_(std::make_unique<ice::Agent>(ice::Agent::Settings{}, world.random)) {
  media::Session::Outputs& outputs = *this;
  media_ = std::make_unique<media::Session>(*identity_, world.random, media::Session::Settings{},
                                            outputs);
  ice::Candidate candidate;
  candidate.address = address;
  candidate.foundation = "1";
  candidate.priority = ice::priority_of(ice::CandidateType::kHost, 65535);
  agent_->add_local(world.now, candidate, 0, *this);
  world.guests.push_back(this);
}

TestGuest::~TestGuest() { std::erase(world_.guests, this); }

media::Description TestGuest::description() const {
  media::Description ours;
  ours.bundle = {"0", "1", "2"};
  ours.trickle = true;
  for (const auto& [kind, mid] :
       {std::pair{media::MediaKind::kAudio, "0"}, std::pair{media::MediaKind::kVideo, "1"},
        std::pair{media::MediaKind::kData, "2"}}) {
    media::MediaSection section;
    section.kind = kind;
    section.mid = mid;
    const bool data = kind == media::MediaKind::kData;
    section.media = data ? "application" : kind == media::MediaKind::kAudio ? "audio" : "video";
    section.protocol = data ? "UDP/DTLS/SCTP" : "UDP/TLS/RTP/SAVPF";
    section.rtcp_mux = !data;
    section.ice = agent_->credentials();
    section.fingerprints = {identity_->fingerprint()};
    if (wrong_fingerprint) section.fingerprints.front().digest.front() ^= 1;
    section.setup = setup;
    if (kind == media::MediaKind::kAudio) {
      section.codecs = {
          {.payload_type = kOpus, .name = "opus", .clock_rate = 48000, .channels = 2}};
      section.sources = {{kAudioSsrc, "guest"}};
    } else if (kind == media::MediaKind::kVideo) {
      section.codecs = {{.payload_type = kVp8,
                         .name = "VP8",
                         .clock_rate = 90000,
                         .channels = 1,
                         .parameters = {},
                         .feedback = {"nack", "nack pli", "ccm fir"}},
                        {.payload_type = 97,
                         .name = "rtx",
                         .clock_rate = 90000,
                         .channels = 1,
                         .parameters = "apt=96"}};
      section.sources = {{kVideoSsrc, "guest"}, {kVideoSsrc + 1, "guest"}};
      section.source_groups = {{"FID", {kVideoSsrc, kVideoSsrc + 1}}};
    }
    ours.sections.push_back(std::move(section));
  }
  return ours;
}

void TestGuest::take(const json& word) {
  words.push_back(word);
  if (!word.contains("description")) return;
  EXPECT_EQ(word["description"]["type"], "answer");
  const auto parsed = media::parse_sdp(word["description"]["sdp"].get<std::string>());
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  answer = *parsed;
  ASSERT_TRUE(media::supports(answer).has_value());
  const media::MediaSection& transport = *answer.transport();
  const auto remote = media::remote_of(answer, setup);
  ASSERT_TRUE(remote.has_value()) << remote.error().message;
  media::set_clock_rates(*media_, answer);
  media_->set_remote(world_.now, *remote);
  EXPECT_TRUE(answer.ice_lite);
  agent_->set_remote(world_.now, transport.ice, ice::Agent::Mode::kLite, *this);
  for (const auto& candidate : transport.candidates) {
    agent_->add_remote(world_.now, candidate.candidate, *this);
  }
}

void TestGuest::restart_ice() {
  agent_->restart(world_.now, *this);
  offer();
}

bool TestGuest::send_rtp(std::uint8_t payload_type, std::uint32_t ssrc, std::uint16_t sequence,
                         std::string_view payload) {
  media::RtpPacket packet;
  packet.payload_type = payload_type;
  packet.ssrc = ssrc;
  packet.sequence = sequence;
  packet.timestamp = sequence * 960u;
  packet.payload = as_bytes(payload);
  std::array<std::uint8_t, 1400> room;
  Writer out(room);
  return media::write_rtp(out, packet) && media_->send_rtp(world_.now, out.written());
}

std::uint32_t TestGuest::echoed_ssrc(media::MediaKind kind) const {
  for (const media::MediaSection& section : answer.sections) {
    if (section.kind == kind && !section.sources.empty()) return section.sources.front().ssrc;
  }
  ADD_FAILURE() << "the answer names no source";
  return 0;
}

void TestGuest::on_datagram(ByteView datagram) {
  if (media::is_session_datagram(datagram)) return media_->on_datagram(world_.now, datagram);
  agent_->on_packet(world_.now, 0, kEcho, datagram, *this);
}

void TestGuest::on_time() {
  agent_->on_time(world_.now, *this);
  media_->on_time(world_.now);
}

MonoTime TestGuest::next_deadline() const {
  return std::min(agent_->next_deadline(), media_->next_deadline());
}

void TestGuest::send(ice::Base, const Address& to, ByteView bytes) {
  EXPECT_EQ(to, kEcho);
  world_.there.push_back({address, {bytes.begin(), bytes.end()}});
}

void TestGuest::on_rtp(const media::RtpPacket& packet, ByteView) {
  packets.push_back(
      {packet.ssrc, packet.payload_type, packet.sequence, std::string(as_text(packet.payload))});
}

void TestGuest::on_rtcp(ByteView compound) {
  const auto parsed = media::parse_rtcp(compound);
  ASSERT_TRUE(parsed.has_value());
  feedback.insert(feedback.end(), parsed->begin(), parsed->end());
}

void TestGuest::on_channel_message(media::ChannelId channel, media::MessageKind kind,
                                   ByteView message) {
  messages.push_back({channel, kind, std::string(as_text(message))});
}

}  // namespace turnpike::server::testing
