// Two ICE agents behind every pair of NAT kinds, in virtual time, through loss, duplication and
// reordering: they connect whenever a path exists, and always by relay.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>

#include "tests/sim/ice_peer.h"

namespace turnpike::sim {
namespace {

using ice::Agent;
using ice::CandidateType;
using Policy = IcePeer::Policy;

constexpr std::uint64_t kSeeds = 200;
const LinkQuality kGood{.loss = 0, .duplication = 0, .delay = milliseconds{20}};
const LinkQuality kBad{
    .loss = 0.2, .duplication = 0.05, .delay = milliseconds{20}, .jitter = milliseconds{120}};

struct Roles {
  Agent::Role ann = Agent::Role::kControlling;
  Agent::Role bob = Agent::Role::kControlled;
};

class Meeting {
 public:
  Meeting(std::uint64_t seed, LinkQuality quality, NatKind ann, NatKind bob, Policy policy,
          Roles roles = {})
      : world_(seed, quality),
        host_(world_, RelayHost::Placement::kPublic),
        ann_(world_,
             {ann, IpAddress::v4(81, 2, 69, 142), IpAddress::v4(10, 0, 0, 1), "ann", policy}, host_,
             {.role = roles.ann}),
        bob_(world_,
             {bob, IpAddress::v4(81, 2, 70, 17), IpAddress::v4(192, 168, 7, 1), "bob", policy},
             host_, {.role = roles.bob}) {}

  void call(Duration patience) {
    ann_.call(bob_);
    bob_.call(ann_);
    world_.run_for(patience);
  }
  // On the worst links two answers in a row may be lost, which shows as kDisconnected for a while.
  bool connected() const { return ann_.agent().selected() && bob_.agent().selected(); }
  bool gathering_failed() const { return ann_.gathering_failed() || bob_.gathering_failed(); }
  // Both say `count` messages; half of them may be lost on the worst links.
  void expect_talk(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      ann_.say(i);
      bob_.say(i);
      world_.run_for(milliseconds{20});
    }
    world_.run_for(seconds{1});
    EXPECT_GT(ann_.heard(), count / 4);
    EXPECT_GT(bob_.heard(), count / 4);
    EXPECT_EQ(ann_.corrupt() + bob_.corrupt(), 0u);
  }
  // Each sends to where the other receives.
  void expect_one_pair() const {
    const auto ann = ann_.agent().selected();
    const auto bob = bob_.agent().selected();
    ASSERT_TRUE(ann && bob);
    EXPECT_EQ(ann->local.type == CandidateType::kRelayed,
              bob->remote.type == CandidateType::kRelayed);
    EXPECT_EQ(bob->local.type == CandidateType::kRelayed,
              ann->remote.type == CandidateType::kRelayed);
    EXPECT_NE(ann_.agent().role(), bob_.agent().role());
  }

  World world_;
  RelayHost host_;
  IcePeer ann_, bob_;
};

// What hole punching can do: not between a symmetric NAT and one that looks at ports.
bool direct_path_exists(NatKind a, NatKind b) {
  const auto looks_at_ports = [](NatKind kind) {
    return kind == NatKind::kPortRestricted || kind == NatKind::kSymmetric;
  };
  const bool one_is_symmetric = a == NatKind::kSymmetric || b == NatKind::kSymmetric;
  return !(one_is_symmetric && looks_at_ports(a) && looks_at_ports(b));
}

class IceCall : public ::testing::TestWithParam<std::tuple<NatKind, NatKind>> {};

TEST_P(IceCall, ConnectsWhateverIsBetween) {
  const auto [ann, bob] = GetParam();
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Meeting meeting(seed, kBad, ann, bob, Policy::kAll);
    meeting.call(seconds{45});
    ASSERT_TRUE(meeting.connected());
    meeting.expect_one_pair();
    meeting.expect_talk(40);
  }
}

TEST_P(IceCall, ConnectsByRelayAlone) {
  const auto [ann, bob] = GetParam();
  std::uint64_t relayed = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Meeting meeting(seed, kBad, ann, bob, Policy::kRelayOnly);
    meeting.call(seconds{45});
    if (meeting.gathering_failed()) continue;
    ++relayed;
    ASSERT_TRUE(meeting.connected());
    EXPECT_EQ(meeting.ann_.agent().selected()->local.type, CandidateType::kRelayed);
    EXPECT_EQ(meeting.bob_.agent().selected()->local.type, CandidateType::kRelayed);
    meeting.expect_talk(40);
  }
  EXPECT_GE(relayed, kSeeds * 95 / 100);
}

TEST_P(IceCall, ConnectsWithoutRelayExactlyWhereAPathExists) {
  const auto [ann, bob] = GetParam();
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Meeting meeting(seed, kBad, ann, bob, Policy::kNoRelay);
    meeting.call(seconds{90});  // a candidate may come late, and the time limit begins anew
    if (meeting.gathering_failed()) continue;
    ASSERT_EQ(meeting.connected(), direct_path_exists(ann, bob));
    if (meeting.connected()) continue;
    EXPECT_EQ(meeting.ann_.agent().state(), Agent::State::kFailed);
    EXPECT_EQ(meeting.bob_.agent().state(), Agent::State::kFailed);
  }
}

TEST_P(IceCall, PrefersTheDirectPath) {
  const auto [ann, bob] = GetParam();
  Meeting meeting(7, kGood, ann, bob, Policy::kAll);
  meeting.call(seconds{10});
  ASSERT_TRUE(meeting.connected());
  const bool relayed = meeting.ann_.agent().selected()->local.type == CandidateType::kRelayed ||
                       meeting.ann_.agent().selected()->remote.type == CandidateType::kRelayed;
  EXPECT_EQ(relayed, !direct_path_exists(ann, bob));
}

TEST_P(IceCall, RoleConflictsAreSettled) {
  const auto [ann, bob] = GetParam();
  for (const Agent::Role role : {Agent::Role::kControlling, Agent::Role::kControlled}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Meeting meeting(seed, kBad, ann, bob, Policy::kAll, {role, role});
      meeting.call(seconds{45});
      ASSERT_TRUE(meeting.connected());
      meeting.expect_one_pair();
    }
  }
}

std::string pair_name(const ::testing::TestParamInfo<std::tuple<NatKind, NatKind>>& pair) {
  return std::string(name_of(std::get<0>(pair.param))) +
         std::string(name_of(std::get<1>(pair.param)));
}
INSTANTIATE_TEST_SUITE_P(EveryPair, IceCall,
                         ::testing::Combine(::testing::ValuesIn(kNatKinds),
                                            ::testing::ValuesIn(kNatKinds)),
                         pair_name);

class IceLife : public ::testing::Test {
 protected:
  IceLife() : meeting_(1, kGood, NatKind::kPortRestricted, NatKind::kRestricted, Policy::kAll) {
    meeting_.call(seconds{10});
  }
  World& world() { return meeting_.world_; }
  IcePeer& ann() { return meeting_.ann_; }
  IcePeer& bob() { return meeting_.bob_; }
  Meeting meeting_;
};

TEST_F(IceLife, ConsentKeepsTheNatOpenForHours) {
  ASSERT_TRUE(meeting_.connected());
  world().run_for(hours{3});
  EXPECT_TRUE(meeting_.connected());
  EXPECT_EQ(ann().selections(), 1u);
  meeting_.expect_talk(10);
}

TEST_F(IceLife, WithoutConsentNothingIsSentAfterThirtySeconds) {
  bob().vanish();
  world().run_for(seconds{20});
  EXPECT_EQ(ann().agent().state(), Agent::State::kDisconnected);
  EXPECT_TRUE(ann().agent().selected());
  world().run_for(seconds{20});
  EXPECT_EQ(ann().agent().state(), Agent::State::kFailed);
  EXPECT_FALSE(ann().agent().selected());
}

TEST_F(IceLife, AShortSilenceIsForgiven) {
  bob().vanish();
  world().run_for(seconds{20});
  bob().come_back();
  world().run_for(seconds{10});
  EXPECT_TRUE(meeting_.connected());
  meeting_.expect_talk(10);
}

TEST_F(IceLife, ARestartFindsAPathAgainWhileTheOldOneCarriesOn) {
  const ice::IceCredentials before = ann().agent().credentials();
  ann().restart();
  bob().restart();
  EXPECT_NE(ann().agent().credentials().ufrag, before.ufrag);
  EXPECT_TRUE(ann().agent().selected()) << "media must not stop meanwhile";
  meeting_.expect_talk(2);
  world().run_for(seconds{10});
  EXPECT_TRUE(meeting_.connected());
  EXPECT_EQ(ann().selections(), 2u);
  EXPECT_EQ(bob().selections(), 2u);
  meeting_.expect_talk(10);
}

}  // namespace
}  // namespace turnpike::sim
