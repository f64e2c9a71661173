// Users that somebody else knows: asked after a valid nonce, answered later, kept with the
// allocation.
#include "turn/user_directory.h"

#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;
using Status = Credentials::Keys::Status;

class Directory final : public UserDirectory {
 public:
  Finding find(const Question& question, Tick) override {
    ++asked;
    last_username = question.username;
    last_algorithm = question.algorithm;
    if (status == Status::kPending) {
      kept.assign(question.message.begin(), question.message.end());
      kept_path = question.path;
    }
    Finding finding;
    finding.keys.status = status;
    if (status != Status::kKnown) return finding;
    finding.keys.keys[0] =
        stun::long_term_key(question.algorithm, question.username, RelayHouse::kRealm, "pass");
    finding.keys.count = 1;
    finding.name = name;
    finding.expires = expires;
    return finding;
  }

  Status status = Status::kKnown;
  std::string name;
  std::optional<WallTime> expires;
  int asked = 0;
  std::string last_username;
  stun::PasswordAlgorithm last_algorithm{};
  Bytes kept;
  Path kept_path;
};

HouseRules rules_with(Directory& directory) {
  HouseRules rules;
  rules.others = &directory;
  rules.shared_secrets = {"north"};
  return rules;
}

struct UserDirectoryTest : testing::Test {
  Directory directory;
  RelayHouse house{rules_with(directory)};
  Guest guest{house, "203.0.113.5:4000", "carol", "pass"};
};

TEST_F(UserDirectoryTest, AUserOfTheDirectoryAllocates) {
  EXPECT_TRUE(guest.allocate().success());
  EXPECT_EQ(directory.last_username, "carol");
  EXPECT_EQ(house.sink.events.back().username, "carol");
}

TEST_F(UserDirectoryTest, AWrongPasswordIs401) {
  guest.password = "word";
  EXPECT_EQ(guest.allocate().code(), 401);
  EXPECT_GT(directory.asked, 0);
}

TEST_F(UserDirectoryTest, AnUnknownUserIs401) {
  directory.status = Status::kUnknown;
  EXPECT_EQ(guest.allocate().code(), 401);
}

TEST_F(UserDirectoryTest, UsersOfTheConfigurationAreNotAskedFor) {
  EXPECT_TRUE(Guest(house, "203.0.113.6:4000").allocate().success());
  EXPECT_EQ(Guest(house, "203.0.113.7:4000", "bob", "wrong").allocate().code(), 401);
  const std::string username = "1700000600:dave";
  EXPECT_TRUE(Guest(house, "203.0.113.8:4000", username, rest_password("north", username))
                  .allocate()
                  .success());
  EXPECT_EQ(directory.asked, 0);
}

TEST_F(UserDirectoryTest, AUserWithNothingButAnMd5KeyIsNotAskedForEither) {
  HouseRules rules = rules_with(directory);
  rules.users = {{"erin", "", stun::long_term_key("erin", RelayHouse::kRealm, "pass")}};
  RelayHouse other(rules);
  EXPECT_TRUE(Guest(other, "203.0.113.5:4000", "erin", "pass").allocate().success());
  EXPECT_EQ(directory.asked, 0);
}

TEST_F(UserDirectoryTest, NobodyIsAskedBeforeTheNonceIsValid) {
  guest.nonce = "obMatJos2AAAA" + std::string(22, 'A');
  EXPECT_EQ(guest.exchange(guest.request(Method::kAllocate)).code(), 438);
  EXPECT_EQ(directory.asked, 0);
  // The nonce of another address is as good as none.
  Guest thief(house, "203.0.113.9:4000", "carol", "pass");
  guest.nonce.clear();
  ASSERT_TRUE(guest.allocate().success());
  const int before = directory.asked;
  thief.nonce = guest.nonce;
  EXPECT_EQ(thief.exchange(thief.request(Method::kAllocate)).code(), 438);
  EXPECT_EQ(directory.asked, before);
}

TEST_F(UserDirectoryTest, NobodyIsAskedForAnotherRealm) {
  guest.realm = "elsewhere.example";
  EXPECT_EQ(guest.allocate().code(), 401);
  EXPECT_EQ(directory.asked, 0);
}

TEST_F(UserDirectoryTest, APendingRequestIsNotAnsweredAndItsRetransmissionIs) {
  directory.status = Status::kPending;
  const Bytes request = guest.request(
      Method::kAllocate, [](stun::Builder& builder) { builder.requested_transport(17); });
  EXPECT_TRUE(guest.exchange(request).silent());
  EXPECT_EQ(directory.kept, request);
  EXPECT_EQ(directory.kept_path, guest.path);
  directory.status = Status::kKnown;
  EXPECT_TRUE(guest.exchange(request).success());
}

TEST_F(UserDirectoryTest, TheKeptMessageIsAnsweredWhenItIsBroughtAgain) {
  for (const Transport transport : {Transport::kUdp, Transport::kTcp, Transport::kTls}) {
    directory.status = Status::kPending;
    Guest one(house, "203.0.113.20:400" + std::to_string(static_cast<int>(transport)), "carol",
              "pass", transport);
    const Bytes request = one.request(
        Method::kAllocate, [](stun::Builder& builder) { builder.requested_transport(17); });
    ASSERT_TRUE(one.exchange(request).silent());
    directory.status = Status::kKnown;
    const Bytes kept = directory.kept;
    house.sink.clients_got.clear();
    house.server->on_client(house.now, directory.kept_path, Run::one(kept), house.sink);
    ASSERT_EQ(house.sink.clients_got.size(), 1u);
    EXPECT_TRUE(Reply(house.sink.clients_got[0].message).success());
    EXPECT_EQ(house.sink.clients_got[0].path, one.path);
  }
}

TEST_F(UserDirectoryTest, AFailedQuestionIsSilentOnDatagramsAnd500OnConnections) {
  directory.status = Status::kFailed;
  EXPECT_TRUE(guest.allocate().silent());
  for (const Transport transport : {Transport::kTcp, Transport::kTls}) {
    Guest one(house, "203.0.113.5:4001", "carol", "pass", transport);
    EXPECT_EQ(one.allocate().code(), 500);
  }
  Guest over_dtls(house, "203.0.113.5:4002", "carol", "pass", Transport::kDtls);
  EXPECT_TRUE(over_dtls.allocate().silent());
}

TEST_F(UserDirectoryTest, AnAllocationNeedsTheDirectoryNoMore) {
  ASSERT_TRUE(guest.allocate().success());
  const int before = directory.asked;
  directory.status = Status::kFailed;
  EXPECT_TRUE(guest.refresh().success());
  EXPECT_TRUE(guest.permit({address("9.9.9.9:9")}).success());
  EXPECT_TRUE(guest.bind(0x4000, address("9.9.9.9:9")).success());
  house.pass(seconds(590));
  guest.nonce.clear();
  EXPECT_TRUE(guest.refresh().success());
  guest.password = "word";
  EXPECT_EQ(guest.refresh().code(), 401);
  guest.password = "pass";
  EXPECT_TRUE(guest.refresh(0).success());
  EXPECT_EQ(directory.asked, before);
  EXPECT_EQ(house.server->audit().allocations, 0u);
}

TEST_F(UserDirectoryTest, WhatTheDirectoryCallsAUserIsWhoHeIs) {
  directory.name = "Carol of the north";
  HouseRules rules = rules_with(directory);
  rules.quota.per_user = 1;
  RelayHouse small(rules);
  Guest one(small, "203.0.113.5:4000", "token-1", "pass");
  ASSERT_TRUE(one.allocate().success());
  EXPECT_EQ(small.sink.events.back().username, "Carol of the north");
  EXPECT_EQ(Guest(small, "203.0.113.6:4000", "token-2", "pass").allocate().code(), 486);
  // A renewed token is the same user; another user is not.
  one.username = "token-3";
  EXPECT_TRUE(one.refresh().success());
  directory.name = "Dave";
  one.username = "token-4";
  EXPECT_EQ(one.refresh().code(), 441);
  directory.status = Status::kFailed;
  one.username = "token-3";
  EXPECT_TRUE(one.refresh().success());
}

TEST_F(UserDirectoryTest, AnAllocationEndsWithItsCredentialWhereExpiryIsStrict) {
  HouseRules rules = rules_with(directory);
  rules.adjust = [](Settings& settings) { settings.strict_expiry = true; };
  RelayHouse strict(rules);
  directory.expires = strict.now.wall + seconds(60);
  Guest one(strict, "203.0.113.5:4000", "carol", "pass");
  EXPECT_EQ(one.allocate().lifetime(), 60u);
  strict.pass(seconds(30));
  EXPECT_EQ(one.refresh(600).lifetime(), 30u);
  EXPECT_EQ(directory.asked, 1);
  strict.pass(seconds(31));
  EXPECT_EQ(strict.server->audit().allocations, 0u);
}

TEST_F(UserDirectoryTest, ExpiryDecidesWhoMayBeginWhereItIsNotStrict) {
  directory.expires = house.now.wall + seconds(60);
  EXPECT_EQ(guest.allocate().lifetime(), 600u);
  EXPECT_EQ(guest.refresh(600).lifetime(), 600u);
}

TEST_F(UserDirectoryTest, AnUnknownUserHashIsNotAskedFor) {
  const Reply challenge = guest.exchange(guest.bare_request(Method::kAllocate));
  const std::string nonce(*challenge.view().text(Attribute::kNonce));
  const auto hash = stun::userhash("carol", RelayHouse::kRealm);
  const Reply reply = guest.exchange(guest.bare_request(Method::kRefresh, [&](stun::Builder& b) {
    b.bytes(Attribute::kUserhash, hash)
        .text(Attribute::kRealm, RelayHouse::kRealm)
        .text(Attribute::kNonce, nonce);
    b.sign({stun::long_term_key(stun::PasswordAlgorithm::kMd5, "carol", RelayHouse::kRealm, "pass"),
            stun::SigningKey::Integrity::kSha1});
  }));
  EXPECT_EQ(reply.code(), 401);
  EXPECT_EQ(directory.asked, 0);
}

}  // namespace
}  // namespace turnpike::turn
