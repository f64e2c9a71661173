// What is by option around authentication: alternates, strict expiry, Binding with credentials,
// requests of RFC 3489.
#include <gtest/gtest.h>

#include "tests/turn/conversation.h"
#include "tests/turn/counting_new.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

HouseRules with(const std::function<void(Settings&)>& adjust) {
  HouseRules rules;
  rules.shared_secrets = {"s"};
  rules.adjust = adjust;
  return rules;
}

TEST(AlternateServer, IsToldToWhoIsAuthenticatedAndWantsAnAllocation) {
  RelayHouse house(with([](Settings& settings) {
    settings.alternate_servers = {{address("[2600::7]:3480"), ""},
                                  {address("9.9.9.7:3479"), "turn2.example.org"}};
  }));
  Guest guest(house, "203.0.113.5:4000");
  EXPECT_EQ(guest.exchange(guest.bare_request(Method::kAllocate)).code(), 401);
  const Reply reply = guest.allocate();
  EXPECT_EQ(reply.code(), 300);
  EXPECT_EQ(reply.view().plain_address(Attribute::kAlternateServer), address("9.9.9.7:3479"));
  EXPECT_TRUE(reply.view().has(Attribute::kMessageIntegrity));
  EXPECT_FALSE(reply.view().has(Attribute::kAlternateDomain)) << "no certificate is asked for";
  EXPECT_EQ(guest.refresh().code(), 437);
  EXPECT_EQ(house.server->audit().allocations, 0u);
  Guest secure(house, "203.0.113.5:4000", "alice", "secret", Transport::kTls);
  EXPECT_EQ(secure.allocate().view().text(Attribute::kAlternateDomain), "turn2.example.org");
  Guest v6(house, "[2600::5]:4000");
  EXPECT_EQ(v6.allocate().view().plain_address(Attribute::kAlternateServer),
            address("[2600::7]:3480"));
}

TEST(AlternateServer, OneClientIsAlwaysSentToTheSame) {
  RelayHouse house(with([](Settings& settings) {
    for (int i = 1; i <= 16; ++i) {
      settings.alternate_servers.push_back({address("9.9.9." + std::to_string(i) + ":3478"), ""});
    }
  }));
  std::set<Address> seen;
  for (int port = 4000; port < 4100; ++port) {
    Guest guest(house, "203.0.113.5:" + std::to_string(port));
    const auto first = guest.allocate().view().plain_address(Attribute::kAlternateServer);
    EXPECT_EQ(guest.allocate().view().plain_address(Attribute::kAlternateServer), first);
    seen.insert(*first);
  }
  EXPECT_GT(seen.size(), 8u) << "and the clients are spread";
}

TEST(StrictExpiry, EndsAnAllocationWithItsCredential) {
  RelayHouse house(with([](Settings& settings) { settings.strict_expiry = true; }));
  const std::string username = "1700000100:carol";
  Guest guest(house, "203.0.113.5:4000", username, rest_password("s", username));
  EXPECT_EQ(guest.allocate().lifetime(), 100u);
  house.pass(seconds(40));
  EXPECT_EQ(guest.refresh(600).lifetime(), 60u);
  house.pass(seconds(61));
  EXPECT_EQ(house.server->audit().allocations, 0u);
  EXPECT_EQ(guest.refresh(600).code(), 401);
}

TEST(StrictExpiry, ARenewedCredentialProlongsTheAllocation) {
  RelayHouse house(with([](Settings& settings) { settings.strict_expiry = true; }));
  const std::string username = "1700000100:carol";
  Guest guest(house, "203.0.113.5:4000", username, rest_password("s", username));
  ASSERT_TRUE(guest.allocate().success());
  guest.username = "1700005000:carol";
  guest.password = rest_password("s", guest.username);
  EXPECT_EQ(guest.refresh(600).lifetime(), 600u);
  Guest fixed(house, "203.0.113.5:4001");
  EXPECT_EQ(fixed.allocate().lifetime(), 600u) << "static users do not expire";
}

TEST(SecureStun, AsksForCredentialsBeforeItTellsAnAddress) {
  RelayHouse house(with([](Settings& settings) { settings.binding_needs_credentials = true; }));
  Guest guest(house, "203.0.113.5:4000");
  EXPECT_EQ(guest.exchange(guest.bare_request(Method::kBinding)).code(), 401);
  const Reply reply = guest.ask(Method::kBinding);
  EXPECT_EQ(reply.view().xor_address(Attribute::kXorMappedAddress), guest.path.remote);
  EXPECT_TRUE(reply.view().has(Attribute::kMessageIntegrity));
}

TEST(Fingerprint, IsInEveryAnswerByOption) {
  RelayHouse house(with([](Settings& settings) { settings.always_fingerprint = true; }));
  Guest guest(house, "203.0.113.5:4000");
  EXPECT_TRUE(
      guest.exchange(guest.bare_request(Method::kAllocate)).view().has(Attribute::kFingerprint));
  EXPECT_TRUE(guest.allocate().view().has(Attribute::kFingerprint));
}

// A Binding request of RFC 3489: no cookie, 128 bits of transaction id.
Bytes classic_request(std::uint16_t type = 1) {
  Bytes request(20, 0x77);
  Writer out(request);
  out.u16(type);
  out.u16(0);
  return request;
}

TEST(ClassicBinding, IsDroppedUnlessAskedFor) {
  RelayHouse house(with([](Settings&) {}));
  Guest guest(house, "203.0.113.5:4000");
  guest.deliver(classic_request());
  EXPECT_TRUE(house.sink.clients_got.empty());
}

TEST(ClassicBinding, GetsMappedAddressAndItsWholeIdentifier) {
  RelayHouse house(with([](Settings& settings) { settings.classic_binding = true; }));
  Guest guest(house, "203.0.113.5:4000");
  guest.deliver(classic_request());
  ASSERT_EQ(house.sink.clients_got.size(), 1u);
  const Bytes& answer = house.sink.clients_got.front().message;
  EXPECT_TRUE(std::equal(answer.begin() + 4, answer.begin() + 20, classic_request().begin() + 4));
  const auto view = stun::MessageView::parse_classic(answer);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->is(stun::Class::kSuccess, Method::kBinding));
  EXPECT_EQ(view->plain_address(Attribute::kMappedAddress), guest.path.remote);
  EXPECT_EQ(view->entries().size(), 1u);
}

// RFC 8489 section 11: over DTLS 500 to requests, nothing to indications.
TEST(ClassicBinding, OverDtlsIsAnErrorAndItsIndicationsAreIgnored) {
  RelayHouse house(with([](Settings& settings) { settings.classic_binding = true; }));
  Guest guest(house, "203.0.113.5:4000", "alice", "secret", Transport::kDtls);
  guest.deliver(classic_request());
  ASSERT_EQ(house.sink.clients_got.size(), 1u);
  const auto view = stun::MessageView::parse_classic(house.sink.clients_got.front().message);
  EXPECT_EQ(view->error_code()->code, 500);
  guest.deliver(classic_request(0x0011));
  EXPECT_EQ(house.sink.clients_got.size(), 1u);
}

// RFC 8656 section 5 has no such compatibility.
TEST(ClassicBinding, IsTheOnlyClassicMethod) {
  RelayHouse house(with([](Settings& settings) { settings.classic_binding = true; }));
  Guest guest(house, "203.0.113.5:4000");
  for (const std::uint16_t type : std::initializer_list<std::uint16_t>{3, 4, 8, 0x16, 0x101}) {
    guest.deliver(classic_request(type));
  }
  EXPECT_TRUE(house.sink.clients_got.empty());
}

// Whoever sends requests with wrong credentials costs no memory, however they are made up.
TEST(Strangers, TakeNothingFromTheHeap) {
  RelayHouse house(with([](Settings& settings) { settings.software = "Turnpike"; }));
  Guest guest(house, "203.0.113.5:4000", "1900000000:somebody", "wrong");
  const Bytes bare = guest.bare_request(Method::kAllocate);
  const Bytes wrong = guest.request(Method::kRefresh);
  guest.nonce = "stale";
  guest.password = rest_password("s", guest.username);
  const Bytes stale = guest.request(Method::kRefresh);
  const Bytes hashed = guest.bare_request(Method::kRefresh, [&](stun::Builder& b) {
    b.bytes(Attribute::kUserhash, Bytes(32))
        .text(Attribute::kRealm, RelayHouse::kRealm)
        .text(Attribute::kNonce, "n")
        .bytes(Attribute::kMessageIntegritySha256, Bytes(32));
  });
  using Datagrams = turnpike::Run;  // the test has a Run of its own
  struct Deaf final : Sink {
    void to_client(const Path&, const Parts&) override { ++answers; }
    void to_peer(RelayHandle, const Address&, const Datagrams&) override {}
    Expected<Relay, RelayError> open_relay(const RelayWish&) override {
      return unexpected(RelayError::kNoPortLeft);
    }
    void close_relay(RelayHandle) override {}
    Expected<ClaimedRelay, RelayError> claim_relay(const Claim&) override {
      return unexpected(RelayError::kNoPortLeft);
    }
    bool drop_reservation(ReservationToken) override { return false; }
    void report(const Event&) override {}
    int answers = 0;
  } sink;
  const std::size_t before = allocations_made();
  for (int i = 0; i < 100; ++i) {
    for (const Bytes* message : {&bare, &wrong, &stale, &hashed}) {
      house.server->on_client(house.now, guest.path, Datagrams::one(*message), sink);
    }
  }
  EXPECT_EQ(allocations_made(), before);
  EXPECT_EQ(sink.answers, 400);
}

}  // namespace
}  // namespace turnpike::turn
