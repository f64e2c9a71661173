// The text of questions and answers, and the address of the service.
#include "server/hook_protocol.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "stun/integrity.h"

namespace turnpike::server {
namespace {

using Kind = HookAnswer::Kind;
constexpr WallTime kNow{seconds(1'800'000'000)};

HookAnswer read(unsigned status, std::string_view body) {
  return read_hook_answer(status, body, "alice", "example.org", kNow);
}

TEST(HookUrl, IsTakenApart) {
  const auto url = parse_hook_url("https://auth.example.org:8443/turn/who?x=1");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "auth.example.org");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/turn/who?x=1");
  EXPECT_EQ(url->host_header(), "auth.example.org:8443");
}

TEST(HookUrl, HasDefaults) {
  EXPECT_EQ(parse_hook_url("http://localhost")->port, 80);
  EXPECT_EQ(parse_hook_url("HTTPS://localhost")->port, 443);
  EXPECT_EQ(parse_hook_url("http://localhost")->target, "/");
  EXPECT_EQ(parse_hook_url("http://localhost?a=b")->target, "/?a=b");
  EXPECT_EQ(parse_hook_url("http://localhost")->host_header(), "localhost");
  EXPECT_EQ(parse_hook_url("https://h:80/")->host_header(), "h:80");
}

TEST(HookUrl, MayNameAnAddress) {
  const auto v6 = parse_hook_url("http://[2001:db8::1]:81/x");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "2001:db8::1");
  EXPECT_EQ(v6->port, 81);
  EXPECT_EQ(v6->host_header(), "[2001:db8::1]:81");
  EXPECT_EQ(parse_hook_url("http://[::1]")->port, 80);
  EXPECT_EQ(parse_hook_url("http://127.0.0.1:1/")->host, "127.0.0.1");
}

TEST(HookUrl, OthersAreRefused) {
  for (const char* text :
       {"", "localhost", "ftp://h/", "http://", "http:///x", "http://h:0/", "http://h:65536/",
        "http://h:x/", "http://a b/", "http://h/a b", "http://h/\r\nX: y", "http://h/#a",
        "http://[::1", "http://[h]/", "http://u:p@h/", "http://h\x7f/"}) {
    EXPECT_FALSE(parse_hook_url(text)) << text;
  }
  EXPECT_NE(parse_hook_url("http://u:p@h/").error().message.find("token"), std::string::npos);
}

TEST(HookBody, SaysWhoWhereAndHow) {
  turn::Path path;
  path.transport = turn::Transport::kTls;
  path.remote = *Address::parse("[2001:db8::5]:4000");
  path.local = *Address::parse("198.51.100.1:5349");
  const auto body = nlohmann::json::parse(hook_body({"al\"ice\n\xc3\xbc", "example.org", path}));
  EXPECT_EQ(body, (nlohmann::json{{"username", "al\"ice\n\xc3\xbc"},
                                  {"realm", "example.org"},
                                  {"client", "[2001:db8::5]:4000"},
                                  {"transport", "tls"},
                                  {"server", "198.51.100.1:5349"}}));
}

TEST(HookAnswers, APasswordMakesTheKey) {
  const auto answer = read(200, R"({"password": "secret", "note": [1, 2]})");
  EXPECT_EQ(answer.kind, Kind::kKnown);
  EXPECT_EQ(answer.user.key, stun::long_term_key("alice", "example.org", "secret"));
  EXPECT_FALSE(answer.user.expires);
  EXPECT_FALSE(answer.life);
}

TEST(HookAnswers, AKeyIsTakenAsItIs) {
  const auto answer = read(200, R"({"key": "00112233445566778899aabbCCDDEEFF"})");
  EXPECT_EQ(answer.kind, Kind::kKnown);
  EXPECT_EQ(answer.user.key[1], 0x11);
  EXPECT_EQ(answer.user.key[15], 0xFF);
}

TEST(HookAnswers, ForbiddenAndNotFoundAreUnknownUsers) {
  for (const unsigned status : {403u, 404u}) {
    EXPECT_EQ(read(status, "").kind, Kind::kUnknown);
    EXPECT_EQ(read(status, "<html>").kind, Kind::kUnknown);
    EXPECT_EQ(read(status, R"({"ttl": 3})").life, seconds(3));
    EXPECT_FALSE(read(status, R"({"ttl": "x"})").life);
  }
}

TEST(HookAnswers, AnExpiryEndsTheCredentialAndTheAnswer) {
  const auto answer = read(200, R"({"password": "x", "expires": 1800000060, "ttl": 100})");
  EXPECT_EQ(answer.user.expires, WallTime{seconds(1800000060)});
  EXPECT_EQ(answer.life, seconds(60));
  EXPECT_EQ(read(200, R"({"password": "x", "expires": 1800000060})").life, seconds(60));
  EXPECT_EQ(read(200, R"({"password": "x", "expires": 1800000060, "ttl": 7})").life, seconds(7));
  EXPECT_EQ(read(200, R"({"password": "x", "expires": 1800000000})").kind, Kind::kUnknown);
  const auto far = read(200, R"({"password": "x", "ttl": 18446744073709551615})");
  EXPECT_EQ(far.kind, Kind::kKnown);
  EXPECT_GT(*far.life, seconds(0));
}

TEST(HookAnswers, AnythingElseIsAFailureWithASentence) {
  for (const char* body :
       {"", "hello", "[]", "{}", R"({"password": ""})", R"({"password": 7})", R"({"key": 7})",
        R"({"key": ""})", R"({"key": "0011"})", R"({"key": "zz112233445566778899aabbccddeeff"})",
        R"({"password": "a", "key": "00112233445566778899aabbccddeeff"})",
        R"({"password": "a", "password": "b"})", R"({"password": "a", "ttl": -1})",
        R"({"password": "a", "ttl": 1.5})", R"({"password": "a", "expires": "x"})",
        "{\"password\": \"\xff\"}"}) {
    const auto answer = read(200, body);
    EXPECT_EQ(answer.kind, Kind::kFailed) << body;
    EXPECT_FALSE(answer.failure.empty()) << body;
  }
  const std::string longest(kMaxHookPassword, 'x');
  EXPECT_EQ(read(200, R"({"password": ")" + longest + R"("})").kind, Kind::kKnown);
  EXPECT_EQ(read(200, R"({"password": "x)" + longest + R"("})").kind, Kind::kFailed);
  for (const unsigned status : {201u, 204u, 301u, 400u, 401u, 500u, 503u}) {
    EXPECT_EQ(read(status, R"({"password": "a"})").kind, Kind::kFailed) << status;
  }
}

TEST(HookAnswers, FailuresDoNotRepeatSecrets) {
  const auto answer = read(200, R"({"password": "hush", "ttl": "x"})");
  EXPECT_EQ(answer.failure.find("hush"), std::string::npos);
}

}  // namespace
}  // namespace turnpike::server
