// Whole calls between two endpoints of ours, in virtual time: SDP, ICE through NATs, DTLS-SRTP,
// audio and a data channel, on good links and on links that lose, repeat and reorder.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>

#include "tests/ice/media/virtual_clock.h"
#include "tests/sim/media_peer.h"

namespace turnpike::sim {
namespace {

using ice::Agent;
using ice::CandidateType;
using DtlsSetup = media::Setup;
using Ending = media::DtlsTransport::Ending;
using Policy = IcePeer::Policy;

constexpr std::uint64_t kSeeds = 5;
const LinkQuality kGood{.loss = 0, .duplication = 0, .delay = milliseconds{20}};
const LinkQuality kBad{
    .loss = 0.1, .duplication = 0.05, .delay = milliseconds{20}, .jitter = milliseconds{60}};

const media::Identity& identity(int of) {
  static const std::unique_ptr<media::Identity> ann = media::Identity::create();
  static const std::unique_ptr<media::Identity> bob = media::Identity::create();
  return of == 0 ? *ann : *bob;
}

std::string with_another_fingerprint(std::string sdp) {
  for (std::size_t at = sdp.find("sha-256 "); at != std::string::npos;
       at = sdp.find("sha-256 ", at + 1)) {
    char& digit = sdp[at + 8];
    digit = digit == '0' ? '1' : '0';
  }
  return sdp;
}

struct Spoiled {
  bool offer = false, answer = false;
};

class WholeCall {
 public:
  struct Between {
    NatKind ann = NatKind::kPortRestricted, bob = NatKind::kPortRestricted;
    Policy policy = Policy::kAll;
  };
  WholeCall(std::uint64_t seed, LinkQuality quality, Between between)
      : world_(seed, quality),
        clock_(world_),
        host_(world_, RelayHost::Placement::kPublic),
        ann_(world_,
             {between.ann, IpAddress::v4(81, 2, 69, 142), IpAddress::v4(10, 0, 0, 1), "ann",
              between.policy},
             host_, Agent::Role::kControlling, identity(0)),
        bob_(world_,
             {between.bob, IpAddress::v4(81, 2, 70, 17), IpAddress::v4(192, 168, 7, 1), "bob",
              between.policy},
             host_, Agent::Role::kControlled, identity(1)) {}

  // Ann offers, Bob answers with this a=setup.
  void call(DtlsSetup setup, Spoiled spoiled = {}) {
    std::string offer = ann_.offer();
    if (spoiled.offer) offer = with_another_fingerprint(offer);
    world_.after(IcePeer::kSignalingDelay, [this, offer, setup, spoiled] {
      std::string answer = bob_.answer(offer, setup);
      if (spoiled.answer) answer = with_another_fingerprint(answer);
      world_.after(IcePeer::kSignalingDelay, [this, answer] { ann_.take_answer(answer); });
    });
    ann_.ice().call(bob_.ice());
    bob_.ice().call(ann_.ice());
  }
  bool connected_within(Duration patience) {
    for (Duration passed{0}; passed < patience; passed += milliseconds{250}) {
      world_.run_for(milliseconds{250});
      if (ann_.connected() && bob_.connected()) return true;
    }
    return false;
  }
  // Three seconds of audio both ways with messages in between.
  void expect_talk(std::size_t least) {
    constexpr std::uint16_t kPackets = 150, kEvery = 30;
    ann_.open_channel();
    ASSERT_TRUE(channel_opens());
    std::vector<std::string> said;
    for (std::uint16_t i = 0; i < kPackets; ++i) {
      EXPECT_TRUE(ann_.speak(i));
      EXPECT_TRUE(bob_.speak(i));
      if (i % kEvery == 0) {
        said.push_back("message " + std::to_string(i));
        EXPECT_TRUE(ann_.say(said.back()));
        EXPECT_TRUE(bob_.say(said.back()));
      }
      world_.run_for(milliseconds{20});
    }
    world_.run_for(seconds{1});
    for (int i = 0; i < 720 && !all_came(said.size()); ++i) world_.run_for(milliseconds{250});
    for (MediaPeer* peer : {&ann_, &bob_}) {
      EXPECT_GE(peer->heard().size(), least);
      EXPECT_EQ(peer->messages(), said);  // reliable and in order
      EXPECT_EQ(peer->wrong(), 0u);
      EXPECT_FALSE(peer->ending());
    }
  }

  World world_;
  media::VirtualClock clock_;
  RelayHost host_;
  MediaPeer ann_, bob_;

 private:
  // SCTP repeats what was lost, and waits longer each time.
  bool all_came(std::size_t messages) const {
    return ann_.messages().size() >= messages && bob_.messages().size() >= messages;
  }
  bool channel_opens() {
    for (int i = 0; i < 480; ++i) {
      world_.run_for(milliseconds{250});
      if (ann_.channel_is_open() && bob_.channel_is_open()) return true;
    }
    return false;
  }
};

class CallBetween : public ::testing::TestWithParam<std::tuple<NatKind, NatKind>> {
 protected:
  static WholeCall::Between between(Policy policy) {
    return {std::get<0>(GetParam()), std::get<1>(GetParam()), policy};
  }
};

TEST_P(CallBetween, BringsSoundAndMessagesThroughLoss) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    WholeCall call(seed, kBad, between(Policy::kAll));
    call.call(seed % 2 == 0 ? DtlsSetup::kActive : DtlsSetup::kPassive);
    ASSERT_TRUE(call.connected_within(seconds{60}));
    EXPECT_EQ(call.ann_.profile(), call.bob_.profile());
    call.expect_talk(60);  // a tenth is lost on each of up to four links
  }
}

TEST_P(CallBetween, LosesNothingOnGoodLinksByRelay) {
  WholeCall call(7, kGood, between(Policy::kRelayOnly));
  call.call(DtlsSetup::kActive);
  ASSERT_TRUE(call.connected_within(seconds{10}));
  EXPECT_EQ(call.ann_.ice().agent().selected()->local.type, CandidateType::kRelayed);
  EXPECT_EQ(call.bob_.ice().agent().selected()->local.type, CandidateType::kRelayed);
  call.expect_talk(150);
}

std::string pair_name(const ::testing::TestParamInfo<std::tuple<NatKind, NatKind>>& pair) {
  return std::string(name_of(std::get<0>(pair.param))) +
         std::string(name_of(std::get<1>(pair.param)));
}
INSTANTIATE_TEST_SUITE_P(EveryPair, CallBetween,
                         ::testing::Combine(::testing::ValuesIn(kNatKinds),
                                            ::testing::ValuesIn(kNatKinds)),
                         pair_name);

TEST(CallRoles, WhoeverAnswersDecidesWhoBeginsWithDtls) {
  for (const DtlsSetup setup : {DtlsSetup::kActive, DtlsSetup::kPassive}) {
    WholeCall call(1, kGood, {});
    call.call(setup);
    ASSERT_TRUE(call.connected_within(seconds{10}));
    // RFC 8832 section 6: the DTLS client's channels have even numbers.
    call.expect_talk(150);
    const bool ann_is_client = setup == DtlsSetup::kPassive;
    EXPECT_EQ(call.ann_.channel() % 2, ann_is_client ? 0 : 1);
  }
}

class WrongFingerprint : public ::testing::TestWithParam<DtlsSetup> {};

TEST_P(WrongFingerprint, InTheAnswerIsRefusedByTheOfferer) {
  WholeCall call(3, kGood, {});
  call.call(GetParam(), {.answer = true});
  EXPECT_FALSE(call.connected_within(seconds{10}));
  EXPECT_EQ(call.ann_.ending(), Ending::kFingerprintRefused);
  EXPECT_FALSE(call.ann_.connected());
  EXPECT_FALSE(call.ann_.speak(1));
  EXPECT_TRUE(call.bob_.heard().empty());
}

TEST_P(WrongFingerprint, InTheOfferIsRefusedByTheAnswerer) {
  WholeCall call(3, kGood, {});
  call.call(GetParam(), {.offer = true});
  EXPECT_FALSE(call.connected_within(seconds{10}));
  EXPECT_EQ(call.bob_.ending(), Ending::kFingerprintRefused);
  EXPECT_FALSE(call.bob_.connected());
  EXPECT_FALSE(call.bob_.speak(1));
  EXPECT_TRUE(call.ann_.heard().empty());
}

INSTANTIATE_TEST_SUITE_P(BothRoles, WrongFingerprint,
                         ::testing::Values(DtlsSetup::kActive, DtlsSetup::kPassive),
                         [](const auto& role) {
                           return role.param == DtlsSetup::kActive ? "AnswererBegins"
                                                                   : "OffererBegins";
                         });

TEST(CallEnd, AGoodbyeReachesTheOtherSide) {
  WholeCall call(5, kGood, {});
  call.call(DtlsSetup::kActive);
  ASSERT_TRUE(call.connected_within(seconds{10}));
  call.expect_talk(150);
  call.bob_.session().close(call.world_.now());
  call.world_.run_for(seconds{1});
  EXPECT_EQ(call.ann_.ending(), Ending::kClosed);
  EXPECT_EQ(call.bob_.ending(), Ending::kClosed);
}

}  // namespace
}  // namespace turnpike::sim
