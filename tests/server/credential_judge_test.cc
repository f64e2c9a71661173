#include "server/credential_judge.h"

#include <gtest/gtest.h>

namespace turnpike::server {
namespace {

constexpr WallTime kNow{seconds(1'700'000'000)};

turn::Credentials credentials() {
  turn::Credentials::Source source;
  source.realm = "example.org";
  source.users = {{"alice", "secret"}};
  source.shared_secrets = {"new", "old"};
  return turn::Credentials(std::move(source));
}

std::string_view judge(std::string_view username, std::string_view password,
                       OtherUsers others = OtherUsers::kNone) {
  return judge_credential(credentials(), others, username, password, kNow);
}

TEST(CredentialJudge, TellsAWrongPasswordFromAUserWhomNobodyKnows) {
  EXPECT_EQ(judge("alice", "secret"), "good");
  EXPECT_EQ(judge("alice", "Secret"), "wrong-password");
  EXPECT_EQ(judge("bob", "secret"), "unknown-user");
  EXPECT_EQ(judge("", ""), "unknown-user");
}

TEST(CredentialJudge, TellsAnExpiredCredentialFromAnotherSecrets) {
  const std::string_view good = "1700000001:ann", over = "1700000000:ann";
  EXPECT_EQ(judge(good, turn::rest_password("new", good)), "good");
  EXPECT_EQ(judge(good, turn::rest_password("old", good)), "good");
  EXPECT_EQ(judge(good, turn::rest_password("others", good)), "wrong-password");
  EXPECT_EQ(judge(over, turn::rest_password("old", over)), "expired");
  EXPECT_EQ(judge(over, "whatever"), "expired");
}

TEST(CredentialJudge, DoesNotGuessWhereOthersKnowUsersToo) {
  EXPECT_EQ(judge("bob", "secret", OtherUsers::kSome), "elsewhere");
  EXPECT_EQ(judge("alice", "Secret", OtherUsers::kSome), "elsewhere");
  EXPECT_EQ(judge("alice", "secret", OtherUsers::kSome), "good");
}

}  // namespace
}  // namespace turnpike::server
