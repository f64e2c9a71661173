// The Service's table of paths: which dialect is found where, and for whom.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "world.h"

namespace turnpike::signaling::testing {
namespace {

constexpr std::string_view kForeign = "Origin: https://elsewhere.example\r\n";
constexpr std::string_view kNull = "Origin: null\r\n";
constexpr std::string_view kNamed = "Origin: https://named.example\r\n";

void name_a_site(Settings& settings) { settings.allowed_origins = {"https://named.example"}; }

std::string upgrade(std::string_view target, std::string_view headers = {}) {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: turn.example:3478\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         std::string(headers) + "\r\n";
}

// The status of a WebSocket handshake.
int handshake(World& world, std::string_view target, std::string_view headers = {}) {
  const ConnectionHandle connection = world.connect();
  world.send(connection, upgrade(target, headers));
  const std::string answer = world.take(connection);
  if (!world.closed(connection)) world.hang_up(connection);
  return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
}

// A WebSocket and what came over it as text.
struct Line {
  Line(World& its_world, std::string_view target) : world(its_world), handle(world.connect()) {
    world.send(handle, upgrade(target));
    std::string answer = world.take(handle);
    const std::size_t end = answer.find("\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ")) << answer;
    bytes = answer.substr(end + 4);
  }
  void say(std::string_view text) { world.send(handle, client_frame(1, text)); }
  std::vector<std::string> hear() {
    bytes += world.take(handle);
    std::vector<std::string> texts;
    for (const ServerFrame& frame : take_frames(bytes)) texts.push_back(frame.payload);
    return texts;
  }
  World& world;
  ConnectionHandle handle;
  std::string bytes;
};

const std::string_view kDialects[] = {"/",
                                      "/any/path?room=7",
                                      "/socket.io/?EIO=4&transport=websocket",
                                      "/v3/websocket",
                                      "/peerjs?key=peerjs&id=a&token=b",
                                      "/y-webrtc"};

TEST(Paths, EveryDialectIsOpenToEverySiteWhereNoneIsNamed) {
  World world;
  for (const std::string_view path : kDialects) {
    EXPECT_EQ(handshake(world, path), 101) << path;
    EXPECT_EQ(handshake(world, path, kForeign), 101) << path;
    EXPECT_EQ(handshake(world, path, kNull), 101) << path;
  }
  EXPECT_EQ(handshake(world, "/ws", kForeign), 403);
  EXPECT_EQ(handshake(world, "/ws", kNull), 403);
}

TEST(Paths, NoDialectIsOpenToOtherSitesThanThoseNamed) {
  World world(name_a_site);
  for (const std::string_view path : kDialects) {
    EXPECT_EQ(handshake(world, path), 101) << path;
    EXPECT_EQ(handshake(world, path, kNamed), 101) << path;
    EXPECT_EQ(handshake(world, path, "Origin: http://turn.example:3478\r\n"), 101) << path;
    EXPECT_EQ(handshake(world, path, kForeign), 403) << path;
    EXPECT_EQ(handshake(world, path, kNull), 403) << path;
  }
}

TEST(Paths, PollingIsOpenToTheSameSitesAndNamesThem) {
  constexpr std::string_view kPoll = "/socket.io/?EIO=4&transport=polling";
  World open;
  const HttpAnswer answer = open.get(kPoll, kForeign);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("access-control-allow-origin"), "https://elsewhere.example");
  EXPECT_EQ(answer.header("access-control-allow-credentials"), "true");
  EXPECT_EQ(answer.body.substr(0, 8), R"(0{"sid":)");
  EXPECT_EQ(open.get("/socket.io?EIO=4&transport=polling").status, 200);
  World closed(name_a_site);
  EXPECT_EQ(closed.get(kPoll, kNamed).status, 200);
  for (const std::string_view site : {kForeign, kNull}) {
    const HttpAnswer refused = closed.get(kPoll, site);
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(refused.header("content-type"), "application/json");
    EXPECT_EQ(refused.header("access-control-allow-origin"), "");
    EXPECT_EQ(refused.body, R"({"code":4,"message":"Forbidden"})");
  }
  EXPECT_EQ(closed.get("/peerjs/peerjs/id", kForeign).status, 403);
  EXPECT_EQ(closed.get("/peerjs/peerjs/id", kNamed).status, 200);
}

TEST(Paths, OnlyEngineIoTakesLargeBodies) {
  World world;
  const std::string large(1'000'000, 'x');
  // Of no session, but read.
  constexpr std::string_view kPost = "/socket.io/?EIO=4&transport=polling&sid=none";
  EXPECT_EQ(world.post(kPost, large).status, 400);
  EXPECT_EQ(world.post(kPost, large + "x").status, 413);
  EXPECT_EQ(world.post("/api/invitations", large).status, 413);
}

TEST(Paths, APollIsHeldUntilThereIsSomethingToSay) {
  World world;
  const HttpAnswer opened = world.get("/socket.io/?EIO=3&transport=polling");
  const std::size_t at = opened.body.find("\"sid\":\"");
  ASSERT_NE(at, std::string::npos) << opened.body;
  const std::string sid = opened.body.substr(at + 7, 20);
  const std::string target = "/socket.io/?EIO=3&transport=polling&sid=" + sid;
  const ConnectionHandle poll = world.connect();
  world.send(poll, "GET " + target + " HTTP/1.1\r\nHost: turn.example:3478\r\n\r\n");
  EXPECT_EQ(world.take(poll), "");
  EXPECT_EQ(world.post(target, "1:2").body, "ok");
  const auto answers = world.answers(poll);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].body, "1:3") << "the pong";
}

TEST(Paths, TheRawRelayIsEverywhereElse) {
  World world;
  Line ann(world, "/"), ben(world, "/"), cat(world, "/?room=7");
  ann.say(R"({"event":"_offer"})");
  EXPECT_EQ(ben.hear(), std::vector<std::string>{R"({"event":"_offer"})"});
  EXPECT_TRUE(ann.hear().empty());
  EXPECT_TRUE(cat.hear().empty());
  // And the native protocol stays out of it.
  Tab tab(world);
  tab.join("demo");
  EXPECT_TRUE(ann.hear().empty());
}

TEST(Paths, ScaleDroneAnswersItsHandshake) {
  World world;
  Line line(world, "/v3/websocket");
  line.say(R"({"type":"handshake","channel":"c","version":2,"client_data":null,"callback":0})");
  const auto heard = line.hear();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(json::parse(heard[0])["callback"], 0);
}

TEST(Paths, YWebrtcAnswersPings) {
  World world;
  Line line(world, "/y-webrtc");
  line.say(R"({"type":"ping"})");
  EXPECT_EQ(line.hear(), std::vector<std::string>{R"({"type":"pong"})"});
}

TEST(Paths, ThoseForWebSocketsSaySoToOthers) {
  World world;
  EXPECT_EQ(world.get("/v3/websocket").status, 426);
  EXPECT_EQ(world.get("/y-webrtc").status, 426);
  EXPECT_EQ(world.get("/ws").status, 426);
  EXPECT_EQ(world.get("/").status, 200) << "the start page";
}

// With npm at build time they are there; without, the answer says what to do.
TEST(Paths, SocketIosClientIsWhereItsPagesLookForIt) {
  World world;
  for (const std::string folder : {"/socket.io/", "/node_modules/socket.io/client-dist/"}) {
    for (const std::string name :
         {"socket.io.js", "socket.io.min.js", "socket.io.js.map", "socket.io.esm.min.js"}) {
      const HttpAnswer answer = world.get(folder + name, kForeign);
      if (answer.status == 404) {
        EXPECT_NE(answer.body.find("tools/up"), std::string::npos) << folder << name;
        continue;
      }
      EXPECT_EQ(answer.status, 200) << folder << name;
      EXPECT_FALSE(answer.body.empty());
      EXPECT_EQ(answer.header("access-control-allow-origin"), "https://elsewhere.example");
    }
  }
  EXPECT_EQ(world.get("/socket.io/other.js").body, "there is nothing here\n");
}

TEST(Paths, DialectsThatComeBackAreLeftWithoutACloseFrame) {
  World world;
  Line drone(world, "/v3/websocket"), engine(world, "/socket.io/?EIO=4&transport=websocket"),
      raw(world, "/");
  engine.hear();
  world.carrier.shut_down(world.now, world.outlet);
  EXPECT_TRUE(drone.hear().empty());
  EXPECT_TRUE(engine.hear().empty());
  EXPECT_EQ(raw.hear().size(), 1u);
}

}  // namespace
}  // namespace turnpike::signaling::testing
