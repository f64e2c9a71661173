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

// ERROR-CODE, REALM, NONCE, PASSWORD-ALGORITHMS
const std::vector<std::uint16_t> kChallenge = {0x0009, 0x0014, 0x0015, 0x8002};

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
    EXPECT_EQ(types_of(reply), kChallenge);
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
  EXPECT_EQ(types_of(unknown), kChallenge);
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
  EXPECT_EQ(types_of(stale), kChallenge);
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
  guest.nonce[9] = 'A';
  EXPECT_EQ(guest.refresh().code(), 438);
}

// A Refresh request of alice as the choice of an algorithm makes it (RFC 8489 section 9.2.4).
struct Choice {
  stun::PasswordAlgorithm key_of = stun::PasswordAlgorithm::kSha256;
  stun::SigningKey::Integrity integrity = stun::SigningKey::Integrity::kSha256;
  std::optional<Bytes> algorithm = Bytes{0, 2, 0, 0};
  std::optional<Bytes> algorithms = Bytes{0, 2, 0, 0, 0, 1, 0, 0};
  bool userhash = false;
  std::string username = "alice";
  std::string password = "secret";
};

struct Algorithms : Authentication {
  Reply refresh(const Choice& choice, const std::string& nonce) {
    const auto realm = RelayHouse::kRealm;
    return refresh_with([&](stun::Builder& b) {
      if (choice.userhash) {
        b.bytes(Attribute::kUserhash, stun::userhash(choice.username, realm));
      } else {
        b.text(Attribute::kUsername, choice.username);
      }
      b.text(Attribute::kRealm, realm).text(Attribute::kNonce, nonce);
      if (choice.algorithm) b.bytes(Attribute::kPasswordAlgorithm, *choice.algorithm);
      if (choice.algorithms) b.bytes(Attribute::kPasswordAlgorithms, *choice.algorithms);
      b.sign(signing_key(choice));
    });
  }
  Reply refresh(const Choice& choice) { return refresh(choice, fresh_nonce()); }
  static stun::SigningKey signing_key(const Choice& choice) {
    return {
        stun::long_term_key(choice.key_of, choice.username, RelayHouse::kRealm, choice.password),
        choice.integrity};
  }
};

TEST_F(Algorithms, ChallengeOffersSha256BeforeMd5AndItsNonceSaysSo) {
  const Reply challenge = guest.exchange(guest.bare_request(Method::kAllocate));
  const auto list = *challenge.view().value(Attribute::kPasswordAlgorithms);
  EXPECT_EQ(Bytes(list.begin(), list.end()), (Bytes{0, 2, 0, 0, 0, 1, 0, 0}));
  const auto features = stun::announced_features(*challenge.view().text(Attribute::kNonce));
  EXPECT_EQ(features, stun::kFeaturePasswordAlgorithms);
}

TEST_F(Algorithms, Sha256RequestIsAnsweredWithSha256Alone) {
  const Choice choice;
  const Reply reply = refresh(choice);
  EXPECT_EQ(reply.code(), 437);
  EXPECT_TRUE(stun::verify(reply.view(), signing_key(choice)));
  EXPECT_FALSE(reply.view().has(Attribute::kMessageIntegrity));
}

TEST_F(Algorithms, Md5MayBeChosenFromTheListAndSignedWithSha256) {
  Choice choice;
  choice.algorithm = Bytes{0, 1, 0, 0};
  choice.key_of = stun::PasswordAlgorithm::kMd5;
  const Reply reply = refresh(choice);
  EXPECT_EQ(reply.code(), 437);
  EXPECT_TRUE(stun::verify(reply.view(), signing_key(choice)));
}

TEST_F(Algorithms, WhoChoosesNoneIsTakenForMd5AndAnsweredInKind) {
  Choice choice{.key_of = stun::PasswordAlgorithm::kMd5, .algorithm = {}, .algorithms = {}};
  choice.integrity = stun::SigningKey::Integrity::kSha1;
  const Reply reply = refresh(choice);
  EXPECT_EQ(reply.code(), 437);
  EXPECT_TRUE(reply.view().has(Attribute::kMessageIntegrity));
  EXPECT_FALSE(reply.view().has(Attribute::kMessageIntegritySha256));
}

TEST_F(Algorithms, OneAttributeWithoutTheOtherOrAnotherListOrChoiceIsABadRequest) {
  std::vector<Choice> edited(6);
  edited[0].algorithm.reset();
  edited[1].algorithms.reset();
  edited[2].algorithms = Bytes{0, 1, 0, 0};              // bid down to MD5
  edited[3].algorithms = Bytes{0, 1, 0, 0, 0, 2, 0, 0};  // another order
  edited[4].algorithm = Bytes{0, 3, 0, 0};               // not in the list
  edited[5].algorithm = Bytes{0, 2, 0, 4, 1, 2, 3, 4};   // parameters it does not have
  for (const Choice& choice : edited) {
    const Reply reply = refresh(choice);
    EXPECT_EQ(reply.code(), 400);
    EXPECT_EQ(types_of(reply), (std::vector<std::uint16_t>{0x0009}));
  }
}

TEST_F(Algorithms, ChoiceFromANonceThatOfferedNoneIsABadRequest) {
  std::string nonce = fresh_nonce();
  nonce.replace(9, 4, "AAAA");
  EXPECT_EQ(refresh(Choice{}, nonce).code(), 400);
}

TEST_F(Algorithms, WrongPasswordIsUnauthorizedUnderEitherAlgorithm) {
  Choice choice;
  choice.password = "terces";
  EXPECT_EQ(refresh(choice).code(), 401);
  choice.algorithm = Bytes{0, 1, 0, 0};
  EXPECT_EQ(refresh(choice).code(), 401) << "and so is a key of the other algorithm";
}

TEST_F(Algorithms, StaleNonceOffersTheChoiceAgain) {
  EXPECT_EQ(types_of(refresh(Choice{}, "obMatJos2gAAAxxxx")), kChallenge);
}

TEST_F(Algorithms, OfTwoIntegrityAttributesBothMustBeRight) {
  const std::string nonce = fresh_nonce();
  for (const bool sha1_right : {true, false}) {
    const Reply reply = refresh_with([&](stun::Builder& b) {
      b.text(Attribute::kUsername, "alice")
          .text(Attribute::kRealm, RelayHouse::kRealm)
          .text(Attribute::kNonce, nonce)
          .message_integrity(sha1_right ? ByteView(key) : as_bytes(std::string_view("x")))
          .message_integrity_sha256(key);
    });
    EXPECT_EQ(reply.code(), sha1_right ? 437 : 401);
  }
}

TEST_F(Algorithms, TruncatedSha256IsUnauthorized) {
  const std::string nonce = fresh_nonce();
  const Reply reply = refresh_with([&](stun::Builder& b) {
    b.text(Attribute::kUsername, "alice")
        .text(Attribute::kRealm, RelayHouse::kRealm)
        .text(Attribute::kNonce, nonce)
        .bytes(Attribute::kMessageIntegritySha256, Bytes(16));
  });
  EXPECT_EQ(reply.code(), 401);
}

TEST_F(Algorithms, UserIsFoundByHashAndAnUnknownHashLooksLikeAWrongPassword) {
  Choice choice;
  choice.userhash = true;
  EXPECT_EQ(refresh(choice).code(), 437);
  choice.password = "wrong";
  const Reply wrong = refresh(choice);
  choice.username = "nobody";
  const Reply unknown = refresh(choice);
  EXPECT_EQ(wrong.code(), 401);
  EXPECT_TRUE(std::equal(wrong.bytes().begin() + 20, wrong.bytes().end(),
                         unknown.bytes().begin() + 20, unknown.bytes().end()));
}

TEST_F(Algorithms, UserhashOfAnotherLengthIsABadRequest) {
  const std::string nonce = fresh_nonce();
  const Reply reply = refresh_with([&](stun::Builder& b) {
    b.bytes(Attribute::kUserhash, Bytes(31))
        .text(Attribute::kRealm, RelayHouse::kRealm)
        .text(Attribute::kNonce, nonce)
        .message_integrity(key);
  });
  EXPECT_EQ(reply.code(), 400);
}

TEST(AlgorithmsOffered, NoneWhereAUserHasAnMd5KeyOnly) {
  HouseRules rules;
  rules.users = {{"alice", "", stun::long_term_key("alice", RelayHouse::kRealm, "secret")}};
  RelayHouse house(rules);
  Guest guest(house, "203.0.113.5:4000");
  const Reply challenge = guest.exchange(guest.bare_request(Method::kAllocate));
  EXPECT_FALSE(challenge.view().has(Attribute::kPasswordAlgorithms));
  EXPECT_EQ(stun::announced_features(*challenge.view().text(Attribute::kNonce)), 0u);
  EXPECT_TRUE(guest.allocate().success());
}

// RFC 8489 leaves the limit to the server; ours is three times, headers counted.
TEST(Challenges, NeverExceedThreeTimesTheRequestOverUdp) {
  for (std::size_t realm_size : {1u, 11u, 20u, 32u, 44u, 64u}) {
    for (const char* remote : {"203.0.113.5:4000", "[2600::5]:4000"}) {
      HouseRules rules;
      rules.realm = std::string(realm_size, 'r');
      rules.adjust = [](Settings& settings) { settings.software = "Turnpike"; };
      RelayHouse house(rules);
      Guest guest(house, remote);
      const std::size_t headers = guest.path.remote.ip.is_v4() ? 28 : 48;
      for (const std::size_t extra : {0u, 4u, 8u, 16u, 40u, 200u}) {
        const Bytes request = guest.bare_request(Method::kAllocate, [&](stun::Builder& b) {
          if (extra > 0) b.bytes(Attribute::kSoftware, Bytes(extra - 4));
        });
        const Reply reply = guest.exchange(request);
        if (reply.silent()) {
          EXPECT_LT(extra, 8u) << "a realm of " << realm_size;
          continue;
        }
        EXPECT_LE(reply.bytes().size() + headers, 3 * (request.size() + headers));
        const auto features = stun::announced_features(*reply.view().text(Attribute::kNonce));
        EXPECT_EQ(reply.view().has(Attribute::kPasswordAlgorithms),
                  (*features & stun::kFeaturePasswordAlgorithms) != 0);
      }
    }
  }
}

TEST(Challenges, OverAStreamHaveEverything) {
  HouseRules rules;
  rules.realm = std::string(64, 'r');
  rules.adjust = [](Settings& settings) { settings.software = "Turnpike"; };
  RelayHouse house(rules);
  Guest guest(house, "203.0.113.5:4000", "alice", "secret", Transport::kTcp);
  const Reply reply = guest.exchange(guest.bare_request(Method::kAllocate));
  EXPECT_EQ(reply.view().text(Attribute::kSoftware), "Turnpike");
  EXPECT_TRUE(reply.view().has(Attribute::kPasswordAlgorithms));
  EXPECT_EQ(reply.view().error_code()->reason, "Unauthorized");
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
