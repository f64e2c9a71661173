// ice::Gatherer against our own relay in the simulated network: what it finds behind a NAT and
// without one, what it tells of servers that refuse or keep silent, and what goes through it.
#include "ice/gatherer.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "stun/classify.h"
#include "tests/sim/caller.h"
#include "tests/sim/nat.h"
#include "tests/sim/relay_host.h"

namespace turnpike::sim {
namespace {

using ice::Candidate;
using ice::CandidateType;
using ice::Gatherer;

const Address kLocal{IpAddress::v4(10, 0, 0, 1), 5000};
const LinkQuality kGood{.loss = 0, .duplication = 0, .delay = milliseconds{20}};
const LinkQuality kBad{.loss = 0.2, .duplication = 0.05, .delay = milliseconds{20}};

// A machine with a socket and, for the TURN server, another, each behind a NAT of its own.
class Home final : public Gatherer::Outputs {
 public:
  Home(World& world, std::uint8_t number) : world_(world), number_(number) {}

  void gather(Gatherer::Settings settings) {
    const auto outside = [&](std::uint8_t last) { return IpAddress::v4(81, 2, number_, last); };
    socket_ = std::make_unique<Nat>(world_, NatKind::kFullCone, outside(1),
                                    [this](const Address& from, ByteView bytes) {
                                      if (!gatherer_->on_network(0, from, bytes)) ++strangers;
                                      arm();
                                    });
    link_ = std::make_unique<Nat>(world_, NatKind::kFullCone, outside(2),
                                  [this](const Address&, ByteView bytes) {
                                    gatherer_->on_server_message(world_.now(), link_server_, bytes);
                                    arm();
                                  });
    gatherer_ = std::make_unique<Gatherer>(std::move(settings), world_.random(), *this);
    gatherer_->start(world_.now());
    arm();
  }
  Gatherer& gatherer() { return *gatherer_; }
  Nat& socket() { return *socket_; }
  std::vector<CandidateType> types() const {
    std::vector<CandidateType> types;
    for (const Candidate& candidate : candidates) types.push_back(candidate.type);
    return types;
  }
  const Candidate& relayed() const { return candidates.back(); }

  std::vector<Candidate> candidates;
  std::vector<ice::Base> bases;
  std::vector<std::string> heard;
  struct Told {
    std::size_t server;
    Gatherer::Trouble trouble;
    std::uint16_t code;
  };
  std::vector<Told> troubles;
  int gathered = 0;
  int strangers = 0;
  int indications = 0, channel_data = 0;
  bool link_works = true;

 private:
  void to_network(ice::Base, const Address& to, ByteView bytes) override {
    socket_->send(to, bytes);
  }
  void open_link(std::size_t server) override {
    link_server_ = server;
    world_.after(milliseconds{1}, [this, server] {
      if (link_works) {
        gatherer_->on_link_open(world_.now(), server);
      } else {
        gatherer_->on_link_lost(server);
      }
      arm();
    });
  }
  void to_server(std::size_t server, ByteView message) override {
    if (stun::classify(message) == stun::PacketKind::kChannelData) {
      ++channel_data;
    } else if (stun::MessageView::parse(message)->message_class() == stun::Class::kIndication) {
      ++indications;
    }
    link_->send(gatherer_->settings().servers[server].address, message);
  }
  void on_candidate(const Candidate& candidate, ice::Base base) override {
    candidates.push_back(candidate);
    bases.push_back(base);
  }
  void on_relayed(ice::Base, const Address&, ByteView data) override {
    heard.emplace_back(as_text(data));
  }
  void on_trouble(std::size_t server, Gatherer::Trouble trouble, std::uint16_t code) override {
    troubles.push_back({server, trouble, code});
  }
  void on_gathered() override { ++gathered; }
  void arm() {
    const MonoTime next = gatherer_->next_deadline();
    if (next == MonoTime::never()) return;
    world_.at(std::max(next, world_.now().mono), [this] {
      if (gatherer_->next_deadline() > world_.now().mono) return;
      gatherer_->on_time(world_.now());
      arm();
    });
  }

  World& world_;
  const std::uint8_t number_;
  std::unique_ptr<Nat> socket_, link_;
  std::unique_ptr<Gatherer> gatherer_;
  std::size_t link_server_ = 0;
};

class GathererTest : public testing::Test {
 protected:
  explicit GathererTest(LinkQuality quality = kGood)
      : world_(7, quality), host_(world_, RelayHost::Placement::kPublic) {}

  Gatherer::Server turn(std::string name = "ann") const {
    const auto expiry = (world_.now().wall + hours{24}).since_epoch.count();
    Gatherer::Server server;
    server.kind = ice::ServerKind::kTurn;
    server.address = host_.public_address();
    server.username = std::to_string(expiry) + ":" + name;
    server.password = turn::rest_password(RelayHost::kSecret, server.username);
    return server;
  }
  Gatherer::Server stun() const {
    Gatherer::Server server;
    server.address = host_.public_address();
    return server;
  }
  // Two homes with relayed addresses at the same relay, permissions in place.
  void let_meet() {
    ann_.gather({.policy = Gatherer::Policy::kRelay, .servers = {turn("ann")}});
    bob_.gather({.policy = Gatherer::Policy::kRelay, .servers = {turn("bob")}});
    world_.run_for(seconds{1});
    ASSERT_EQ(ann_.candidates.size(), 1u);
    ASSERT_EQ(bob_.candidates.size(), 1u);
    ann_.gatherer().reach(world_.now(), ann_.bases[0], bob_.relayed().address);
    bob_.gatherer().reach(world_.now(), bob_.bases[0], ann_.relayed().address);
    world_.run_for(seconds{1});
  }
  void ann_says(const std::string& text) {
    ann_.gatherer().send(ann_.bases[0], bob_.relayed().address, as_bytes(text));
    world_.run_for(milliseconds{200});
  }

  World world_;
  RelayHost host_;
  Home ann_{world_, 1}, bob_{world_, 2};
};

TEST_F(GathererTest, FindsHostReflexiveAndRelayedCandidatesBehindANat) {
  ann_.gather({.hosts = {kLocal}, .servers = {stun(), turn()}});
  world_.run_for(seconds{2});
  using T = CandidateType;
  ASSERT_EQ(ann_.types(), (std::vector<T>{T::kHost, T::kServerReflexive, T::kRelayed}));
  EXPECT_EQ(ann_.gathered, 1);
  EXPECT_TRUE(ann_.troubles.empty());
  const Candidate &host = ann_.candidates[0], &reflexive = ann_.candidates[1],
                  &relayed = ann_.candidates[2];
  EXPECT_EQ(host.address, kLocal);
  EXPECT_EQ(reflexive.address.ip, IpAddress::v4(81, 2, 1, 1));
  EXPECT_EQ(reflexive.related, kLocal);
  EXPECT_EQ(relayed.address.ip, host_.public_address().ip);
  EXPECT_EQ(relayed.related->ip, IpAddress::v4(81, 2, 1, 2));
  EXPECT_GT(host.priority, reflexive.priority);
  EXPECT_GT(reflexive.priority, relayed.priority);
  EXPECT_NE(host.foundation, reflexive.foundation);
  EXPECT_NE(reflexive.foundation, relayed.foundation);
  EXPECT_EQ(ann_.bases, (std::vector<ice::Base>{0, 0, 2}));  // the relay of server 1 behind host 0
  EXPECT_FALSE(ann_.gatherer().is_relay(0));
  EXPECT_TRUE(ann_.gatherer().is_relay(2));
}

// A machine of its own in the world, whose socket is where the server sees it.
class Public final : public Node, private Gatherer::Outputs {
 public:
  Public(World& world, const Gatherer::Server& server)
      : world_(world), gatherer_({.hosts = {own_}, .servers = {server}}, world.random(), *this) {
    world.attach(own_.ip, *this);
    gatherer_.start(world.now());
  }
  std::vector<Candidate> candidates;
  bool gathered() const { return gatherer_.gathered(); }

 private:
  void on_datagram(const Address&, const Address& from, ByteView bytes) override {
    gatherer_.on_network(0, from, bytes);
  }
  void to_network(ice::Base, const Address& to, ByteView bytes) override {
    world_.transmit(own_, to, bytes);
  }
  void open_link(std::size_t) override {}
  void to_server(std::size_t, ByteView) override {}
  void on_candidate(const Candidate& candidate, ice::Base) override {
    candidates.push_back(candidate);
  }
  void on_relayed(ice::Base, const Address&, ByteView) override {}
  void on_trouble(std::size_t, Gatherer::Trouble, std::uint16_t) override {}
  void on_gathered() override {}

  World& world_;
  const Address own_{IpAddress::v4(81, 2, 3, 4), 6000};
  Gatherer gatherer_;
};

TEST_F(GathererTest, OffersNoReflexiveCandidateWhereThereIsNoNat) {
  Public home(world_, stun());
  world_.run_for(seconds{1});
  EXPECT_TRUE(home.gathered());
  EXPECT_EQ(home.candidates.size(), 1u);
}

TEST_F(GathererTest, GathersThroughLossByRepeating) {
  for (std::uint8_t i = 10; i < 30; ++i) {
    World world(i, kBad);
    RelayHost host(world, RelayHost::Placement::kPublic);
    Home home(world, i);
    home.gather({.hosts = {kLocal}, .servers = {turn()}});
    world.run_for(seconds{60});
    EXPECT_EQ(home.gathered, 1) << int{i};
    if (home.troubles.empty()) {
      EXPECT_GE(home.candidates.size(), 2u) << int{i};
    }
  }
}

TEST_F(GathererTest, TellsNothingButRelayedAddressesUnderTheRelayPolicy) {
  ann_.gather({.policy = Gatherer::Policy::kRelay, .hosts = {kLocal}, .servers = {stun(), turn()}});
  world_.run_for(seconds{2});
  ASSERT_EQ(ann_.types(), std::vector<CandidateType>{CandidateType::kRelayed});
  EXPECT_EQ(ann_.relayed().related, (Address{IpAddress::v4(0, 0, 0, 0), 0}));
  EXPECT_EQ(ann_.gathered, 1);
}

TEST_F(GathererTest, TellsOfAServerThatRefusesAndGoesOnWithoutIt) {
  Gatherer::Server wrong = turn();
  wrong.password = "guess";
  ann_.gather({.hosts = {kLocal}, .servers = {wrong}});
  world_.run_for(seconds{2});
  ASSERT_EQ(ann_.troubles.size(), 1u);
  EXPECT_EQ(ann_.troubles[0].trouble, Gatherer::Trouble::kRefused);
  EXPECT_EQ(ann_.troubles[0].code, 401);
  EXPECT_EQ(ann_.gathered, 1);
  EXPECT_EQ(ann_.candidates.size(), 2u);
}

TEST_F(GathererTest, TellsOfAServerThatKeepsSilent) {
  Gatherer::Server silent = turn();
  silent.address.ip = IpAddress::v4(203, 0, 113, 99);
  ann_.gather({.hosts = {kLocal}, .servers = {silent}});
  world_.run_for(seconds{20});
  EXPECT_EQ(ann_.gathered, 0);
  world_.run_for(seconds{30});
  ASSERT_EQ(ann_.troubles.size(), 1u);
  EXPECT_EQ(ann_.troubles[0].trouble, Gatherer::Trouble::kNoAnswer);
  EXPECT_EQ(ann_.gathered, 1);
}

TEST_F(GathererTest, TellsOfALinkThatCannotBeOpenedOrIsLostLater) {
  ann_.link_works = false;
  ann_.gather({.servers = {turn()}});
  bob_.gather({.servers = {turn("bob")}});
  world_.run_for(seconds{1});
  ASSERT_EQ(ann_.troubles.size(), 1u);
  EXPECT_EQ(ann_.troubles[0].trouble, Gatherer::Trouble::kLinkLost);
  EXPECT_EQ(ann_.gathered, 1);
  EXPECT_TRUE(bob_.troubles.empty());
  bob_.gatherer().on_link_lost(0);
  bob_.gatherer().on_link_lost(0);
  ASSERT_EQ(bob_.troubles.size(), 1u);
  EXPECT_EQ(bob_.gathered, 1);
  EXPECT_EQ(bob_.gatherer().next_deadline(), MonoTime::never());
  EXPECT_TRUE(bob_.gatherer().released());
}

TEST_F(GathererTest, RelaysAsIndicationsAndThenByTheChannelThatWasPreferred) {
  let_meet();
  ann_says("one");
  EXPECT_EQ(bob_.heard, std::vector<std::string>{"one"});
  EXPECT_EQ(ann_.indications, 1);
  // Until the channel is bound, what is said meanwhile goes as before.
  ann_.gatherer().prefer(world_.now(), ann_.bases[0], bob_.relayed().address);
  ann_says("two");
  EXPECT_EQ(ann_.indications, 2);
  ann_says("three");
  EXPECT_EQ(ann_.channel_data, 1);
  EXPECT_EQ(ann_.indications, 2);
  EXPECT_EQ(bob_.heard, (std::vector<std::string>{"one", "two", "three"}));
}

TEST_F(GathererTest, ReleasesEveryAllocation) {
  let_meet();
  EXPECT_EQ(host_.open_ports(), 2u);
  ann_.gatherer().release(world_.now());
  bob_.gatherer().release(world_.now());
  EXPECT_FALSE(ann_.gatherer().released());
  world_.run_for(seconds{1});
  EXPECT_TRUE(ann_.gatherer().released());
  EXPECT_TRUE(bob_.gatherer().released());
  EXPECT_EQ(host_.open_ports(), 0u);
  EXPECT_TRUE(ann_.troubles.empty());
}

TEST_F(GathererTest, LeavesAnswersToTheAgentThatAreNotToItsQuestions) {
  ann_.gather({.hosts = {kLocal}, .servers = {stun()}});
  world_.run_for(seconds{1});
  std::array<std::uint8_t, 64> room;
  const stun::TransactionId id{};
  stun::Builder request(room, stun::Class::kRequest, stun::Method::kBinding, id);
  EXPECT_FALSE(ann_.gatherer().on_network(0, host_.public_address(), request.finish()));
  stun::Builder answer(room, stun::Class::kSuccess, stun::Method::kBinding, id);
  EXPECT_FALSE(ann_.gatherer().on_network(0, host_.public_address(), answer.finish()));
  EXPECT_FALSE(ann_.gatherer().on_network(0, host_.public_address(), as_bytes("media")));
}

}  // namespace
}  // namespace turnpike::sim
