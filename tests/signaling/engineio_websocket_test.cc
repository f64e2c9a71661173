// Engine.IO over WebSocket, the upgrade to it, and heartbeats on either transport.
#include "signaling/engineio_core.h"
#include "tests/signaling/engineio_world.h"

namespace turnpike::signaling::testing {
namespace {

using engineio::Version;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::string_literals;

class EngineIoSocket : public EngineIoTest {};
class EngineIoUpgrade : public EngineIoTest {
 protected:
  // A session that polls, and a WebSocket that has been answered 3probe.
  void probe(int version) {
    query_ = polling(version);
    socket_ = open_socket(as_websocket(query_));
    ASSERT_FALSE(socket_.refused);
    EXPECT_THAT(heard(socket_), IsEmpty());
    say(socket_, "2probe");
    EXPECT_THAT(heard(socket_), ElementsAre("3probe"));
  }
  std::string query_;
  Socket socket_;
};
class EngineIoHeartbeat : public EngineIoTest {};

TEST_F(EngineIoSocket, OpensASession) {
  const Socket four = open_socket("EIO=4&transport=websocket");
  EXPECT_THAT(heard(four),
              ElementsAre("0{\"sid\":\"" + session().sid +
                          "\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,"
                          "\"maxPayload\":1000000}"));
  const Socket three = open_socket("EIO=3&transport=websocket");
  EXPECT_THAT(heard(three),
              ElementsAre("0{\"sid\":\"" + session().sid +
                          "\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000}"));
}

TEST_F(EngineIoSocket, SendsWhatIsSentAtOnceBehindTheOpenPacket) {
  application_.when_opened = [this](Tick now, auto handle) {
    server_.send(now, handle, Kind::kText, "0");
  };
  const auto frames = heard(open_socket("EIO=3&transport=websocket"));
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1], "40");
}

TEST_F(EngineIoSocket, RefusesWithTheBareMessage) {
  const auto refusal = [this](std::string_view query) {
    const Socket socket = open_socket(query);
    EXPECT_TRUE(socket.refused);
    if (!socket.refused) return ""s;
    EXPECT_EQ(socket.refused->status, 400u);
    EXPECT_EQ(socket.refused->content_type, "text/html");
    EXPECT_TRUE(socket.refused->close);
    return socket.refused->body;
  };
  EXPECT_EQ(refusal("EIO=4"), "Transport unknown");
  EXPECT_EQ(refusal("EIO=4&transport=abc"), "Transport unknown");
  EXPECT_EQ(refusal("transport=websocket"), "Unsupported protocol version");
  EXPECT_EQ(refusal("EIO=abc&transport=websocket"), "Unsupported protocol version");
  EXPECT_EQ(refusal("EIO=4&transport=websocket&sid=unknown"), "Session ID unknown");
  EXPECT_EQ(refusal("EIO=4&transport=polling"), "Bad request");
  polling(3);
  EXPECT_EQ(refusal("EIO=4&transport=websocket&sid=" + session().sid), "Bad request");
}

TEST_F(EngineIoSocket, CarriesTextAndBinary) {
  echo();
  const Socket four = open_socket("EIO=4&transport=websocket");
  heard(four);
  say(four, "4hello");
  say_bytes(four, "\1\2\3\4");
  say_bytes(four, "");
  say(four, "bAQID");
  EXPECT_THAT(heard(four), ElementsAre("4hello", "\1\2\3\4", "", "\1\2\3"));
  const Socket three = open_socket("EIO=3&transport=websocket");
  heard(three);
  say(three, "4h\u00e9");
  say_bytes(three, "\4\1\2\3\4");
  // The escaping is for polling only.
  EXPECT_THAT(heard(three), ElementsAre("4h\u00e9", "\4\1\2\3\4"));
  EXPECT_THAT(session().messages, ElementsAre("h\u00e9", "<bin>\1\2\3\4"));
}

TEST_F(EngineIoSocket, SendsBinaryInBinaryFrames) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  heard(socket);
  server_.send(now(), session().handle, Kind::kBinary, "x");
  server_.send(now(), session().handle, Kind::kText, "x");
  const auto& frames = line(socket).frames;
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].opcode, ws::Opcode::kBinary);
  EXPECT_EQ(frames[1].opcode, ws::Opcode::kText);
}

TEST_F(EngineIoSocket, SendsToManyInTheFormOfEach) {
  std::vector<engineio::SessionHandle> all;
  const auto add = [&] { all.push_back(session().handle); };
  const Socket three = open_socket("EIO=3&transport=websocket");
  add();
  const Socket four = open_socket("EIO=4&transport=websocket");
  add();
  const std::string polls_three = polling(3, "&b64=1");
  add();
  const std::string polls_four = polling(4);
  add();
  all.push_back({77, 1});  // nobody
  heard(three), heard(four);
  server_.send_all(now(), all, Kind::kText, "hi");
  server_.send_all(now(), all, Kind::kBinary, "\1\2\3");
  EXPECT_THAT(heard(three), ElementsAre("4hi", "\4\1\2\3"));
  EXPECT_THAT(heard(four), ElementsAre("4hi", "\1\2\3"));
  EXPECT_EQ(body(get(polls_three)), "3:4hi6:b4AQID");
  EXPECT_EQ(body(get(polls_four)),
            "4hi\x1e"
            "bAQID");
}

TEST_F(EngineIoSocket, ClosesOnWhatIsNoPacket) {
  for (const int version : {3, 4}) {
    for (const std::string_view bad : {"abc", "", "7", "b4*"}) {
      const Socket socket = open_socket("EIO=" + std::to_string(version) + "&transport=websocket");
      say(socket, bad);
      EXPECT_TRUE(line(socket).closed) << bad;
      EXPECT_THAT(session().closed, ElementsAre(Reason::kParseError)) << bad;
    }
  }
  const Socket socket = open_socket("EIO=3&transport=websocket");
  say_bytes(socket, "");
  EXPECT_THAT(session().closed, ElementsAre(Reason::kParseError));
}

TEST_F(EngineIoSocket, IgnoresPacketsWithoutMeaning) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  for (const std::string_view packet : {"0", "0{}", "5", "6", "3", "3"}) say(socket, packet);
  EXPECT_FALSE(line(socket).closed);
  EXPECT_THAT(session().closed, IsEmpty());
}

TEST_F(EngineIoSocket, ClosesWhenTheClientSaysSo) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  say(socket, "1");
  EXPECT_TRUE(line(socket).closed);
  EXPECT_THAT(session().closed, ElementsAre(Reason::kClosedByClient));
  server_.on_gone(now(), socket.connection, socket.tag);  // as the wire reports afterwards
  EXPECT_EQ(session().closed.size(), 1u);
}

TEST_F(EngineIoSocket, EndsWithItsConnection) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  server_.on_gone(now(), socket.connection, socket.tag);
  EXPECT_FALSE(line(socket).closed);
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTransportClose));
  EXPECT_EQ(server_.session_count(), 0u);
  EXPECT_EQ(server_.next_deadline(), MonoTime::never());
}

TEST_F(EngineIoSocket, IsClosedByTheServerAfterWhatWasSent) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  heard(socket);
  server_.send(now(), session().handle, Kind::kText, "bye");
  server_.close(now(), session().handle);
  server_.send(now(), session().handle, Kind::kText, "late");
  EXPECT_THAT(heard(socket), ElementsAre("4bye"));
  EXPECT_TRUE(line(socket).closed);
  pass({});
  EXPECT_THAT(session().closed, ElementsAre(Reason::kClosedByServer));
}

TEST_F(EngineIoSocket, CostsLittleWhileIdle) { EXPECT_LE(sizeof(engineio::Session), 192u); }

TEST_F(EngineIoSocket, TakesMessagesOfOneMegabyte) {
  EXPECT_EQ(server_.max_message(), 1'000'000u);
  EXPECT_TRUE(server_.takes_binary());
  EXPECT_EQ(server_.keep_alive(), Endpoint::KeepAlive::kOwn);
}

// --- upgrade ---

TEST_F(EngineIoUpgrade, MovesTheSessionToTheWebSocket) {
  for (const int version : {3, 4}) {
    echo();
    probe(version);
    EXPECT_EQ(body(get(query_)), version == 3 ? "1:6" : "6");
    say(socket_, "5");
    say(socket_, "4hello");
    EXPECT_THAT(heard(socket_), ElementsAre("4hello"));
    EXPECT_EQ(body(get(query_)), error(3, "Bad request"));
    EXPECT_EQ(body(post(query_, "4x")), error(3, "Bad request"));
    EXPECT_THAT(session().closed, IsEmpty());
  }
  EXPECT_EQ(server_.session_count(), 2u);
}

TEST_F(EngineIoUpgrade, LetsTheHeldGetGoWithANoop) {
  query_ = polling(4);
  const auto poll = get(query_);
  socket_ = open_socket(as_websocket(query_));
  EXPECT_TRUE(held(poll));
  say(socket_, "2probe");
  EXPECT_EQ(body(poll), "6");
}

TEST_F(EngineIoUpgrade, NeitherLosesNorDoublesWhatIsSentMeanwhile) {
  probe(4);
  const auto handle = session().handle;
  server_.send(now(), handle, Kind::kText, "a");
  EXPECT_THAT(heard(socket_), IsEmpty());
  EXPECT_EQ(body(get(query_)), "4a");
  server_.send(now(), handle, Kind::kText, "b");
  server_.send(now(), handle, Kind::kBinary, "\1");
  EXPECT_THAT(heard(socket_), IsEmpty());
  say(socket_, "5");
  server_.send(now(), handle, Kind::kText, "c");
  EXPECT_THAT(heard(socket_), ElementsAre("4b", "\1", "4c"));
}

TEST_F(EngineIoUpgrade, TakesPostsUntilItIsDone) {
  probe(4);
  EXPECT_EQ(body(post(query_, "4posted")), "ok");
  say(socket_, "5");
  say(socket_, "4framed");
  EXPECT_THAT(session().messages, ElementsAre("posted", "framed"));
}

TEST_F(EngineIoUpgrade, AnswersAGetThatIsStillHeld) {
  query_ = polling(4);
  const auto poll = get(query_);
  socket_ = open_socket(as_websocket(query_));
  say(socket_, "5");
  EXPECT_EQ(body(poll), "6");
  say(socket_, "4hello");
  EXPECT_THAT(session().messages, ElementsAre("hello"));
}

TEST_F(EngineIoUpgrade, ClosesASecondWebSocketAtOnce) {
  probe(4);
  const Socket during = open_socket(as_websocket(query_));
  EXPECT_FALSE(during.refused);
  EXPECT_TRUE(line(during).closed);
  say(socket_, "5");
  const Socket after = open_socket(as_websocket(query_));
  EXPECT_FALSE(after.refused);
  EXPECT_TRUE(line(after).closed);
  server_.on_gone(now(), during.connection, during.tag);
  server_.on_gone(now(), after.connection, after.tag);
  say(socket_, "4hello");
  EXPECT_THAT(session().messages, ElementsAre("hello"));
  EXPECT_FALSE(line(socket_).closed);
}

TEST_F(EngineIoUpgrade, ClosesAProbeThatSaysAnythingElse) {
  for (const std::string_view bad : {"2", "2prob", "3probe", "4hello", "1", "5x", "abc", ""}) {
    query_ = polling(4);
    socket_ = open_socket(as_websocket(query_));
    say(socket_, bad);
    EXPECT_TRUE(line(socket_).closed) << bad;
    // The session goes on, and may try once more.
    const auto poll = get(query_);
    EXPECT_TRUE(held(poll));
    EXPECT_THAT(session().closed, IsEmpty());
    EXPECT_THAT(session().messages, IsEmpty());
    socket_ = open_socket(as_websocket(query_));
    say(socket_, "2probe");
    EXPECT_THAT(heard(socket_), ElementsAre("3probe"));
  }
}

TEST_F(EngineIoUpgrade, SurvivesALostProbe) {
  probe(4);
  server_.on_gone(now(), socket_.connection, socket_.tag);
  const auto poll = get(query_);
  EXPECT_TRUE(held(poll));  // no noop any more
  server_.send(now(), session().handle, Kind::kText, "x");
  EXPECT_EQ(body(poll), "4x");
}

TEST_F(EngineIoUpgrade, GivesUpAfterTenSeconds) {
  probe(4);
  pass(milliseconds(9'999));
  EXPECT_FALSE(line(socket_).closed);
  pass(milliseconds(100));
  EXPECT_TRUE(line(socket_).closed);
  EXPECT_TRUE(held(get(query_)));
  EXPECT_THAT(session().closed, IsEmpty());
}

TEST_F(EngineIoUpgrade, EndsTheProbeWithTheSession) {
  probe(4);
  post(query_, "1");
  EXPECT_TRUE(line(socket_).closed);
  EXPECT_THAT(session().closed, ElementsAre(Reason::kClosedByClient));
  say(socket_, "5");
  server_.on_gone(now(), socket_.connection, socket_.tag);
  EXPECT_EQ(session().closed.size(), 1u);
}

TEST_F(EngineIoUpgrade, IsRefusedToASessionThatTheServerCloses) {
  query_ = polling(4);
  server_.close(now(), session().handle);
  socket_ = open_socket(as_websocket(query_));
  EXPECT_TRUE(line(socket_).closed);
  EXPECT_EQ(body(get(query_)), "1");
}

// --- heartbeat ---

TEST_F(EngineIoHeartbeat, OfProtocol4IsTheServersPing) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  heard(socket);
  const MonoTime begun = now_;
  for (int i = 1; i <= 20; ++i) {
    // The pace is kept: neither the timers' grain nor the client's delay adds up.
    const MonoTime due = begun + seconds(25) * i;
    pass(due - milliseconds(1) - now_);
    EXPECT_THAT(heard(socket), IsEmpty());
    pass(milliseconds(65));
    EXPECT_THAT(heard(socket), ElementsAre("2"));
    pass(milliseconds(500));
    say(socket, "3");
  }
  EXPECT_THAT(session().closed, IsEmpty());
}

TEST_F(EngineIoHeartbeat, OfProtocol4PingsAtOnceWhenThePongCameLate) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  pass(seconds(25) + milliseconds(64));
  heard(socket);
  now_ = now_ + seconds(60);  // the loop stood still and the pong is read first
  say(socket, "3");
  pass(milliseconds(64));
  EXPECT_THAT(heard(socket), ElementsAre("2"));
}

TEST_F(EngineIoHeartbeat, OfProtocol4GoesOnUnderTraffic) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  heard(socket);
  for (int i = 0; i < 5; ++i) {
    say(socket, "4hello");
    say(socket, "3");  // not asked for: changes nothing
    pass(milliseconds(5'100));
  }
  EXPECT_THAT(heard(socket), ElementsAre("2"));
}

TEST_F(EngineIoHeartbeat, OfProtocol4EndsASessionThatDoesNotAnswer) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  pass(seconds(25) + milliseconds(64));
  say(socket, "4only a pong counts");
  pass(milliseconds(19'800));
  EXPECT_THAT(session().closed, IsEmpty());
  pass(milliseconds(200));
  EXPECT_TRUE(line(socket).dropped);
  EXPECT_THAT(session().closed, ElementsAre(Reason::kPingTimeout));
}

TEST_F(EngineIoHeartbeat, OfProtocol4ForgivesALoopThatStoodStill) {
  const Socket socket = open_socket("EIO=4&transport=websocket");
  heard(socket);
  pass(minutes(5));
  EXPECT_THAT(heard(socket), ElementsAre("2"));
  pass(seconds(19));
  say(socket, "3");
  EXPECT_THAT(session().closed, IsEmpty());
}

TEST_F(EngineIoHeartbeat, OfProtocol4WorksByPolling) {
  const std::string query = polling(4);
  for (int i = 0; i < 3; ++i) {
    const auto poll = get(query);
    pass(milliseconds(25'100));
    EXPECT_EQ(body(poll), "2");
    EXPECT_EQ(body(post(query, "3")), "ok");
  }
  const auto poll = get(query);
  pass(milliseconds(25'100));
  EXPECT_EQ(body(poll), "2");
  const auto last = get(query);
  pass(milliseconds(20'100));
  EXPECT_EQ(body(last), "1");
  EXPECT_THAT(session().closed, ElementsAre(Reason::kPingTimeout));
}

TEST_F(EngineIoHeartbeat, OfProtocol3IsTheClientsPing) {
  const Socket socket = open_socket("EIO=3&transport=websocket");
  heard(socket);
  for (int i = 0; i < 3; ++i) {
    pass(seconds(25));
    say(socket, "2");
    say(socket, "2probe");  // what the ping says is not repeated here
    EXPECT_THAT(heard(socket), ElementsAre("3", "3"));
  }
  const std::string query = polling(3);
  post(query, "1:2");
  EXPECT_EQ(body(get(query)), "1:3");
}

TEST_F(EngineIoHeartbeat, OfProtocol3IsAnythingThatIsReceived) {
  const Socket socket = open_socket("EIO=3&transport=websocket");
  pass(seconds(44));
  say(socket, "4hello");
  pass(seconds(44));
  EXPECT_THAT(session().closed, IsEmpty());
  pass(milliseconds(1'100));
  EXPECT_THAT(session().closed, ElementsAre(Reason::kPingTimeout));
  EXPECT_THAT(heard(socket), ::testing::SizeIs(1));  // the server never pings
}

TEST_F(EngineIoHeartbeat, TheWrongWayRoundCloses) {
  const Socket three = open_socket("EIO=3&transport=websocket");
  say(three, "3");
  EXPECT_TRUE(line(three).closed);
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTransportError));
  const Socket four = open_socket("EIO=4&transport=websocket");
  say(four, "2");
  EXPECT_TRUE(line(four).closed);
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTransportError));
  post(polling(3), "1:3");
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTransportError));
  post(polling(4), "2");
  EXPECT_THAT(session().closed, ElementsAre(Reason::kTransportError));
}

TEST_F(EngineIoHeartbeat, IsPunctualToWhoeverAsks) {
  // No timer has fired yet, but the time is over.
  const std::string three = polling(3);
  now_ = now_ + seconds(45);
  EXPECT_EQ(body(post(three, "1:2")), error(1, "Session ID unknown"));
  const std::string four = polling(4);
  now_ = now_ + seconds(25);
  EXPECT_EQ(body(get(four)), "2");
  now_ = now_ + seconds(20);
  EXPECT_EQ(body(get(four)), error(1, "Session ID unknown"));
  EXPECT_THAT(application_.sessions[0].closed, ElementsAre(Reason::kPingTimeout));
  EXPECT_THAT(application_.sessions[1].closed, ElementsAre(Reason::kPingTimeout));
}

TEST_F(EngineIoHeartbeat, GoesOnThroughAnUpgrade) {
  const std::string query = polling(4);
  pass(seconds(20));
  const Socket socket = open_socket(as_websocket(query));
  say(socket, "2probe");
  say(socket, "5");
  heard(socket);
  pass(milliseconds(5'100));
  EXPECT_THAT(heard(socket), ElementsAre("2"));
}

}  // namespace
}  // namespace turnpike::signaling::testing
