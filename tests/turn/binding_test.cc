// Binding and the message layer (RFC 8489 sections 5 to 7 and 14).
#include <gtest/gtest.h>

#include "stun/integrity.h"
#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Class;
using stun::Method;

Bytes plain(Class cls, std::uint16_t method, const Guest::Fill& fill = {}) {
  Bytes room(512);
  stun::Builder builder(room, cls, method, stun::TransactionId{1, 2, 3});
  if (fill) fill(builder);
  const ByteView done = builder.finish();
  return Bytes(done.begin(), done.end());
}

TEST(Binding, AnswersWithTheSourceOfTheRequestAndWithoutCredentials) {
  RelayHouse house;
  for (const char* remote : {"203.0.113.5:4000", "[2001:db8::5]:4000"}) {
    Guest guest(house, remote);
    const Reply reply = guest.exchange(guest.bare_request(Method::kBinding));
    ASSERT_TRUE(reply.success());
    EXPECT_EQ(reply.view().xor_address(Attribute::kXorMappedAddress), address(remote));
    EXPECT_EQ(reply.view().entries().size(), 1u);
  }
  EXPECT_EQ(house.server->statistics().binding_responses.read(), 2u);
}

TEST(Binding, WorksOverStreams) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000", "alice", "secret", Transport::kTcp);
  EXPECT_TRUE(guest.exchange(guest.bare_request(Method::kBinding)).success());
}

TEST(Binding, RetransmissionGetsTheSameAnswer) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  const Bytes request = guest.bare_request(Method::kBinding);
  EXPECT_EQ(guest.exchange(request).bytes(), guest.exchange(request).bytes());
}

TEST(Binding, FingerprintIsAnsweredWithFingerprintAndOnlyThen) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  const auto with = guest.bare_request(Method::kBinding, [](auto& b) { b.fingerprint(); });
  EXPECT_TRUE(guest.exchange(with).view().has(Attribute::kFingerprint));
  EXPECT_FALSE(
      guest.exchange(guest.bare_request(Method::kBinding)).view().has(Attribute::kFingerprint));
}

TEST(Binding, WrongFingerprintIsDropped) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  Bytes request = guest.bare_request(Method::kBinding, [](auto& b) { b.fingerprint(); });
  request.back() ^= 1;
  EXPECT_TRUE(guest.exchange(request).silent());
  EXPECT_EQ(house.server->statistics().dropped_malformed.read(), 1u);
}

TEST(Binding, UnknownRequiredAttributesAreListedOnceEach) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  const Bytes request = guest.bare_request(Method::kBinding, [](stun::Builder& b) {
    // CHANGE-REQUEST and RESPONSE-ADDRESS: a single address cannot honour them.
    b.u32(static_cast<Attribute>(0x0003), 6).u32(static_cast<Attribute>(0x0002), 1);
    b.u32(static_cast<Attribute>(0x0003), 6);
    b.u32(static_cast<Attribute>(0x8abc), 1);  // comprehension-optional: ignored
  });
  const Reply reply = guest.exchange(request);
  EXPECT_EQ(reply.code(), 420);
  EXPECT_EQ(reply.unknown_attributes(), (std::vector<std::uint16_t>{0x0002, 0x0003}));
}

TEST(Binding, KnownButUnexpectedAttributesAreIgnored) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  const Bytes request = guest.bare_request(Method::kBinding, [](stun::Builder& b) {
    b.u32(Attribute::kLifetime, 5)
        .text(Attribute::kUsername, "who")
        .text(Attribute::kSoftware, std::string(763, 's'));
  });
  EXPECT_TRUE(guest.exchange(request).success());
}

TEST(MessageLayer, WhatIsNotARequestWeKnowIsDroppedInSilence) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  const auto number = [](Method m) { return static_cast<std::uint16_t>(m); };
  const std::vector<Bytes> silent = {
      plain(Class::kSuccess, number(Method::kBinding)),
      plain(Class::kError, number(Method::kAllocate)),
      plain(Class::kIndication, number(Method::kAllocate)),
      plain(Class::kIndication, number(Method::kData)),
      plain(Class::kRequest, number(Method::kSend)),
      plain(Class::kRequest, number(Method::kData)),
      plain(Class::kRequest, number(Method::kConnect)),
      plain(Class::kRequest, 0x0FF),
      plain(Class::kRequest, 0x002),
      bytes_of(""),
      bytes_of("GET / HTTP/1.1\r\n"),
      Bytes(19, 0),
      Bytes{0x80, 0, 0, 0},
  };
  for (const Bytes& packet : silent) EXPECT_TRUE(guest.exchange(packet).silent());
  EXPECT_EQ(house.server->statistics().dropped_malformed.read(), silent.size());
  EXPECT_TRUE(house.sink.events.empty());
}

TEST(MessageLayer, LengthFieldMustBeTheDatagrams) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  Bytes longer = guest.bare_request(Method::kBinding);
  longer.push_back(0);
  EXPECT_TRUE(guest.exchange(longer).silent());
  Bytes promising = guest.bare_request(Method::kBinding);
  promising[3] = 4;
  EXPECT_TRUE(guest.exchange(promising).silent());
}

TEST(MessageLayer, BindingIndicationIsAKeepAliveAndNotGarbage) {
  RelayHouse house;
  Guest guest(house, "203.0.113.5:4000");
  EXPECT_TRUE(
      guest.exchange(plain(Class::kIndication, static_cast<std::uint16_t>(Method::kBinding)))
          .silent());
  EXPECT_EQ(house.server->statistics().dropped_malformed.read(), 0u);
}

TEST(MessageLayer, NoStrangerLeavesATraceBehind) {
  RelayHouse house;
  for (int port = 1; port < 2000; ++port) {
    Guest guest(house, "203.0.113.5:" + std::to_string(port));
    (void)guest.exchange(guest.bare_request(Method::kAllocate));
  }
  EXPECT_EQ(house.server->audit().allocations, 0u);
  EXPECT_EQ(house.server->next_deadline(), MonoTime::never());
  EXPECT_EQ(house.quota.total(), 0u);
}

}  // namespace
}  // namespace turnpike::turn
