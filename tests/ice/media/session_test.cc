// Two sessions over bad links, in virtual time: handshakes, SRTP, reports, and their ends.
#include "ice/media/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ice/media/endpoint.h"

namespace turnpike::media {
namespace {

using ::testing::ElementsAre;
using Ending = DtlsTransport::Ending;

const sim::LinkQuality kGood{.loss = 0, .duplication = 0, .delay = milliseconds{20}};
const sim::LinkQuality kBad{
    .loss = 0.2, .duplication = 0.1, .delay = milliseconds{20}, .jitter = milliseconds{100}};

TEST(MediaSession, ConnectsInTwoRoundTrips) {
  Call call(1, kGood);
  call.connect();
  call.run(milliseconds{85});
  EXPECT_TRUE(call.ann.connected);
  EXPECT_TRUE(call.bob.connected);
  EXPECT_EQ(call.ann.profile, SrtpProfile::kAeadAes128Gcm);
  EXPECT_LE(call.ann.biggest, 1200u);
  EXPECT_LE(call.bob.biggest, 1200u);
}

TEST(MediaSession, ConnectsThroughLossDuplicatesAndReordering) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    // One flight in three needs another attempt, and there are four flights.
    Session::Settings patient;
    patient.handshake_limit = seconds{60};
    Call call(seed, kBad, patient, patient);
    call.connect();
    call.run(seconds{50});
    ASSERT_TRUE(call.ann.connected);
    ASSERT_TRUE(call.bob.connected);
    ASSERT_FALSE(call.ann.ended);
    ASSERT_FALSE(call.bob.ended);
  }
}

TEST(MediaSession, AgreesOnAProfileByTheServersPreference) {
  Session::Settings bob;
  bob.profiles = {SrtpProfile::kAes128CmSha1_80, SrtpProfile::kAeadAes128Gcm};
  Call call(1, kGood, {}, bob);
  call.connect();
  call.run(seconds{1});
  EXPECT_EQ(call.ann.profile, SrtpProfile::kAes128CmSha1_80);
  EXPECT_EQ(call.bob.profile, SrtpProfile::kAes128CmSha1_80);
}

TEST(MediaSession, WithoutACommonProfileThereAreOnlyChannels) {
  Session::Settings ann, bob;
  ann.profiles = {SrtpProfile::kAeadAes256Gcm};
  bob.profiles = {SrtpProfile::kAes128CmSha1_80};
  Call call(1, kGood, ann, bob);
  call.connect();
  call.run(seconds{1});
  ASSERT_TRUE(call.ann.connected);
  EXPECT_FALSE(call.ann.profile);
  EXPECT_FALSE(call.ann.send_rtp(1, 0, 5));
  EXPECT_TRUE(call.ann.open("chat"));
}

TEST(MediaSession, RefusesAPeerWithTheWrongCertificate) {
  Call call(1, kGood);
  call.ann.connect(
      {.role = DtlsRole::kClient, .fingerprints = {Call::identity(0).fingerprint()}});  // not Bob's
  call.bob.connect({.role = DtlsRole::kServer, .fingerprints = {Call::identity(0).fingerprint()}});
  call.run(seconds{2});
  EXPECT_FALSE(call.ann.connected);
  EXPECT_EQ(call.ann.ended, Ending::kFingerprintRefused);
  EXPECT_EQ(call.ann.session().next_deadline(), MonoTime::never());
  EXPECT_EQ(call.bob.ended, Ending::kClosed);
}

TEST(MediaSession, AServerRefusesAClientWithTheWrongCertificate) {
  Call call(1, kGood);
  call.ann.connect({.role = DtlsRole::kClient, .fingerprints = {Call::identity(1).fingerprint()}});
  call.bob.connect({.role = DtlsRole::kServer, .fingerprints = {Call::identity(1).fingerprint()}});
  call.run(seconds{2});
  EXPECT_FALSE(call.bob.connected);
  EXPECT_EQ(call.bob.ended, Ending::kFingerprintRefused);
}

TEST(MediaSession, OneRightFingerprintIsEnough) {
  Call call(1, kGood);
  Fingerprint wrong = Call::identity(1).fingerprint();
  wrong.digest[0] ^= 1;
  call.ann.connect(
      {.role = DtlsRole::kClient, .fingerprints = {wrong, Call::identity(1).fingerprint()}});
  call.bob.connect({.role = DtlsRole::kServer, .fingerprints = {Call::identity(0).fingerprint()}});
  call.run(seconds{2});
  EXPECT_TRUE(call.ann.connected);
}

TEST(MediaSession, GivesUpWhenNobodyAnswers) {
  Call call(1, kGood);
  call.ann.connect({.role = DtlsRole::kClient, .fingerprints = {Call::identity(1).fingerprint()}});
  call.run(seconds{29});
  EXPECT_FALSE(call.ann.ended);
  call.run(seconds{2});
  EXPECT_EQ(call.ann.ended, Ending::kHandshakeTimedOut);
}

TEST(MediaSession, TwoClientsDoNotConnect) {
  Call call(1, kGood);
  for (Endpoint* each : {&call.ann, &call.bob}) {
    each->connect(
        {.role = DtlsRole::kClient,
         .fingerprints = {Call::identity(0).fingerprint(), Call::identity(1).fingerprint()}});
  }
  call.run(seconds{40});
  EXPECT_TRUE(call.ann.ended);
  EXPECT_TRUE(call.bob.ended);
  EXPECT_FALSE(call.ann.connected || call.bob.connected);
}

class ConnectedSession : public ::testing::TestWithParam<SrtpProfile> {
 protected:
  ConnectedSession() : call_(3, kGood, settings(), settings()) {
    call_.connect();
    call_.run(seconds{1});
    EXPECT_TRUE(call_.ann.profile && call_.bob.profile);
  }
  static Session::Settings settings() {
    Session::Settings settings;
    settings.profiles = {GetParam()};
    return settings;
  }
  Call call_;
};

INSTANTIATE_TEST_SUITE_P(Profiles, ConnectedSession,
                         ::testing::Values(SrtpProfile::kAes128CmSha1_80,
                                           SrtpProfile::kAeadAes128Gcm,
                                           SrtpProfile::kAeadAes256Gcm),
                         [](const auto& profile) { return std::string(name_of(profile.param)); });

TEST_P(ConnectedSession, CarriesRtpBothWays) {
  EXPECT_TRUE(call_.ann.send_rtp(65535, 0, 11));
  EXPECT_TRUE(call_.bob.send_rtp(7, 0, 22));
  call_.run(milliseconds{100});
  EXPECT_TRUE(call_.ann.send_rtp(0, 3000, 11));
  call_.run(milliseconds{100});
  EXPECT_THAT(call_.bob.rtp, ElementsAre(65535, 0));
  EXPECT_THAT(call_.ann.rtp, ElementsAre(7));
  // 100 bytes of sevens are not to be found in what went over the wire.
  const std::vector<std::uint8_t> clear(16, 7);
  for (const auto& datagram : call_.ann.sent) {
    EXPECT_EQ(std::search(datagram.begin(), datagram.end(), clear.begin(), clear.end()),
              datagram.end());
  }
}

TEST_P(ConnectedSession, CountsReplaysAndWhatIsNotAuthentic) {
  call_.ann.send_rtp(1, 0, 11);
  call_.run(milliseconds{100});
  std::vector<std::uint8_t> packet = call_.ann.sent.back();
  call_.bob.session().on_datagram(call_.world.now(), packet);
  EXPECT_EQ(call_.bob.session().counters().srtp.replayed, 1u);
  packet[3] ^= 2;  // another sequence number
  call_.bob.session().on_datagram(call_.world.now(), packet);
  EXPECT_EQ(call_.bob.session().counters().srtp.not_authentic, 1u);
  packet[3] ^= 2;
  packet.back() ^= 1;
  packet[3] ^= 4;
  call_.bob.session().on_datagram(call_.world.now(), packet);
  EXPECT_EQ(call_.bob.session().counters().srtp.not_authentic, 2u);
  EXPECT_THAT(call_.bob.rtp, ElementsAre(1));
  ASSERT_EQ(call_.bob.session().inbound().size(), 1u);
  EXPECT_EQ(call_.bob.session().inbound()[0].packets, 1u);
}

TEST_P(ConnectedSession, SurvivesEveryTruncationAndGarbage) {
  call_.ann.send_rtp(1, 0, 11);
  call_.run(milliseconds{100});
  const std::vector<std::uint8_t> packet = call_.ann.sent.back();
  for (std::size_t size = 0; size < packet.size(); ++size) {
    call_.bob.session().on_datagram(call_.world.now(), ByteView(packet.data(), size));
  }
  SeededRandom random(1);
  std::vector<std::uint8_t> garbage(1500);
  for (int i = 0; i < 3000; ++i) {
    random.fill(garbage);
    const auto size = random.below(1500);
    call_.bob.session().on_datagram(call_.world.now(), ByteView(garbage.data(), size));
  }
  EXPECT_THAT(call_.bob.rtp, ElementsAre(1));
  call_.ann.send_rtp(2, 0, 11);
  call_.run(milliseconds{100});
  EXPECT_THAT(call_.bob.rtp, ElementsAre(1, 2));
  EXPECT_FALSE(call_.bob.ended);
}

TEST_P(ConnectedSession, ReportsTellTheRoundTripAndTheLoss) {
  for (std::uint16_t i = 0; i < 250; ++i) {
    if (i % 10 != 3) call_.ann.send_rtp(i, i * 3000u, 11);
    call_.run(milliseconds{20});
  }
  call_.run(seconds{2});
  const auto outbound = call_.ann.session().outbound();
  ASSERT_EQ(outbound.size(), 1u);
  EXPECT_EQ(outbound[0].packets, 225u);
  EXPECT_EQ(outbound[0].payload_bytes, 22500u);
  EXPECT_GE(outbound[0].reports, 3u);
  EXPECT_EQ(outbound[0].last_report.cumulative_lost, 25);
  ASSERT_TRUE(outbound[0].round_trip);
  EXPECT_NEAR(static_cast<double>(outbound[0].round_trip->count()), 40e6, 1e6);
  EXPECT_EQ(call_.ann.session().round_trip(), outbound[0].round_trip);
  const auto inbound = call_.bob.session().inbound();
  ASSERT_EQ(inbound.size(), 1u);
  EXPECT_EQ(inbound[0].lost, 25);
  EXPECT_EQ(inbound[0].clock_rate, 90'000u);
}

TEST_P(ConnectedSession, EchoesFromInsideItsOutputs) {
  call_.bob.echo = true;
  const auto chat = call_.ann.open("chat");
  call_.run(seconds{1});
  call_.ann.send_rtp(1, 0, 11);
  ASSERT_TRUE(chat && call_.ann.say(*chat, "hello"));
  call_.run(seconds{1});
  EXPECT_THAT(call_.ann.rtp, ElementsAre(1));
  ASSERT_EQ(call_.ann.messages.size(), 1u);
  EXPECT_EQ(call_.ann.messages[0].text, "hello");
}

TEST_P(ConnectedSession, RefusesToKeepMoreStreamsThanItsLimit) {
  std::size_t sent = 0;
  for (std::uint32_t ssrc = 1; ssrc <= 100; ++ssrc) {
    if (call_.ann.send_rtp(1, 0, ssrc)) ++sent;
  }
  EXPECT_EQ(sent, Session::kMaxStreams);
  call_.run(seconds{3});
  EXPECT_EQ(call_.bob.session().inbound().size(), Session::kMaxStreams);
}

TEST_P(ConnectedSession, CloseIsHeardByBothOnce) {
  call_.ann.send_rtp(1, 0, 11);
  const auto chat = call_.ann.open("chat");
  call_.run(seconds{1});
  call_.ann.session().close(call_.world.now());
  EXPECT_EQ(call_.ann.ended, Ending::kClosed);
  EXPECT_THAT(call_.ann.closed_channels, ElementsAre(*chat));
  call_.run(seconds{1});
  EXPECT_EQ(call_.bob.ended, Ending::kClosed);
  EXPECT_THAT(call_.bob.closed_channels, ElementsAre(*chat));
  ASSERT_FALSE(call_.bob.rtcp.empty());
  EXPECT_TRUE(std::holds_alternative<Goodbye>(call_.bob.rtcp.back()));
  call_.ann.session().close(call_.world.now());
}

TEST(MediaSession, KeepsNothingBeforeItKnowsTheRemote) {
  Call call(1, kGood);
  call.ann.connect({.role = DtlsRole::kClient, .fingerprints = {Call::identity(1).fingerprint()}});
  call.run(milliseconds{200});
  EXPECT_EQ(call.bob.session().counters().ignored_datagrams, 1u);
  call.bob.connect({.role = DtlsRole::kServer, .fingerprints = {Call::identity(0).fingerprint()}});
  call.run(seconds{1});
  EXPECT_TRUE(call.ann.connected && call.bob.connected);
}

TEST(MediaSession, CanBeClosedBeforeItBegan) {
  Call call(1, kGood);
  call.ann.session().close(call.world.now());
  EXPECT_EQ(call.ann.ended, Ending::kClosed);
  call.ann.session().start(call.world.now());
  EXPECT_EQ(call.ann.session().next_deadline(), MonoTime::never());
}

}  // namespace
}  // namespace turnpike::media
