// What one source may hold and how often it may guess, at the limit and one past it, at each door.
#include <gtest/gtest.h>

#include "signaling/away_list.h"
#include "signaling/gate.h"
#include "signaling/peerjs.h"
#include "signaling/plain.h"
#include "signaling/scaledrone.h"
#include "signaling/ywebrtc.h"
#include "tests/signaling/dialect_world.h"

namespace turnpike::signaling::testing {
namespace {

const IpAddress kAda = IpAddress::v4(192, 0, 2, 7);
const IpAddress kBob = IpAddress::v4(198, 51, 100, 9);

// One gate with places for three rooms, and every door behind it.
struct House {
  explicit House(std::uint32_t rooms = 3, RoomTokens asked = RoomTokens())
      : tokens(std::move(asked)), gate(tokens, rooms) {}

  Client come(Endpoint& door, std::string target, const IpAddress& source = kAda) {
    http::Request request;
    request.method = http::Method::kGet;
    request.target = std::move(target);
    const Visit visit{source, false, request};
    refusal = door.refuse(kStart, visit);
    Client client{wire.connect(), 0};
    if (!refusal) client.tag = door.on_open(kStart, client.connection, visit);
    return client;
  }
  unsigned status() const { return refusal ? refusal->status : 0; }
  std::vector<std::string> heard(const Client& client) { return wire.take(client.connection); }
  Client drone(const IpAddress& source = kAda) {
    const Client client = come(scaledrone, "/v3/websocket", source);
    say(scaledrone, client, R"({"type":"handshake","channel":"c"})");
    heard(client);
    return client;
  }

  FakeWire wire;
  SeededRandom random{7};
  RoomTokens tokens;
  Gate gate;
  PlainRelay plain{{}, wire, gate};
  YWebrtc ywebrtc{{}, wire, gate};
  ScaleDrone scaledrone{{.max_history_of_source = 400}, wire, random, gate};
  PeerJs peerjs{{.max_peers_of_source = 2}, wire, random, gate};
  std::optional<http::Response> refusal;
};

TEST(SourceShares, EndAtTheirLimitAndComeBackWithWhatIsReturned) {
  SourceShares shares(10);
  const SourceMark ada(kAda), bob(kBob);
  EXPECT_TRUE(shares.take(ada, 10));
  EXPECT_FALSE(shares.take(ada));
  EXPECT_TRUE(shares.take(bob, 10));
  shares.give_back(ada, 1);
  EXPECT_FALSE(shares.take(ada, 2));
  EXPECT_TRUE(shares.take(ada));
}

TEST(SourceShares, CountBySubscriberAndNotOnLoopback) {
  SourceShares shares(1);
  EXPECT_TRUE(shares.take(SourceMark(*IpAddress::parse("2001:db8::1"))));
  EXPECT_FALSE(shares.take(SourceMark(*IpAddress::parse("2001:db8::2")))) << "the same /64";
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    EXPECT_TRUE(shares.take(SourceMark(IpAddress::loopback(family)), 5));
  }
}

TEST(AwayLists, TheFirstOfASourceYieldsToItsNextAndNobodyElses) {
  AwayList list({.all = 4, .of_source = 2});
  const SourceMark ada(kAda), bob(kBob);
  const auto at = [](int second) { return MonoTime{seconds(second)}; };
  EXPECT_TRUE(list.add({bob, at(1), 1}));
  EXPECT_TRUE(list.add({ada, at(2), 2}));
  EXPECT_FALSE(list.first_to_yield(ada));
  EXPECT_TRUE(list.add({ada, at(3), 3}));
  EXPECT_EQ(list.first_to_yield(ada), 2u);
  EXPECT_FALSE(list.add({ada, at(4), 4})) << "nobody has yielded";
  EXPECT_FALSE(list.first_to_yield(bob));
  EXPECT_TRUE(list.add({bob, at(5), 5}));
  list.remove({ada, at(2), 2});
  list.remove({ada, at(2), 2});
  EXPECT_TRUE(list.add({SourceMark(), at(6), 6}));
  EXPECT_EQ(list.first_to_yield(SourceMark()), 1u) << "all are here: the first of all";
  EXPECT_EQ(list.size(), 4u);
}

TEST(RoomShares, AreOneForAllDialectsAndEachSaysItsOwnWay) {
  House house;
  const Client drone = house.drone();
  say(house.scaledrone, drone, R"({"type":"subscribe","room":"a","callback":1})");
  EXPECT_EQ(house.heard(drone).at(0), R"({"callback":1})");
  const Client topics = house.come(house.ywebrtc, "/y-webrtc");
  say(house.ywebrtc, topics, R"({"type":"subscribe","topics":["b"]})");
  house.come(house.plain, "/?room=c");
  EXPECT_EQ(house.status(), 0u);
  // One past it.
  house.come(house.plain, "/?room=d");
  EXPECT_EQ(house.status(), 429u);
  say(house.scaledrone, drone, R"({"type":"subscribe","room":"d","callback":2})");
  EXPECT_EQ(house.heard(drone).at(0),
            R"({"callback":2,"error":"Too many rooms from your address"})");
  say(house.ywebrtc, topics, R"({"type":"subscribe","topics":["d"]})");
  EXPECT_EQ(house.ywebrtc.topic_count(), 1u);
  // Rooms that stand are open to it, and other sources have a share of their own.
  house.come(house.plain, "/?room=c");
  EXPECT_EQ(house.status(), 0u);
  house.come(house.plain, "/?room=d", kBob);
  EXPECT_EQ(house.status(), 0u);
  // A room that empties is given back.
  house.scaledrone.on_gone(kStart, drone.connection, drone.tag);
  say(house.ywebrtc, topics, R"({"type":"subscribe","topics":["e"]})");
  EXPECT_EQ(house.ywebrtc.topic_count(), 2u);
  house.ywebrtc.on_gone(kStart, topics.connection, topics.tag);
  for (const char* room : {"/?room=f", "/?room=g"}) {
    house.come(house.plain, room);
    EXPECT_EQ(house.status(), 0u);
  }
}

TEST(WrongTokens, HaveOnePriceAtAllDoors) {
  House house(3, with_password("sesame"));
  const Client drone = house.drone();
  std::uint32_t guesses = 0;
  for (; guesses + 4 <= Gate::kWrongTokens.burst; guesses += 4) {
    house.come(house.plain, "/?token=guess");
    EXPECT_EQ(house.status(), 401u);
    house.come(house.ywebrtc, "/y-webrtc?token=guess");
    EXPECT_EQ(house.status(), 401u);
    const Client peer = house.come(house.peerjs, "/peerjs?key=peerjs&id=a&token=guess");
    EXPECT_NE(house.heard(peer).at(0).find("Invalid token"), std::string::npos);
    house.come(house.scaledrone, "/v3/websocket?token=guess");
  }
  ASSERT_EQ(guesses, Gate::kWrongTokens.burst);
  house.come(house.plain, "/?token=sesame");
  EXPECT_EQ(house.status(), 429u) << "a right one would tell which";
  house.come(house.ywebrtc, "/y-webrtc?token=sesame");
  EXPECT_EQ(house.status(), 429u);
  const Client peer = house.come(house.peerjs, "/peerjs?key=peerjs&id=a&token=sesame");
  EXPECT_NE(house.heard(peer).at(0).find("too many wrong tokens"), std::string::npos);
  say(house.scaledrone, drone, R"({"type":"authenticate","token":"sesame","callback":1})");
  EXPECT_NE(house.heard(drone).at(0).find("too many wrong tokens"), std::string::npos);
  house.come(house.plain, "/?token=sesame", kBob);
  EXPECT_EQ(house.status(), 0u);
}

TEST(WrongTokens, AreForgivenWithTimeAndNoneAtAllIsNoGuess) {
  const RoomTokens tokens = with_password("sesame");
  Gate gate(tokens);
  for (std::uint32_t i = 0; i < Gate::kWrongTokens.burst; ++i) {
    EXPECT_EQ(gate.judge(kStart, kAda, "").error(), TokenFault::kMissing);
    EXPECT_EQ(gate.judge(kStart, kAda, "guess").error(), TokenFault::kMalformed);
  }
  EXPECT_EQ(gate.judge(kStart, kAda, "sesame").error(), TokenFault::kTooManyWrong);
  EXPECT_TRUE(gate.judge(later(seconds(2)), kAda, "sesame").has_value());
}

TEST(ScaleDroneShares, OfHistoryAreOfThoseWhoOpenedTheRoom) {
  House house;
  const Client ada = house.drone();
  const Client bob = house.drone(kBob);
  say(house.scaledrone, ada, R"({"type":"subscribe","room":"a"})");
  say(house.scaledrone, bob, R"({"type":"subscribe","room":"b"})");
  const std::string text = R"("message":")" + std::string(100, 'x') + R"("})";
  for (int i = 0; i < 5; ++i) {
    say(house.scaledrone, ada, R"({"type":"publish","room":"a",)" + text);
  }
  const std::size_t hers = house.scaledrone.history_bytes();
  EXPECT_GT(hers, 200u);
  EXPECT_LE(hers, 400u);
  say(house.scaledrone, bob, R"({"type":"publish","room":"b",)" + text);
  EXPECT_GT(house.scaledrone.history_bytes(), hers);
  house.scaledrone.on_gone(kStart, ada.connection, ada.tag);
  house.scaledrone.on_gone(kStart, bob.connection, bob.tag);
  EXPECT_EQ(house.scaledrone.history_bytes(), 0u);
}

TEST(PeerJsShares, OfIdsEndAtTheirLimit) {
  House house;
  const auto join = [&](const std::string& id, const IpAddress& source) {
    return house.heard(house.come(house.peerjs, "/peerjs?key=peerjs&token=t&id=" + id, source))
        .at(0);
  };
  const std::string open = R"({"type":"OPEN"})";
  EXPECT_EQ(join("a", kAda), open);
  EXPECT_EQ(join("b", kAda), open);
  EXPECT_EQ(join("c", kAda),
            R"({"type":"ERROR","payload":{"msg":"Too many peers from your address"}})");
  EXPECT_EQ(join("b", kAda), open) << "come back";
  EXPECT_EQ(join("c", kBob), open);
}

TEST(PeerJsShares, OfWhatOnePeerLeavesForOthersEndAtTheirLimit) {
  House house;
  const Client ada = house.come(house.peerjs, "/peerjs?key=peerjs&token=t&id=a");
  house.heard(ada);
  const std::string payload(32 * 1024, 'x');
  std::size_t kept = 0;
  for (int i = 0; i < 20; ++i) {
    say(house.peerjs, ada,
        R"({"type":"OFFER","dst":"to)" + std::to_string(i) + R"(","payload":")" + payload + "\"}");
    if (house.heard(ada).empty()) ++kept;
  }
  EXPECT_EQ(kept, PeerJs::kMaxWaitingOfPeer / payload.size() - 1) << "the rest is EXPIRE at once";
  EXPECT_LE(house.peerjs.waiting_bytes(), PeerJs::kMaxWaitingOfPeer);
  house.peerjs.on_time(later(seconds(6)));
  EXPECT_EQ(house.peerjs.waiting_bytes(), 0u);
  house.heard(ada);
  say(house.peerjs, ada, R"({"type":"OFFER","dst":"z","payload":1})", later(seconds(6)));
  EXPECT_TRUE(house.heard(ada).empty()) << "there is place again";
}

// A PeerJs whose peers are as many as they like.
struct PeerTown {
  Client join(const std::string& id) {
    http::Request request;
    request.method = http::Method::kGet;
    request.target = "/peerjs?key=peerjs&token=t&id=" + id;
    Client client{wire.connect(), 0};
    client.tag = peerjs.on_open(kStart, client.connection, {kAda, false, request});
    wire.take(client.connection);
    return client;
  }
  // False: it expired at once.
  bool leave(const Client& from, const std::string& to, const std::string& payload) {
    say(peerjs, from, R"({"type":"OFFER","dst":")" + to + R"(","payload":")" + payload + "\"}");
    return wire.take(from.connection).empty();
  }
  FakeWire wire;
  SeededRandom random{7};
  RoomTokens tokens;
  Gate gate{tokens};
  PeerJs peerjs{{}, wire, random, gate};
};

TEST(PeerJsShares, OfQueuesForAbsentPeersEndAtTheirLimit) {
  PeerTown town;
  constexpr std::uint32_t kEach = 128;  // within the pace of one peer
  std::uint32_t queues = 0;
  while (queues < PeerJs::kMaxWaitingPeersOfSource) {
    const Client peer = town.join("from" + std::to_string(queues));
    for (std::uint32_t i = 0; i < kEach; ++i, ++queues) {
      ASSERT_TRUE(town.leave(peer, "to" + std::to_string(queues), "1")) << queues;
    }
  }
  const Client last = town.join("last");
  EXPECT_FALSE(town.leave(last, "one more", "1"));
  EXPECT_TRUE(town.leave(last, "to0", "1")) << "a queue that is there takes more";
}

TEST(PeerJsShares, OfWaitingBytesEndAtTheirLimit) {
  PeerTown town;
  const std::string payload(32 * 1024, 'x');
  for (int peer = 0; peer < 12; ++peer) {
    const Client from = town.join("from" + std::to_string(peer));
    for (int i = 0; i < 20; ++i) {
      town.leave(from, "to" + std::to_string(peer) + "-" + std::to_string(i), payload);
    }
  }
  EXPECT_LE(town.peerjs.waiting_bytes(), PeerJs::kMaxWaitingOfSource);
  EXPECT_GT(town.peerjs.waiting_bytes(), PeerJs::kMaxWaitingOfSource - 2 * payload.size());
  EXPECT_GT(12 * PeerJs::kMaxWaitingOfPeer, PeerJs::kMaxWaitingOfSource) << "or it shows nothing";
}

}  // namespace
}  // namespace turnpike::signaling::testing
