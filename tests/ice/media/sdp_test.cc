// What browsers and aiortc wrote (tests/vectors/sdp.h), and what they might.
#include "ice/media/sdp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "ice/media/session.h"
#include "tests/vectors/sdp.h"

namespace turnpike::media {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Description parsed(std::string_view text) {
  auto description = parse_sdp(text);
  EXPECT_TRUE(description) << description.error().message;
  return description ? *description : Description{};
}

AnswerSettings settings() {
  AnswerSettings settings;
  settings.ice = {"abcd", "0123456789012345678901"};
  settings.fingerprint.digest.assign(32, 0xab);
  settings.ssrcs = {1111, 2222};
  return settings;
}

class RealOffer : public ::testing::TestWithParam<std::string_view> {};
std::string peer_name(const ::testing::TestParamInfo<std::string_view>& offer) {
  constexpr std::array<const char*, 3> kNames = {"Chromium", "Firefox", "Aiortc"};
  return kNames[offer.index];
}
INSTANTIATE_TEST_SUITE_P(Sdp, RealOffer,
                         ::testing::Values(vectors::kChromiumOffer, vectors::kFirefoxOffer,
                                           vectors::kAiortcOffer),
                         peer_name);

TEST_P(RealOffer, IsUnderstood) {
  const Description offer = parsed(GetParam());
  EXPECT_TRUE(supports(offer)) << supports(offer).error().message;
  ASSERT_EQ(offer.sections.size(), 3u);
  EXPECT_THAT(offer.bundle, ElementsAre("0", "1", "2"));
  EXPECT_EQ(offer.transport(), &offer.sections[0]);
  EXPECT_EQ(offer.sections[0].kind, MediaKind::kAudio);
  EXPECT_EQ(offer.sections[1].kind, MediaKind::kVideo);
  EXPECT_EQ(offer.sections[2].kind, MediaKind::kData);
  for (const MediaSection& section : offer.sections) {
    EXPECT_FALSE(section.rejected);
    EXPECT_EQ(section.setup, Setup::kActPass);
    EXPECT_GE(section.ice.password.size(), 22u);
    ASSERT_EQ(section.fingerprints.size(), 1u);
    EXPECT_EQ(section.fingerprints[0].hash, FingerprintHash::kSha256);
  }
  const auto& audio = offer.sections[0].codecs;
  ASSERT_FALSE(audio.empty());
  EXPECT_TRUE(is_codec(audio[0], "OPUS"));
  EXPECT_EQ(audio[0].clock_rate, 48'000u);
  EXPECT_EQ(audio[0].channels, 2);
  EXPECT_TRUE(is_codec(offer.sections[1].codecs[0], "VP8"));
  EXPECT_EQ(offer.sections[2].sctp_port, 5000);
  EXPECT_FALSE(offer.sections[0].sources.empty());
}

TEST_P(RealOffer, WithOtherLineEndingsMeansTheSame) {
  std::string text;
  for (const char c : GetParam()) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(to_sdp(parsed(text)), to_sdp(parsed(GetParam())));
}

TEST_P(RealOffer, WrittenAgainMeansTheSame) {
  const Description offer = parsed(GetParam());
  const Description again = parsed(to_sdp(offer));
  EXPECT_EQ(to_sdp(again), to_sdp(offer));
  ASSERT_EQ(again.sections.size(), offer.sections.size());
  for (std::size_t i = 0; i < offer.sections.size(); ++i) {
    EXPECT_EQ(again.sections[i].codecs, offer.sections[i].codecs);
    EXPECT_EQ(again.sections[i].extensions, offer.sections[i].extensions);
    EXPECT_EQ(again.sections[i].sources, offer.sections[i].sources);
    EXPECT_EQ(again.sections[i].fingerprints, offer.sections[i].fingerprints);
    EXPECT_EQ(again.sections[i].max_message_size, offer.sections[i].max_message_size);
  }
}

TEST_P(RealOffer, IsAnswered) {
  const Description offer = parsed(GetParam());
  const std::string text = to_sdp(answer_to(offer, settings()));
  const Description answer = parsed(text);
  EXPECT_TRUE(supports(answer));
  ASSERT_EQ(answer.sections.size(), 3u);
  EXPECT_EQ(answer.bundle, offer.bundle);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(answer.sections[i].mid, offer.sections[i].mid);
    EXPECT_EQ(answer.sections[i].protocol, offer.sections[i].protocol);
    EXPECT_EQ(answer.sections[i].setup, Setup::kActive);
    EXPECT_FALSE(answer.sections[i].rejected);
  }
  EXPECT_EQ(answer.sections[0].sources[0].ssrc, 1111u);
  EXPECT_EQ(answer.sections[1].sources[0].ssrc, 2222u);
  EXPECT_EQ(answer.sections[0].direction, Direction::kSendRecv);
  EXPECT_TRUE(answer.sections[0].rtcp_mux);
  EXPECT_TRUE(answer.sections[0].extensions.empty());
  EXPECT_EQ(answer.sections[2].max_message_size, 262144u);
  for (const Codec& codec : answer.sections[1].codecs) {
    EXPECT_THAT(codec.name, Not(HasSubstr("red")));
  }
  const auto remote = remote_of(offer, Setup::kActive);
  ASSERT_TRUE(remote);
  EXPECT_EQ(remote->role, DtlsRole::kClient);
  EXPECT_TRUE(remote->channels);
}

TEST_P(RealOffer, CutAnywhereIsNoFault) {
  for (std::size_t size = 0; size < GetParam().size(); size += 3) {
    const auto description = parse_sdp(GetParam().substr(0, size));
    if (description) answer_to(*description, settings());
  }
}

TEST(Sdp, OffersOfEveryPeerHaveTheirOwnDetails) {
  const Description chromium = parsed(vectors::kChromiumOffer);
  const Codec& opus = chromium.sections[0].codecs[0];
  EXPECT_EQ(parameter_of(opus, "minptime"), "10");
  EXPECT_EQ(parameter_of(opus, "useinbandfec"), "1");
  EXPECT_FALSE(parameter_of(opus, "stereo"));
  EXPECT_THAT(opus.feedback, ElementsAre("transport-cc"));
  EXPECT_TRUE(chromium.trickle);
  EXPECT_TRUE(chromium.sections[0].candidates.empty());
  ASSERT_EQ(chromium.sections[1].source_groups.size(), 1u);
  EXPECT_EQ(chromium.sections[1].source_groups[0].semantics, "FID");
  EXPECT_EQ(chromium.sections[2].max_message_size, 262144u);

  const Description firefox = parsed(vectors::kFirefoxOffer);
  ASSERT_FALSE(firefox.sections[0].candidates.empty());
  EXPECT_THAT(firefox.sections[0].candidates[0].host_name, HasSubstr(".local"));
  EXPECT_EQ(firefox.sections[0].fingerprints, firefox.sections[2].fingerprints);

  const Description aiortc = parsed(vectors::kAiortcOffer);
  EXPECT_EQ(aiortc.sections[2].protocol, "DTLS/SCTP");
  EXPECT_EQ(aiortc.sections[0].candidates.size(), 2u);
  EXPECT_TRUE(aiortc.sections[0].end_of_candidates);
  const std::string answer = to_sdp(answer_to(aiortc, settings()));
  EXPECT_THAT(answer, HasSubstr("m=application 9 DTLS/SCTP 5000\r\n"));
  EXPECT_THAT(answer, HasSubstr("a=sctpmap:5000 webrtc-datachannel 65535\r\n"));
}

TEST(Sdp, RetransmissionFormatsAreKeptWithTheirCodecsOnly) {
  AnswerSettings only_vp8 = settings();
  only_vp8.video = {"VP8"};
  const Description answer = answer_to(parsed(vectors::kChromiumOffer), only_vp8);
  ASSERT_EQ(answer.sections[1].codecs.size(), 2u);
  EXPECT_EQ(answer.sections[1].codecs[0].name, "VP8");
  EXPECT_EQ(parameter_of(answer.sections[1].codecs[1], "apt"),
            std::to_string(answer.sections[1].codecs[0].payload_type));
}

TEST(Sdp, WhatCannotBeAcceptedIsRejectedInItsPlace) {
  AnswerSettings none = settings();
  none.audio = {};
  none.data = false;
  const std::string text = to_sdp(answer_to(parsed(vectors::kChromiumOffer), none));
  const Description answer = parsed(text);
  EXPECT_TRUE(answer.sections[0].rejected);
  EXPECT_FALSE(answer.sections[1].rejected);
  EXPECT_TRUE(answer.sections[2].rejected);
  EXPECT_THAT(answer.bundle, ElementsAre("1"));
}

TEST(Sdp, DirectionsAreAnsweredByTheirCounterparts) {
  std::string text(vectors::kChromiumOffer);
  const std::size_t at = text.find("a=sendrecv");
  text.replace(at, 10, "a=sendonly");
  EXPECT_EQ(answer_to(parsed(text), settings()).sections[0].direction, Direction::kRecvOnly);
  text.replace(at, 10, "a=recvonly");
  EXPECT_EQ(answer_to(parsed(text), settings()).sections[0].direction, Direction::kSendOnly);
  text.replace(at, 10, "a=inactive");
  EXPECT_EQ(answer_to(parsed(text), settings()).sections[0].direction, Direction::kInactive);
  AnswerSettings silent = settings();
  silent.answers_media = false;
  EXPECT_EQ(answer_to(parsed(vectors::kChromiumOffer), silent).sections[0].direction,
            Direction::kRecvOnly);
}

TEST(Sdp, WhoIsDtlsClientFollowsFromBothSetups) {
  EXPECT_EQ(dtls_role(Setup::kActPass, Setup::kActive), DtlsRole::kServer);
  EXPECT_EQ(dtls_role(Setup::kActPass, Setup::kPassive), DtlsRole::kClient);
  EXPECT_EQ(dtls_role(Setup::kActive, Setup::kActPass), DtlsRole::kClient);
  EXPECT_EQ(dtls_role(Setup::kPassive, Setup::kActPass), DtlsRole::kServer);
  EXPECT_FALSE(dtls_role(Setup::kActive, Setup::kActive));
}

TEST(Sdp, SaysWhatIsMissing) {
  const auto without = [](std::string_view line) {
    std::string text(vectors::kChromiumOffer);
    for (std::size_t at = text.find(line); at != std::string::npos; at = text.find(line)) {
      text.erase(at, text.find('\n', at) + 1 - at);
    }
    const auto supported = supports(parsed(text));
    return supported ? std::string() : supported.error().message;
  };
  EXPECT_THAT(without("a=group:BUNDLE"), HasSubstr("BUNDLE"));
  EXPECT_THAT(without("a=ice-ufrag"), HasSubstr("ICE"));
  EXPECT_THAT(without("a=fingerprint"), HasSubstr("fingerprint"));
  EXPECT_THAT(without("a=setup"), HasSubstr("a=setup"));
  EXPECT_THAT(without("a=rtcp-mux"), HasSubstr("rtcp-mux"));
  EXPECT_EQ(without("a=extmap"), "");
}

TEST(Sdp, RefusesWhatIsNotSdpWithAReason) {
  const auto reason = [](const std::string& text) {
    const auto description = parse_sdp(text);
    return description ? std::string() : description.error().message;
  };
  EXPECT_THAT(reason(""), HasSubstr("empty"));
  EXPECT_THAT(reason("hello"), HasSubstr("letter"));
  EXPECT_THAT(reason("s=-\r\n"), HasSubstr("v=0"));
  EXPECT_THAT(reason("v=0\r\nm=audio\r\n"), HasSubstr("m= line"));
  EXPECT_THAT(reason("v=0\r\nm=audio x RTP/AVP 0\r\n"), HasSubstr("port"));
  EXPECT_THAT(reason("v=0\r\nm=audio 9 RTP/AVP 128\r\n"), HasSubstr("payload type"));
  EXPECT_THAT(reason("v=0\r\na=ice-pwd:short\r\n"), HasSubstr("credentials"));
  EXPECT_THAT(reason("v=0\r\na=" + std::string(kMaxSdpLine, 'x')), HasSubstr("line"));
  EXPECT_THAT(reason(std::string(kMaxSdpSize + 1, '\n')), HasSubstr("too long"));
}

TEST(Sdp, CountsHaveLimits) {
  std::string sections = "v=0\r\n";
  for (std::size_t i = 0; i < kMaxSections; ++i) sections += "m=audio 9 RTP/AVP 0\r\n";
  EXPECT_TRUE(parse_sdp(sections));
  EXPECT_FALSE(parse_sdp(sections + "m=audio 9 RTP/AVP 0\r\n"));
  std::string sources = "v=0\r\nm=audio 9 RTP/AVP 0\r\n";
  for (std::size_t i = 0; i < kMaxPerSection; ++i) {
    sources += "a=ssrc:" + std::to_string(i) + " cname:x\r\n";
  }
  EXPECT_TRUE(parse_sdp(sources));
  EXPECT_FALSE(parse_sdp(sources + "a=ssrc:999 cname:x\r\n"));
}

TEST(FingerprintText, IsReadInAnyCaseAndWrittenInUpper) {
  const auto fingerprint =
      parse_fingerprint("SHA-1 00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:01:02:03:04");
  ASSERT_TRUE(fingerprint);
  EXPECT_EQ(to_sdp(*fingerprint),
            "sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01:02:03:04");
  EXPECT_FALSE(parse_fingerprint("sha-1 00:11"));
  EXPECT_FALSE(parse_fingerprint("md5 00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"));
  EXPECT_FALSE(
      parse_fingerprint("sha-1 00-11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:01:02:03:04"));
  EXPECT_FALSE(parse_fingerprint("sha-1"));
}

}  // namespace
}  // namespace turnpike::media
