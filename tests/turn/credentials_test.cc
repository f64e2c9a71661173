#include "turn/credentials.h"

#include <gtest/gtest.h>

#include "stun/integrity.h"

namespace turnpike::turn {
namespace {

constexpr WallTime kNow{seconds(1'000'000)};
using Status = Credentials::Keys::Status;

TEST(Identity, OfARestUsernameIsWhatFollowsTheExpiry) {
  const UserIdentity alice = identify("1767225600:alice");
  EXPECT_EQ(alice.name, "alice");
  EXPECT_EQ(alice.expires, WallTime{seconds(1767225600)});
  EXPECT_EQ(identify("1:a:b:c").name, "a:b:c");
  EXPECT_EQ(identify("0:zero").expires, WallTime{seconds(0)});
}

TEST(Identity, WithoutADecimalExpiryIsAPlainName) {
  using namespace std::string_view_literals;
  for (const std::string_view name :
       {""sv, "alice"sv, "alice:1"sv, ":alice"sv, "-1:alice"sv, "+1:alice"sv, " 1:alice"sv,
        "1 :alice"sv, "0x10:alice"sv, "1.5:alice"sv, "1\0:alice"sv, "99999999999999999999:alice"sv,
        "9223372036854775808:alice"sv}) {
    EXPECT_EQ(identify(name).name, name);
    EXPECT_EQ(identify(name).expires, std::nullopt) << name;
  }
}

TEST(Identity, OfANamelessExpiryIsTheWholeUsername) {
  EXPECT_EQ(identify("1767225600").name, "1767225600");
  EXPECT_TRUE(identify("1767225600").expires);
  EXPECT_EQ(identify("1767225600:").name, "1767225600:");
  EXPECT_TRUE(identify("1767225600:").expires);
}

TEST(Identity, KeepsANulInsideTheName) {
  EXPECT_EQ(identify(std::string_view("1:a\0b", 5)).name, std::string_view("a\0b", 3));
}

TEST(RestPassword, IsTheOneOfTheDraft) {
  // printf '1767225600:alice' | openssl dgst -sha1 -hmac north -binary | base64
  EXPECT_EQ(rest_password("north", "1767225600:alice"), "qnVCfmDqv+5N7tpxKH0liO/huIU=");
}

TEST(Keys, OfAStaticUserIsItsLongTermKey) {
  const Credentials credentials({"r", {{"alice", "secret"}, {"bob", "x"}}, {}});
  const auto keys = credentials.keys_for("alice", kNow);
  ASSERT_EQ(keys.all().size(), 1u);
  EXPECT_EQ(keys.status, Status::kKnown);
  EXPECT_EQ(keys.all()[0], stun::Key(stun::long_term_key("alice", "r", "secret")));
}

TEST(Keys, UsernameIsComparedWholeAndWithItsCase) {
  using namespace std::string_view_literals;
  const Credentials credentials({"r", {{"alice", "secret"}}, {}});
  for (const std::string_view name : {""sv, "Alice"sv, "alic"sv, "alice\0"sv, "alice\0admin"sv,
                                      "alice "sv, "1:alice"sv, "9999999999:alice"sv}) {
    EXPECT_EQ(credentials.keys_for(name, kNow).status, Status::kUnknown) << name;
    EXPECT_EQ(credentials.keys_for(name, kNow).count, 0u);
  }
}

TEST(Keys, OneForEachSharedSecret) {
  const Credentials credentials({"r", {}, {"old", "new"}});
  const auto keys = credentials.keys_for("1000001:alice", kNow);
  ASSERT_EQ(keys.all().size(), 2u);
  EXPECT_EQ(keys.all()[1], stun::Key(stun::long_term_key("1000001:alice", "r",
                                                         rest_password("new", "1000001:alice"))));
}

TEST(Keys, CredentialIsGoodUntilItsExpiryAndNotAtIt) {
  const Credentials credentials({"r", {}, {"s"}});
  EXPECT_EQ(credentials.keys_for("1000001:a", kNow).status, Status::kKnown);
  EXPECT_EQ(credentials.keys_for("1000000:a", kNow).status, Status::kUnknown);
  EXPECT_EQ(credentials.keys_for("0:a", kNow).status, Status::kUnknown);
  EXPECT_EQ(credentials.keys_for("9223372036854775807:a", kNow).status, Status::kKnown);
}

TEST(Keys, OddExpiriesProveNothing) {
  const Credentials credentials({"r", {}, {"s"}});
  for (const char* name : {"-1:a", "+2000000:a", "2000000 :a", "99999999999999999999:a",
                           "a:2000000", "9223372036854775808:a", "", ":"}) {
    EXPECT_EQ(credentials.keys_for(name, kNow).status, Status::kUnknown) << name;
  }
}

TEST(Keys, StaticUserThatLooksLikeARestUsernameHasBothKinds) {
  const Credentials credentials(
      {"r", {{"1000001:a", "p"}}, std::vector<std::string>(Credentials::kMaxSharedSecrets, "s")});
  EXPECT_EQ(credentials.keys_for("1000001:a", kNow).count, Credentials::kMaxSharedSecrets + 1);
  EXPECT_EQ(credentials.keys_for("1000001:a", kNow + seconds(1)).count, 1u);
}

}  // namespace
}  // namespace turnpike::turn
