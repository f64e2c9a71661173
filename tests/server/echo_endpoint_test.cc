// The echo endpoint with guests like browsers, over a network in memory.
#include "server/echo_endpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/server/echo_guest.h"

namespace turnpike::server::testing {
namespace {

constexpr std::string_view kAnn = "192.0.2.7:40000";
constexpr std::string_view kBen = "192.0.2.7:40001";
constexpr std::string_view kCem = "192.0.2.7:40002";

// The last word that has this member.
const json* word_of(const TestGuest& guest, const char* name) {
  const auto found = std::find_if(guest.words.rbegin(), guest.words.rend(),
                                  [&](const json& word) { return word.contains(name); });
  return found == guest.words.rend() ? nullptr : &(*found)[name];
}

void connect(EchoWorld& world, TestGuest& guest) {
  guest.join();
  guest.offer();
  ASSERT_TRUE(world.until([&] { return guest.connected(); }));
}

TEST(Echo, ReturnsAudioAndVideoUnderSourcesOfItsOwn) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  ASSERT_TRUE(ann.send_rtp(kOpus, kAudioSsrc, 7, "sound"));
  ASSERT_TRUE(ann.send_rtp(kVp8, kVideoSsrc, 9, "picture"));
  ASSERT_TRUE(world.until([&] { return ann.packets.size() == 2; }));
  const auto sound = ann.packets[0];
  EXPECT_EQ(sound.ssrc, ann.echoed_ssrc(media::MediaKind::kAudio));
  EXPECT_NE(sound.ssrc, kAudioSsrc);
  EXPECT_EQ(sound.payload_type, kOpus);
  EXPECT_EQ(sound.sequence, 7);
  EXPECT_EQ(sound.payload, "sound");
  EXPECT_EQ(ann.packets[1].ssrc, ann.echoed_ssrc(media::MediaKind::kVideo));
  EXPECT_EQ(ann.packets[1].payload, "picture");
}

TEST(Echo, AnswersWithoutRepairStreams) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  for (const media::MediaSection& section : ann.answer.sections) {
    for (const media::Codec& codec : section.codecs) EXPECT_FALSE(media::is_codec(codec, "rtx"));
  }
  ASSERT_TRUE(ann.send_rtp(97, kVideoSsrc + 1, 1, "repair"));
  world.pass(milliseconds(100));
  EXPECT_TRUE(ann.packets.empty());
}

TEST(Echo, AsksTheSenderForWhatTheReceiverMisses) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  ann.send_rtp(kVp8, kVideoSsrc, 1, "picture");
  ASSERT_TRUE(world.until([&] { return !ann.packets.empty(); }));
  const std::uint32_t echoed = ann.echoed_ssrc(media::MediaKind::kVideo);
  std::array<std::uint8_t, 200> room;
  Writer out(room);
  ASSERT_TRUE(media::write_receiver_report(out, {kVideoSsrc, {}}));
  ASSERT_TRUE(media::write_picture_loss(out, {kVideoSsrc, echoed}));
  ASSERT_TRUE(media::write_nack(out, {kVideoSsrc, echoed, {4, 6}}));
  ASSERT_TRUE(ann.media().send_rtcp(world.now, out.written()));
  world.pass(milliseconds(100));
  bool picture = false, repeat = false;
  for (const media::RtcpMessage& message : ann.feedback) {
    if (const auto* loss = std::get_if<media::PictureLoss>(&message)) {
      EXPECT_EQ(loss->media, kVideoSsrc);
      EXPECT_EQ(loss->sender, echoed);
      picture = true;
    }
    if (const auto* nack = std::get_if<media::Nack>(&message)) {
      EXPECT_EQ(nack->media, kVideoSsrc);
      EXPECT_EQ(nack->lost, (std::vector<std::uint16_t>{4, 6}));
      repeat = true;
    }
  }
  EXPECT_TRUE(picture);
  EXPECT_TRUE(repeat);
}

TEST(Echo, TellsTheSenderItsLimit) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  ann.send_rtp(kVp8, kVideoSsrc, 1, "picture");
  world.pass(seconds(2));
  const auto told = std::find_if(ann.feedback.begin(), ann.feedback.end(), [](const auto& message) {
    return std::holds_alternative<media::BitrateEstimate>(message);
  });
  ASSERT_NE(told, ann.feedback.end());
  const auto& estimate = std::get<media::BitrateEstimate>(*told);
  EXPECT_EQ(estimate.ssrcs, std::vector{kVideoSsrc});
  EXPECT_NEAR(static_cast<double>(estimate.bits_per_second), 2.5e6, 1e5);
}

TEST(Echo, ReturnsTextAndBinaryMessages) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  const auto channel = ann.media().open_channel(world.now, {.label = "chat", .protocol = {}});
  ASSERT_TRUE(channel.has_value());
  world.pass(milliseconds(500));
  const std::string large(60'000, 'x');
  ann.media().send_message(world.now, *channel, media::MessageKind::kText, as_bytes("hello"));
  ann.media().send_message(world.now, *channel, media::MessageKind::kBinary, as_bytes(large));
  ASSERT_TRUE(world.until([&] { return ann.messages.size() == 2; }));
  EXPECT_EQ(ann.messages[0].text, "hello");
  EXPECT_EQ(ann.messages[0].kind, media::MessageKind::kText);
  EXPECT_EQ(ann.messages[0].channel, *channel);
  EXPECT_EQ(ann.messages[1].text, large);
  EXPECT_EQ(ann.messages[1].kind, media::MessageKind::kBinary);
}

TEST(Echo, ReturnsMessagesOfChannelsThatWereAgreedOn) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  media::ChannelOptions options;
  options.negotiated = 0;
  ASSERT_EQ(ann.media().open_channel(world.now, options), 0);
  world.pass(milliseconds(500));
  EXPECT_TRUE(ann.media().send_message(world.now, 0, media::MessageKind::kText, as_bytes("hi")));
  ASSERT_TRUE(world.until([&] { return ann.messages.size() == 1; }));
  EXPECT_EQ(ann.messages[0].text, "hi");
}

TEST(Echo, ReturnsNoMoreThanItsBitrate) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  // Twice as much as may come back, for four seconds.
  const std::string payload(1000, 'v');
  std::uint16_t sequence = 0;
  for (int i = 0; i < 400; ++i) {
    for (int j = 0; j < 6; ++j) ann.send_rtp(kVp8, kVideoSsrc, ++sequence, payload);
    world.pass(milliseconds(10));
  }
  const double bits = static_cast<double>(ann.packets.size()) * 1012 * 8;
  const double allowed = static_cast<double>(EchoSession::kMaxBps) * 4.5;  // half a second ahead
  EXPECT_LT(bits, allowed * 1.02);
  EXPECT_GT(bits, allowed * 0.9);
  const json* statistics = word_of(ann, "statistics");
  ASSERT_NE(statistics, nullptr);
  EXPECT_GT((*statistics)["returned"]["over_limit"], 100);
}

TEST(Echo, TellsEachSecondWhatItMeasured) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  std::uint16_t sequence = 0;
  for (int i = 0; i < 300; ++i) {
    ++sequence;
    if (sequence % 10 != 0) ann.send_rtp(kOpus, kAudioSsrc, sequence, std::string(100, 's'));
    world.pass(milliseconds(10));
  }
  const auto count = std::count_if(ann.words.begin(), ann.words.end(),
                                   [](const json& word) { return word.contains("statistics"); });
  EXPECT_GE(count, 2);
  EXPECT_LE(count, 4);
  const json statistics = *word_of(ann, "statistics");
  EXPECT_EQ(statistics["state"], "connected");
  EXPECT_EQ(statistics["path"]["type"], "direct");
  EXPECT_EQ(statistics["path"]["remote"], kAnn);
  EXPECT_EQ(statistics["path"]["local"], "198.51.100.1:50000");
  EXPECT_GT(statistics["remaining"], 290);
  const json& audio = statistics["received"]["audio"];
  EXPECT_NEAR(audio["loss"].get<double>(), 0.1, 0.02);
  EXPECT_GT(audio["lost"], 10);
  EXPECT_GT(audio["packets"], 100);
  EXPECT_NEAR(audio["bitrate"].get<double>(), 72'000, 8'000);
  EXPECT_TRUE(audio.contains("jitter_ms"));
  EXPECT_TRUE(statistics.contains("round_trip_ms"));
  EXPECT_FALSE(statistics["received"].contains("video"));
}

TEST(Echo, KnowsAPathThroughThisRelay) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  world.relayed.insert(ann.address);
  connect(world, ann);
  world.pass(seconds(2));
  const json* statistics = word_of(ann, "statistics");
  ASSERT_NE(statistics, nullptr);
  EXPECT_EQ((*statistics)["path"]["type"], "relay");
  EXPECT_EQ((*statistics)["path"]["relay_here"], true);
}

TEST(Echo, TakesEitherDtlsRole) {
  for (const auto& [theirs, ours] : {std::pair{media::Setup::kActive, media::Setup::kPassive},
                                     std::pair{media::Setup::kPassive, media::Setup::kActive}}) {
    EchoWorld world;
    TestGuest ann(world, 1, kAnn);
    ann.setup = theirs;
    connect(world, ann);
    EXPECT_EQ(ann.answer.transport()->setup, ours);
    ann.send_rtp(kOpus, kAudioSsrc, 7, "sound");
    EXPECT_TRUE(world.until([&] { return ann.packets.size() == 1; }));
  }
}

TEST(Echo, RefusesACertificateThatTheOfferDoesNotName) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  ann.wrong_fingerprint = true;
  ann.join();
  ann.offer();
  ASSERT_TRUE(world.until([&] { return word_of(ann, "closed") != nullptr; }));
  EXPECT_EQ((*word_of(ann, "closed"))["code"], "fingerprint-refused");
  EXPECT_FALSE(ann.send_rtp(kOpus, kAudioSsrc, 7, "sound") && !ann.packets.empty());
  // The place is kept: a right offer may follow.
  EXPECT_EQ(world.endpoint.guest_count(), 1u);
}

TEST(Echo, SaysWhatIsWrongWithAMessage) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  ann.join();
  const auto code = [&] {
    world.pass();
    const json* error = word_of(ann, "error");
    return error == nullptr ? std::string() : (*error)["code"].get<std::string>();
  };
  ann.say({{"description", {{"type", "offer"}, {"sdp", "nonsense"}}}});
  EXPECT_EQ(code(), "bad-description");
  ann.say({{"description", {{"type", "answer"}, {"sdp", ""}}}});
  EXPECT_EQ(code(), "not-an-offer");
  media::Description unbundled = ann.description();
  unbundled.bundle.clear();
  ann.say({{"description", {{"type", "offer"}, {"sdp", media::to_sdp(unbundled)}}}});
  EXPECT_EQ(code(), "unsupported");
  media::Description strange = ann.description();
  strange.sections.resize(1);
  strange.bundle = {"0"};
  strange.sections[0].codecs = {{.payload_type = 100, .name = "none", .clock_rate = 8000}};
  ann.words.clear();
  ann.say({{"description", {{"type", "offer"}, {"sdp", media::to_sdp(strange)}}}});
  EXPECT_EQ(code(), "unsupported");
  ann.words.clear();
  ann.say({{"candidate", {{"candidate", "candidate:1 1 udp 1 192.0.2.9 9 typ host"}}}});
  ann.say({{"candidate", nullptr}});
  ann.say({{"chat", "hello"}});
  ann.say(42);
  EXPECT_EQ(code(), "");
  ann.offer();
  ann.say({{"candidate", {{"candidate", "candidate:broken"}}}});
  EXPECT_EQ(code(), "bad-candidate");
  EXPECT_TRUE(world.until([&] { return ann.connected(); }));
}

TEST(Echo, GoesOnAcrossAnIceRestart) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  const std::string before = ann.answer.transport()->ice.ufrag;
  ann.send_rtp(kOpus, kAudioSsrc, 7, "sound");
  ASSERT_TRUE(world.until([&] { return ann.packets.size() == 1; }));
  ann.restart_ice();
  world.pass(seconds(2));
  EXPECT_NE(ann.answer.transport()->ice.ufrag, before);
  ann.send_rtp(kOpus, kAudioSsrc, 8, "sound");
  ASSERT_TRUE(world.until([&] { return ann.packets.size() == 2; }));
  EXPECT_EQ(ann.packets[0].ssrc, ann.packets[1].ssrc);
}

TEST(Echo, TakesANewConnectionOfTheSameGuest) {
  EchoWorld world;
  {
    TestGuest before(world, 1, kAnn);
    connect(world, before);
  }
  TestGuest after(world, 1, kBen);
  after.offer();
  ASSERT_TRUE(world.until([&] { return after.connected(); }));
  after.send_rtp(kOpus, kAudioSsrc, 7, "sound");
  EXPECT_TRUE(world.until([&] { return after.packets.size() == 1; }));
  EXPECT_EQ(world.endpoint.guest_count(), 1u);
}

TEST(Echo, NoticesThatItsGuestWentAway) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  world.lets_pass = [](ByteView) { return false; };
  ASSERT_TRUE(world.until([&] { return word_of(ann, "closed") != nullptr; }, seconds(60)));
  EXPECT_EQ((*word_of(ann, "closed"))["code"], "path-lost");
}

TEST(Echo, EndsWhenItsTimeIsOver) {
  EchoWorld world({.guests = 1, .time = seconds(10)});
  TestGuest ann(world, 1, kAnn);
  connect(world, ann);
  world.pass(seconds(8));
  EXPECT_EQ(world.endpoint.guest_count(), 1u);
  world.pass(seconds(3));
  EXPECT_EQ(world.endpoint.guest_count(), 0u);
  ASSERT_NE(word_of(ann, "ended"), nullptr);
  EXPECT_EQ((*word_of(ann, "ended"))["code"], "time-limit");
  EXPECT_NE(word_of(ann, "left"), nullptr);
  EXPECT_EQ(ann.ending, media::DtlsTransport::Ending::kClosed);
  EXPECT_FALSE(world.endpoint.refusal(ann.address.ip));
}

TEST(Echo, EndsAlsoWhenNothingWasOffered) {
  EchoWorld world({.guests = 1, .time = seconds(10)});
  TestGuest ann(world, 1, kAnn);
  ann.join();
  EXPECT_TRUE(world.endpoint.refusal(ann.address.ip));
  world.pass(seconds(11));
  EXPECT_FALSE(world.endpoint.refusal(ann.address.ip));
}

TEST(Echo, SeatsAFewGuestsAndFewerOfOneAddress) {
  EchoWorld world({.guests = 3, .time = seconds(300)});
  TestGuest ann(world, 1, kAnn), ben(world, 2, kBen), cem(world, 3, kCem);
  ann.join();
  EXPECT_FALSE(world.endpoint.refusal(ben.address.ip));
  ben.join();
  const auto refusal = world.endpoint.refusal(cem.address.ip);
  ASSERT_TRUE(refusal);
  EXPECT_NE(refusal->find("your address"), std::string_view::npos);
  EXPECT_FALSE(world.endpoint.refusal(*IpAddress::parse("192.0.2.8")));
  EXPECT_FALSE(world.endpoint.refusal(*IpAddress::parse("127.0.0.1")));
  world.endpoint.on_guest(world.now, 4, *IpAddress::parse("2001:db8::1"));
  EXPECT_EQ(world.endpoint.refusal(*IpAddress::parse("127.0.0.1")),
            "every echo is taken: try again in a few minutes");
  world.endpoint.on_gone(world.now, 2);
  EXPECT_FALSE(world.endpoint.refusal(cem.address.ip));
}

TEST(Echo, AnswersNobodyWhoDoesNotKnowASessionsPassword) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn), eve(world, 9, kBen);
  connect(world, ann);
  // A check with the right fragment and another password, DTLS and RTP out of nowhere, noise.
  media::Description stolen = ann.answer;
  stolen.sections.front().ice.password = std::string(24, 'x');
  for (auto& section : stolen.sections) section.ice.password = std::string(24, 'x');
  eve.take({{"description", {{"type", "answer"}, {"sdp", media::to_sdp(stolen)}}}});
  std::size_t asked = 0;
  world.lets_pass = [&](ByteView) { return ++asked > 0; };
  world.pass(seconds(2));
  EXPECT_GE(asked, 3u);
  for (const int first : {0, 1, 22, 128, 200}) {
    const std::vector<std::uint8_t> noise(60, static_cast<std::uint8_t>(first));
    world.endpoint.on_datagram(world.now, 0, eve.address, noise);
  }
  EXPECT_FALSE(eve.connected());
  EXPECT_FALSE(world.spoken_to.contains(eve.address));
  EXPECT_TRUE(world.spoken_to.contains(ann.address));
  EXPECT_EQ(world.endpoint.guest_count(), 1u);
}

TEST(Echo, KeepsGuestsApart) {
  EchoWorld world;
  TestGuest ann(world, 1, kAnn), ben(world, 2, kBen);
  connect(world, ann);
  connect(world, ben);
  ann.send_rtp(kOpus, kAudioSsrc, 7, "ann");
  ben.send_rtp(kOpus, kAudioSsrc, 8, "ben");
  ASSERT_TRUE(world.until([&] { return !ann.packets.empty() && !ben.packets.empty(); }));
  EXPECT_EQ(ann.packets.front().payload, "ann");
  EXPECT_EQ(ben.packets.front().payload, "ben");
  world.endpoint.on_gone(world.now, 1);
  ben.send_rtp(kOpus, kAudioSsrc, 9, "ben");
  EXPECT_TRUE(world.until([&] { return ben.packets.size() == 2; }));
  EXPECT_EQ(ann.packets.size(), 1u);
}

}  // namespace
}  // namespace turnpike::server::testing
