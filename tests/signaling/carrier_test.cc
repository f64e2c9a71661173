// The Carrier with routes and endpoints of the test's own.
#include "signaling/carrier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "world.h"

namespace turnpike::signaling::testing {
namespace {

// Writes down what it is told, and does what the test wants inside the calls.
class Recorder final : public Endpoint {
 public:
  std::size_t max_message() const override { return most; }
  bool takes_binary() const override { return binary; }
  KeepAlive keep_alive() const override { return keeps; }
  Farewell farewell() const override { return says; }
  std::optional<http::Response> refuse(Tick, const Visit& visit) override {
    source = visit.source;
    secure = visit.secure;
    return refusal;
  }
  Tag on_open(Tick, ConnectionHandle connection, const Visit&) override {
    const Tag tag = ++last_tag;
    log.push_back("open " + std::to_string(tag));
    if (in_open) in_open(connection);
    return tag;
  }
  void on_message(Tick, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override {
    const char* kind = opcode == ws::Opcode::kBinary ? "binary " : "text ";
    log.push_back(kind + std::to_string(tag) + " " + std::string(payload));
    if (in_message) in_message(connection);
  }
  void on_too_large(Tick, ConnectionHandle, Tag tag) override {
    log.push_back("too large " + std::to_string(tag));
  }
  void on_gone(Tick, ConnectionHandle connection, Tag tag) override {
    log.push_back("gone " + std::to_string(tag));
    if (in_gone) in_gone(connection);
  }
  std::string ping_payload(Tag tag) override { return "ping " + std::to_string(tag); }
  void on_pong(Tick, ConnectionHandle, Tag, std::string_view payload) override {
    log.push_back("pong " + std::string(payload));
  }
  void on_time(Tick now) override {
    log.push_back("time");
    due = MonoTime::never();
    at = now.mono;
  }
  MonoTime next_deadline() const override { return due; }

  std::vector<std::string> take() { return std::exchange(log, {}); }

  std::size_t most = 1000;
  bool binary = false;
  KeepAlive keeps = KeepAlive::kPings;
  Farewell says = Farewell::kGoingAway;
  std::optional<http::Response> refusal;
  IpAddress source;
  bool secure = false;
  Tag last_tag = 0;
  std::function<void(ConnectionHandle)> in_open, in_message, in_gone;
  MonoTime due = MonoTime::never(), at;
  std::vector<std::string> log;
};

using Lines = std::vector<std::string>;

// Paths of the test: /hold, /stream, /echo, /big, /nothing, /file, /open and /named (WebSockets).
struct Stage final : Routes {
  explicit Stage(Carrier::Settings settings = {}) : carrier(std::move(settings), *this) {
    carrier.add(endpoint);
  }
  std::size_t max_body(const http::Request& head) const override {
    return head.path() == "/big" ? 1'000'000 : Routes::max_body(head);
  }
  void on_request(Tick, ConnectionHandle connection, const Visit& visit) override {
    const std::string_view path = visit.request.path();
    source = visit.source;
    secure = visit.secure;
    if (path == "/hold") {
      carrier.hold(connection, endpoint, ++endpoint.last_tag);
      // What was asked for can still be read.
      EXPECT_EQ(visit.request.path(), "/hold");
      held.push_back(connection);
      if (in_hold) std::exchange(in_hold, {})(connection);
    } else if (path == "/stream") {
      http::Response head;
      head.content_type = "text/event-stream";
      carrier.begin_stream(connection, head, endpoint, ++endpoint.last_tag);
      EXPECT_EQ(carrier.stream(connection, "first\n"), outlet.wire(connection).stuck);
    } else if (path == "/open") {
      carrier.upgrade(connection, visit, endpoint, Sites::kAny);
    } else if (path == "/named") {
      carrier.upgrade(connection, visit, endpoint, Sites::kNamed);
    } else if (path == "/file") {
      carrier.ask_for_file(connection, Folder::kStatic, "file");
    } else if (path != "/nothing") {
      const std::string size = std::to_string(visit.request.body.size());
      carrier.respond(connection, http::text_response(200, std::string(path) + " " + size));
    }
  }
  http::Response on_file(const http::Request& request, const FileAnswer& answer) override {
    return http::text_response(200, std::string(request.path()) + answer.content);
  }

  ConnectionHandle connect(std::string_view from = "192.0.2.7:40000", bool over_tls = false) {
    return carrier.on_connected(
        now, {*Address::parse(from), *Address::parse("192.0.2.1:3478"), over_tls});
  }
  void send(ConnectionHandle connection, std::string_view bytes) {
    carrier.on_bytes(now, connection, as_bytes(bytes), outlet);
  }
  void say(ConnectionHandle connection, int opcode, std::string_view payload) {
    send(connection, client_frame(opcode, payload));
  }
  // Anything inside a call of the carrier.
  void inside(std::function<void()> action) {
    const ConnectionHandle other = connect("198.51.100.9:1");
    in_hold = [&](ConnectionHandle) { action(); };
    send(other, request("/hold"));
    std::erase(held, other);
    carrier.on_disconnected(now, other, outlet);
    endpoint.log.pop_back();
  }
  void respond(ConnectionHandle connection, std::string_view text, bool close = false) {
    http::Response response = http::text_response(200, text);
    response.close = close;
    inside([&] { carrier.respond(connection, response); });
  }
  static std::string request(std::string_view path, std::string_view headers = {}) {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a.example\r\n" + std::string(headers) +
           "\r\n";
  }
  static std::string upgrade(std::string_view path, std::string_view headers = {}) {
    return request(path,
                   "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                       std::string(headers));
  }
  ConnectionHandle open(std::string_view path = "/open") {
    const ConnectionHandle connection = connect();
    send(connection, upgrade(path));
    EXPECT_TRUE(take(connection).starts_with("HTTP/1.1 101 "));
    return connection;
  }
  // The status of a WebSocket handshake.
  int handshake(std::string_view path, std::string_view headers, std::string_view from) {
    const ConnectionHandle connection = connect(from);
    send(connection, upgrade(path, headers));
    const std::string answer = take(connection);
    carrier.on_disconnected(now, connection, outlet);
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
  }
  std::string take(ConnectionHandle connection) {
    return std::exchange(outlet.wire(connection).written, {});
  }
  // The bodies of all answers.
  Lines bodies(ConnectionHandle connection) {
    Lines found;
    std::string text = take(connection);
    while (!text.empty()) {
      const std::size_t end = text.find("\r\n\r\n");
      const std::size_t length = text.find("Content-Length: ");
      if (end == std::string::npos || length > end) return found;
      const std::size_t size = std::stoul(text.substr(length + 16));
      found.push_back(text.substr(end + 4, size));
      text.erase(0, end + 4 + size);
    }
    return found;
  }
  bool closed(ConnectionHandle connection) { return outlet.wire(connection).closed; }
  void pass(Duration duration) {
    const MonoTime end = now.mono + duration;
    while (carrier.next_deadline() <= end) {
      now.mono = std::max(now.mono, carrier.next_deadline());
      carrier.on_time(now, outlet);
    }
    now.mono = end;
    carrier.on_time(now, outlet);
  }

  FakeOutlet outlet;
  Tick now{{seconds(1000)}, {seconds(1767225600)}};
  Recorder endpoint;
  IpAddress source;
  bool secure = false;
  std::vector<ConnectionHandle> held;
  std::function<void(ConnectionHandle)> in_hold;
  Carrier carrier;
};

// --- held requests ---

TEST(HeldRequest, IsAnsweredLaterAndTheConnectionGoesOn) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/hold"));
  EXPECT_EQ(stage.take(connection), "");
  // Neither the request's deadline nor the idle time applies.
  stage.pass(seconds(600));
  EXPECT_FALSE(stage.closed(connection));
  stage.respond(connection, "at last");
  EXPECT_EQ(stage.bodies(connection), Lines{"at last"});
  stage.send(connection, Stage::request("/echo"));
  EXPECT_EQ(stage.bodies(connection), Lines{"/echo 0"});
  EXPECT_EQ(stage.endpoint.take(), Lines{}) << "an answer ends it without a word";
  // And now it is idle like any other.
  stage.pass(Carrier::kIdleTime + seconds(1));
  EXPECT_TRUE(stage.closed(connection));
}

TEST(HeldRequest, MayBeAnsweredBeforeTheRoutesReturn) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.in_hold = [&](ConnectionHandle held) {
    stage.carrier.respond(held, http::text_response(200, "at once"));
    stage.carrier.respond(held, http::text_response(200, "twice"));
  };
  stage.send(connection, Stage::request("/hold") + Stage::request("/echo"));
  EXPECT_EQ(stage.bodies(connection), (Lines{"at once", "/echo 0"}));
  EXPECT_EQ(stage.endpoint.take(), Lines{});
}

TEST(HeldRequest, WhoseClientIsGoneIsGone) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/hold"));
  stage.carrier.on_disconnected(stage.now, connection, stage.outlet);
  EXPECT_EQ(stage.endpoint.take(), Lines{"gone 1"});
  stage.respond(connection, "to nobody");
  EXPECT_EQ(stage.take(connection), "");
  EXPECT_EQ(stage.endpoint.take(), Lines{});
}

TEST(HeldRequest, HoldsBackWhatIsPipelinedBehindIt) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/hold") + Stage::request("/echo") + "GET /half HT");
  stage.send(connection, "TP/1.1\r\nHost: a\r\n\r\n" + Stage::request("/hold"));
  EXPECT_EQ(stage.take(connection), "");
  EXPECT_EQ(stage.held.size(), 1u);
  stage.respond(connection, "first");
  EXPECT_EQ(stage.bodies(connection), (Lines{"first", "/echo 0", "/half 0"}));
  EXPECT_EQ(stage.held.size(), 2u) << "the second one is held in its turn";
  stage.respond(connection, "second");
  EXPECT_EQ(stage.bodies(connection), Lines{"second"});
}

TEST(HeldRequest, CutsWhoPipelinesTooMuchBehindIt) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/hold"));
  stage.send(connection, std::string(Carrier::kMaxPipelined, 'x'));
  EXPECT_FALSE(stage.closed(connection));
  stage.send(connection, "x");
  EXPECT_TRUE(stage.closed(connection));
  EXPECT_EQ(stage.endpoint.take(), Lines{"gone 1"});
}

TEST(HeldRequest, AnswersThatCloseEndTheConnectionAndForgetThePipelined) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/hold") + Stage::request("/echo"));
  stage.respond(connection, "over", true);
  EXPECT_EQ(stage.bodies(connection), Lines{"over"});
  stage.pass(Carrier::kLingerTime + seconds(1));
  EXPECT_TRUE(stage.closed(connection));
  EXPECT_EQ(stage.endpoint.take(), Lines{});
}

TEST(HeldRequest, KeepsTheMethodAndTheSiteForItsAnswer) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, "HEAD /hold HTTP/1.1\r\nHost: a\r\nOrigin: https://b.example\r\n\r\n");
  http::Response response = http::text_response(200, "unseen");
  response.readers = http::Response::Readers::kCaller;
  stage.inside([&] { stage.carrier.respond(connection, response); });
  const std::string answer = stage.take(connection);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  EXPECT_NE(answer.find("Access-Control-Allow-Origin: https://b.example\r\n"), std::string::npos);
  EXPECT_NE(answer.find("Access-Control-Allow-Credentials: true\r\n"), std::string::npos);
  EXPECT_NE(answer.find("Vary: Origin\r\n"), std::string::npos);
}

TEST(Answers, ForTheCallingSiteNameItOnlyWhenThereIsOne) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/hold"));
  http::Response response = http::text_response(200, "seen");
  response.readers = http::Response::Readers::kCaller;
  stage.inside([&] { stage.carrier.respond(connection, response); });
  EXPECT_EQ(stage.take(connection).find("Access-Control"), std::string::npos);
}

TEST(Answers, ARequestThatNobodyAnswersIsAnswered500) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/nothing") + Stage::request("/echo"));
  const std::string written = stage.take(connection);
  EXPECT_TRUE(written.starts_with("HTTP/1.1 500 "));
  EXPECT_NE(written.find("/echo 0"), std::string::npos);
}

// --- WebSockets ---

TEST(Stream, GoesOnUntilTheClientLeavesAndHasNoLength) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/stream"));
  const std::string begun = stage.take(connection);
  EXPECT_TRUE(begun.starts_with("HTTP/1.1 200 OK\r\n")) << begun;
  EXPECT_NE(begun.find("Content-Type: text/event-stream\r\n"), std::string::npos);
  EXPECT_NE(begun.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(begun.find("Content-Length"), std::string::npos);
  EXPECT_TRUE(begun.ends_with("\r\n\r\nfirst\n"));
  // No deadline of requests is for it, and what the client sends means nothing.
  stage.pass(hours(2));
  stage.send(connection, Stage::request("/echo"));
  EXPECT_EQ(stage.take(connection), "");
  stage.inside([&] { stage.carrier.stream(connection, "second\n"); });
  EXPECT_EQ(stage.take(connection), "second\n");
  EXPECT_FALSE(stage.closed(connection));
  stage.carrier.on_disconnected(stage.now, connection, stage.outlet);
  EXPECT_EQ(stage.endpoint.take(), Lines{"gone 1"});
  stage.inside([&] { EXPECT_EQ(stage.carrier.stream(connection, "third\n"), 0u); });
}

TEST(Stream, MayBeDroppedByItsEndpoint) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/stream"));
  stage.inside([&] {
    stage.carrier.drop(connection);
    stage.carrier.drop(connection);
  });
  EXPECT_TRUE(stage.closed(connection));
  EXPECT_EQ(stage.endpoint.take(), Lines{"gone 1"});
}

TEST(Stream, ThatIsNotReadIsCut) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/stream"));
  stage.outlet.wire(connection).slow = true;
  const std::string part(Carrier::kMaxQueuedBytes, 'x');
  stage.inside([&] { stage.carrier.stream(connection, part); });
  EXPECT_FALSE(stage.closed(connection));
  stage.inside([&] { stage.carrier.stream(connection, "x"); });
  EXPECT_TRUE(stage.closed(connection));
  EXPECT_EQ(stage.endpoint.take(), Lines{"gone 1"});
}

TEST(Stream, ThatSendsTooMuchIsCut) {
  Stage stage;
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::request("/stream"));
  stage.send(connection, std::string(Carrier::kMaxDiscarded, 'x'));
  EXPECT_FALSE(stage.closed(connection));
  stage.send(connection, "x");
  EXPECT_TRUE(stage.closed(connection));
}

TEST(Conversation, HasOneBeginningAndOneEnd) {
  Stage stage;
  const ConnectionHandle connection = stage.open();
  stage.say(connection, 1, "hello");
  stage.carrier.on_disconnected(stage.now, connection, stage.outlet);
  EXPECT_EQ(stage.endpoint.take(), (Lines{"open 1", "text 1 hello", "gone 1"}));
}

TEST(Conversation, ThatIsClosedWhileItOpensEndsUnderItsTag) {
  Stage stage;
  stage.endpoint.last_tag = 41;
  stage.endpoint.in_open = [&](ConnectionHandle connection) {
    stage.carrier.send(connection, ws::Opcode::kText, "go away");
    stage.carrier.close(connection, ws::CloseCode::kPolicy, "because");
    EXPECT_EQ(stage.endpoint.log, Lines{"open 42"}) << "nothing is called back from inside";
  };
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::upgrade("/open") + client_frame(1, "too late"));
  EXPECT_EQ(stage.endpoint.take(), (Lines{"open 42", "gone 42"}));
  std::string written = stage.take(connection);
  written.erase(0, written.find("\r\n\r\n") + 4);
  const auto frames = take_frames(written);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].payload, "go away");
  EXPECT_EQ(frames[1].payload, std::string("\x03\xf0") + "because");
}

TEST(Conversation, ThatIsDroppedHearsNothingMoreAndEndsWithoutACloseFrame) {
  Stage stage;
  stage.endpoint.in_message = [&](ConnectionHandle connection) {
    stage.carrier.send(connection, ws::Opcode::kText, "last words");
    stage.carrier.drop(connection);
    stage.carrier.send(connection, ws::Opcode::kText, "unheard");
    EXPECT_FALSE(stage.closed(connection));
  };
  const ConnectionHandle connection = stage.open();
  stage.send(connection, client_frame(1, "a") + client_frame(1, "b"));
  EXPECT_TRUE(stage.closed(connection));
  EXPECT_EQ(stage.endpoint.take(), (Lines{"open 1", "text 1 a", "gone 1"}));
  std::string written = stage.take(connection);
  const auto frames = take_frames(written);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, "last words");
}

TEST(Conversation, NoticesOfTheEndMayEndOthers) {
  Stage stage;
  std::vector<ConnectionHandle> all;
  for (int i = 0; i < 5; ++i) all.push_back(stage.open());
  stage.endpoint.in_gone = [&](ConnectionHandle) {
    for (const ConnectionHandle one : all) stage.carrier.drop(one);
  };
  stage.carrier.on_disconnected(stage.now, all[2], stage.outlet);
  Lines heard = stage.endpoint.take();
  std::sort(heard.begin(), heard.end());
  EXPECT_EQ(heard, (Lines{"gone 1", "gone 2", "gone 3", "gone 4", "gone 5", "open 1", "open 2",
                          "open 3", "open 4", "open 5"}));
  EXPECT_EQ(stage.carrier.connection_count(), 0u);
}

TEST(Conversation, TakesBinaryMessagesWhereTheEndpointDoes) {
  Stage stage;
  const std::string bytes("\x00\xff\x80", 3);
  const ConnectionHandle refused = stage.open();
  stage.say(refused, 2, bytes);
  EXPECT_EQ(stage.endpoint.take(), (Lines{"open 1", "gone 1"}));
  std::string written = stage.take(refused);
  EXPECT_EQ(take_frames(written).at(0).payload, "\x03\xeb");
  stage.endpoint.binary = true;
  const ConnectionHandle taken = stage.open();
  stage.say(taken, 2, bytes);
  EXPECT_EQ(stage.endpoint.take(), (Lines{"open 2", "binary 2 " + bytes}));
  stage.endpoint.in_message = [&](ConnectionHandle connection) {
    stage.carrier.send(connection, ws::Opcode::kBinary, bytes);
  };
  stage.say(taken, 2, "");
  written = stage.take(taken);
  const auto frames = take_frames(written);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].opcode, 2);
  EXPECT_EQ(frames[0].payload, bytes);
}

TEST(Conversation, LargeMessagesArriveWholeAndTooLargeOnesEndIt) {
  Stage stage;
  stage.endpoint.most = 100'000;
  const ConnectionHandle connection = stage.open();
  const std::string large(100'000, 'x');
  stage.endpoint.in_message = [&](ConnectionHandle to) {
    stage.carrier.send(to, ws::Opcode::kText, large);
  };
  stage.say(connection, 1, large);
  std::string written = stage.take(connection);
  EXPECT_EQ(take_frames(written).at(0).payload, large);
  stage.endpoint.take();
  stage.say(connection, 1, large + "x");
  EXPECT_EQ(stage.endpoint.take(), (Lines{"too large 1", "gone 1"}));
}

TEST(Conversation, KeepsAliveByPingsOrLeavesThatToTheEndpoint) {
  Stage stage;
  const ConnectionHandle pinged = stage.open();
  stage.pass(Carrier::kPingInterval + seconds(1));
  std::string written = stage.take(pinged);
  const auto frames = take_frames(written);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, "ping 1");
  stage.say(pinged, 10, frames[0].payload);
  EXPECT_EQ(stage.endpoint.take(), (Lines{"open 1", "pong ping 1"}));
  stage.endpoint.keeps = Endpoint::KeepAlive::kOwn;
  const ConnectionHandle own = stage.open();
  stage.say(own, 10, "unasked");
  stage.pass(seconds(3600));
  EXPECT_FALSE(stage.closed(own));
  EXPECT_EQ(stage.take(own), "");
}

TEST(Conversation, MayBeRefusedBeforeItBegins) {
  Stage stage;
  stage.endpoint.refusal = http::text_response(401, "no\n");
  const ConnectionHandle connection = stage.connect();
  stage.send(connection, Stage::upgrade("/open"));
  const std::string answer = stage.take(connection);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 "));
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(stage.endpoint.take(), Lines{});
}

TEST(Endpoints, AreGivenTheirTime) {
  Stage stage;
  stage.endpoint.due = stage.now.mono + seconds(5);
  const MonoTime due = stage.endpoint.due;
  EXPECT_EQ(stage.carrier.next_deadline(), due);
  stage.pass(seconds(4));
  EXPECT_EQ(stage.endpoint.take(), Lines{});
  stage.pass(seconds(4));
  EXPECT_EQ(stage.endpoint.take(), Lines{"time"});
  EXPECT_EQ(stage.endpoint.at, due);
}

TEST(Endpoints, ChooseHowTheirWebSocketsEndWhenTheServerStops) {
  for (const auto says : {Endpoint::Farewell::kGoingAway, Endpoint::Farewell::kNone}) {
    Stage stage;
    stage.endpoint.says = says;
    const ConnectionHandle connection = stage.open();
    const ConnectionHandle held = stage.connect();
    stage.send(held, Stage::request("/hold"));
    stage.carrier.shut_down(stage.now, stage.outlet);
    EXPECT_TRUE(stage.closed(connection));
    EXPECT_TRUE(stage.closed(held));
    EXPECT_EQ(stage.take(held), "");
    std::string written = stage.take(connection);
    const auto frames = take_frames(written);
    ASSERT_EQ(frames.size(), says == Endpoint::Farewell::kNone ? 0u : 1u);
    if (!frames.empty()) {
      EXPECT_EQ(frames[0].payload, "\x03\xe9");
    }
    EXPECT_EQ(stage.carrier.connection_count(), 0u);
  }
}

// --- who may ---

TEST(Sites, AnyoneMayWhereNobodyIsNamed) {
  Stage stage;
  constexpr std::string_view kFrom = "192.0.2.7:1";
  EXPECT_EQ(stage.handshake("/open", "Origin: https://b.example\r\n", kFrom), 101);
  EXPECT_EQ(stage.handshake("/open", "Origin: null\r\n", kFrom), 101);
  EXPECT_EQ(stage.handshake("/open", "", kFrom), 101);
  EXPECT_EQ(stage.handshake("/open", "Origin: null\r\nOrigin: https://b.example\r\n", kFrom), 403);
  EXPECT_EQ(stage.handshake("/named", "Origin: https://b.example\r\n", kFrom), 403);
  EXPECT_EQ(stage.handshake("/named", "Origin: null\r\n", kFrom), 403);
  EXPECT_EQ(stage.handshake("/named", "Origin: http://a.example\r\n", kFrom), 101);
  EXPECT_EQ(stage.handshake("/named", "", kFrom), 101);
}

TEST(Sites, OnlyThoseThatAreNamedMayWhereSomeAre) {
  Stage stage({{"https://b.example"}, {}});
  constexpr std::string_view kFrom = "192.0.2.7:1";
  for (const std::string_view path : {"/open", "/named"}) {
    EXPECT_EQ(stage.handshake(path, "Origin: https://b.example\r\n", kFrom), 101);
    EXPECT_EQ(stage.handshake(path, "Origin: http://a.example\r\n", kFrom), 101);
    EXPECT_EQ(stage.handshake(path, "", kFrom), 101);
    EXPECT_EQ(stage.handshake(path, "Origin: https://c.example\r\n", kFrom), 403);
    EXPECT_EQ(stage.handshake(path, "Origin: null\r\n", kFrom), 403);
  }
}

Carrier::Settings behind_proxies() {
  return {{}, {*IpRange::parse("10.0.0.0/8"), *IpRange::parse("2001:db8:1::/48")}};
}

TEST(TrustedProxies, SayForWhomTheySpeak) {
  struct Case {
    std::string_view from, headers, source;
    bool secure;
  };
  constexpr std::string_view kProxy = "10.0.0.1:5";
  const Case cases[] = {
      {kProxy, "", "10.0.0.1", false},
      {kProxy, "X-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9", false},
      {kProxy, "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n", "192.0.2.9", true},
      // What clients make up stands to the left of what proxies wrote.
      {kProxy, "X-Forwarded-For: 203.0.113.1, 192.0.2.9\r\n", "192.0.2.9", false},
      {kProxy, "X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9",
       false},
      {kProxy, "X-Forwarded-For: 203.0.113.1,192.0.2.9 , 10.9.9.9,2001:db8:1::5\r\n", "192.0.2.9",
       false},
      {kProxy, "X-Forwarded-For: 203.0.113.1, 192.0.2.9\r\nX-Forwarded-For: 10.9.9.9\r\n",
       "192.0.2.9", false},
      // All of them are ours: the farthest one asks itself.
      {kProxy, "X-Forwarded-For: 10.1.1.1, 10.2.2.2\r\n", "10.1.1.1", false},
      {kProxy, "X-Forwarded-For: 192.0.2.9, nonsense\r\n", "10.0.0.1", false},
      {kProxy, "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: unknown\r\n", "10.0.0.1", false},
      {kProxy, "X-Forwarded-For: 192.0.2.9, nonsense, 10.2.2.2\r\n", "10.2.2.2", false},
      {kProxy, "X-Forwarded-For: 192.0.2.9:1234\r\n", "192.0.2.9", false},
      {kProxy, "X-Forwarded-For: [2001:db8::9]:1234\r\n", "2001:db8::9", false},
      {kProxy, "X-Forwarded-For:\r\n", "10.0.0.1", false},
      {"192.0.2.7:5", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.7",
       false},
      {"127.0.0.1:5", "X-Forwarded-For: 198.51.100.1\r\n", "127.0.0.1", false},
  };
  for (const Case& one : cases) {
    Stage stage(behind_proxies());
    const ConnectionHandle connection = stage.connect(one.from);
    stage.send(connection, Stage::request("/echo", one.headers));
    EXPECT_EQ(stage.source.to_string(), one.source) << one.headers;
    EXPECT_EQ(stage.secure, one.secure) << one.headers;
    EXPECT_EQ(stage.handshake("/open", one.headers, one.from), 101);
    EXPECT_EQ(stage.endpoint.source.to_string(), one.source) << one.headers;
    EXPECT_EQ(stage.endpoint.secure, one.secure) << one.headers;
  }
}

TEST(TrustedProxies, AreNotLimitedButTheClientsBehindThemAre) {
  Stage stage(behind_proxies());
  const auto open_for = [&](std::string_view client) {
    const ConnectionHandle connection = stage.connect("10.0.0.1:5");
    EXPECT_TRUE(connection);
    stage.send(connection,
               Stage::upgrade("/open", "X-Forwarded-For: " + std::string(client) + "\r\n"));
    return stage.take(connection).substr(9, 3);
  };
  for (std::uint32_t i = 0; i < Carrier::kMaxConnectionsPerSource; ++i) {
    ASSERT_EQ(open_for("192.0.2.9"), "101");
  }
  EXPECT_EQ(open_for("192.0.2.9"), "503");
  EXPECT_EQ(open_for("192.0.2.10"), "101");
}

// --- how much ---

std::string post(std::string_view path, std::string_view body, std::string_view headers = {}) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

TEST(BodyLimits, DependOnThePath) {
  Stage stage;
  const std::string large(1'000'000, 'b');
  const ConnectionHandle big = stage.connect();
  stage.send(big, post("/big", large));
  EXPECT_EQ(stage.bodies(big), Lines{"/big 1000000"});
  stage.send(big, post("/big", large + "b"));
  EXPECT_TRUE(stage.take(big).starts_with("HTTP/1.1 413 "));
  const ConnectionHandle small = stage.connect();
  stage.send(small, post("/echo", std::string(64 * 1024, 'b')));
  EXPECT_EQ(stage.bodies(small), Lines{"/echo 65536"});
  stage.send(small, post("/echo", std::string(64 * 1024 + 1, 'b')));
  EXPECT_TRUE(stage.take(small).starts_with("HTTP/1.1 413 "));
}

TEST(BodyLimits, HoldForChunkedBodiesToo) {
  constexpr std::string_view kChunked =
      " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string whole = "f4240\r\n" + std::string(1'000'000, 'c') + "\r\n";
  Stage stage;
  const ConnectionHandle big = stage.connect();
  stage.send(big, "POST /big" + std::string(kChunked) + whole + "0\r\n\r\n");
  EXPECT_EQ(stage.bodies(big), Lines{"/big 1000000"});
  stage.send(big, "POST /big" + std::string(kChunked) + whole + "1\r\nc\r\n0\r\n\r\n");
  EXPECT_TRUE(stage.take(big).starts_with("HTTP/1.1 413 "));
  const ConnectionHandle small = stage.connect();
  stage.send(small, "POST /echo" + std::string(kChunked) + "10001\r\n");
  EXPECT_TRUE(stage.take(small).starts_with("HTTP/1.1 413 "));
}

TEST(Memory, UnfinishedMessagesOfManyAreCutBeforeTheyFillIt) {
  Stage stage;
  stage.endpoint.most = 4u << 20;
  stage.endpoint.keeps = Endpoint::KeepAlive::kOwn;
  constexpr std::size_t kPart = 3u << 20;
  const std::string frame = client_frame(1, std::string(kPart, 'x'), false);
  const ConnectionHandle modest = stage.open();
  stage.send(modest, client_frame(1, "only a few bytes", false));
  std::size_t sent = 0, cut = 0;
  std::vector<ConnectionHandle> greedy;
  while (cut == 0 && sent <= 2 * Carrier::kMaxUnfinishedTotal) {
    greedy.push_back(stage.open());
    stage.send(greedy.back(), frame);
    sent += kPart;
    for (const ConnectionHandle one : greedy) cut += stage.closed(one) ? 1 : 0;
  }
  EXPECT_GT(sent, Carrier::kMaxUnfinishedTotal);
  EXPECT_LE(sent, Carrier::kMaxUnfinishedTotal + kPart);
  EXPECT_LE((greedy.size() - cut) * kPart, Carrier::kMaxUnfinishedTotal / 2);
  EXPECT_FALSE(stage.closed(modest));
  // What is whole does not count any more.
  stage.endpoint.take();
  stage.say(modest, 0, "!");
  EXPECT_EQ(stage.endpoint.take(), Lines{"text 1 only a few bytes!"});
}

TEST(Memory, WhatIsPipelinedBehindHeldRequestsCounts) {
  Stage stage;
  const std::string part(Carrier::kMaxPipelined, 'x');
  const std::size_t enough = Carrier::kMaxUnfinishedTotal / part.size() + 1;
  std::size_t cut = 0;
  for (std::size_t i = 0; i < enough; ++i) {
    const ConnectionHandle connection = stage.connect("127.0.0.1:7");
    stage.send(connection, Stage::request("/hold"));
    stage.send(connection, part);
  }
  for (const ConnectionHandle one : stage.held) cut += stage.closed(one) ? 1 : 0;
  EXPECT_GE(cut, enough / 2);
  EXPECT_EQ(stage.endpoint.take().size(), cut) << "each of them is told to its endpoint";
}

}  // namespace
}  // namespace turnpike::signaling::testing
