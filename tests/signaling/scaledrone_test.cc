#include "signaling/scaledrone.h"

#include <gtest/gtest.h>

#include "tests/signaling/dialect_world.h"

namespace turnpike::signaling::testing {

namespace {

using Texts = std::vector<std::string>;

struct World {
  explicit World(ScaleDrone::Settings settings = {}, RoomTokens rooms = RoomTokens())
      : tokens(std::move(rooms)), drone(std::move(settings), wire, random, gate) {}

  Client join(std::string_view room, std::string_view data = "null") {
    const Client client = greet(data);
    say(drone, client, subscription(room));
    return client;
  }
  Client greet(std::string_view data = "null", std::string_view channel = "c") {
    const Client client = open(wire, drone, "/v3/websocket");
    say(drone, client,
        std::string(R"({"type":"handshake","channel":")") + std::string(channel) +
            R"(","version":2,"client_data":)" + std::string(data) + R"(,"callback":0})");
    const std::string head = R"({"callback":0,"client_id":")";
    const std::string text = wire.take(client.connection).at(0);
    EXPECT_TRUE(text.starts_with(head)) << text;
    ids[client.tag] = text.substr(head.size(), 12);
    return client;
  }
  static std::string subscription(std::string_view room, int history = 0) {
    return R"({"type":"subscribe","room":")" + std::string(room) + R"(","history_count":)" +
           std::to_string(history) + R"(,"callback":1})";
  }
  static std::string publication(std::string_view room, std::string_view message) {
    return R"({"type":"publish","room":")" + std::string(room) + R"(","message":)" +
           std::string(message) + "}";
  }
  Texts heard(const Client& client) { return wire.take(client.connection); }
  std::string id(const Client& client) { return ids[client.tag]; }

  FakeWire wire;
  SeededRandom random{7};
  RoomTokens tokens;
  Gate gate{tokens};
  ScaleDrone drone;
  std::map<Endpoint::Tag, std::string> ids;
};

TEST(ScaleDroneDialect, MembersAreToldToTheNewcomerAndTheNewcomerToTheMembers) {
  World world;
  const Client ann = world.join("observable-1");
  const std::string a = R"({"id":")" + world.id(ann) + R"("})";
  EXPECT_EQ(world.heard(ann),
            (Texts{R"({"callback":1})",
                   R"({"type":"observable_members","room":"observable-1","data":[)" + a + "]}"}));
  const Client ben = world.join("observable-1", R"({"name" : "B"})");
  const std::string b = R"({"id":")" + world.id(ben) + R"(","clientData":{"name" : "B"}})";
  EXPECT_EQ(
      world.heard(ben),
      (Texts{R"({"callback":1})", R"({"type":"observable_members","room":"observable-1","data":[)" +
                                      a + "," + b + "]}"}));
  EXPECT_EQ(world.heard(ann),
            (Texts{R"({"type":"observable_member_join","room":"observable-1","data":)" + b + "}"}));
  world.drone.on_gone(kStart, ben.connection, ben.tag);
  EXPECT_EQ(
      world.heard(ann),
      (Texts{R"({"type":"observable_member_leave","room":"observable-1","data":)" + b + "}"}));
}

TEST(ScaleDroneDialect, APublishGoesUnchangedToAllInTheRoomAndNobodyElse) {
  World world;
  const Client ann = world.join("observable-1");
  const Client ben = world.join("observable-1");
  const Client cai = world.join("observable-2");
  const Client dan = world.greet("null", "another");
  say(world.drone, dan, World::subscription("observable-1"));
  for (const Client& client : {ann, ben, cai, dan}) world.heard(client);
  say(world.drone, ann, World::publication("observable-1", R"({"n" : 1.50e1,"u":"\u00e9"})"));
  const Texts heard = world.heard(ben);
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_TRUE(heard[0].starts_with(R"({"type":"publish","room":"observable-1","message":)"
                                   R"({"n" : 1.50e1,"u":"\u00e9"},"client_id":")" +
                                   world.id(ann) + R"(","id":")"))
      << heard[0];
  EXPECT_TRUE(heard[0].ends_with(R"(","timestamp":1800000000})")) << heard[0];
  EXPECT_EQ(world.heard(ann), heard) << "the author hears it too";
  EXPECT_TRUE(world.heard(cai).empty());
  EXPECT_TRUE(world.heard(dan).empty()) << "another channel";
  say(world.drone, cai, World::publication("observable-1", "1"));
  EXPECT_TRUE(world.heard(ann).empty()) << "nobody was told who that is";
  EXPECT_EQ(world.heard(cai).size(), 1u) << "an error";
}

TEST(ScaleDroneDialect, HistoryIsNewestFirstAndBounded) {
  World world;
  const Client ann = world.join("room");
  for (std::size_t i = 0; i <= ScaleDrone::kMaxHistory; ++i) {
    say(world.drone, ann, World::publication("room", std::to_string(i)));
  }
  const Client ben = world.greet();
  say(world.drone, ben, World::subscription("room", 1000));
  const Texts heard = world.heard(ben);
  ASSERT_EQ(heard.size(), 1 + ScaleDrone::kMaxHistory);
  EXPECT_TRUE(heard[1].starts_with(
      R"({"type":"history_message","room":"room","index":0,"message":100,"client_id":")"));
  EXPECT_TRUE(heard[100].starts_with(
      R"({"type":"history_message","room":"room","index":99,"message":1,"client_id":")"));
  world.drone.on_gone(kStart, ann.connection, ann.tag);
  EXPECT_GT(world.drone.history_bytes(), 0u);
  world.drone.on_gone(kStart, ben.connection, ben.tag);
  EXPECT_EQ(world.drone.history_bytes(), 0u);
  EXPECT_EQ(world.drone.room_count(), 0u);
}

TEST(ScaleDroneDialect, HistoryKeepsToTheBudgetOfAllRooms) {
  World world({.max_history = 1000});
  const Client ann = world.join("room");
  for (int i = 0; i < 50; ++i) say(world.drone, ann, World::publication("room", "\"0123456789\""));
  EXPECT_LE(world.drone.history_bytes(), 1000u);
  EXPECT_GT(world.drone.history_bytes(), 800u);
}

TEST(ScaleDroneDialect, ATokenComesBeforeRooms) {
  World world({}, with_password("open sesame"));
  const Client ann = open(world.wire, world.drone, "/v3/websocket");
  say(world.drone, ann, R"({"type":"handshake","channel":"c","callback":0})");
  EXPECT_TRUE(world.heard(ann).at(0).ends_with(R"("require_auth":true})"));
  say(world.drone, ann, World::subscription("room"));
  EXPECT_EQ(world.heard(ann), (Texts{R"({"callback":1,"error":"Unauthorized"})"}));
  say(world.drone, ann, World::publication("room", "1"));
  EXPECT_EQ(world.heard(ann), (Texts{R"({"error":"Unauthorized"})"}));
  say(world.drone, ann, R"({"type":"authenticate","token":"wrong","callback":2})");
  EXPECT_EQ(world.heard(ann), (Texts{R"({"callback":2,"error":"JWT does not have 3 parts"})"}));
  say(world.drone, ann, R"({"type":"authenticate","token":"open sesame","callback":3})");
  say(world.drone, ann, World::subscription("room"));
  EXPECT_EQ(world.heard(ann), (Texts{R"({"callback":3})", R"({"callback":1})"}));
  const Client ben = open(world.wire, world.drone, "/v3/websocket?token=open%20sesame");
  say(world.drone, ben, R"({"type":"handshake","channel":"c","callback":0})");
  EXPECT_TRUE(world.heard(ben).at(0).find("require_auth") == std::string::npos);
}

TEST(ScaleDroneDialect, WhoGuessesTokensIsCut) {
  World world({}, with_password("open sesame"));
  const Client ann = open(world.wire, world.drone, "/v3/websocket");
  say(world.drone, ann, R"({"type":"handshake","channel":"c","callback":0})");
  for (std::uint32_t i = 0; i < ScaleDrone::kMaxWrongTokens; ++i) {
    EXPECT_TRUE(world.wire.line(ann.connection).open()) << i;
    say(world.drone, ann, R"({"type":"authenticate","token":"wrong","callback":2})");
  }
  EXPECT_EQ(world.wire.line(ann.connection).code, ws::CloseCode::kPolicy);
}

TEST(ScaleDroneDialect, ARoomTakesAsManyAsItMayAndNotOneMore) {
  World world({.room_size = 2, .max_rooms = 1});
  world.join("room");
  const Client ben = world.join("room");
  EXPECT_EQ(world.heard(ben), (Texts{R"({"callback":1})"}));
  const Client cai = world.join("room");
  EXPECT_EQ(world.heard(cai), (Texts{R"({"callback":1,"error":"The room is full"})"}));
  say(world.drone, cai, World::subscription("second"));
  EXPECT_EQ(world.heard(cai), (Texts{R"({"callback":1,"error":"Too many rooms"})"}));
  say(world.drone, ben, R"({"type":"unsubscribe","room":"room"})");
  EXPECT_TRUE(world.heard(ben).empty());
  say(world.drone, cai, World::subscription("room"));
  EXPECT_EQ(world.heard(cai), (Texts{R"({"callback":1})"}));
}

TEST(ScaleDroneDialect, ASocketHasItsShareOfRooms) {
  World world;
  const Client ann = world.greet();
  for (std::size_t i = 0; i <= ScaleDrone::kMaxSubscriptions; ++i) {
    say(world.drone, ann, World::subscription("room " + std::to_string(i)));
  }
  const Texts heard = world.heard(ann);
  EXPECT_EQ(heard[ScaleDrone::kMaxSubscriptions - 1], R"({"callback":1})");
  EXPECT_EQ(heard[ScaleDrone::kMaxSubscriptions],
            R"({"callback":1,"error":"Too many rooms for one client"})");
}

TEST(ScaleDroneDialect, NonsenseIsAnErrorOrTheEndOfThatConnection) {
  World world;
  for (const char* text : {R"({"type":5})", R"({"type":"subscribe"})", R"({"type":"publish"})",
                           R"({"type":"handshake"})", "{}", R"({"type":"subscribe","room":7})"}) {
    const Client bad = open(world.wire, world.drone, "/v3/websocket");
    say(world.drone, bad, text);
    EXPECT_TRUE(world.heard(bad).at(0).starts_with(R"({"error":")")) << text;
  }
  for (const char* text : {"", "[]", "5", "{", R"({"type":"publish","type":"publish"})"}) {
    const Client bad = open(world.wire, world.drone, "/v3/websocket");
    say(world.drone, bad, text);
    EXPECT_TRUE(world.wire.line(bad.connection).closed) << text;
  }
  EXPECT_EQ(world.drone.farewell(), Endpoint::Farewell::kNone);
}

TEST(ScaleDroneDialect, WhoNeverStopsTalkingIsCut) {
  World world;
  const Client ann = world.join("room");
  for (int i = 0; i < 1300; ++i) say(world.drone, ann, World::publication("room", "1"));
  EXPECT_EQ(world.wire.line(ann.connection).code, ws::CloseCode::kPolicy);
  EXPECT_LT(world.heard(ann).size(), 210u);
}

}  // namespace

}  // namespace turnpike::signaling::testing
