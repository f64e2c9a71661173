// Engine.IO over long polling: the handshake, its refusals, GET and POST, both protocols, limits.
#include "tests/signaling/engineio_world.h"

namespace turnpike::signaling::testing {
namespace {

using engineio::Settings;
using engineio::Version;
using http::Method;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::MatchesRegex;
using ::testing::Pair;
using namespace std::string_literals;

class EngineIoPolling : public EngineIoTest {};

TEST_F(EngineIoPolling, OpensASessionOfProtocol4) {
  const auto opened = get("EIO=4&transport=polling&t=abc");
  EXPECT_EQ(answer(opened).status, 200u);
  EXPECT_EQ(answer(opened).content_type, "text/plain; charset=UTF-8");
  EXPECT_TRUE(answer(opened).no_store);
  EXPECT_EQ(answer(opened).readers, http::Response::Readers::kCaller);
  EXPECT_EQ(body(opened),
            "0{\"sid\":\"" + session().sid +
                "\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,"
                "\"maxPayload\":1000000}");
  EXPECT_EQ(session().version, Version::k4);
  EXPECT_EQ(server_.session_count(), 1u);
}

TEST_F(EngineIoPolling, OpensASessionOfProtocol3WithALength) {
  const auto opened = get("EIO=3&transport=polling");
  EXPECT_EQ(body(opened), "97:0{\"sid\":\"" + session().sid +
                              "\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,"
                              "\"pingTimeout\":20000}");
  EXPECT_EQ(session().version, Version::k3);
}

TEST_F(EngineIoPolling, NamesSessionsByTwentyRandomCharacters) {
  get("EIO=4&transport=polling");
  get("EIO=4&transport=polling");
  EXPECT_THAT(application_.sessions[0].sid, MatchesRegex("[A-Za-z0-9_-]{20}"));
  EXPECT_NE(application_.sessions[0].sid, application_.sessions[1].sid);
}

TEST_F(EngineIoPolling, PutsWhatIsSentAtOnceBehindTheOpenPacket) {
  application_.when_opened = [this](Tick now, auto handle) {
    server_.send(now, handle, Kind::kText, "0");
  };
  EXPECT_THAT(body(get("EIO=3&transport=polling")), MatchesRegex("97:0\\{.*\\}2:40"));
  EXPECT_THAT(body(get("EIO=4&transport=polling")), MatchesRegex("0\\{.*\\}\x1e"
                                                                 "40"));
}

TEST_F(EngineIoPolling, RefusesUnknownTransportsFirst) {
  for (const std::string_view query : {"EIO=4", "EIO=4&transport=abc", "", "transport=flashsocket",
                                       "EIO=4&transport=abc&sid=unknown"}) {
    const auto asked = get(query);
    EXPECT_EQ(answer(asked).status, 400u) << query;
    EXPECT_EQ(answer(asked).content_type, "application/json");
    EXPECT_EQ(body(asked), error(0, "Transport unknown")) << query;
  }
}

TEST_F(EngineIoPolling, RefusesOtherProtocols) {
  for (const std::string_view eio : {"", "&EIO=", "&EIO=abc", "&EIO=2", "&EIO=5", "&EIO=44"}) {
    const auto asked = get("transport=polling" + std::string(eio));
    EXPECT_EQ(answer(asked).status, 400u) << eio;
    EXPECT_EQ(body(asked), error(5, "Unsupported protocol version")) << eio;
  }
}

TEST_F(EngineIoPolling, RefusesUnknownSessions) {
  const auto asked = get("EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA");
  EXPECT_EQ(answer(asked).status, 400u);
  EXPECT_EQ(body(asked), error(1, "Session ID unknown"));
  EXPECT_EQ(body(post("EIO=4&transport=polling&sid=x", "4hello")), error(1, "Session ID unknown"));
}

TEST_F(EngineIoPolling, OpensWithGetOnly) {
  for (const Method method : {Method::kPost, Method::kPut, Method::kDelete, Method::kHead}) {
    const auto asked = ask(method, "EIO=4&transport=polling");
    EXPECT_EQ(answer(asked).status, 400u);
    EXPECT_EQ(body(asked), error(2, "Bad handshake method"));
  }
  EXPECT_EQ(server_.session_count(), 0u);
}

TEST_F(EngineIoPolling, RefusesWhatDoesNotFitTheSession) {
  const std::string bad = error(3, "Bad request");
  EXPECT_EQ(body(get("EIO=4&transport=websocket")), bad);
  const std::string query = polling(4);
  EXPECT_EQ(body(get(as_websocket(query))), bad);
  EXPECT_EQ(body(get("EIO=3&transport=polling&sid=" + session().sid)), bad);
  EXPECT_EQ(body(ask(Method::kPut, query)), bad);
  EXPECT_THAT(session().closed, IsEmpty());
  const Socket socket = open_socket("EIO=4&transport=websocket");
  EXPECT_EQ(body(get("EIO=4&transport=polling&sid=" + session().sid)), bad);
}

TEST_F(EngineIoPolling, AnswersAPreflight) {
  const auto asked = ask(Method::kOptions, "EIO=3&transport=polling&sid=whatever");
  EXPECT_EQ(answer(asked).status, 204u);
  EXPECT_EQ(answer(asked).readers, http::Response::Readers::kCaller);
  EXPECT_THAT(answer(asked).headers, Contains(Pair("Access-Control-Allow-Methods", "GET,POST")));
  EXPECT_THAT(answer(asked).headers,
              Contains(Pair("Access-Control-Allow-Headers", "Content-Type")));
}

TEST_F(EngineIoPolling, LetsCallersReadRefusals) {
  EXPECT_EQ(answer(get("EIO=4")).readers, http::Response::Readers::kCaller);
}

TEST_F(EngineIoPolling, HoldsAGetUntilThereIsSomethingToSend) {
  const std::string query = polling(4);
  const auto poll = get(query);
  EXPECT_TRUE(held(poll));
  server_.send(now(), session().handle, Kind::kText, "hello");
  EXPECT_EQ(body(poll), "4hello");
  server_.send(now(), session().handle, Kind::kText, "one");
  server_.send(now(), session().handle, Kind::kText, "two");
  EXPECT_EQ(body(get(query)),
            "4one\x1e"
            "4two");
}

TEST_F(EngineIoPolling, TakesAPostAndSaysOk) {
  const std::string query = polling(4);
  const auto posted = post(query, "4hello");
  EXPECT_EQ(answer(posted).status, 200u);
  EXPECT_EQ(answer(posted).content_type, "text/html");
  EXPECT_EQ(body(posted), "ok");
  EXPECT_THAT(session().messages, ElementsAre("hello"));
  post(query,
       "4a\x1e"
       "bAQID\x1e"
       "4\u00e9");
  EXPECT_THAT(session().messages, ElementsAre("hello", "a", "<bin>\x01\x02\x03", "\u00e9"));
}

TEST_F(EngineIoPolling, AnswersWhatOnePostMadeInOneGet) {
  echo();
  const std::string query = polling(4);
  const auto poll = get(query);
  post(query,
       "4test1\x1e"
       "4test2\x1e"
       "bAQIDBA==");
  EXPECT_EQ(body(poll),
            "4test1\x1e"
            "4test2\x1e"
            "bAQIDBA==");
}

TEST_F(EngineIoPolling, EchoesInProtocol3) {
  echo();
  const std::string query = polling(3, "&b64=1");
  EXPECT_EQ(body(post(query, "6:4test16:4test2")), "ok");
  EXPECT_EQ(body(get(query)), "6:4test16:4test2");
  post(query, "6:4hello10:b4AQIDBA==");
  EXPECT_EQ(body(get(query)), "6:4hello10:b4AQIDBA==");
}

TEST_F(EngineIoPolling, AnswersBytesToClientsOfProtocol3ThatTakeThem) {
  echo();
  const std::string query = polling(3);
  post(query, "6:4hello10:b4AQIDBA==");
  const auto poll = get(query);
  EXPECT_EQ(body(poll),
            "\0\6\xff"
            "4hello\1\5\xff\4\1\2\3\4"s);
  EXPECT_EQ(answer(poll).content_type, "application/octet-stream");
  // Nothing binary in the batch: text.
  post(query, "6:4hello");
  EXPECT_EQ(body(get(query)), "6:4hello");
  // The request may say so as well.
  post(query, "10:b4AQIDBA==");
  EXPECT_EQ(body(get(query + "&b64=1")), "10:b4AQIDBA==");
}

TEST_F(EngineIoPolling, ReadsPostedBytesOfProtocol3) {
  const std::string query = polling(3);
  const auto posted = ask(Method::kPost, query,
                          "\0\6\xff"
                          "4hello\1\3\xff\4\1\2"s,
                          "application/octet-stream");
  EXPECT_EQ(body(posted), "ok");
  EXPECT_THAT(session().messages, ElementsAre("hello", "<bin>\1\2"));
}

TEST_F(EngineIoPolling, RefusesPostedBytesOfProtocol4) {
  const std::string query = polling(4);
  EXPECT_EQ(answer(ask(Method::kPost, query, "4hello", "application/octet-stream")).status, 400u);
  EXPECT_THAT(session().messages, IsEmpty());
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTransportError));
}

TEST_F(EngineIoPolling, EscapesTextForProtocol3Only) {
  echo();
  const std::string three = polling(3);
  post(three, "4:4\"\u00e9\"5:4\"\xf0\x9f\x98\x80\"");
  EXPECT_THAT(session().messages, ElementsAre("\"\u00e9\"", "\"\xf0\x9f\x98\x80\""));
  EXPECT_EQ(body(get(three)), "9:4\"\\u00e9\"15:4\"\\ud83d\\ude00\"");
  const std::string four = polling(4);
  post(four, "4\"\u00e9\"");
  EXPECT_EQ(body(get(four)), "4\"\u00e9\"");
}

TEST_F(EngineIoPolling, ClosesASessionThatPostsWhatIsNoPayload) {
  for (const int version : {3, 4}) {
    for (const std::string& bad : {"abc"s, ""s, "9:4"s, "4\xff"s}) {
      const std::string query = polling(version);
      const auto poll = get(query);
      EXPECT_EQ(answer(post(query, bad)).status, 400u);
      EXPECT_EQ(body(poll), version == 3 ? "1:1" : "1");
      EXPECT_THAT(session().closed, ElementsAre(Reason::kParseError));
      EXPECT_EQ(body(get(query)), error(1, "Session ID unknown"));
    }
  }
}

TEST_F(EngineIoPolling, DeliversWhatStandsBeforeTheBadPacket) {
  const std::string query = polling(4);
  post(query,
       "4a\x1e"
       "x\x1e"
       "4b");
  EXPECT_THAT(session().messages, ElementsAre("a"));
  EXPECT_THAT(session().closed, ElementsAre(Reason::kParseError));
}

TEST_F(EngineIoPolling, AllowsOneGetAtATime) {
  for (const int version : {3, 4}) {
    const std::string query = polling(version);
    const auto first = get(query);
    const auto second = get(query);
    EXPECT_EQ(answer(first).status, 200u);
    EXPECT_EQ(body(first), version == 3 ? "1:1" : "1");
    EXPECT_EQ(answer(second).status, 400u);
    EXPECT_THAT(session().closed, ElementsAre(Reason::kTransportError));
    EXPECT_EQ(answer(get(query)).status, 400u);
  }
}

TEST_F(EngineIoPolling, ClosesWhenTheGetIsCutOff) {
  const std::string query = polling(4);
  const auto poll = get(query);
  cut(poll);
  EXPECT_THAT(wire_.line(poll).responses, IsEmpty());
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTransportClose));
  EXPECT_EQ(body(get(query)), error(1, "Session ID unknown"));
  EXPECT_EQ(server_.session_count(), 0u);
}

TEST_F(EngineIoPolling, AnswersTheGetWithNoopWhenTheClientCloses) {
  for (const int version : {3, 4}) {
    const std::string query = polling(version);
    const auto poll = get(query);
    EXPECT_EQ(body(post(query, version == 3 ? "1:1" : "1")), "ok");
    EXPECT_EQ(body(poll), version == 3 ? "1:6" : "6");
    EXPECT_THAT(session().closed, ElementsAre(Reason::kClosedByClient));
    EXPECT_EQ(body(get(query)), error(1, "Session ID unknown"));
  }
}

TEST_F(EngineIoPolling, IgnoresWhatFollowsAClosePacket) {
  const std::string query = polling(4);
  EXPECT_EQ(body(post(query,
                      "4a\x1e"
                      "1\x1e"
                      "4b")),
            "ok");
  EXPECT_THAT(session().messages, ElementsAre("a"));
}

TEST_F(EngineIoPolling, ClosedByTheServerSaysSoInTheGetThatIsHeld) {
  const std::string query = polling(4);
  const auto poll = get(query);
  server_.close(now(), session().handle);
  EXPECT_EQ(body(poll), "1");
  EXPECT_THAT(session().closed, IsEmpty());  // never from inside close()
  EXPECT_LE(server_.next_deadline(), now_);
  pass({});
  EXPECT_THAT(session().closed, ElementsAre(Reason::kClosedByServer));
}

TEST_F(EngineIoPolling, ClosedByTheServerSaysSoInTheNextGetBehindWhatWaited) {
  const std::string query = polling(3);
  server_.send(now(), session().handle, Kind::kText, "bye");
  server_.close(now(), session().handle);
  server_.send(now(), session().handle, Kind::kText, "too late");
  pass(seconds(29));
  EXPECT_THAT(session().closed, ElementsAre(Reason::kClosedByServer));
  EXPECT_EQ(server_.session_count(), 0u);
  EXPECT_EQ(body(post(query, "6:4hello")), "ok");  // and is not read
  EXPECT_THAT(session().messages, IsEmpty());
  EXPECT_EQ(body(get(query)), "4:4bye1:1");
  EXPECT_EQ(body(get(query)), error(1, "Session ID unknown"));
  EXPECT_EQ(session().closed.size(), 1u);
}

TEST_F(EngineIoPolling, WaitsThirtySecondsWithTheGoodbye) {
  const std::string query = polling(4);
  server_.close(now(), session().handle);
  pass(seconds(31));
  EXPECT_EQ(body(get(query)), error(1, "Session ID unknown"));
  EXPECT_EQ(session().closed.size(), 1u);
  EXPECT_EQ(server_.next_deadline(), MonoTime::never());
}

TEST_F(EngineIoPolling, MayBeClosedWhileItOpens) {
  application_.when_opened = [this](Tick now, auto handle) {
    server_.send(now, handle, Kind::kText, "no");
    server_.close(now, handle);
  };
  EXPECT_THAT(body(get("EIO=4&transport=polling")), MatchesRegex("0\\{.*\\}\x1e"
                                                                 "4no\x1e"
                                                                 "1"));
  EXPECT_THAT(session().closed, ElementsAre(Reason::kClosedByServer));
  EXPECT_EQ(server_.session_count(), 0u);
}

TEST_F(EngineIoPolling, MayBeClosedWhileItSpeaks) {
  application_.when_told = [this](Tick now, auto handle, Kind, std::string_view) {
    server_.close(now, handle);
  };
  const std::string query = polling(4);
  const auto poll = get(query);
  EXPECT_EQ(body(post(query,
                      "4a\x1e"
                      "4b")),
            "ok");
  EXPECT_THAT(session().messages, ElementsAre("a"));
  EXPECT_EQ(body(poll), "1");
  EXPECT_THAT(session().closed, ElementsAre(Reason::kClosedByServer));
}

TEST_F(EngineIoPolling, MaySendToOthersWhileItCloses) {
  const std::string other = polling(4);
  const auto other_handle = session().handle;
  const auto other_poll = get(other);
  const std::string query = polling(4);
  application_.when_closed = [&](auto handle) {
    server_.send(now(), handle, Kind::kText, "to the dead");
    server_.send(now(), other_handle, Kind::kText, "gone");
  };
  post(query, "1");
  EXPECT_EQ(body(other_poll), "4gone");
}

TEST_F(EngineIoPolling, SpeaksJsonp) {
  echo();
  const auto opened = get("EIO=3&transport=polling&j=0&b64=1");
  EXPECT_EQ(answer(opened).content_type, "text/javascript; charset=UTF-8");
  EXPECT_THAT(body(opened), MatchesRegex("___eio\\[0\\]\\(\"97:0\\{\\\\\"sid.*\\}\"\\);"));
  const std::string query = "EIO=3&transport=polling&sid=" + session().sid;
  const auto posted =
      ask(Method::kPost, query + "&j=1", "d=8%3A4a%5Cnb%5C%5Cnc%0A10%3Ab4AQIDBA%3D%3D",
          "application/x-www-form-urlencoded");
  EXPECT_EQ(body(posted), "ok");
  EXPECT_THAT(session().messages, ElementsAre("a\nb\\nc\n", "<bin>\1\2\3\4"));
  EXPECT_EQ(body(get(query + "&j=2);evil(")),
            "___eio[2](\"8:4a\\u000ab\\\\nc\\u000a10:b4AQIDBA==\");");
  EXPECT_EQ(answer(ask(Method::kPost, query + "&j=3", "4hello")).status, 400u);
}

TEST_F(EngineIoPolling, RefusesAPostAboveTheLimit) {
  const std::string query = polling(4);
  const std::string largest = "4" + std::string(999'999, 'x');
  EXPECT_EQ(answer(post(query, largest)).status, 200u);
  const auto posted = post(query, largest + "x");
  EXPECT_EQ(answer(posted).status, 413u);
  EXPECT_TRUE(answer(posted).close);
  EXPECT_EQ(session().messages.size(), 1u);
}

class EngineIoLimits : public EngineIoTest {
 protected:
  EngineIoLimits() : EngineIoTest(settings()) {}
  static Settings settings() {
    Settings settings;
    settings.max_sessions = 4;
    settings.max_sessions_per_source = 2;
    settings.max_queued = 1000;
    settings.max_queued_total = 1500;
    return settings;
  }
};

TEST_F(EngineIoLimits, EndsASessionForWhichTooMuchWaits) {
  const std::string query = polling(4);
  for (int i = 0; i < 3; ++i) {
    server_.send(now(), session().handle, Kind::kText, std::string(200, 'x'));
  }
  pass({});
  EXPECT_THAT(session().closed, IsEmpty());
  server_.send(now(), session().handle, Kind::kText, std::string(200, 'x'));
  pass({});
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTooSlow));
  EXPECT_EQ(body(get(query)), error(1, "Session ID unknown"));
}

TEST_F(EngineIoLimits, CountsManySmallPacketsAsMemory) {
  polling(3);
  for (int i = 0; i < 20; ++i) server_.send(now(), session().handle, Kind::kText, "");
  pass({});
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTooSlow));
}

TEST_F(EngineIoLimits, BoundsWhatWaitsForAllTogether) {
  const std::string first = polling(4);
  const auto first_handle = session().handle;
  const std::string second = polling(4);
  const auto second_handle = session().handle;
  // 64 bytes count for each packet: 2 * (64 + 686) is the total.
  server_.send(now(), first_handle, Kind::kText, std::string(686, 'x'));
  server_.send(now(), second_handle, Kind::kText, std::string(686, 'x'));
  pass({});
  EXPECT_THAT(session().closed, IsEmpty());
  server_.send(now(), second_handle, Kind::kText, "");
  pass({});
  EXPECT_THAT(application_.sessions[0].closed, IsEmpty());
  EXPECT_THAT(application_.sessions[1].closed, ElementsAre(Reason::kTooSlow));
  // What ended is not counted any more, nor what was answered.
  server_.send(now(), first_handle, Kind::kText, "");
  EXPECT_EQ(body(get(first)).size(), 689u);
  polling(4);
  server_.send(now(), session().handle, Kind::kText, std::string(900, 'x'));
  pass({});
  EXPECT_THAT(session().closed, IsEmpty());
}

TEST_F(EngineIoLimits, CutsTheIndexOfJsonp) {
  const auto opened = get("EIO=4&transport=polling&j=12345678901234567890");
  EXPECT_THAT(body(opened), ::testing::StartsWith("___eio[1234567890123456]("));
}

TEST_F(EngineIoLimits, RefusesAClientThatIsSentTooMuchWhileItOpens) {
  application_.when_opened = [this](Tick now, auto handle) {
    server_.send(now, handle, Kind::kText, std::string(2000, 'x'));
  };
  EXPECT_EQ(answer(get("EIO=4&transport=polling")).status, 503u);
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTooSlow));
}

TEST_F(EngineIoLimits, HasAMaximumOfSessionsForEachSource) {
  polling(4);
  EXPECT_FALSE(open_socket("EIO=4&transport=websocket").refused);
  const auto refused = get("EIO=4&transport=polling");
  EXPECT_EQ(answer(refused).status, 403u);
  EXPECT_EQ(body(refused), error(4, "Forbidden"));
  const Socket socket = open_socket("EIO=3&transport=websocket");
  ASSERT_TRUE(socket.refused);
  EXPECT_EQ(socket.refused->status, 403u);
  EXPECT_EQ(socket.refused->body, "Forbidden");
  // Another source is welcome, and so is this one when a session has gone.
  source_ = IpAddress::v4(192, 0, 2, 8);
  EXPECT_EQ(answer(get("EIO=4&transport=polling")).status, 200u);
  source_ = IpAddress::v4(192, 0, 2, 7);
  server_.close(now(), application_.sessions[1].handle);
  pass({});
  EXPECT_EQ(answer(get("EIO=4&transport=polling")).status, 200u);
}

TEST_F(EngineIoLimits, CountsASubscriberOfIPv6Once) {
  const auto from = [this](std::string_view text) {
    source_ = *IpAddress::parse(text);
    return answer(get("EIO=4&transport=polling")).status;
  };
  EXPECT_EQ(from("2001:db8::1"), 200u);
  EXPECT_EQ(from("2001:db8::2"), 200u);
  EXPECT_EQ(from("2001:db8::3"), 403u);
  EXPECT_EQ(from("2001:db8:0:1::3"), 200u);
}

TEST_F(EngineIoLimits, HasAMaximumOfSessionsButNoneForLoopback) {
  source_ = IpAddress::loopback(Family::kIPv4);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(answer(get("EIO=4&transport=polling")).status, 200u);
  const auto refused = get("EIO=4&transport=polling");
  EXPECT_EQ(answer(refused).status, 503u);
  EXPECT_EQ(body(refused), error(4, "Forbidden"));
  EXPECT_EQ(open_socket("EIO=4&transport=websocket").refused->status, 503u);
}

}  // namespace
}  // namespace turnpike::signaling::testing
