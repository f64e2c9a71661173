// Tokens as passwords. The tokens were made with Python's hmac and base64.
#include "server/jwt_users.h"

#include <gtest/gtest.h>

#include "base/digest.h"

namespace turnpike::server {
namespace {

using Status = turn::Credentials::Keys::Status;

constexpr Tick kNow{{}, {seconds(1'800'000'000)}};
const std::string kRealm = "example.org";
const std::string kSecret = "0123456789abcdef0123456789abcdef";
const std::string kOther = "ffffffffffffffffffffffffffffffff";
// {"alg":"HS256","typ":"JWT"} {"sub":"ada","exp":1924992000}
const std::string kUsername =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJleHAiOjE5MjQ5OTIwMDB9";
const std::string kToken = kUsername + ".JeUImS1s_vqq9TJSAc0Rj7g-8bm-Ia9qY27_7n7bikw";

std::string encode(std::string_view text) { return base64url_encode(as_bytes(text)); }
std::string username_of(std::string_view claims,
                        std::string_view header = R"({"alg":"HS256","typ":"JWT"})") {
  return encode(header) + "." + encode(claims);
}

class Nobody final : public turn::UserDirectory {
 public:
  Finding find(const Question& question, Tick) override {
    asked.emplace_back(question.username);
    return {};
  }
  std::vector<std::string> asked;
};

struct JwtUsersTest : testing::Test {
  signaling::JwtKeys keys = std::move(*signaling::JwtKeys::make({kOther, kSecret}));
  Nobody nobody;
  JwtUsers users{keys, kRealm, &nobody};
  turn::Path path;

  turn::UserDirectory::Finding find(
      std::string_view username, WallTime now = kNow.wall,
      stun::PasswordAlgorithm algorithm = stun::PasswordAlgorithm::kMd5) {
    return users.find({username, algorithm, path, {}}, {{}, now});
  }
};

TEST_F(JwtUsersTest, TheTokenIsThePassword) {
  for (const auto algorithm : {stun::PasswordAlgorithm::kMd5, stun::PasswordAlgorithm::kSha256}) {
    const auto finding = find(kUsername, kNow.wall, algorithm);
    ASSERT_EQ(finding.keys.status, Status::kKnown);
    ASSERT_EQ(finding.keys.count, 2u) << "one for each secret";
    EXPECT_EQ(finding.keys.keys[1], stun::long_term_key(algorithm, kUsername, kRealm, kToken));
    EXPECT_NE(finding.keys.keys[0], finding.keys.keys[1]);
    EXPECT_EQ(finding.name, "ada");
    EXPECT_EQ(finding.expires, WallTime{seconds(1924992000)});
  }
}

TEST_F(JwtUsersTest, AnExpiredTokenIsNobodyAndThirtySecondsAreForgiven) {
  EXPECT_EQ(find(kUsername, {seconds(1924992029)}).keys.status, Status::kKnown);
  EXPECT_EQ(find(kUsername, {seconds(1924992030)}).keys.status, Status::kUnknown);
}

TEST_F(JwtUsersTest, ATokenOfTheFutureIsNobody) {
  const std::string username = username_of(R"({"nbf":1800000100})");
  EXPECT_EQ(find(username, {seconds(1800000069)}).keys.status, Status::kUnknown);
  EXPECT_EQ(find(username, {seconds(1800000070)}).keys.status, Status::kKnown);
}

TEST_F(JwtUsersTest, WithoutASubjectTheUserHasNoOtherName) {
  const auto finding = find(username_of("{}"));
  EXPECT_EQ(finding.keys.status, Status::kKnown);
  EXPECT_EQ(finding.name, "");
  EXPECT_FALSE(finding.expires);
}

TEST_F(JwtUsersTest, OtherAlgorithmsAndBrokenTokensAreNobody) {
  for (const char* header :
       {R"({"alg":"none"})", R"({"alg":"ES256"})", R"({"alg":"HS512"})", R"({"alg":"hs256"})",
        R"({"typ":"JWT"})", R"({"alg":7})", R"({"alg":"HS256","crit":["x"]})",
        R"({"alg":"HS256","alg":"none"})", "[]", ""}) {
    EXPECT_EQ(find(username_of("{}", header)).keys.status, Status::kUnknown) << header;
  }
  for (const char* claims : {"", "[]", "7", R"({"exp":"soon"})", R"({"sub":7})",
                             R"({"exp":1,"exp":1924992000})", "{\"sub\":\"\xff\"}"}) {
    EXPECT_EQ(find(username_of(claims)).keys.status, Status::kUnknown) << claims;
  }
}

TEST_F(JwtUsersTest, WhatIsNoTokenIsAskedOfTheOthers) {
  for (const std::string& username : {std::string("alice"), std::string("a.b"), kToken}) {
    EXPECT_EQ(find(username).keys.status, Status::kUnknown);
    ASSERT_FALSE(nobody.asked.empty()) << username;
    EXPECT_EQ(nobody.asked.back(), username);
  }
  find(kUsername);
  find(username_of(R"({"exp":1})"));
  EXPECT_EQ(nobody.asked.size(), 3u);
  JwtUsers alone(keys, kRealm, nullptr);
  EXPECT_EQ(alone.find({"alice", stun::PasswordAlgorithm::kMd5, path, {}}, kNow).keys.status,
            Status::kUnknown);
}

}  // namespace
}  // namespace turnpike::server
