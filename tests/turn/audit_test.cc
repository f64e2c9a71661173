// The audit: silent about everything that a relay does, and not about a state that must not be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"
#include "turn/core.h"
#include "turn/quota_ledger.h"

namespace turnpike::turn {

// What no input can do.
struct Tampering {
  static Server::Core& core(Server& server) { return *server.core_; }
  static Allocations& allocations(Server& server) { return core(server).allocations_; }
  static Statistics& statistics(Server& server) { return core(server).statistics_; }
  static Allocation& only(Server& server) {
    Allocation* found = nullptr;
    allocations(server).for_each([&](Allocation& allocation) { found = &allocation; });
    CHECK(found != nullptr);
    return *found;
  }
  static void lose_five_tuple(Server& server) {
    allocations(server).by_path_.erase(only(server).path);
  }
  static void forget_holder(Server& server) { only(server).unlink(); }
  static void confuse_last(Server& server) {
    allocations(server).last_ = only(server).handle;
    allocations(server).last_path_.remote.port ^= 1;
  }
  static void expect_elsewhere(Server& server, const Path& path) {
    allocations(server).arriving_.emplace(path, only(server).handle);
  }
  static void repeat_channel(Server& server) {
    auto& entries = only(server).channels.entries_;
    entries.push_back(entries.front());
  }
  static void repeat_permission(Server& server) {
    auto& entries = only(server).permissions.entries_;
    entries.push_back(entries.front());
  }
  static void lose_reservation_timer(Server& server) {
    core(server).reservations_.for_each(
        [](Handle<Reservation>, Reservation& reservation) { reservation.expiry.disarm(); });
  }
  static DataConnections& data(Server& server) { return core(server).data_connections_; }
  static DataConnection& only_data(Server& server) {
    DataConnection* found = nullptr;
    data(server).for_each([&](DataConnection& connection) { found = &connection; });
    CHECK(found != nullptr);
    return *found;
  }
  static void lose_id(Server& server) { data(server).by_id_.clear(); }
};

namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const auto kReserving = [](stun::Builder& builder) {
  const std::array<std::uint8_t, 1> reserve_next{0x80};
  builder.bytes(stun::Attribute::kEvenPort, reserve_next);
};

class AuditTest : public ::testing::Test {
 protected:
  std::vector<std::string> found() { return house_.server->examine().findings.sentences(); }
  void make_busy() {
    ASSERT_TRUE(alice_.allocate().success());
    ASSERT_TRUE(alice_.permit({address("9.9.9.1:1"), address("9.9.9.2:1")}).success());
    ASSERT_TRUE(alice_.bind(0x4001, address("9.9.9.3:3")).success());
  }

  RelayHouse house_;
  Guest alice_{house_, "192.0.2.1:1000"};
};

TEST_F(AuditTest, FindsNothingInAServerAtWork) {
  EXPECT_THAT(found(), IsEmpty());
  make_busy();
  EXPECT_THAT(found(), IsEmpty());
  for (int i = 0; i < 40; ++i) {
    const Address peer{IpAddress::v4(9, 9, 8, static_cast<std::uint8_t>(i)), 7};
    ASSERT_TRUE(alice_.bind(static_cast<std::uint16_t>(0x4010 + i), peer).success());
  }
  EXPECT_THAT(found(), IsEmpty());
  house_.pass(seconds(599));
  EXPECT_THAT(found(), IsEmpty());
  house_.pass(seconds(2));
  EXPECT_EQ(house_.server->examine().counts.allocations, 0u);
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(AuditTest, SaysWhatAnAllocationHolds) {
  make_busy();
  const auto held = house_.server->examine().held;
  ASSERT_EQ(held.size(), 1u);
  EXPECT_THAT(held[0].label, HasSubstr(" of alice"));
  EXPECT_EQ(held[0].charged.name, "alice");
  EXPECT_EQ(held[0].charged.client, ip("192.0.2.1"));
  ASSERT_EQ(held[0].relays.size(), 1u);
  EXPECT_EQ(held[0].relays[0].address, alice_.relayed);
  EXPECT_EQ(held[0].paths, std::vector<Path>{alice_.path});
}

TEST_F(AuditTest, FindsATimerThatIsNotArmed) {
  make_busy();
  Tampering::only(*house_.server).first.expiry.disarm();
  EXPECT_THAT(found(), ElementsAre(HasSubstr("will never expire")));
}

TEST_F(AuditTest, FindsATimerOfSomethingElse) {
  make_busy();
  Tampering::only(*house_.server).first.expiry.name(0, 4711);
  EXPECT_THAT(found(), ElementsAre(HasSubstr("names another")));
}

TEST_F(AuditTest, FindsALostFiveTuple) {
  make_busy();
  Tampering::lose_five_tuple(*house_.server);
  EXPECT_THAT(found(), Contains(HasSubstr("is not found by its five-tuple")));
  EXPECT_THAT(found(), Contains("five-tuples of allocations: 0 counted, 1 there"));
}

TEST_F(AuditTest, FindsAFiveTupleThatLeadsAstray) {
  make_busy();
  Tampering::confuse_last(*house_.server);
  EXPECT_THAT(found(), ElementsAre(HasSubstr("the five-tuple found last leads to")));
}

TEST_F(AuditTest, FindsAFiveTupleThatNobodyMovesTo) {
  make_busy();
  Tampering::expect_elsewhere(*house_.server, alice_.path);
  EXPECT_THAT(found(), ElementsAre("five-tuples that allocations move to: 1 counted, 0 there"));
}

TEST_F(AuditTest, FindsAnAllocationThatItsHolderDoesNotKnow) {
  make_busy();
  Tampering::forget_holder(*house_.server);
  EXPECT_THAT(found(), ElementsAre("holder alice holds nothing",
                                   "allocations by holder: 0 counted, 1 there"));
}

TEST_F(AuditTest, FindsAChannelAndAPermissionThatAreThereTwice) {
  make_busy();
  Tampering::repeat_channel(*house_.server);
  EXPECT_THAT(found(), ElementsAre(HasSubstr("is not found by its number"),
                                   HasSubstr("is not found by its peer")));
  Tampering::repeat_permission(*house_.server);
  EXPECT_THAT(found(), Contains(HasSubstr("for 9.9.9.1 is not found by its address")));
}

TEST_F(AuditTest, FindsCountersThatAreWrong) {
  make_busy();
  Tampering::statistics(*house_.server).allocations.add();
  EXPECT_THAT(found(), ElementsAre("allocations: 2 counted, 1 there"));
  Tampering::statistics(*house_.server).by_kind.begin(1);
  EXPECT_THAT(found(), Contains("allocations of kind 1: 1 counted, 0 there"));
}

TEST_F(AuditTest, FindsAReservationThatNeverEnds) {
  ASSERT_TRUE(alice_.allocate(kReserving).success());
  EXPECT_THAT(found(), IsEmpty());
  EXPECT_EQ(house_.server->examine().promised.size(), 1u);
  Tampering::lose_reservation_timer(*house_.server);
  EXPECT_THAT(found(), ElementsAre("a reservation of alice never ends"));
}

class TcpAuditTest : public AuditTest {
 protected:
  TcpAuditTest() {
    HouseRules rules;
    rules.adjust = [](Settings& settings) { settings.tcp_relay = true; };
    tcp_house_ = std::make_unique<RelayHouse>(std::move(rules));
  }
  std::vector<std::string> found() { return tcp_house_->server->examine().findings.sentences(); }
  void connect() {
    guest_ =
        std::make_unique<Guest>(*tcp_house_, "192.0.2.1:1000", "alice", "secret", Transport::kTcp);
    const auto allocated = guest_->ask(stun::Method::kAllocate, [](stun::Builder& builder) {
      builder.requested_transport(stun::kProtocolTcp);
    });
    ASSERT_TRUE(allocated.success());
    ASSERT_TRUE(guest_->permit({address("9.9.9.1:1")}).success());
    const Bytes request = guest_->request(stun::Method::kConnect, [](stun::Builder& builder) {
      builder.xor_address(stun::Attribute::kXorPeerAddress, address("9.9.9.1:8080"));
    });
    guest_->deliver(request);
    ASSERT_EQ(tcp_house_->server->examine().counts.data_connections, 1u);
  }

  std::unique_ptr<RelayHouse> tcp_house_;
  std::unique_ptr<Guest> guest_;
};

TEST_F(TcpAuditTest, FindsWhatIsWrongWithDataConnections) {
  connect();
  EXPECT_THAT(found(), IsEmpty());
  Server& server = *tcp_house_->server;
  DataConnection& data = Tampering::only_data(server);
  data.state = DataConnection::State::kBound;
  EXPECT_THAT(found(), ElementsAre(HasSubstr("has a deadline though it runs")));
  data.timer.disarm();
  EXPECT_THAT(found(), IsEmpty());
  data.state = DataConnection::State::kPending;
  EXPECT_THAT(found(), ElementsAre(HasSubstr("waits without a deadline")));
  data.state = DataConnection::State::kBound;
  ++Tampering::only(server).tcp->count;
  EXPECT_THAT(found(), ElementsAre(HasSubstr(": 2 counted, 1 there")));
  --Tampering::only(server).tcp->count;
  ++Tampering::only(server).holder->data_connections;
  EXPECT_THAT(found(), ElementsAre("data connections of alice: 2 counted, 1 there"));
  --Tampering::only(server).holder->data_connections;
  const Handle<Allocation> before = data.allocation;
  data.allocation = {};
  EXPECT_THAT(found(), Contains(HasSubstr("belongs to no allocation")));
  data.allocation = before;
  Tampering::lose_id(server);
  EXPECT_THAT(found(), Contains(HasSubstr("is not found by its id")));
}

TEST(QuotaLedger, AgreesWithTheSameCharges) {
  QuotaLedger one, other;
  for (QuotaLedger* ledger : {&one, &other}) {
    ledger->charge({"alice", ip("192.0.2.1")});
    ledger->charge({"member-x~9af01c22", ip("2001:db8::1")});
  }
  Findings findings;
  compare(one, other, findings);
  EXPECT_TRUE(findings.none());
  EXPECT_EQ(one.total, 2u);
  EXPECT_EQ(one.by_minting_key.at("9af01c22"), 1u);
}

TEST(QuotaLedger, FindsWhatIsBookedAndNotHeldAndTheOtherWayRound) {
  QuotaLedger booked, held;
  booked.charge({"alice", ip("192.0.2.1")});
  booked.charge({"alice", ip("192.0.2.1")});
  held.charge({"alice", ip("192.0.2.1")});
  held.charge({"bob", ip("192.0.2.2")});
  Findings findings;
  compare(booked, held, findings);
  EXPECT_THAT(findings.sentences(),
              ElementsAre("quota of alice: 2 counted, 1 there", "quota of bob: 0 counted, 1 there",
                          "quota of address 192.0.2.1: 2 counted, 1 there",
                          "quota of address 192.0.2.2: 0 counted, 1 there"));
}

TEST(Findings, KeepTheFirstAndCountTheRest) {
  Findings many;
  for (std::size_t i = 0; i < Findings::kMaxSentences + 5; ++i) many.add("x");
  EXPECT_EQ(many.sentences().size(), Findings::kMaxSentences);
  Findings all;
  all.add("y");
  all.append(many);
  EXPECT_EQ(all.count(), Findings::kMaxSentences + 6);
  EXPECT_EQ(all.sentences().size(), Findings::kMaxSentences);
}

}  // namespace
}  // namespace turnpike::turn
