// Mobility (RFC 8016) as conversations with the state machine.
#include "turn/mobility.h"

#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Builder;
using stun::Method;

const Address kPeer = address("203.0.113.9:8080");
constexpr std::string_view kOld = "198.51.100.7:4000";
constexpr std::string_view kNew = "198.51.100.99:5000";

HouseRules with_mobility() {
  HouseRules rules;
  rules.peers.allowed = {*IpRange::parse("203.0.113.0/24")};
  rules.adjust = [](Settings& settings) {
    settings.mobility = true;
    settings.ticket_key.fill(9);
  };
  return rules;
}

void ask_for_ticket(Builder& builder) {
  builder.requested_transport(stun::kProtocolUdp).flag(Attribute::kMobilityTicket);
}
Bytes ticket_of(const Reply& reply) {
  const stun::MessageView view = reply.view();
  const auto value = view.value(Attribute::kMobilityTicket);
  return value ? Bytes(value->begin(), value->end()) : Bytes();
}
Guest::Fill with_ticket(const Bytes& ticket, std::optional<std::uint32_t> lifetime = {}) {
  return [=](Builder& builder) {
    if (lifetime) builder.u32(Attribute::kLifetime, *lifetime);
    builder.bytes(Attribute::kMobilityTicket, ticket);
  };
}

// A client with a mobile allocation at kOld, a permission and a channel, and the same client at
// kNew.
struct Traveller {
  explicit Traveller(HouseRules rules = with_mobility(), Transport transport = Transport::kUdp)
      : house(std::move(rules)),
        before(house, kOld, "alice", "secret", transport),
        after(house, kNew, "alice", "secret", transport) {
    after.path.stream = is_stream(transport) ? 78 : 0;
    const Reply reply = before.ask(Method::kAllocate, ask_for_ticket);
    EXPECT_TRUE(reply.success());
    before.relayed = reply.relayed();
    ticket = ticket_of(reply);
    EXPECT_TRUE(before.bind(0x4000, kPeer).success());
  }
  Reply move() {
    const Reply reply = after.ask(Method::kRefresh, with_ticket(ticket));
    if (reply.success()) next = ticket_of(reply);
    return reply;
  }
  const Path& path_of_peer_data() {
    house.sink.clients_got.clear();
    house.from_peer(kPeer, before.relayed, bytes_of("data"));
    EXPECT_EQ(house.sink.clients_got.size(), 1u);
    return house.sink.clients_got.at(0).path;
  }
  std::size_t sent(Guest& from) {
    house.sink.peers_got.clear();
    from.send_on(0x4000, bytes_of("data"));
    return house.sink.peers_got.size();
  }
  RelayHouse house;
  Guest before, after;
  Bytes ticket, next;
};

TEST(Ticket, SaysWhatWasSealedAndIsNeverTheSame) {
  SeededRandom random(3);
  TicketKey key;
  key.fill(1);
  const TicketClaim claim{7, 8, 9};
  const Ticket one = seal_ticket(key, claim, random);
  const Ticket two = seal_ticket(key, claim, random);
  EXPECT_EQ(open_ticket(key, one), claim);
  EXPECT_NE(one, two);
  TicketKey other = key;
  other[0] ^= 1;
  EXPECT_FALSE(open_ticket(other, one));
  for (std::size_t i = 0; i < one.size(); ++i) {
    Ticket changed = one;
    changed[i] ^= 1;
    EXPECT_FALSE(open_ticket(key, changed)) << i;
    EXPECT_FALSE(open_ticket(key, ByteView(one).first(i))) << i;
  }
}

TEST(MobileAllocate, WithoutTheOptionIs405) {
  RelayHouse house;
  Guest guest(house, kOld);
  EXPECT_EQ(guest.ask(Method::kAllocate, ask_for_ticket).code(), 405);
}

TEST(MobileAllocate, ATicketThatIsNotEmptyIs400) {
  RelayHouse house(with_mobility());
  Guest guest(house, kOld);
  const Reply reply = guest.ask(Method::kAllocate, [](Builder& builder) {
    builder.requested_transport(stun::kProtocolUdp).bytes(Attribute::kMobilityTicket, Bytes(4));
  });
  EXPECT_EQ(reply.code(), 400);
}

TEST(MobileAllocate, OnlyWhoAsksGetsATicket) {
  RelayHouse house(with_mobility());
  Guest guest(house, kOld);
  EXPECT_TRUE(ticket_of(guest.allocate()).empty());
}

TEST(MobileAllocate, TheRequestAgainGetsTheSameTicket) {
  RelayHouse house(with_mobility());
  Guest guest(house, kOld);
  const Bytes request = guest.request(Method::kAllocate, ask_for_ticket);
  const Reply first = guest.exchange(request);
  EXPECT_EQ(ticket_of(first).size(), kTicketSize);
  EXPECT_EQ(guest.exchange(request).bytes(), first.bytes());
}

TEST(Move, AnswersWithAnotherTicket) {
  Traveller alice;
  const Reply reply = alice.move();
  ASSERT_TRUE(reply.success());
  EXPECT_EQ(reply.lifetime(), 600u);
  EXPECT_EQ(alice.next.size(), kTicketSize);
  EXPECT_NE(alice.next, alice.ticket);
}

TEST(Move, TheOldFiveTupleWorksUntilDataComesFromTheNewOne) {
  Traveller alice;
  alice.move();
  EXPECT_EQ(alice.path_of_peer_data(), alice.before.path);
  EXPECT_EQ(alice.sent(alice.before), 1u);
  EXPECT_TRUE(alice.after.permit({kPeer}).success());
  EXPECT_EQ(alice.path_of_peer_data(), alice.before.path);
  EXPECT_EQ(alice.sent(alice.after), 1u);
  EXPECT_EQ(alice.path_of_peer_data(), alice.after.path);
  EXPECT_EQ(alice.sent(alice.before), 0u);
  EXPECT_EQ(alice.before.refresh().code(), 437);
  EXPECT_TRUE(alice.after.refresh().success());
}

TEST(Move, ASendIndicationSettlesIt) {
  Traveller alice;
  alice.move();
  alice.after.send(kPeer, bytes_of("data"));
  EXPECT_EQ(alice.house.sink.peers_got.size(), 1u);
  EXPECT_EQ(alice.path_of_peer_data(), alice.after.path);
}

TEST(Move, FromTheSameFiveTupleIs400) {
  Traveller alice;
  EXPECT_EQ(alice.before.ask(Method::kRefresh, with_ticket(alice.ticket)).code(), 400);
  alice.move();
  EXPECT_EQ(alice.after.ask(Method::kRefresh, with_ticket(alice.next)).code(), 400);
}

TEST(Move, WithABrokenTicketIs400) {
  Traveller alice;
  alice.ticket[20] ^= 1;
  EXPECT_EQ(alice.move().code(), 400);
  EXPECT_EQ(alice.after.ask(Method::kRefresh, with_ticket({})).code(), 400);
}

TEST(Move, OfAnAllocationThatIsGoneIs437) {
  Traveller alice;
  alice.before.refresh(0);
  EXPECT_EQ(alice.move().code(), 437);
}

TEST(Move, ByAnotherUserIs441) {
  Traveller alice;
  alice.after.username = "bob";
  alice.after.password = "hush";
  EXPECT_EQ(alice.move().code(), 441);
  EXPECT_EQ(alice.path_of_peer_data(), alice.before.path);
}

TEST(Move, TheOldTicketServesForRetransmissionsOnlyAndForThirtySeconds) {
  Traveller alice;
  const Bytes request = alice.after.request(Method::kRefresh, with_ticket(alice.ticket));
  const Reply first = alice.after.exchange(request);
  ASSERT_TRUE(first.success());
  alice.house.pass(seconds(29));
  EXPECT_EQ(alice.after.exchange(request).bytes(), first.bytes());
  EXPECT_EQ(alice.move().code(), 400);  // the same ticket in another request
  Guest thief(alice.house, "198.51.100.50:6000");
  EXPECT_EQ(thief.ask(Method::kRefresh, with_ticket(alice.ticket)).code(), 400);
  alice.house.pass(seconds(2));
  EXPECT_EQ(alice.after.exchange(request).code(), 400);
}

TEST(Move, ARetransmissionAfterTheFirstDataGetsTheSameAnswer) {
  Traveller alice;
  const Bytes request = alice.after.request(Method::kRefresh, with_ticket(alice.ticket));
  const Reply first = alice.after.exchange(request);
  alice.sent(alice.after);
  EXPECT_EQ(alice.after.exchange(request).bytes(), first.bytes());
}

TEST(Move, MayBeRepeatedBeforeItSettles) {
  Traveller alice;
  alice.move();
  Guest third(alice.house, "198.51.100.120:7000");
  ASSERT_TRUE(third.ask(Method::kRefresh, with_ticket(alice.next)).success());
  EXPECT_EQ(alice.sent(alice.after), 0u);
  EXPECT_EQ(alice.sent(third), 1u);
  EXPECT_EQ(alice.path_of_peer_data(), third.path);
  EXPECT_EQ(alice.house.server->audit().arriving_paths, 0u);
}

TEST(Move, WithLifetimeZeroEndsTheAllocation) {
  Traveller alice;
  const Reply reply = alice.after.ask(Method::kRefresh, with_ticket(alice.ticket, 0));
  EXPECT_EQ(reply.lifetime(), 0u);
  EXPECT_EQ(alice.house.server->audit().allocations, 0u);
}

TEST(Move, LeavesTheQuotaAsItWas) {
  Traveller alice;
  alice.move();
  EXPECT_EQ(alice.house.quota.held_by("alice"), 1u);
  alice.sent(alice.after);
  EXPECT_EQ(alice.house.quota.held_by("alice"), 1u);
  alice.after.refresh(0);
  EXPECT_EQ(alice.house.quota.total(), 0u);
}

TEST(Move, OfAMintedNameGivesBackWhatItsFirstAddressWasCharged) {
  HouseRules rules = with_mobility();
  const std::string name = "guest~0a1b2c3d";
  rules.users = {{"alice", "secret"}, {name, "minted"}};
  rules.quota.per_user = 1;  // and 16 for a source prefix
  RelayHouse house(rules);
  for (int i = 0; i < 40; ++i) {
    Guest here(house, kOld, name, "minted");
    Guest there(house, kNew, name, "minted");
    const Reply made = here.ask(Method::kAllocate, ask_for_ticket);
    ASSERT_TRUE(made.success()) << i;
    ASSERT_TRUE(there.ask(Method::kRefresh, with_ticket(ticket_of(made))).success());
    there.send(kPeer, bytes_of("x"));
    ASSERT_TRUE(there.refresh(0).success());
  }
}

TEST(Move, AnAllocationWhoseConnectionBrokeWaitsForItsClient) {
  Traveller alice(with_mobility(), Transport::kTcp);
  alice.house.server->on_client_gone(alice.house.now, alice.before.path, alice.house.sink);
  EXPECT_EQ(alice.house.server->audit().allocations, 1u);
  ASSERT_TRUE(alice.move().success());
  // Nobody is at the old end, so it settles at once.
  EXPECT_EQ(alice.path_of_peer_data(), alice.after.path);
}

TEST(Move, AnAllocationWhoseClientNeverComesBackExpires) {
  Traveller alice(with_mobility(), Transport::kTcp);
  alice.house.server->on_client_gone(alice.house.now, alice.before.path, alice.house.sink);
  alice.house.pass(seconds(601));
  EXPECT_EQ(alice.house.server->audit().allocations, 0u);
  EXPECT_EQ(alice.house.quota.total(), 0u);
}

TEST(Move, WhenTheNewConnectionBreaksTheOldOneGoesOn) {
  Traveller alice(with_mobility(), Transport::kTcp);
  alice.move();
  alice.house.server->on_client_gone(alice.house.now, alice.after.path, alice.house.sink);
  EXPECT_EQ(alice.path_of_peer_data(), alice.before.path);
  EXPECT_EQ(alice.house.server->audit().arriving_paths, 0u);
}

TEST(Move, BetweenTransports) {
  Traveller alice;
  alice.after.path.transport = Transport::kTls;
  alice.after.path.stream = 78;
  ASSERT_TRUE(alice.move().success());
  EXPECT_EQ(alice.sent(alice.after), 1u);
  EXPECT_EQ(alice.path_of_peer_data(), alice.after.path);
}

TEST(Move, AnAllocateOnTheNewFiveTupleIs437) {
  Traveller alice;
  alice.move();
  EXPECT_EQ(alice.after.allocate().code(), 437);
}

TEST(Move, RevocationAndShutdownFreeEverything) {
  Traveller alice;
  alice.move();
  alice.house.server->revoke(alice.house.now, "alice", alice.house.now.wall + seconds(60),
                             alice.house.sink);
  const Server::Audit audit = alice.house.server->audit();
  EXPECT_EQ(audit.allocations + audit.arriving_paths, 0u);
}

HouseRules of_worker(std::uint32_t worker) {
  HouseRules rules = with_mobility();
  rules.worker = worker;
  rules.workers = 3;
  return rules;
}

TEST(MoveAcrossWorkers, DatagramsAreForwardedFromTheTicketOn) {
  Traveller alice(of_worker(1));
  RelayHouse other(of_worker(2));
  Guest there(other, kNew);
  const Bytes move = there.request(Method::kRefresh, with_ticket(alice.ticket));
  other.sink.clients_got.clear();
  there.deliver(move);
  EXPECT_TRUE(other.sink.clients_got.empty());
  ASSERT_EQ(other.sink.forwarded.size(), 1u);
  EXPECT_EQ(other.sink.forwarded[0].worker, 1u);
  EXPECT_EQ(other.sink.forwarded[0].path, there.path);
  EXPECT_EQ(other.sink.forwarded[0].first, move);
  there.send_on(0x4000, bytes_of("data"));
  ASSERT_EQ(other.sink.forwarded.size(), 2u);
  // The nonce came from the other worker; all share their key.
  alice.after.nonce = there.nonce;
  ASSERT_TRUE(alice.after.exchange(other.sink.forwarded[0].first).success());
  alice.house.sink.peers_got.clear();
  alice.after.deliver(other.sink.forwarded[1].first);
  EXPECT_EQ(alice.house.sink.peers_got.size(), 1u);
  EXPECT_EQ(alice.path_of_peer_data(), alice.after.path);
}

TEST(MoveAcrossWorkers, AStreamIsHandedOver) {
  Traveller alice(of_worker(1));
  RelayHouse other(of_worker(2));
  Guest there(other, kNew, "alice", "secret", Transport::kTcp);
  there.deliver(there.request(Method::kRefresh, with_ticket(alice.ticket)));
  ASSERT_EQ(other.sink.handed_over.size(), 1u);
  EXPECT_EQ(other.sink.handed_over[0].second, 1u);
}

TEST(MoveAcrossWorkers, AForwardIsForgottenAfterSilence) {
  Traveller alice(of_worker(1));
  RelayHouse other(of_worker(2));
  Guest there(other, kNew);
  there.deliver(there.request(Method::kRefresh, with_ticket(alice.ticket)));
  other.pass(Forwards::kSilence + seconds(1));
  there.send_on(0x4000, bytes_of("data"));
  EXPECT_EQ(other.sink.forwarded.size(), 1u);
  EXPECT_EQ(other.server->audit().forwards, 0u);
}

TEST(MoveAcrossWorkers, WrongCredentialsForwardNothing) {
  Traveller alice(of_worker(1));
  RelayHouse other(of_worker(2));
  Guest there(other, kNew, "alice", "wrong");
  EXPECT_EQ(there.ask(Method::kRefresh, with_ticket(alice.ticket)).code(), 401);
  EXPECT_EQ(other.server->audit().forwards, 0u);
}

TEST(Forwards, HaveAMaximum) {
  Forwards forwards;
  const MonoTime start{hours(1)};
  Path path;
  for (std::uint32_t i = 0; i < Forwards::kMaximum; ++i) {
    path.remote = {IpAddress::v4(i), 1};
    ASSERT_TRUE(forwards.add(path, 1, start));
  }
  ASSERT_TRUE(forwards.add(path, 2, start));
  path.remote.port = 2;
  EXPECT_FALSE(forwards.add(path, 1, start));
  EXPECT_TRUE(forwards.add(path, 1, start + Forwards::kSilence));
  EXPECT_EQ(forwards.size(), 1u);
}

}  // namespace
}  // namespace turnpike::turn
