// The long-term credential mechanism (RFC 8489 section 9.2.4).
#include <gtest/gtest.h>

#include "stun/integrity.h"
#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

Bytes finished(stun::Builder& builder) {
  const ByteView done = builder.finish();
  return Bytes(done.begin(), done.end());
}

std::vector<std::uint16_t> types_of(const Reply& reply) {
  std::vector<std::uint16_t> types;
  const stun::MessageView view = reply.view();
  for (const auto& entry : view.entries()) types.push_back(entry.type);
  return types;
}

struct Authentication : testing::Test {
  RelayHouse house;
  Guest guest{house, "203.0.113.5:4000"};
  Md5Digest key = stun::long_term_key("alice", RelayHouse::kRealm, "secret");

  std::string fresh_nonce() {
    const Reply challenge = guest.exchange(guest.bare_request(Method::kAllocate));
    return std::string(*challenge.view().text(Attribute::kNonce));
  }
  Reply refresh_with(const Guest::Fill& fill) {
    return guest.exchange(guest.bare_request(Method::kRefresh, fill));
  }
};

TEST_F(Authentication, FirstRequestIsChallengedWithRealmAndNonceAndNothingElse) {
  for (const Method method :
       {Method::kAllocate, Method::kRefresh, Method::kCreatePermission, Method::kChannelBind}) {
    const Reply reply = guest.exchange(guest.bare_request(method));
    EXPECT_EQ(reply.code(), 401);
    EXPECT_EQ(types_of(reply), (std::vector<std::uint16_t>{0x0009, 0x0014, 0x0015}));
    EXPECT_EQ(reply.view().text(Attribute::kRealm), RelayHouse::kRealm);
    const auto nonce = *reply.view().text(Attribute::kNonce);
    EXPECT_TRUE(nonce.starts_with("obMatJos2"));
    EXPECT_LT(nonce.size(), 128u);
  }
  EXPECT_EQ(house.server->statistics().unauthorized_responses.read(), 4u);
}

TEST_F(Authentication, ChallengeDoesNotAmplifyBeyondThreeTimesWithItsHeaders) {
  const Bytes request = guest.bare_request(Method::kAllocate);
  const std::size_t headers = 20 + 8;
  EXPECT_LE(guest.exchange(request).bytes().size() + headers, 3 * (request.size() + headers));
}

TEST_F(Authentication, IntegrityWithoutUsernameRealmOrNonceIsABadRequestWithoutChallenge) {
  const std::string nonce = fresh_nonce();
  for (int missing = 0; missing < 3; ++missing) {
    const Reply reply = refresh_with([&](stun::Builder& b) {
      if (missing != 0) b.text(Attribute::kUsername, "alice");
      if (missing != 1) b.text(Attribute::kRealm, RelayHouse::kRealm);
      if (missing != 2) b.text(Attribute::kNonce, nonce);
      b.message_integrity(key);
    });
    EXPECT_EQ(reply.code(), 400);
    EXPECT_EQ(types_of(reply), (std::vector<std::uint16_t>{0x0009}));
  }
}

TEST_F(Authentication, UnknownUserAndWrongPasswordCannotBeToldApart) {
  Guest stranger(house, "203.0.113.5:4000", "carol", "secret");
  Guest wrong(house, "203.0.113.5:4000", "alice", "terces");
  const Reply unknown = stranger.refresh();
  const Reply mistaken = wrong.refresh();
  EXPECT_EQ(unknown.code(), 401);
  EXPECT_EQ(mistaken.code(), 401);
  EXPECT_EQ(types_of(unknown), (std::vector<std::uint16_t>{0x0009, 0x0014, 0x0015}));
  EXPECT_EQ(unknown.bytes().size(), mistaken.bytes().size());
  EXPECT_TRUE(std::equal(unknown.bytes().begin() + 20, unknown.bytes().end(),
                         mistaken.bytes().begin() + 20));
}

TEST_F(Authentication, WrongRealmIsUnauthorized) {
  guest.realm = "elsewhere.org";
  EXPECT_EQ(guest.refresh().code(), 401);
}

TEST_F(Authentication, RightKeyUnderAWrongRealmIsUnauthorized) {
  const std::string nonce = fresh_nonce();
  const Reply reply = refresh_with([&](stun::Builder& b) {
    b.text(Attribute::kUsername, "alice")
        .text(Attribute::kRealm, "elsewhere.org")
        .text(Attribute::kNonce, nonce)
        .message_integrity(key);
  });
  EXPECT_EQ(reply.code(), 401);
}

TEST_F(Authentication, ExpiredNonceIsStaleAndTheNewOneWorks) {
  ASSERT_TRUE(guest.allocate().success());
  house.pass(seconds(599));
  EXPECT_TRUE(guest.refresh(1200).success());
  house.pass(seconds(1));
  const Reply stale = guest.refresh();
  EXPECT_EQ(stale.code(), 438);
  EXPECT_EQ(types_of(stale), (std::vector<std::uint16_t>{0x0009, 0x0014, 0x0015}));
  guest.nonce = std::string(*stale.view().text(Attribute::kNonce));
  EXPECT_TRUE(guest.refresh().success());
}

TEST_F(Authentication, WrongPasswordIsToldBeforeAStaleNonce) {
  guest.nonce = "obMatJos2AAAAxxxx";
  EXPECT_EQ(guest.refresh().code(), 438);
  guest.password = "wrong";
  EXPECT_EQ(guest.refresh().code(), 401);
}

TEST_F(Authentication, NonceOfAnotherAddressOrPortIsStale) {
  const std::string nonce = fresh_nonce();
  for (const char* remote : {"203.0.113.5:4001", "203.0.113.6:4000"}) {
    Guest thief(house, remote);
    thief.nonce = nonce;
    EXPECT_EQ(thief.allocate().code(), 438);
  }
}

TEST_F(Authentication, NonceWithEditedFeatureBitsIsStale) {
  guest.nonce = fresh_nonce();
  guest.nonce[9] = 'g';
  EXPECT_EQ(guest.refresh().code(), 438);
}

TEST_F(Authentication, AlgorithmThatWasNeverOfferedIsABadRequest) {
  const std::string nonce = fresh_nonce();
  for (const Attribute attribute :
       {Attribute::kPasswordAlgorithm, Attribute::kPasswordAlgorithms}) {
    const Reply reply = refresh_with([&](stun::Builder& b) {
      b.text(Attribute::kUsername, "alice")
          .text(Attribute::kRealm, RelayHouse::kRealm)
          .text(Attribute::kNonce, nonce)
          .u32(attribute, 0x00020000)
          .message_integrity(key);
    });
    EXPECT_EQ(reply.code(), 400);
  }
}

TEST_F(Authentication, EveryAnswerToAnAuthenticatedRequestIsSigned) {
  const auto is_signed = [&](const Reply& reply) {
    return stun::verify_message_integrity(reply.view(), key) &&
           !reply.view().has(Attribute::kNonce) && !reply.view().has(Attribute::kRealm) &&
           !reply.view().has(Attribute::kUsername);
  };
  EXPECT_TRUE(is_signed(guest.refresh()));  // 437
  EXPECT_TRUE(is_signed(guest.allocate()));
  EXPECT_TRUE(is_signed(guest.permit({address("9.9.9.9:1")})));
  EXPECT_TRUE(is_signed(guest.permit({address("10.0.0.1:1")})));  // 403
  EXPECT_TRUE(is_signed(guest.bind(0x4000, address("9.9.9.9:1"))));
  EXPECT_TRUE(is_signed(guest.ask(Method::kRefresh, [](auto& b) {
    b.u32(static_cast<Attribute>(0x7777), 1);  // 420
  })));
  EXPECT_TRUE(is_signed(guest.refresh(0)));
}

TEST_F(Authentication, ComesBeforeUnknownAttributes) {
  const auto unknown = [](stun::Builder& b) { b.u32(static_cast<Attribute>(0x7777), 1); };
  EXPECT_EQ(guest.exchange(guest.bare_request(Method::kAllocate, unknown)).code(), 401);
  const Reply reply = guest.ask(Method::kAllocate, unknown);
  EXPECT_EQ(reply.code(), 420);
  EXPECT_EQ(reply.unknown_attributes(), std::vector<std::uint16_t>{0x7777});
}

TEST_F(Authentication, WhatFollowsTheIntegrityHasNoEffect) {
  ASSERT_TRUE(guest.allocate().success());
  Bytes room(512);
  stun::TransactionId id{9};
  stun::Builder builder(room, stun::Class::kRequest, Method::kRefresh, id);
  builder.text(Attribute::kUsername, "alice")
      .text(Attribute::kRealm, RelayHouse::kRealm)
      .text(Attribute::kNonce, guest.nonce)
      .message_integrity(key)
      .u32(Attribute::kLifetime, 0)
      .u32(static_cast<Attribute>(0x7777), 1);
  const Reply reply = guest.exchange(finished(builder));
  ASSERT_TRUE(reply.success());
  EXPECT_EQ(reply.lifetime(), 600u);
  EXPECT_EQ(house.server->audit().allocations, 1u);
}

TEST_F(Authentication, UsernameIsNotCutAtANul) {
  Guest sly(house, "203.0.113.5:4000", std::string("alice\0admin", 11), "secret");
  EXPECT_EQ(sly.refresh().code(), 401);
}

TEST_F(Authentication, LongestUsernameIsReadAndALongerOneIsABadRequest) {
  Guest longest(house, "203.0.113.5:4000", std::string(508, 'u'), "x");
  EXPECT_EQ(longest.refresh().code(), 401);
  Guest longer(house, "203.0.113.5:4000", std::string(509, 'u'), "x");
  EXPECT_EQ(longer.refresh().code(), 400);
}

TEST_F(Authentication, LongestRealmAndNonceDoNoHarm) {
  guest.realm = std::string(763, 'r');
  guest.nonce = std::string(763, 'n');
  EXPECT_EQ(guest.refresh().code(), 401);
}

TEST(AuthenticationOfSharedSecrets, BothOfTwoSecretsAreGoodAndAThirdIsNot) {
  HouseRules rules;
  rules.shared_secrets = {"old", "new"};
  RelayHouse house(rules);
  const std::string username = "1700003600:carol";
  int port = 4000;
  for (const std::string secret : {"old", "new"}) {
    Guest guest(house, "203.0.113.5:" + std::to_string(port++), username,
                rest_password(secret, username));
    EXPECT_TRUE(guest.allocate().success());
  }
  Guest guest(house, "203.0.113.5:4999", username, rest_password("other", username));
  EXPECT_EQ(guest.allocate().code(), 401);
}

TEST(AuthenticationOfSharedSecrets, CredentialBeginsNothingFromItsExpiryOn) {
  HouseRules rules;
  rules.shared_secrets = {"s"};
  RelayHouse house(rules);
  const std::string username = "1700000100:carol";
  Guest guest(house, "203.0.113.5:4000", username, rest_password("s", username));
  ASSERT_TRUE(guest.allocate().success());
  house.pass(seconds(99));
  EXPECT_TRUE(guest.refresh().success());
  Guest in_time(house, "203.0.113.5:4001", username, guest.password);
  EXPECT_TRUE(in_time.allocate().success());
  house.pass(seconds(1));
  Guest late(house, "203.0.113.5:4002", username, guest.password);
  EXPECT_EQ(late.allocate().code(), 401);
  EXPECT_TRUE(guest.refresh().success()) << "what is held goes on";
}

TEST(AuthenticationOfSharedSecrets, RenewedCredentialOfTheSameNameIsTheSameUser) {
  HouseRules rules;
  rules.shared_secrets = {"s"};
  RelayHouse house(rules);
  Guest guest(house, "203.0.113.5:4000", "1700000100:carol",
              rest_password("s", "1700000100:carol"));
  ASSERT_TRUE(guest.allocate().success());
  guest.username = "1700009999:carol";
  guest.password = rest_password("s", guest.username);
  EXPECT_TRUE(guest.refresh().success());
  guest.username = "1700009999:dave";
  guest.password = rest_password("s", guest.username);
  EXPECT_EQ(guest.refresh().code(), 441);
}

}  // namespace
}  // namespace turnpike::turn
