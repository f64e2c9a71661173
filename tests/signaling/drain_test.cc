// A server that drains: members are told and stay, nobody new comes in, whatever is spoken.
#include <gtest/gtest.h>

#include "tests/signaling/world.h"

namespace turnpike::signaling::testing {
namespace {

std::string upgrade_of(std::string_view target) {
  std::string request(kUpgrade);
  request.replace(request.find("/ws"), 3, target);
  return request + "\r\n";
}

// Members are told as soon as there is time.
void drain(World& world, std::optional<seconds> left) {
  world.service.drain(left);
  world.pass(milliseconds(1));
}

TEST(DrainingRooms, MembersAreToldHowLongTheyMayStay) {
  World world;
  Tab ann(world), guest(world);
  ann.join("demo");
  drain(world, seconds(300));
  const json told = ann.hear("draining");
  EXPECT_EQ(told["endsIn"], 300);
  EXPECT_EQ(told["seq"], 2);
  EXPECT_TRUE(guest.silent()) << "not a member";
  EXPECT_TRUE(ann.silent()) << "once";
}

TEST(DrainingRooms, WithoutADeadlineNoneIsTold) {
  World world;
  Tab ann(world);
  ann.join("demo");
  drain(world, std::nullopt);
  EXPECT_FALSE(ann.hear("draining").contains("endsIn"));
}

TEST(DrainingRooms, NobodyJoinsAndWhoIsInTalksOn) {
  World world;
  Tab ann(world), bob(world);
  ann.join("demo", "Ann");
  bob.join("demo", "Bob");
  ann.ignore();
  drain(world, seconds(300));
  for (Tab* tab : {&ann, &bob}) tab->hear("draining");
  Tab late(world);
  for (const char* room : {"demo", "another", "echo"}) {
    late.say({{"type", "join"}, {"room", room}, {"id", 7}});
    const json refusal = late.hear("error");
    EXPECT_EQ(refusal["code"], "draining");
    EXPECT_EQ(refusal["id"], 7);
  }
  EXPECT_EQ(late.close_code(), 0);
  bob.say({{"type", "send"}, {"data", "still here"}});
  EXPECT_EQ(ann.hear("message")["data"], "still here");
  bob.say({{"type", "leave"}});
  EXPECT_EQ(ann.hear("member-left")["reason"], "left");
}

TEST(DrainingRooms, WhoLostTheConnectionComesBackAndIsToldThen) {
  World world;
  Tab ann(world);
  ann.join("demo");
  ann.lose();
  drain(world, seconds(300));
  EXPECT_EQ(world.service.conversations(), 1u) << "away is not gone";
  Tab again(world);
  again.say({{"type", "resume"}, {"session", ann.session}, {"received", 1}});
  again.hear("resumed");
  EXPECT_EQ(again.hear("draining")["endsIn"], 300);
}

TEST(DrainingRooms, MembersRenewTheirCredentials) {
  World world;
  Tab ann(world);
  ann.join("demo", "Ann", world.invitation("demo"));
  drain(world, seconds(300));
  ann.hear("draining");
  ann.say({{"type", "ice"}});
  EXPECT_FALSE(ann.hear("ice-servers")["iceServers"].empty());
}

TEST(Draining, OtherProtocolsAreClosedWithTryAgainLater) {
  World world;
  const auto before = world.connect();
  world.send(before, upgrade_of("/y-webrtc"));
  ASSERT_EQ(world.answers(before).front().status, 101);
  drain(world, seconds(300));
  for (const char* target :
       {"/y-webrtc", "/v3/websocket", "/anything", "/peerjs/peerjs?key=peerjs&id=a&token=b",
        "/socket.io/?EIO=4&transport=websocket"}) {
    const auto connection = world.connect();
    world.send(connection, upgrade_of(target));
    std::string bytes = world.take(connection);
    const std::size_t head = bytes.find("\r\n\r\n");
    ASSERT_TRUE(bytes.starts_with("HTTP/1.1 101")) << target << bytes;
    bytes.erase(0, head + 4);
    const auto frames = take_frames(bytes);
    ASSERT_EQ(frames.size(), 1u) << target;
    EXPECT_EQ(frames[0].opcode, 8) << target;
    EXPECT_EQ(frames[0].payload, std::string("\x03\xf5") + "draining") << target;  // 1013
    world.send(connection, client_frame(8, "\x03\xf5"));
    EXPECT_TRUE(world.closed(connection)) << target;
  }
  EXPECT_FALSE(world.closed(before)) << "that one was there before";
  EXPECT_EQ(world.service.conversations(), 1u);
}

TEST(Draining, EngineIoSessionsGoOnAndNoneBegins) {
  World world;
  const std::string before = world.get("/socket.io/?EIO=4&transport=polling").body;
  const std::string sid = json::parse(before.substr(1))["sid"];
  EXPECT_EQ(world.service.conversations(), 1u);
  drain(world, seconds(300));
  EXPECT_EQ(world.get("/socket.io/?EIO=4&transport=polling").status, 503);
  const std::string session = "/socket.io/?EIO=4&transport=polling&sid=" + sid;
  EXPECT_EQ(world.post(session, "40").status, 200);
  EXPECT_EQ(world.get(session).status, 200);
  const auto socket = world.connect();
  world.send(socket, upgrade_of("/socket.io/?EIO=4&transport=websocket&sid=" + sid));
  ASSERT_EQ(world.answers(socket).front().status, 101);
  world.send(socket, client_frame(1, "2probe"));
  std::string bytes = world.take(socket);
  const auto frames = take_frames(bytes);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, "3probe");
}

TEST(Draining, NobodyMintsForARelayThatRefuses) {
  World world;
  const std::string key = "Authorization: Bearer " + std::string(kKey) + "\r\n";
  ASSERT_EQ(world.get("/api/ice", key).status, 200);
  drain(world, seconds(300));
  for (const char* target : {"/api/ice", "/ice", "/turn?service=turn"}) {
    const auto answer = world.get(target, key);
    EXPECT_EQ(answer.status, 503) << target;
    EXPECT_EQ(answer.parsed()["error"], "draining") << target;
    EXPECT_FALSE(answer.header("retry-after").empty()) << target;
  }
  EXPECT_EQ(world.get("/api/rooms", key).status, 200);
  EXPECT_EQ(world.get("/").status, 200);
}

}  // namespace
}  // namespace turnpike::signaling::testing
