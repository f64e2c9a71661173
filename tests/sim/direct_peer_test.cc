// A relayed client and a peer without a relay, each behind a NAT of every kind: the peer speaks to
// the relayed transport address, the client answers to where the peer was seen (RFC 8656 section
// 11). A permission covers the peer's address with all ports, so even a symmetric NAT works.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

#include "tests/sim/caller.h"

namespace turnpike::sim {
namespace {

constexpr std::uint64_t kSeeds = 1000;
constexpr seconds kInterval{30};

class DirectPeer {
 public:
  DirectPeer(World& world, NatKind nat, const IpAddress& external)
      : world_(world), nat_(world, nat, external, [this](const Address& from, ByteView bytes) {
          const std::uint32_t number = Reader(bytes).u32();
          const bool whole = equal(bytes, message_of(number));
          if (!whole || from != to_) ++corrupt_;
          if (whole) heard_.insert(number);
        }) {}

  void speak_to(const Address& relayed) {
    to_ = relayed;
    nat_.send(relayed, message_of(said_++));
    world_.after(kInterval, [this, relayed] {
      if (speaking_) speak_to(relayed);
    });
  }
  void stop() { speaking_ = false; }

  std::uint32_t said() const { return said_; }
  std::size_t heard() const { return heard_.size(); }
  std::uint32_t corrupt() const { return corrupt_; }

 private:
  World& world_;
  Nat nat_;
  Address to_;
  bool speaking_ = true;
  std::uint32_t said_ = 0;
  std::set<std::uint32_t> heard_;
  std::uint32_t corrupt_ = 0;
};

void converse(std::uint64_t seed, NatKind client_nat, NatKind peer_nat) {
  SeededRandom random(seed);
  const LinkQuality quality{.delay = milliseconds{1 + random.below(100)},
                            .jitter = milliseconds{random.below(60)}};
  World world(seed, quality);
  RelayHost host(world, RelayHost::Placement::kPublic);
  const IpAddress peer_ip = IpAddress::v4(81, 2, 70, 17);
  Caller client(world, client_nat, IpAddress::v4(81, 2, 69, 142), "ann", host);
  DirectPeer peer(world, peer_nat, peer_ip);

  client.allocate();
  world.run_for(seconds{5});
  ASSERT_TRUE(client.relayed());
  peer.speak_to(*client.relayed());
  world.run_for(seconds{5});
  EXPECT_EQ(client.heard(), 0u) << "heard a peer without permission";

  client.welcome(peer_ip);
  world.run_for(seconds{40});
  client.talk(kInterval);
  world.run_for(minutes{random.below(90)});
  peer.stop();
  client.fall_silent();
  world.run_for(seconds{5});  // what is still under way arrives
  client.hang_up();
  world.run_for(seconds{5});

  EXPECT_EQ(client.corrupt() + peer.corrupt(), 0u);
  EXPECT_EQ(client.heard() + 1, peer.said());  // all but the one before the permission
  EXPECT_EQ(peer.heard(), client.said());
  EXPECT_EQ(host.server().audit().allocations, 0u);
  EXPECT_EQ(host.open_ports() + host.charged(), 0u);
}

class DirectPeerCall : public testing::TestWithParam<std::tuple<NatKind, NatKind>> {};

TEST_P(DirectPeerCall, WorksThroughThePermissionForAThousandSeeds) {
  const auto [client, peer] = GetParam();
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    converse(seed, client, peer);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryPairOfNats, DirectPeerCall,
                         testing::Combine(testing::ValuesIn(kNatKinds),
                                          testing::ValuesIn(kNatKinds)),
                         [](const auto& pair) {
                           return std::string(name_of(std::get<0>(pair.param))) + "To" +
                                  std::string(name_of(std::get<1>(pair.param)));
                         });

}  // namespace
}  // namespace turnpike::sim
