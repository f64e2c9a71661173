// Room tokens against the vectors of RFC 7515, tokens made with other tools, and forgeries.
#include "signaling/room_tokens.h"

#include <gtest/gtest.h>

#include "base/digest.h"

namespace turnpike::signaling {
namespace {

constexpr WallTime kNow{seconds(1767225600)};
constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";

// RFC 7515 appendix A.1: the key, and a token that expired at 1300819380.
constexpr std::string_view kRfcSecret =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
constexpr std::string_view kRfcHs256 =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
// Appendix A.3: the same claims; the key's x and y as a PEM file.
constexpr std::string_view kRfcEs256 =
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
constexpr std::string_view kPublicKey =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END PUBLIC KEY-----\n";
constexpr WallTime kRfcTime{seconds(1300819379)};

// Made with Python's cryptography and the private key of appendix A.3:
// {"room":["demo","team-*"],"sub":"Ada","exp":1767229200,"nbf":1767225600}
constexpr std::string_view kAdaSigned =
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJyb29tIjpbImRlbW8iLCJ0ZWFtLSoiXSwic3ViIjoiQWRhIiwiZXhwIjoxNzY3MjI5MjAwLCJuYmYiOjE3NjcyMjU2"
    "MDB9";
constexpr std::string_view kAdaSignature =
    "HRFPNaHl3eMNsoSd2TL3i-DYksfuRboekISdu-KUOPgHUdn8Eh7iC2RwxXMoSq8A777ObTRt4XX-Gl3wbupTIQ";
// The same, but in DER, as libraries that miss RFC 7518 section 3.4 send it.
constexpr std::string_view kAdaDerSignature =
    "MEUCIHhRfAlH9Rwu4WugLNBWekluzvJmDK85kHyUEPoKDrIxAiEAghexsXB8svjwRukh1ZDDjvU2AfK6Pour4C9wYpFs"
    "-m0";
constexpr std::string_view kOtherPublicKey =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjlM7b6C/e0YluzBmfAH7YH75+Lio\n"
    "D+9bMAYocDGHsqNz6x294DMYNm0Gn4Om9ZAAU8c2M8sEGyHFXhqGwfQAtA==\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kP384 =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEKzCuAi/RQ92U9VmDL6NX/RQCvQwUEA/G\n"
    "3Tg7WvQiFp3JWV3sFX8nIDGmvgsL6qBZd8epgwhFGHpvaOKmlJL3KTwidHoqkzdc\n"
    "oGDCWqVXJnvuo5kghOKCehsSSR8KKT9/\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kRsa =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDaPU6qj+lg4fi3hDqbsApvb5ST\n"
    "iQ80vPSMatcUtwzy2T86pGaoeV6fd2mbL5ZA1ZPMIGOvcBYCMoZM/tvUZhF86PnR\n"
    "SJpI+QxDFqpBWhmyrdfQ0xdVYHPsuHTtLAchDwdfpTtENqoqpqZWfeY9zCRoAu7+\n"
    "OKgU3tIZKqf5GaNtnQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kPrivateKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
    "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
    "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
    "-----END PRIVATE KEY-----\n";

RoomTokens with(std::vector<std::string> keys, std::vector<std::string> passwords = {}) {
  auto tokens = RoomTokens::make({std::move(keys), std::move(passwords)});
  EXPECT_TRUE(tokens) << tokens.error();
  return tokens ? std::move(*tokens) : RoomTokens();
}
RoomTokens with_secret() { return with({std::string(kSecret)}); }

std::string encoded(std::string_view text) { return base64url_encode(as_bytes(text)); }

std::string hs256(std::string_view header, std::string_view claims,
                  std::string_view secret = kSecret) {
  const std::string text = encoded(header) + "." + encoded(claims);
  return text + "." + base64url_encode(hmac_sha256(as_bytes(secret), {as_bytes(text)}));
}
std::string hs256(std::string_view claims) { return hs256(R"({"alg":"HS256"})", claims); }

// How a token is judged; nothing: it is good.
std::optional<TokenFault> fault(const RoomTokens& tokens, std::string_view token,
                                WallTime now = kNow) {
  const auto grant = tokens.judge(token, now);
  if (grant) return std::nullopt;
  return grant.error();
}
std::optional<TokenFault> fault(std::string_view claims) {
  return fault(with_secret(), hs256(claims));
}

TEST(RoomTokens, LetEveryoneInWithoutKeys) {
  const RoomTokens open;
  EXPECT_FALSE(open.required());
  EXPECT_TRUE(open.admits("", "demo", kNow));
  EXPECT_TRUE(open.admits("whatever", "demo", kNow));
  EXPECT_TRUE(open.judge("", kNow)->admits("demo"));
  EXPECT_FALSE(with({}).required());
}

TEST(RoomTokens, AskForATokenWithKeys) {
  const RoomTokens tokens = with_secret();
  EXPECT_TRUE(tokens.required());
  EXPECT_FALSE(tokens.admits("", "demo", kNow));
  EXPECT_EQ(fault(tokens, ""), TokenFault::kMissing);
}

TEST(RoomTokens, VerifyTheHs256ExampleOfRfc7515) {
  const RoomTokens tokens = with({*base64url_decode(kRfcSecret)});
  // It is signed rightly and in time: only the room is missing.
  EXPECT_EQ(fault(tokens, kRfcHs256, kRfcTime), TokenFault::kNoRoom);
  EXPECT_EQ(fault(tokens, kRfcHs256, kNow), TokenFault::kExpired);
  EXPECT_EQ(fault(with_secret(), kRfcHs256, kRfcTime), TokenFault::kForged);
}

TEST(RoomTokens, VerifyTheEs256ExampleOfRfc7515) {
  const RoomTokens tokens = with({std::string(kPublicKey)});
  EXPECT_EQ(fault(tokens, kRfcEs256, kRfcTime), TokenFault::kNoRoom);
  EXPECT_EQ(fault(tokens, kRfcEs256, kNow), TokenFault::kExpired);
  EXPECT_EQ(fault(with({std::string(kOtherPublicKey)}), kRfcEs256, kRfcTime), TokenFault::kForged);
}

TEST(RoomTokens, TellWhoseTokenItIsAndForWhichRooms) {
  const RoomTokens tokens = with({std::string(kPublicKey)});
  const std::string token = std::string(kAdaSigned) + "." + std::string(kAdaSignature);
  const auto grant = tokens.judge(token, kNow);
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->subject, "Ada");
  EXPECT_EQ(grant->expires, kNow + seconds(3600));
  EXPECT_TRUE(grant->admits("demo"));
  EXPECT_TRUE(grant->admits("team-7"));
  EXPECT_TRUE(grant->admits("team-"));
  EXPECT_FALSE(grant->admits("team"));
  EXPECT_FALSE(grant->admits("demo2"));
  EXPECT_FALSE(grant->admits(""));
  EXPECT_TRUE(tokens.admits(token, "demo", kNow));
  EXPECT_FALSE(tokens.admits(token, "other", kNow));
}

TEST(RoomTokens, TakeEs256SignaturesInTheFormOfRfc7518Only) {
  const RoomTokens tokens = with({std::string(kPublicKey)});
  const std::string text(kAdaSigned);
  EXPECT_EQ(fault(tokens, text + "." + std::string(kAdaDerSignature)), TokenFault::kForged);
  EXPECT_EQ(fault(tokens, text + "." + encoded(std::string(64, '\0'))), TokenFault::kForged);
  EXPECT_EQ(fault(tokens, text + "." + encoded(std::string(64, '\xff'))), TokenFault::kForged);
  EXPECT_EQ(fault(tokens, text + "."), TokenFault::kForged);
}

TEST(RoomTokens, SeeEveryChangedByteOfATokensText) {
  const RoomTokens tokens = with_secret();
  const std::string good = hs256(R"({"room":"demo"})");
  ASSERT_FALSE(fault(tokens, good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char other : {'A', 'Q', '.', '='}) {
      std::string changed = good;
      changed[i] = other;
      if (changed == good) continue;
      EXPECT_TRUE(fault(tokens, changed)) << i << other;
    }
    EXPECT_TRUE(fault(tokens, good.substr(0, i))) << i;
  }
  EXPECT_EQ(fault(tokens, good + "A"), TokenFault::kForged);
  EXPECT_EQ(fault(tokens, good + "AA"), TokenFault::kMalformed);
  EXPECT_EQ(fault(tokens, good + "="), TokenFault::kMalformed);
  EXPECT_EQ(fault(tokens, " " + good), TokenFault::kMalformed);
  EXPECT_EQ(fault(tokens, good + ".AAAA"), TokenFault::kMalformed);
}

TEST(RoomTokens, NeverLetTheTokenChooseHowItIsVerified) {
  const std::string claims = R"({"room":"demo"})";
  const RoomTokens by_secret = with_secret();
  const RoomTokens by_key = with({std::string(kPublicKey)});
  for (const RoomTokens* tokens : {&by_secret, &by_key}) {
    for (const std::string_view none : {"none", "None", "NONE", ""}) {
      const std::string header = R"({"alg":")" + std::string(none) + R"("})";
      EXPECT_EQ(fault(*tokens, encoded(header) + "." + encoded(claims) + "."), TokenFault::kForged);
      EXPECT_EQ(fault(*tokens, hs256(header, claims)), TokenFault::kForged);
    }
  }
  // The public key is public: as an HMAC secret it must open nothing.
  EXPECT_EQ(fault(by_key, hs256(R"({"alg":"HS256"})", claims, kPublicKey)), TokenFault::kForged);
  EXPECT_EQ(fault(by_secret, hs256(R"({"alg":"ES256"})", claims)), TokenFault::kForged);
  EXPECT_EQ(fault(by_secret, hs256(R"({"alg":"HS512"})", claims)), TokenFault::kForged);
  EXPECT_EQ(fault(by_secret, hs256(R"({"alg":"hs256"})", claims)), TokenFault::kForged);
}

TEST(RoomTokens, RefuseHeadersThatTwoReadersCouldReadDifferently) {
  const RoomTokens tokens = with_secret();
  const std::string claims = R"({"room":"demo"})";
  for (const std::string_view header :
       {R"({"alg":"HS256","crit":["b64"],"b64":false})", R"({"alg":"HS256","crit":[]})",
        R"({"alg":"HS256","alg":"HS256"})", R"({})", R"({"alg":1})", R"(["HS256"])", "HS256", "",
        R"({"alg":"HS256"} x)"}) {
    EXPECT_EQ(fault(tokens, hs256(header, claims)), TokenFault::kMalformed) << header;
  }
  EXPECT_FALSE(
      fault(tokens, hs256(R"({"alg":"HS256","kid":"2","typ":"JWT","x":{"x":1}})", claims)));
}

TEST(RoomTokens, RefuseClaimsThatAreNotTheirs) {
  for (const std::string_view claims :
       {R"(["demo"])", "", R"({"room":7})", R"({"room":[7]})", R"({"room":{"demo":1}})",
        R"({"room":null})", R"({"room":"demo","exp":"1767229200"})",
        R"({"room":"demo","exp":null})", R"({"room":"demo","nbf":[]})",
        R"({"room":"demo","sub":1})", R"({"room":"demo","room":"team"})", "{\"room\":\"\xff\"}"}) {
    EXPECT_EQ(fault(claims), TokenFault::kMalformed) << claims;
  }
  EXPECT_EQ(fault("{}"), TokenFault::kNoRoom);
  EXPECT_EQ(fault(R"({"room":""})"), TokenFault::kNoRoom);
  EXPECT_EQ(fault(R"({"room":[]})"), TokenFault::kNoRoom);
}

TEST(RoomTokens, GiveClocksThirtySeconds) {
  const auto at = [](std::int64_t delta) {
    return std::to_string((kNow + seconds(delta)).since_epoch.count());
  };
  const auto expiring = [&](std::int64_t delta) {
    return fault(R"({"room":"demo","exp":)" + at(delta) + "}");
  };
  EXPECT_FALSE(expiring(1));
  EXPECT_FALSE(expiring(-29));
  EXPECT_EQ(expiring(-30), TokenFault::kExpired);
  const auto beginning = [&](std::int64_t delta) {
    return fault(R"({"room":"demo","nbf":)" + at(delta) + "}");
  };
  EXPECT_FALSE(beginning(0));
  EXPECT_FALSE(beginning(30));
  EXPECT_EQ(beginning(31), TokenFault::kNotYet);
}

TEST(RoomTokens, ReadEveryNumberAsADate) {
  EXPECT_FALSE(fault(R"({"room":"demo","exp":1767225601.75})"));
  EXPECT_FALSE(fault(R"({"room":"demo","exp":1.7672256e10})"));
  EXPECT_FALSE(fault(R"({"room":"demo","exp":1e300})"));
  EXPECT_FALSE(fault(R"({"room":"demo","exp":99999999999999999999999999})"));
  EXPECT_FALSE(fault(R"({"room":"demo","nbf":-1e300})"));
  EXPECT_EQ(fault(R"({"room":"demo","exp":-1e300})"), TokenFault::kExpired);
  EXPECT_EQ(fault(R"({"room":"demo","exp":0})"), TokenFault::kExpired);
  EXPECT_EQ(fault(R"({"room":"demo","nbf":1e300})"), TokenFault::kNotYet);
}

TEST(RoomTokens, KnowOneWildcardAtTheEnd) {
  const RoomTokens tokens = with_secret();
  const std::string all = hs256(R"({"room":"*"})");
  EXPECT_TRUE(tokens.admits(all, "demo", kNow));
  EXPECT_TRUE(tokens.admits(all, "", kNow));
  const std::string inner = hs256(R"({"room":"a*b"})");
  EXPECT_TRUE(tokens.admits(inner, "a*b", kNow));
  EXPECT_FALSE(tokens.admits(inner, "axb", kNow));
  const std::string star = hs256(R"({"room":"a**"})");
  EXPECT_TRUE(tokens.admits(star, "a*b", kNow));
  EXPECT_FALSE(tokens.admits(star, "ab", kNow));
}

TEST(RoomTokens, BoundWhatATokenMayHold) {
  const auto rooms = [](int count) {
    std::string list;
    for (int i = 0; i < count; ++i) list += (i == 0 ? "\"r" : ",\"r") + std::to_string(i) + '"';
    return R"({"room":[)" + list + "]}";
  };
  EXPECT_FALSE(fault(rooms(64)));
  EXPECT_EQ(fault(rooms(65)), TokenFault::kMalformed);

  const RoomTokens tokens = with_secret();
  const auto sized = [](std::size_t filling) {
    return hs256(R"({"room":"demo","x":")" + std::string(filling, 'x') + "\"}");
  };
  std::size_t filling = 0;
  while (sized(filling + 1).size() <= RoomTokens::kMaxToken) ++filling;
  EXPECT_FALSE(fault(tokens, sized(filling)));
  EXPECT_EQ(fault(tokens, sized(filling + 1)), TokenFault::kMalformed);

  const std::string deep = std::string(1400, '[') + std::string(1400, ']');
  EXPECT_EQ(fault(R"({"room":"demo","x":)" + deep + "}"), TokenFault::kMalformed);
  EXPECT_EQ(fault(tokens, std::string(RoomTokens::kMaxToken, '.')), TokenFault::kMalformed);
}

TEST(RoomTokens, OpenEveryRoomToThePassword) {
  const RoomTokens tokens = with({}, {"open sesame", "b.b.b"});
  EXPECT_TRUE(tokens.required());
  EXPECT_TRUE(tokens.admits("open sesame", "demo", kNow));
  EXPECT_TRUE(tokens.admits("b.b.b", "demo", kNow));
  EXPECT_EQ(fault(tokens, "open sesam"), TokenFault::kMalformed);
  EXPECT_EQ(fault(tokens, "open sesame "), TokenFault::kMalformed);
  EXPECT_EQ(fault(tokens, ""), TokenFault::kMissing);
  EXPECT_EQ(fault(tokens, hs256(R"({"alg":"HS256"})", R"({"room":"demo"})", "open sesame")),
            TokenFault::kForged);
  // The empty secret is no secret.
  EXPECT_EQ(fault(tokens, hs256(R"({"alg":"HS256"})", R"({"room":"demo"})", "")),
            TokenFault::kForged);
}

TEST(RoomTokens, TakeSeveralKeysAtOnceSoThatTheyCanBeChanged) {
  const std::string newer(32, 'n');
  const RoomTokens tokens =
      with({newer, std::string(kOtherPublicKey), std::string(kSecret), std::string(kPublicKey)},
           {"word"});
  const std::string claims = R"({"room":"demo"})";
  EXPECT_TRUE(tokens.admits(hs256(R"({"alg":"HS256"})", claims, newer), "demo", kNow));
  EXPECT_TRUE(tokens.admits(hs256(claims), "demo", kNow));
  EXPECT_TRUE(tokens.admits("word", "demo", kNow));
  EXPECT_TRUE(
      tokens.admits(std::string(kAdaSigned) + "." + std::string(kAdaSignature), "demo", kNow));
  EXPECT_FALSE(
      tokens.admits(hs256(R"({"alg":"HS256"})", claims, std::string(32, 'o')), "demo", kNow));
}

TEST(RoomTokens, RefuseKeysThatAreNone) {
  const auto refused = [](std::string_view key) {
    const auto tokens = RoomTokens::make({{std::string(key)}, {}});
    return tokens ? std::string() : tokens.error();
  };
  for (const std::string_view pem :
       {kP384, kRsa, kPrivateKey, std::string_view("-----BEGIN PUBLIC KEY-----\nAAAA\n"),
        kPublicKey.substr(0, 120)}) {
    EXPECT_NE(refused(pem).find("P-256"), std::string::npos) << pem;
  }
  EXPECT_NE(refused("").find("32 bytes"), std::string::npos);
  EXPECT_NE(refused(kSecret.substr(1)).find("32 bytes"), std::string::npos);
  EXPECT_EQ(refused(kSecret), "");
  EXPECT_FALSE(RoomTokens::make({{}, {""}}));
}

TEST(RoomTokens, SayWhatIsWrongInASentence) {
  for (const TokenFault fault : {TokenFault::kMissing, TokenFault::kMalformed, TokenFault::kForged,
                                 TokenFault::kExpired, TokenFault::kNotYet, TokenFault::kNoRoom}) {
    EXPECT_FALSE(to_sentence(fault).empty());
  }
}

}  // namespace
}  // namespace turnpike::signaling
