// HTTP/1.1 responses: bodies by length, by chunks and by the end of the connection, and refusals.
#include "signaling/http_response.h"

#include <gtest/gtest.h>

namespace turnpike::signaling::http {
namespace {

using State = ResponseParser::State;
constexpr std::size_t kMost = 64;

struct Outcome {
  State state;
  std::string_view failure;
  ReceivedResponse response;
};

Outcome parse(std::string_view text, std::size_t step = 1000, bool ends = false) {
  ResponseParser parser(kMost);
  while (!text.empty() && parser.state() == State::kNeedsMore) {
    const std::string_view piece = text.substr(0, step);
    text.remove_prefix(parser.feed(as_bytes(piece)));
  }
  if (ends) parser.on_end();
  Outcome outcome{parser.state(), parser.failure(), {}};
  if (outcome.state == State::kComplete) outcome.response = parser.take();
  return outcome;
}

TEST(ResponseParser, ReadsBodiesOfEveryKindInPiecesOfAnySize) {
  for (const std::size_t step : {1u, 2u, 7u, 1000u}) {
    const auto sized = parse("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", step);
    ASSERT_EQ(sized.state, State::kComplete);
    EXPECT_EQ(sized.response.status, 200u);
    EXPECT_EQ(sized.response.body, "body");
    EXPECT_TRUE(sized.response.keep_alive);
    const auto chunked = parse(
        "HTTP/1.1 404 Not here, friend\r\nTransfer-Encoding: Chunked\r\nX: y\r\n\r\n"
        "2\r\nbo\r\n2;a=b\r\ndy\r\n0\r\n\r\n",
        step);
    ASSERT_EQ(chunked.state, State::kComplete);
    EXPECT_EQ(chunked.response.status, 404u);
    EXPECT_EQ(chunked.response.body, "body");
    EXPECT_EQ(chunked.response.values("x"), std::vector<std::string_view>{"y"});
    const auto open = parse("HTTP/1.1 200 \r\n\r\nbody", step, true);
    ASSERT_EQ(open.state, State::kComplete);
    EXPECT_EQ(open.response.body, "body");
    EXPECT_FALSE(open.response.keep_alive);
  }
}

TEST(ResponseParser, TakesNoByteBehindTheResponse) {
  ResponseParser parser(kMost);
  const std::string_view text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 ";
  EXPECT_EQ(parser.feed(as_bytes(text)), text.size() - 9);
  EXPECT_EQ(parser.take().body, "ok");
}

TEST(ResponseParser, SkipsInterimResponsesUpToAMaximum) {
  const std::string interim = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n";
  std::string text;
  for (std::size_t i = 0; i < ResponseParser::kMaxInterim; ++i) text += interim;
  const std::string last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const auto outcome = parse(text + last);
  ASSERT_EQ(outcome.state, State::kComplete);
  EXPECT_TRUE(outcome.response.values("link").empty());
  EXPECT_EQ(parse(text + interim + last).failure, ResponseParser::kNotHttp);
  EXPECT_EQ(parse("HTTP/1.1 101 Switching\r\n\r\n").failure, ResponseParser::kNotHttp);
}

TEST(ResponseParser, SomeResponsesHaveNoBody) {
  EXPECT_EQ(parse("HTTP/1.1 204 No\r\n\r\n").state, State::kComplete);
  EXPECT_EQ(parse("HTTP/1.1 304 No\r\n\r\n").state, State::kComplete);
}

TEST(ResponseParser, KnowsWhetherTheConnectionStays) {
  const std::string head = "Content-Length: 0\r\n";
  EXPECT_FALSE(
      parse("HTTP/1.1 200 OK\r\nConnection: close\r\n" + head + "\r\n").response.keep_alive);
  EXPECT_FALSE(parse("HTTP/1.0 200 OK\r\n" + head + "\r\n").response.keep_alive);
  EXPECT_TRUE(
      parse("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + head + "\r\n").response.keep_alive);
}

TEST(ResponseParser, ALargeAnswerIsRefusedBeforeItIsRead) {
  const std::string at_most(kMost, 'x');
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + at_most).response.body,
            at_most);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n").failure,
            ResponseParser::kTooLarge);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\n\r\n" + at_most + "x").failure, ResponseParser::kTooLarge);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n").failure,
            ResponseParser::kTooLarge);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x')).failure,
            ResponseParser::kTooLarge);
}

TEST(ResponseParser, WhatIsNotHttpIsRefused) {
  for (const std::string_view text :
       {"hello\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "\r\nHTTP/1.1 200\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n", "HTTP/1.1 200 OK\r\n folded\r\n\r\n"}) {
    EXPECT_EQ(parse(text).failure, ResponseParser::kNotHttp) << text;
  }
}

TEST(ResponseParser, AnAnswerThatIsCutIsNone) {
  for (const char* text : {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbod",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n"}) {
    EXPECT_EQ(parse(text, 1000, true).failure, ResponseParser::kCut) << text;
  }
}

}  // namespace
}  // namespace turnpike::signaling::http
