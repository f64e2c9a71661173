// Whole calls between two clients through our relay, in virtual hours: every pair of NAT kinds, a
// thousand seeds each. Each seed draws the links, the length, the binding, where the server stands
// and how the call ends. Whatever happens, nothing may be left behind.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "tests/sim/caller.h"

namespace turnpike::sim {
namespace {

using turn::Client;

constexpr std::uint64_t kSeeds = 1000;

enum class Farewell : std::uint8_t { kBothHangUp, kOneVanishes, kBothVanish };

struct Scenario {
  LinkQuality quality;
  RelayHost::Placement placement;
  Client::Binding first_binding, second_binding;
  minutes length{0};
  Farewell farewell;
  bool perfect_links() const { return quality.loss == 0; }
};

Scenario draw(std::uint64_t seed) {
  SeededRandom random(seed ^ 0x5CE7A210u);
  Scenario scenario;
  scenario.quality.delay = milliseconds{1 + random.below(150)};
  if (seed % 3 != 0) {
    scenario.quality.loss = random.below(10) / 100.0;
    scenario.quality.duplication = random.below(5) / 100.0;
    scenario.quality.jitter = milliseconds{random.below(120)};
  }
  scenario.placement = random.below(2) != 0 ? RelayHost::Placement::kPublic
                                            : RelayHost::Placement::kBehindOneToOneNat;
  const auto binding = [&] {
    return random.below(2) != 0 ? Client::Binding::kChannel : Client::Binding::kPermission;
  };
  scenario.first_binding = binding();
  scenario.second_binding = binding();
  scenario.length = minutes{1 + random.below(180)};
  scenario.farewell = static_cast<Farewell>(random.below(3));
  return scenario;
}

class Call {
 public:
  Call(std::uint64_t seed, NatKind first, NatKind second)
      : scenario_(draw(seed)),
        world_(seed, scenario_.quality),
        host_(world_, scenario_.placement),
        first_(world_, first, IpAddress::v4(81, 2, 69, 142), "ann", host_),
        second_(world_, second, IpAddress::v4(81, 2, 70, 17), "bob", host_) {}

  void run() {
    first_.allocate();
    second_.allocate();
    world_.run_for(seconds{60});
    if (connected()) talk();
    say_farewell();
    check_nothing_is_left();
  }

 private:
  bool connected() {
    const bool both = first_.relayed() && second_.relayed();
    if (!both) {
      EXPECT_TRUE(first_.timed_out() || second_.timed_out()) << "refused without a reason";
      EXPECT_FALSE(scenario_.perfect_links());
      return false;
    }
    first_.call(*second_.relayed(), scenario_.first_binding);
    second_.call(*first_.relayed(), scenario_.second_binding);
    world_.run_for(seconds{60});
    return true;
  }

  void talk() {
    const std::size_t allocations = host_.server().audit().allocations;
    // Two without trouble; a lost answer may leave one behind on a former mapping until it expires.
    EXPECT_GE(allocations, 2u);
    first_.talk(seconds{45});
    second_.talk(seconds{47});
    world_.run_for(scenario_.length);
    EXPECT_EQ(first_.refused() + second_.refused(), 0u);
    EXPECT_EQ(first_.corrupt() + second_.corrupt(), 0u);
    if (first_.timed_out() || second_.timed_out()) {
      EXPECT_FALSE(scenario_.perfect_links());
      return;
    }
    EXPECT_FALSE(first_.ending() || second_.ending()) << "the allocation was lost in mid call";
    // The last messages may still be under way.
    expect_heard(first_, second_);
    expect_heard(second_, first_);
  }

  void expect_heard(const Caller& listener, const Caller& speaker) {
    if (scenario_.perfect_links()) {
      EXPECT_GE(listener.heard() + 1, speaker.said());
      return;
    }
    // Two lossy links, each below 10 %: two thirds is far below what can be expected.
    EXPECT_GE(listener.heard() + 4, speaker.said() * 6 / 10);
  }

  void say_farewell() {
    switch (scenario_.farewell) {
      case Farewell::kBothHangUp:
        first_.hang_up();
        second_.hang_up();
        break;
      case Farewell::kOneVanishes:
        first_.vanish();
        second_.hang_up();
        break;
      case Farewell::kBothVanish:
        first_.vanish();
        second_.vanish();
    }
    if (scenario_.farewell == Farewell::kBothHangUp && scenario_.perfect_links()) {
      world_.run_for(seconds{2});
      EXPECT_EQ(host_.server().audit().allocations, 0u) << "LIFETIME 0 frees at once";
    }
    // Whoever vanished is forgotten after its lifetime of 600 seconds.
    world_.run_for(seconds{700});
  }

  void check_nothing_is_left() {
    const turn::Server::Audit audit = host_.server().audit();
    EXPECT_EQ(audit.allocations, 0u);
    EXPECT_EQ(audit.permissions, 0u);
    EXPECT_EQ(audit.channels, 0u);
    EXPECT_EQ(host_.open_ports(), 0u);
    EXPECT_EQ(host_.charged(), 0u);
    EXPECT_EQ(host_.server().statistics().allocations.read(), 0u);
    EXPECT_EQ(host_.server().next_deadline(), MonoTime::never());
  }

  Scenario scenario_;
  World world_;
  RelayHost host_;
  Caller first_;
  Caller second_;
};

class RelayedCall : public testing::TestWithParam<std::tuple<NatKind, NatKind>> {};

TEST_P(RelayedCall, WorksAndLeavesNothingBehindForAThousandSeeds) {
  const auto [first, second] = GetParam();
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Call(seed, first, second).run();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryPairOfNats, RelayedCall,
                         testing::Combine(testing::ValuesIn(kNatKinds),
                                          testing::ValuesIn(kNatKinds)),
                         [](const auto& pair) {
                           return std::string(name_of(std::get<0>(pair.param))) + "To" +
                                  std::string(name_of(std::get<1>(pair.param)));
                         });

}  // namespace
}  // namespace turnpike::sim
