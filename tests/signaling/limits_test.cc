// Every limit of the service at its maximum and one past it, and that nothing is left afterwards.
#include "signaling/hub.h"
#include "signaling/room.h"
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

TEST(Limits, ARoomHolds64) {
  World world;
  std::vector<std::unique_ptr<Tab>> tabs;
  for (std::size_t i = 0; i < Room::kMaxMembers; ++i) {
    tabs.push_back(std::make_unique<Tab>(world));
    ASSERT_EQ(tabs.back()->join("demo")["type"], "joined") << i;
  }
  Tab late(world);
  EXPECT_EQ(late.join("demo")["code"], "room-full");
  EXPECT_EQ(late.join("other")["type"], "joined");
  // Whoever is away keeps the place until the window ends.
  tabs[0]->lose();
  Tab next(world);
  EXPECT_EQ(next.join("demo")["code"], "room-full");
  tabs[1]->say({{"type", "leave"}});
  EXPECT_EQ(next.join("demo")["type"], "joined");
}

TEST(Limits, TheServerHoldsSoManyRooms) {
  World world;
  // One room for each member; many sources, because one may not have so many connections.
  const auto source = [](std::uint32_t i) {
    return "10." + std::to_string(i >> 16) + "." + std::to_string((i >> 8) & 255) + "." +
           std::to_string(i & 255) + ":1000";
  };
  std::vector<std::unique_ptr<Tab>> tabs;
  for (std::uint32_t i = 0; i < Hub::kMaxRooms; ++i) {
    tabs.push_back(std::make_unique<Tab>(world, source(i)));
    ASSERT_EQ(tabs.back()->join(std::to_string(i))["type"], "joined") << i;
  }
  EXPECT_EQ(world.service.audit().rooms, Hub::kMaxRooms);
  Tab late(world);
  EXPECT_EQ(late.join("one more")["code"], "too-many-rooms");
  EXPECT_EQ(late.join("0")["type"], "joined") << "there is still place in rooms that exist";
  tabs[5]->say({{"type", "leave"}});
  Tab next(world);
  EXPECT_EQ(next.join("one more")["type"], "joined");
}

TEST(Limits, OneSourceHasSoManyConnections) {
  World world;
  std::vector<ConnectionHandle> open;
  for (std::uint32_t i = 0; i < Carrier::kMaxConnectionsPerSource; ++i) {
    open.push_back(world.connect("[2001:db8::" + std::to_string(i % 10) + "]:1000"));
    ASSERT_TRUE(open.back()) << i;
  }
  world.pass(seconds(1));
  EXPECT_FALSE(world.connect("[2001:db8::ffff]:2000")) << "the same /64";
  EXPECT_TRUE(world.connect("[2001:db8:0:1::1]:2000"));
  world.hang_up(open.back());
  EXPECT_TRUE(world.connect("[2001:db8::ffff]:2000"));
}

TEST(Limits, OneSourceArrivesSoFast) {
  World world;
  std::uint32_t arrived = 0;
  for (; arrived < 5000; ++arrived) {
    const ConnectionHandle connection = world.connect();
    if (!connection) break;
    world.hang_up(connection);
  }
  EXPECT_EQ(arrived, Carrier::kArrivalRate.burst);
  EXPECT_TRUE(world.connect("198.51.100.1:5")) << "others are not touched";
  world.pass(milliseconds(10));
  EXPECT_TRUE(world.connect());
}

TEST(Limits, LoopbackMayBringEverybody) {
  World world;
  for (std::uint32_t i = 0; i < 2 * Carrier::kMaxConnectionsPerSource; ++i) {
    ASSERT_TRUE(world.connect("127.0.0.1:5")) << "a proxy in front of us";
  }
}

TEST(Limits, TheServiceHoldsSoManyConnections) {
  World world;
  for (std::uint32_t i = 0; i < Carrier::kMaxConnections; ++i)
    ASSERT_TRUE(world.connect("127.0.0.1:5"));
  EXPECT_FALSE(world.connect("127.0.0.1:5"));
  EXPECT_EQ(world.service.audit().connections, Carrier::kMaxConnections);
  world.pass(Carrier::kRequestDeadline + seconds(1));
  EXPECT_EQ(world.service.audit().connections, 0u);
}

TEST(Limits, BurstsOf200MessagesPassAnd50ASecondThen) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");  // the first of its two hundred
  ben.join("demo");
  const auto send = [&](int count) {
    for (int i = 0; i < count; ++i) ann.say({{"type", "send"}, {"data", i}, {"id", i}});
  };
  const auto arrived = [&ben] {
    int count = 0;
    for (; !ben.silent(); ++count) ben.hear("message");
    return count;
  };
  ann.ignore();
  world.pass(seconds(10));
  send(200);
  EXPECT_EQ(arrived(), 200);
  EXPECT_TRUE(ann.silent());
  send(1);
  EXPECT_EQ(arrived(), 0);
  const json error = ann.hear("error");
  EXPECT_EQ(error["code"], "too-fast");
  EXPECT_EQ(error["id"], 0);
  world.pass(seconds(1));
  send(60);
  EXPECT_EQ(arrived(), 50);
}

TEST(Limits, WhoNeverSlowsDownIsCut) {
  World world;
  Tab ann(world);
  ann.join("demo");
  for (int i = 0; i < 199 + kMaxDropped - 1; ++i) ann.say({{"type", "send"}, {"data", i}});
  EXPECT_EQ(ann.close_code(), 0);
  ann.say({{"type", "send"}, {"data", 0}});
  EXPECT_EQ(ann.close_code(), 1008);
}

TEST(Limits, LargeMessagesCountForSeveral) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  world.pass(seconds(10));
  const std::string large(60 * 1024, 'x');
  int sent = 0;
  ann.ignore();
  while (ann.silent() && sent < 300) {
    ann.say({{"type", "send"}, {"data", large}});
    ++sent;
  }
  EXPECT_EQ(ann.hear("error")["code"], "too-fast");
  EXPECT_EQ(sent, 51) << "four tokens each";
}

TEST(Limits, AMessageMayBe64KiBAndNoByteMore) {
  World world;
  Tab ann(world), ben(world);
  ann.join("demo");
  ben.join("demo");
  const auto message = [](std::size_t size) {
    const std::string head = R"({"type":"send","data":")";
    return head + std::string(size - head.size() - 2, 'x') + "\"}";
  };
  ann.ignore();
  ann.say_text(message(64 * 1024));
  EXPECT_EQ(ben.hear("message")["data"].get<std::string>().size(), 64u * 1024 - 25);
  ann.say_text(message(64 * 1024 + 1));
  EXPECT_EQ(ann.hear("error")["code"], "too-large");
  EXPECT_EQ(ann.close_code(), 1009);
  EXPECT_EQ(ben.hear("member-away")["member"], ann.self["id"]);
}

TEST(Limits, ASlowReaderIsCutAndOthersAreNot) {
  World world;
  Tab ann(world), slow(world), ben(world);
  ann.join("demo");
  slow.join("demo");
  ben.join("demo");
  world.outlet.wire(slow.connection).slow = true;
  ann.ignore();
  const std::string data(15 * 1024, 'x');
  std::size_t sent = 0;
  while (!world.closed(slow.connection) && sent < 1000) {
    ann.say({{"type", "send"}, {"data", data}});
    world.pass(milliseconds(20));
    ++sent;
  }
  EXPECT_TRUE(world.closed(slow.connection));
  const std::size_t waited = world.outlet.wire(slow.connection).stuck;
  EXPECT_GT(waited, Carrier::kMaxQueuedBytes);
  EXPECT_LT(waited, Carrier::kMaxQueuedBytes + 20 * 1024) << "one message past the limit, no more";
  EXPECT_EQ(ann.hear("member-away")["member"], slow.self["id"]);
  for (std::size_t i = 0; i < sent; ++i) ben.hear("message");
  EXPECT_EQ(ben.hear("member-away")["member"], slow.self["id"]);
}

TEST(Limits, ManySlowReadersAtOnceAreCutTogether) {
  World world;
  std::vector<std::unique_ptr<Tab>> tabs;
  for (int i = 0; i < 10; ++i) {
    tabs.push_back(std::make_unique<Tab>(world));
    tabs.back()->join("demo");
  }
  // Each farewell is written to the others, which are over their limits as well.
  for (int i = 1; i < 10; ++i) {
    auto& wire = world.outlet.wire(tabs[static_cast<std::size_t>(i)]->connection);
    wire.slow = true;
    wire.stuck = Carrier::kMaxQueuedBytes;
  }
  tabs[0]->ignore();
  tabs[0]->say({{"type", "send"}, {"data", 1}});
  for (int i = 1; i < 10; ++i) {
    EXPECT_TRUE(world.closed(tabs[static_cast<std::size_t>(i)]->connection)) << i;
    tabs[0]->hear("member-away");
  }
  EXPECT_EQ(world.service.audit().connections, 1u);
}

TEST(Limits, AllQueuesTogetherAreBoundedAndTheLongestAreCut) {
  World world;
  std::vector<std::unique_ptr<Tab>> tabs;
  const std::size_t share = Carrier::kMaxQueuedBytes - 4096;
  const std::size_t count = Carrier::kMaxQueuedTotal / share + 1;
  for (std::size_t i = 0; i < count + 2; ++i) {
    tabs.push_back(std::make_unique<Tab>(world));
    tabs.back()->join("room " + std::to_string(i));
  }
  // The last but one has drained since it was asked last, the last one has little waiting.
  for (std::size_t i = 0; i < count; ++i) {
    auto& wire = world.outlet.wire(tabs[i]->connection);
    wire.slow = true;
    wire.stuck = share;
    if (i + 1 == count) {
      world.outlet.wire(tabs[0]->connection).slow = false;
      world.outlet.wire(tabs[0]->connection).stuck = 0;
    }
    tabs[i]->say({{"type", "ping"}});
  }
  const auto open = [&] {
    std::size_t number = 0;
    for (const auto& tab : tabs) number += world.closed(tab->connection) ? 0 : 1;
    return number;
  };
  EXPECT_EQ(open(), count + 2) << "one of them had drained in time";
  auto& modest = world.outlet.wire(tabs[count]->connection);
  modest.slow = true;
  modest.stuck = 1000;
  tabs[count]->say({{"type", "ping"}});
  auto& last = world.outlet.wire(tabs[count + 1]->connection);
  last.slow = true;
  last.stuck = share;
  tabs[count + 1]->say({{"type", "ping"}});
  std::size_t left = 0;
  for (const auto& tab : tabs) {
    if (!world.closed(tab->connection)) left += world.outlet.wire(tab->connection).stuck;
  }
  EXPECT_LE(left, Carrier::kMaxQueuedTotal / 2);
  EXPECT_GT(left, Carrier::kMaxQueuedTotal / 2 - Carrier::kMaxQueuedBytes)
      << "and no more than that";
  EXPECT_FALSE(world.closed(tabs[count]->connection));
  EXPECT_FALSE(world.closed(tabs[0]->connection));
}

TEST(Limits, AllReplayQueuesTogetherAreBounded) {
  World world;
  // Members that confirm nothing, in rooms where one talks to each of them; 64 KiB messages.
  std::vector<std::unique_ptr<Tab>> tabs;
  const std::string data(62 * 1024, 'x');
  const std::size_t each = 4 * data.size();
  const std::size_t needed = Hub::kMaxReplayBytes / each;
  std::size_t members = 0;
  while (members < needed + 64) {
    const std::string room = std::to_string(tabs.size());
    const std::string source = "10.0." + std::to_string(tabs.size() / 64) + ".1:5";
    tabs.push_back(std::make_unique<Tab>(world, source));
    Tab& speaker = *tabs.back();
    speaker.join(room);
    for (int i = 0; i < 63; ++i, ++members) {
      tabs.push_back(std::make_unique<Tab>(world, source));
      tabs.back()->join(room);
    }
    for (int i = 0; i < 4; ++i) speaker.say({{"type", "send"}, {"data", data}});
    for (const auto& tab : tabs) world.take(tab->connection);
  }
  const auto resumes = [&](Tab& lost) {
    lost.lose();
    Tab again(world, "198.51.100.7:5");
    again.say({{"type", "resume"}, {"session", lost.session}, {"received", 1}});
    return again.hear().value("type", "") == "resumed";
  };
  EXPECT_TRUE(resumes(*tabs[1]));
  EXPECT_FALSE(resumes(*tabs.back()));
}

TEST(Limits, NothingIsLeftWhenEverybodyIsGone) {
  World world;
  {
    std::vector<std::unique_ptr<Tab>> tabs;
    for (int i = 0; i < 40; ++i) {
      tabs.push_back(std::make_unique<Tab>(world));
      tabs.back()->join("room " + std::to_string(i % 7), "",
                        world.invitation("room " + std::to_string(i % 7)));
    }
    for (std::size_t i = 0; i < tabs.size(); ++i) {
      if (i % 3 == 0) tabs[i]->lose();
      if (i % 3 == 1) tabs[i]->say({{"type", "leave"}});
    }
  }
  world.get("/healthz");
  world.pass(minutes(10));
  EXPECT_EQ(world.service.audit().connections, 0u);
  EXPECT_EQ(world.service.audit().rooms, 0u);
  EXPECT_EQ(world.service.audit().members, 0u);
  EXPECT_EQ(world.outlet.revoked.size(), 40u);
  EXPECT_EQ(world.carrier.next_deadline(), MonoTime::never());
}

}  // namespace
}  // namespace turnpike::signaling::testing
