#include "signaling/peerjs.h"

#include <gtest/gtest.h>

#include "tests/signaling/dialect_world.h"

namespace turnpike::signaling::testing {

namespace {

using Texts = std::vector<std::string>;

struct World {
  explicit World(PeerJs::Settings settings = {}, RoomTokens rooms = RoomTokens())
      : tokens(std::move(rooms)), peerjs(std::move(settings), wire, random, gate) {}
  Client join(const std::string& id, const std::string& token = "t", Tick now = kStart) {
    return open(wire, peerjs, "/peerjs?key=peerjs&id=" + id + "&token=" + token, now);
  }
  Texts heard(const Client& client) { return wire.take(client.connection); }
  http::Response get(std::string target) {
    http::Request request;
    request.method = http::Method::kGet;
    request.target = std::move(target);
    const auto connection = wire.connect();
    peerjs.on_request(kStart, connection, {IpAddress(), false, request});
    return wire.line(connection).responses.at(0);
  }

  FakeWire wire;
  SeededRandom random{7};
  RoomTokens tokens;
  Gate gate{tokens};
  PeerJs peerjs;
};

TEST(PeerJsDialect, MessagesGoToWhomTheyNameWithTheirTrueAuthor) {
  World world;
  const Client ann = world.join("ann");
  const Client ben = world.join("ben");
  EXPECT_EQ(world.heard(ann), (Texts{R"({"type":"OPEN"})"}));
  world.heard(ben);
  say(world.peerjs, ann, R"({"type":"OFFER","src":"cai","dst":"ben","payload":{"n" : 1.0}})");
  EXPECT_EQ(world.heard(ben),
            (Texts{R"({"type":"OFFER","src":"ann","dst":"ben","payload":{"n" : 1.0}})"}));
  for (const char* text : {R"({"type":"HEARTBEAT","dst":"ben"})", R"({"type":"OPEN","dst":"ben"})",
                           R"({"type":"OFFER","dst":7})", R"({"type":"ERROR","dst":"ben"})"}) {
    say(world.peerjs, ann, text);
  }
  EXPECT_TRUE(world.heard(ben).empty());
  EXPECT_TRUE(world.heard(ann).empty());
}

TEST(PeerJsDialect, WhatIsForAnAbsentPeerWaitsAndThenExpires) {
  World world;
  const Client ann = world.join("ann");
  world.heard(ann);
  say(world.peerjs, ann, R"({"type":"OFFER","dst":"ben","payload":1})");
  const Client ben = world.join("ben", "t", later(seconds(4)));
  EXPECT_EQ(world.heard(ben), (Texts{R"({"type":"OPEN"})",
                                     R"({"type":"OFFER","src":"ann","dst":"ben","payload":1})"}));
  EXPECT_EQ(world.peerjs.waiting_bytes(), 0u);
  say(world.peerjs, ann, R"({"type":"OFFER","dst":"cai","payload":1})");
  say(world.peerjs, ann, R"({"type":"CANDIDATE","dst":"cai","payload":2})");
  say(world.peerjs, ann, R"({"type":"LEAVE","dst":"dan"})");
  world.peerjs.on_time(later(milliseconds(4900)));
  EXPECT_TRUE(world.heard(ann).empty());
  world.peerjs.on_time(later(milliseconds(5100)));
  EXPECT_EQ(world.heard(ann), (Texts{R"({"type":"EXPIRE","src":"cai","dst":"ann"})"}));
  EXPECT_EQ(world.peerjs.waiting_bytes(), 0u);
}

TEST(PeerJsDialect, AFullQueueExpiresAtOnce) {
  World world;
  const Client ann = world.join("ann");
  world.heard(ann);
  const std::string text = R"({"type":"OFFER","dst":"ben","payload":1})";
  for (std::size_t i = 0; i < PeerJs::kMaxWaiting; ++i) say(world.peerjs, ann, text);
  EXPECT_TRUE(world.heard(ann).empty());
  say(world.peerjs, ann, text);
  EXPECT_EQ(world.heard(ann), (Texts{R"({"type":"EXPIRE","src":"ben","dst":"ann"})"}));
}

TEST(PeerJsDialect, AnIdIsTakenUntilItsOwnerGoes) {
  World world;
  const Client ann = world.join("ann", "hers");
  const Client thief = world.join("ann", "his");
  EXPECT_EQ(world.heard(thief), (Texts{R"({"type":"ID-TAKEN","payload":{"msg":"ID is taken"}})"}));
  EXPECT_TRUE(world.wire.line(thief.connection).closed);
  const Client again = world.join("ann", "hers");
  EXPECT_EQ(world.heard(again), (Texts{R"({"type":"OPEN"})"}));
  EXPECT_TRUE(world.wire.line(ann.connection).closed);
  world.peerjs.on_gone(kStart, ann.connection, ann.tag);
  EXPECT_EQ(world.peerjs.peer_count(), 1u) << "the old connection's end is not the new one's";
  world.peerjs.on_gone(kStart, again.connection, again.tag);
  EXPECT_EQ(world.heard(world.join("ann", "his")), (Texts{R"({"type":"OPEN"})"}));
}

TEST(PeerJsDialect, WhoIsSilentForNinetySecondsIsGone) {
  World world;
  const Client ann = world.join("ann");
  const Client ben = world.join("ben");
  say(world.peerjs, ann, R"({"type":"HEARTBEAT"})", later(seconds(60)));
  world.peerjs.on_time(later(seconds(89)));
  EXPECT_EQ(world.peerjs.peer_count(), 2u);
  world.peerjs.on_time(later(seconds(91)));
  EXPECT_EQ(world.peerjs.peer_count(), 1u);
  EXPECT_TRUE(world.wire.line(ben.connection).closed);
  EXPECT_FALSE(world.wire.line(ann.connection).closed);
}

TEST(PeerJsDialect, RefusesWithWordsThatTheClientKnows) {
  World world({.max_peers = 1});
  const auto refusal = [&](const std::string& target) {
    const Client client = open(world.wire, world.peerjs, target);
    EXPECT_TRUE(world.wire.line(client.connection).closed) << target;
    return world.heard(client).at(0);
  };
  const std::string lacking =
      R"({"type":"ERROR","payload":{"msg":"No id, token, or key supplied to websocket server"}})";
  EXPECT_EQ(refusal("/peerjs"), lacking);
  EXPECT_EQ(refusal("/peerjs?key=peerjs&token=t&id=" + std::string(PeerJs::kMaxId + 1, 'a')),
            lacking);
  EXPECT_EQ(refusal("/peerjs?key=other&id=a&token=t"),
            R"({"type":"ERROR","payload":{"msg":"Invalid key provided"}})");
  EXPECT_FALSE(world.wire.line(world.join(std::string(PeerJs::kMaxId, 'a')).connection).closed);
  EXPECT_EQ(refusal("/peerjs?key=peerjs&id=b&token=t"),
            R"({"type":"ERROR","payload":{"msg":"Server has reached its concurrent user limit"}})");
  World closed({}, with_password("sesame"));
  EXPECT_EQ(closed.heard(closed.join("ann")),
            (Texts{R"({"type":"ERROR","payload":{"msg":"Invalid token provided"}})"}));
  EXPECT_EQ(closed.heard(closed.join("ann", "sesame")), (Texts{R"({"type":"OPEN"})"}));
}

TEST(PeerJsDialect, GivesIdsAndListsNobody) {
  World world;
  for (const char* path : {"/peerjs/id", "/peerjs/id?ts=1", "/peerjs/peerjs/id"}) {
    const http::Response response = world.get(path);
    EXPECT_EQ(response.status, 200u);
    EXPECT_EQ(response.readers, http::Response::Readers::kCaller);
    EXPECT_EQ(response.body.size(), 36u) << response.body;
  }
  EXPECT_NE(world.get("/peerjs/id").body, world.get("/peerjs/id").body);
  EXPECT_EQ(world.get("/peerjs/peers").status, 401u);
  EXPECT_EQ(world.get("/peerjs").status, 200u);
  EXPECT_EQ(world.get("/peerjs/nothing").status, 404u);
  World open_world({.allow_discovery = true});
  open_world.join("ann");
  EXPECT_EQ(open_world.get("/peerjs/peerjs/peers").body, R"(["ann"])");
}

TEST(PeerJsDialect, BadJsonEndsThatConnection) {
  World world;
  for (const char* text : {"", "[]", "{"}) {
    const Client bad = world.join("bad");
    say(world.peerjs, bad, text);
    EXPECT_TRUE(world.wire.line(bad.connection).closed) << text;
    world.peerjs.on_gone(kStart, bad.connection, bad.tag);
  }
}

}  // namespace

}  // namespace turnpike::signaling::testing
