// The URLs of an iceServers list (RFC 7064 section 3.1, RFC 7065 section 3.1).
#include "ice/server_url.h"

#include <gtest/gtest.h>

namespace turnpike::ice {
namespace {

void expect_url(std::string_view text, const ServerUrl& expected) {
  const auto url = parse_server_url(text);
  ASSERT_TRUE(url) << text << ": " << url.error().message;
  EXPECT_EQ(*url, expected) << text;
}

TEST(ServerUrl, SaysKindTransportHostAndPort) {
  using K = ServerKind;
  using T = ServerTransport;
  expect_url("stun:a.example", {K::kStun, T::kUdp, "a.example", 3478});
  expect_url("turn:a.example:80", {K::kTurn, T::kUdp, "a.example", 80});
  expect_url("turn:192.0.2.1?transport=udp", {K::kTurn, T::kUdp, "192.0.2.1", 3478});
  expect_url("turn:192.0.2.1:99?transport=tcp", {K::kTurn, T::kTcp, "192.0.2.1", 99});
  expect_url("turns:a.example", {K::kTurn, T::kTls, "a.example", 5349});
  expect_url("turns:a.example:443?transport=tcp", {K::kTurn, T::kTls, "a.example", 443});
  expect_url("turns:a.example?transport=udp", {K::kTurn, T::kDtls, "a.example", 5349});
  expect_url("stuns:a.example", {K::kStun, T::kTls, "a.example", 5349});
  expect_url("turn:[2001:db8::1]:3479", {K::kTurn, T::kUdp, "2001:db8::1", 3479});
  expect_url("turn:[2001:db8::1]?transport=tcp", {K::kTurn, T::kTcp, "2001:db8::1", 3478});
}

TEST(ServerUrl, RefusesWhatItCannotMeanWithASentence) {
  for (const std::string_view text :
       {"", "http://a.example", "turn:", "turn::3478", "turn:a:0", "turn:a:65536", "turn:a:x",
        "turn:a:", "turn:[2001:db8::1", "turn:[::1]3478", "turn:a?transport=sctp", "turn:a?x=1"}) {
    const auto url = parse_server_url(text);
    EXPECT_FALSE(url) << text;
    if (!url) {
      EXPECT_NE(url.error().message.find(text), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace turnpike::ice
