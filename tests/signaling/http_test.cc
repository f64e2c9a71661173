// HTTP/1.1 requests: the grammar, every refusal, the limits, and how requests share a connection.
#include "signaling/http.h"

#include "signaling/response.h"
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

using http::Method;
using http::Request;
using http::RequestParser;

struct Outcome {
  RequestParser::State state;
  unsigned failure;
  std::size_t used;
  Request request;
};

Outcome parse(std::string_view text, std::size_t step = std::string_view::npos) {
  RequestParser parser;
  std::size_t used = 0;
  while (used < text.size() && parser.state() == RequestParser::State::kNeedsMore) {
    const std::string_view piece = text.substr(used, step);
    const std::size_t taken = parser.feed(as_bytes(piece));
    used += taken;
    if (taken < piece.size()) break;
  }
  Outcome outcome{parser.state(), parser.failure(), used, {}};
  if (outcome.state == RequestParser::State::kComplete) outcome.request = parser.take();
  return outcome;
}

// 200 for a request that is whole, 0 for one that needs more, otherwise the refusal.
unsigned judge(std::string_view text, std::size_t step = std::string_view::npos) {
  const Outcome outcome = parse(text, step);
  switch (outcome.state) {
    case RequestParser::State::kComplete:
      return 200;
    case RequestParser::State::kNeedsMore:
      return 0;
    case RequestParser::State::kFailed:
      return outcome.failure;
  }
  return 1;
}

const std::string kChunkedPost =
    "POST /api/ice?x=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-A:  b \r\n\r\n"
    "5;ext=1\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n";

TEST(RequestParser, ReadsALineHeadersAndABody) {
  const Outcome outcome = parse(
      "POST /a%20b?c=d HTTP/1.1\r\nHost: h\r\nX-Thing: \t one two \t\r\nContent-Length: "
      "4\r\n\r\nbody");
  ASSERT_EQ(outcome.state, RequestParser::State::kComplete);
  EXPECT_EQ(outcome.request.method, Method::kPost);
  EXPECT_EQ(outcome.request.path(), "/a%20b");
  EXPECT_EQ(outcome.request.query(), "c=d");
  EXPECT_EQ(outcome.request.header("x-thing"), "one two");
  EXPECT_EQ(outcome.request.body, "body");
  EXPECT_TRUE(outcome.request.keep_alive);
}

TEST(RequestParser, ReadsChunkedBodies) {
  const Outcome outcome = parse(kChunkedPost);
  ASSERT_EQ(outcome.state, RequestParser::State::kComplete) << outcome.failure;
  EXPECT_EQ(outcome.request.body, "hello world");
  EXPECT_EQ(outcome.request.header("x-a"), "b");
}

TEST(RequestParser, ReadsTheSameHoweverTheBytesAreCut) {
  const std::string plain =
      "\r\nPUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nA: b\r\n\r\n12345";
  for (const std::string& text : {plain, kChunkedPost}) {
    const Outcome whole = parse(text + "GET /next");
    EXPECT_EQ(whole.used, text.size());
    for (std::size_t step = 1; step < text.size(); ++step) {
      const Outcome outcome = parse(text, step);
      ASSERT_EQ(outcome.state, RequestParser::State::kComplete) << step;
      EXPECT_EQ(outcome.used, text.size());
      EXPECT_EQ(outcome.request.body, whole.request.body);
      EXPECT_EQ(outcome.request.headers.size(), whole.request.headers.size());
    }
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      RequestParser parser;
      ASSERT_EQ(parser.feed(as_bytes(text).first(cut)), cut);
      ASSERT_EQ(parser.state(), RequestParser::State::kNeedsMore) << cut;
      EXPECT_EQ(parser.feed(as_bytes(text + "GET /next").subspan(cut)), text.size() - cut);
      EXPECT_EQ(parser.take().body, whole.request.body);
    }
  }
}

TEST(RequestParser, KeepsTheConnectionAsTheVersionAndTheHeaderSay) {
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: h\r\n\r\n").request.keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").request.keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").request.keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").request.keep_alive);
}

struct Refused {
  const char* why;
  std::string text;
  unsigned status;
};

// A trailing request stands behind each: what one parser takes for a body must not be another's
// request.
std::vector<Refused> smuggling_table() {
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n";
  return {
      {"length and chunked", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"chunked and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 400},
      {"two equal lengths", post + "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", 400},
      {"two lengths", post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\n", 400},
      {"a list of lengths", post + "Content-Length: 4, 4\r\n\r\n", 400},
      {"a signed length", post + "Content-Length: +4\r\n\r\n", 400},
      {"a negative length", post + "Content-Length: -4\r\n\r\n", 400},
      {"a hexadecimal length", post + "Content-Length: 0x4\r\n\r\n", 400},
      {"an empty length", post + "Content-Length: \r\n\r\n", 400},
      {"a length with junk", post + "Content-Length: 4 4\r\n\r\n", 400},
      {"unknown coding", post + "Transfer-Encoding: gzip\r\n\r\n", 400},
      {"coding before chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
      {"identity", post + "Transfer-Encoding: identity\r\n\r\n", 400},
      {"chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
      {"chunked in two headers",
       post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"chunked with a blank name", post + "Transfer-Encoding : chunked\r\n\r\n", 400},
      {"vertical tab before chunked", post + "Transfer-Encoding: \vchunked\r\n\r\n", 400},
      {"quoted coding", post + "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
      {"empty coding", post + "Transfer-Encoding:\r\n\r\n", 400},
      {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"blank before the colon", get + "X-A : b\r\n\r\n", 400},
      {"no colon", get + "X-A\r\n\r\n", 400},
      {"no name", get + ": b\r\n\r\n", 400},
      {"a name with a blank", get + "X A: b\r\n\r\n", 400},
      {"a folded line", get + "X-A: b\r\n c\r\n\r\n", 400},
      {"a first header that is folded", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
      {"a bare CR in a value", get + "X-A: b\rc\r\n\r\n", 400},
      {"a bare LF as the end of a line", get + "X-A: b\nX-B: c\r\n\r\n", 400},
      {"a head that ends in LF LF", "GET / HTTP/1.1\nHost: h\n\n", 400},
      {"CR CR LF", get + "X-A: b\r\r\n\r\n", 400},
      {"NUL in a value", get + std::string("X-A: b\0c\r\n\r\n", 12), 400},
      {"NUL in the target", std::string("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28), 400},
      {"DEL in a value", get + "X-A: b\x7f\r\n\r\n", 400},
      {"absolute form", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"authority form", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a fragment", "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a target beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"no target", "GET  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"two blanks", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a blank in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"no version", "GET /\r\nHost: h\r\n\r\n", 400},
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two hosts", get + "Host: h\r\n\r\n", 400},
      {"two blank lines before it", "\r\n\r\n" + get + "\r\n", 400},
      {"an unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
      {"another version", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505},
      {"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"an expectation that is not known", post + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n",
       417},
      {"a chunk size of nothing", post + "Transfer-Encoding: chunked\r\n\r\n\r\n", 400},
      {"a chunk size with a sign", post + "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
       400},
      {"a chunk size of 17 digits",
       post + "Transfer-Encoding: chunked\r\n\r\n00000000000000001\r\na\r\n0\r\n\r\n", 400},
      {"a chunk that is longer than it says",
       post + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
      {"a chunk line that ends in LF", post + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
       400},
      {"a trailer", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\r\n\r\n", 400},
      {"a trailer that is framing",
       post + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\n", 400},
      {"TLS on a plain port", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
  };
}

TEST(RequestParser, RefusesWhatTwoParsersCouldReadDifferently) {
  for (const Refused& one : smuggling_table()) {
    EXPECT_EQ(judge(one.text + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"), one.status) << one.why;
    EXPECT_EQ(judge(one.text + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 1), one.status)
        << one.why << ", byte by byte";
  }
}

TEST(RequestParser, RefusedRequestsAreAnsweredOnceAndTheConnectionEnds) {
  for (const Refused& one : smuggling_table()) {
    World world;
    const ConnectionHandle connection = world.connect();
    world.send(connection, one.text + "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    world.send(connection, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    const auto answers = world.answers(connection);
    ASSERT_EQ(answers.size(), 1u) << one.why;
    EXPECT_EQ(answers[0].status, static_cast<int>(one.status)) << one.why;
    EXPECT_EQ(answers[0].header("connection"), "close");
    EXPECT_FALSE(world.closed(connection)) << "the answer would be lost in a reset";
    world.pass(Carrier::kLingerTime + seconds(1));
    EXPECT_TRUE(world.closed(connection)) << one.why;
    EXPECT_EQ(world.service.audit().connections, 0u);
  }
}

std::string head_of(std::size_t size) {
  std::string head = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  head.append(size - head.size() - 4, 'a');
  return head + "\r\n\r\n";
}

TEST(RequestLimits, AHeadMayBe16KiBAndNoByteMore) {
  EXPECT_EQ(judge(head_of(RequestParser::kMaxHead)), 200u);
  EXPECT_EQ(judge(head_of(RequestParser::kMaxHead + 1)), 431u);
  EXPECT_EQ(judge(head_of(RequestParser::kMaxHead + 1), 1), 431u);
  // Refused as soon as it is too long, not when it ends.
  EXPECT_EQ(judge("GET / HTTP/1.1\r\nX: " + std::string(RequestParser::kMaxHead, 'a')), 431u);
}

TEST(RequestLimits, ATargetMayBe8KiBAndNoByteMore) {
  const auto request = [](std::size_t size) {
    return "GET /" + std::string(size - 1, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  };
  EXPECT_EQ(judge(request(RequestParser::kMaxTarget)), 200u);
  EXPECT_EQ(judge(request(RequestParser::kMaxTarget + 1)), 414u);
}

TEST(RequestLimits, AMethodHas32Letters) {
  EXPECT_EQ(judge(std::string(RequestParser::kMaxMethod, 'A') + " / HTTP/1.1\r\nHost: h\r\n\r\n"),
            501u);
  EXPECT_EQ(judge(std::string(RequestParser::kMaxMethod + 1, 'A')), 400u);
}

TEST(RequestLimits, AHundredHeadersAreEnough) {
  const auto request = [](std::size_t count) {
    std::string text = "GET / HTTP/1.1\r\nHost: h\r\n";
    for (std::size_t i = 1; i < count; ++i) text += "X: y\r\n";
    return text + "\r\n";
  };
  EXPECT_EQ(judge(request(RequestParser::kMaxHeaders)), 200u);
  EXPECT_EQ(judge(request(RequestParser::kMaxHeaders + 1)), 431u);
}

TEST(RequestLimits, ABodyMayBe64KiBAndNoByteMore) {
  const auto request = [](std::size_t size) {
    return "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
  };
  EXPECT_EQ(judge(request(RequestParser::kMaxBody) + std::string(RequestParser::kMaxBody, 'b')),
            200u);
  // Refused by its length alone, before a byte of it.
  EXPECT_EQ(judge(request(RequestParser::kMaxBody + 1)), 413u);
  EXPECT_EQ(judge("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n"),
            413u);
  EXPECT_EQ(judge("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n"),
            400u);
}

TEST(RequestLimits, AChunkedBodyHasTheSameLimit) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto body = [](std::size_t size) {
    std::string text;
    for (; size > 0x1000; size -= 0x1000) text += "1000\r\n" + std::string(0x1000, 'c') + "\r\n";
    char line[16];
    std::snprintf(line, sizeof line, "%zx\r\n", size);
    return text + line + std::string(size, 'c') + "\r\n0\r\n\r\n";
  };
  const Outcome most = parse(head + body(RequestParser::kMaxBody));
  ASSERT_EQ(most.state, RequestParser::State::kComplete) << most.failure;
  EXPECT_EQ(most.request.body, std::string(RequestParser::kMaxBody, 'c'));
  EXPECT_EQ(judge(head + body(RequestParser::kMaxBody + 1)), 413u);
  EXPECT_EQ(judge(head + body(RequestParser::kMaxBody + 1), 7), 413u);
  EXPECT_EQ(judge(head + "ffffffff\r\n"), 413u);
  EXPECT_EQ(judge(head + "fffffffff\r\n"), 400u);
}

TEST(RequestLimits, ChunkFramingIsBoundedToo) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string longest(RequestParser::kMaxChunkLine - 1, 'x');  // and the CR
  EXPECT_EQ(judge(head + "1;" + longest + "\r\na\r\n0\r\n\r\n"), 200u);
  EXPECT_EQ(judge(head + "1;" + longest + "x\r\na\r\n0\r\n\r\n"), 400u);
  std::string tiny = head;
  const std::string chunk = "1;" + std::string(500, 'x') + "\r\na\r\n";
  while (tiny.size() <
         head.size() + RequestParser::kMaxChunkedFactor * RequestParser::kMaxBody + chunk.size())
    tiny += chunk;
  EXPECT_EQ(judge(tiny, 4096), 413u);
}

// --- on a connection ---

const std::string kHealth = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";

TEST(HttpConnection, AnswersOneRequestAfterTheOther) {
  World world;
  const ConnectionHandle connection = world.connect();
  for (int i = 0; i < 3; ++i) {
    world.send(connection, kHealth);
    const auto answers = world.answers(connection);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].status, 200);
    EXPECT_EQ(answers[0].body, "ok\n");
    world.pass(seconds(30));
  }
  EXPECT_FALSE(world.closed(connection));
}

TEST(HttpConnection, AnswersPipelinedRequestsInOrderHoweverCut) {
  const std::string all = kHealth + "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n" +
                          "POST /api/ice HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}" +
                          kHealth;
  for (std::size_t step = 1; step <= all.size(); step += 7) {
    World world;
    const ConnectionHandle connection = world.connect();
    for (std::size_t at = 0; at < all.size(); at += step) {
      world.send(connection, std::string_view(all).substr(at, step));
    }
    const auto answers = world.answers(connection);
    ASSERT_EQ(answers.size(), 4u) << step;
    EXPECT_EQ(answers[0].status, 200);
    EXPECT_EQ(answers[1].status, 404);
    EXPECT_EQ(answers[2].status, 401);
    EXPECT_EQ(answers[3].status, 200);
  }
}

TEST(HttpConnection, ClosesWhenAskedTo) {
  World world;
  const ConnectionHandle connection = world.connect();
  world.send(connection, "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + kHealth);
  const auto answers = world.answers(connection);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].header("connection"), "close");
  EXPECT_TRUE(world.closed(connection));
  EXPECT_EQ(world.service.audit().connections, 0u);
}

TEST(HttpConnection, SaysContinueToWhoWaitsForIt) {
  World world;
  const ConnectionHandle connection = world.connect();
  world.send(connection,
             "POST /api/ice HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
             "Content-Length: 2\r\n\r\n");
  EXPECT_EQ(world.take(connection), "HTTP/1.1 100 Continue\r\n\r\n");
  world.send(connection, "{");
  EXPECT_EQ(world.take(connection), "");
  world.send(connection, "}");
  EXPECT_EQ(world.answers(connection).size(), 1u);
}

TEST(HttpConnection, ARequestHasTenSecondsFromAcceptHoweverItDribbles) {
  World world;
  const ConnectionHandle connection = world.connect();
  const std::string text = "GET / HTTP/1.1\r\nHost: h\r\nX: aaaaaaaaaaaaaa";
  for (int i = 0; i < 9; ++i) {
    world.send(connection, std::string_view(text).substr(static_cast<std::size_t>(i), 1));
    world.pass(seconds(1));
  }
  EXPECT_EQ(world.take(connection), "");
  world.pass(milliseconds(1100));
  const auto answers = world.answers(connection);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].status, 408);
  world.pass(Carrier::kLingerTime + seconds(1));
  EXPECT_TRUE(world.closed(connection));
}

TEST(HttpConnection, ABodyCountsAgainstTheSameTenSeconds) {
  World world;
  const ConnectionHandle connection = world.connect();
  world.send(connection, kHealth);
  world.take(connection);
  world.pass(seconds(50));
  world.send(connection, "POST /api/ice HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
  for (int i = 0; i < 9; ++i) {
    world.pass(seconds(1));
    world.send(connection, " ");
  }
  EXPECT_EQ(world.take(connection), "");
  world.pass(milliseconds(1100));
  EXPECT_EQ(world.answers(connection).at(0).status, 408);
}

TEST(HttpConnection, WhoSaysNothingIsCutWithoutAWord) {
  World world;
  const ConnectionHandle silent = world.connect();
  const ConnectionHandle blank = world.connect();
  world.send(blank, "\r\n");
  world.pass(Carrier::kRequestDeadline - milliseconds(1));
  EXPECT_FALSE(world.closed(silent));
  world.pass(milliseconds(100));
  EXPECT_TRUE(world.closed(silent));
  EXPECT_TRUE(world.closed(blank));
  EXPECT_EQ(world.take(silent) + world.take(blank), "");
}

TEST(HttpConnection, IdlesForAMinuteBetweenRequests) {
  World world;
  const ConnectionHandle connection = world.connect();
  world.send(connection, kHealth);
  world.pass(Carrier::kIdleTime - milliseconds(1));
  EXPECT_FALSE(world.closed(connection));
  world.pass(milliseconds(100));
  EXPECT_TRUE(world.closed(connection));
}

TEST(HttpConnection, WhatFollowsARefusalIsDroppedAndBounded) {
  World world;
  const ConnectionHandle connection = world.connect();
  world.send(connection, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n");
  EXPECT_EQ(world.answers(connection).at(0).status, 413);
  const std::string body(Carrier::kMaxDiscarded, 'b');
  world.send(connection, body);
  EXPECT_FALSE(world.closed(connection));
  world.send(connection, "b");
  EXPECT_TRUE(world.closed(connection));
}

TEST(HttpConnection, WhoNeverReadsTheAnswersIsCut) {
  World world;
  const ConnectionHandle connection = world.connect();
  world.outlet.wire(connection).slow = true;
  const std::string page = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  std::size_t rounds = 0;
  for (; !world.closed(connection) && rounds < 100000; ++rounds) {
    world.send(connection, page);
    EXPECT_LE(world.outlet.wire(connection).stuck, Carrier::kMaxQueuedBytes + 64 * 1024);
  }
  EXPECT_TRUE(world.closed(connection));
  EXPECT_GT(rounds, 50u);
}

TEST(HttpText, DatesAreWrittenAsTheRfcDoes) {
  EXPECT_EQ(http::http_date({seconds(784111777)}), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http::http_date({seconds(0)}), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http::http_date({seconds(951782400)}), "Tue, 29 Feb 2000 00:00:00 GMT");
}

TEST(HttpText, PercentDecodingIsDoneOnceAndStrictly) {
  EXPECT_EQ(http::percent_decode("a%20b%2fc"), "a b/c");
  EXPECT_EQ(http::percent_decode("%2541"), "%41");
  EXPECT_EQ(http::percent_decode("%"), std::nullopt);
  EXPECT_EQ(http::percent_decode("%2"), std::nullopt);
  EXPECT_EQ(http::percent_decode("%zz"), std::nullopt);
  EXPECT_EQ(http::percent_decode("a%00b"), std::nullopt);
  EXPECT_EQ(http::percent_encode("a b/\xc3\xa4~"), "a%20b%2F%C3%A4~");
}

TEST(HttpText, QueryValuesAreFoundAndDecoded) {
  EXPECT_EQ(http::query_value("a=1&key=k%2B1&key=2", "key"), "k+1");
  EXPECT_EQ(http::query_value("key=a+b", "key"), "a b");
  EXPECT_EQ(http::query_value("key", "key"), "");
  EXPECT_EQ(http::query_value("monkey=1", "key"), std::nullopt);
  EXPECT_EQ(http::query_value("key=%z", "key"), std::nullopt);
}

TEST(HttpText, RangesAreJudged) {
  using Kind = http::ByteRange::Kind;
  const auto range = [](std::string_view text, std::size_t size) {
    const http::ByteRange one = http::judge_range(text, size);
    return std::tuple(one.kind, one.first, one.count);
  };
  const auto whole = std::tuple(Kind::kWhole, 0u, 0u);
  const auto unsatisfiable = std::tuple(Kind::kUnsatisfiable, 0u, 0u);
  EXPECT_EQ(range("bytes=0-0", 10), std::tuple(Kind::kPart, 0u, 1u));
  EXPECT_EQ(range("bytes=2-5", 10), std::tuple(Kind::kPart, 2u, 4u));
  EXPECT_EQ(range("bytes=9-", 10), std::tuple(Kind::kPart, 9u, 1u));
  EXPECT_EQ(range("bytes=5-99", 10), std::tuple(Kind::kPart, 5u, 5u));
  EXPECT_EQ(range("bytes=-3", 10), std::tuple(Kind::kPart, 7u, 3u));
  EXPECT_EQ(range("bytes=-30", 10), std::tuple(Kind::kPart, 0u, 10u));
  EXPECT_EQ(range("bytes=10-", 10), unsatisfiable);
  EXPECT_EQ(range("bytes=-0", 10), unsatisfiable);
  EXPECT_EQ(range("bytes=0-", 0), unsatisfiable);
  EXPECT_EQ(range("bytes=5-2", 10), whole);
  EXPECT_EQ(range("bytes=0-1,3-4", 10), whole);
  EXPECT_EQ(range("bytes=-", 10), whole);
  EXPECT_EQ(range("lines=0-1", 10), whole);
  EXPECT_EQ(range("bytes=0-18446744073709551616", 10), whole);
}

}  // namespace
}  // namespace turnpike::signaling::testing
