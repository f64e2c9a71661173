// Sessions that outlive their WebSocket: nothing is lost, nothing comes twice, nothing is kept for
// ever.
#include "signaling/room.h"

#include "signaling/hub.h"
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

json resume(Tab& tab, std::string_view session, std::uint64_t received) {
  tab.say({{"type", "resume"}, {"session", session}, {"received", received}, {"id", "r"}});
  return tab.hear();
}

struct Pair {
  Pair() : ann(world), ben(world) {
    ann.join("demo", "Ann");
    ben.join("demo", "Ben");
    ann.ignore();
  }
  void ann_says(int from, int to) {
    for (int i = from; i <= to; ++i) {
      ann.say({{"type", "send"}, {"data", i}});
      world.pass(milliseconds(30));
    }
  }
  World world;
  Tab ann;
  Tab ben;
};

TEST(Resuming, ReplaysWhatWasMissedOnceAndInOrder) {
  Pair p;
  p.ann_says(1, 3);
  EXPECT_EQ(p.ben.hear("message")["seq"], 2);  // 3 and 4 were written, but never arrived
  p.ben.lose();
  p.ann_says(4, 5);
  Tab again(p.world);
  const json resumed = resume(again, p.ben.session, 2);
  EXPECT_EQ(resumed["type"], "resumed");
  EXPECT_EQ(resumed["room"], "demo");
  EXPECT_EQ(resumed["self"], p.ben.self);
  ASSERT_EQ(resumed["members"].size(), 1u);
  EXPECT_EQ(resumed["members"][0]["polite"], true) << "who came later stays polite";
  for (int i = 2; i <= 5; ++i) {
    const json message = again.hear("message");
    EXPECT_EQ(message["data"], i);
    EXPECT_EQ(message["seq"], i + 1);
  }
  EXPECT_TRUE(again.silent());
  p.ann.hear("member-away");
  EXPECT_EQ(p.ann.hear("member-back")["member"], p.ben.self["id"]);
  p.ann_says(6, 6);
  EXPECT_EQ(again.hear("message")["seq"], 7);
}

TEST(Resuming, PresenceIsReplayedToo) {
  Pair p;
  p.ben.lose();
  Tab cem(p.world);
  cem.join("demo", "Cem");
  cem.say({{"type", "leave"}});
  Tab again(p.world);
  EXPECT_EQ(resume(again, p.ben.session, 1)["members"].size(), 1u);
  EXPECT_EQ(again.hear("member-joined")["member"]["name"], "Cem");
  EXPECT_EQ(again.hear("member-left")["member"], cem.self["id"]);
  EXPECT_TRUE(again.silent());
}

TEST(Resuming, WorksAgainAndAgain) {
  Pair p;
  std::vector<std::unique_ptr<Tab>> tabs;
  std::uint64_t received = 1;
  for (int round = 1; round <= 10; ++round) {
    if (tabs.empty()) {
      p.ben.lose();
    } else {
      tabs.back()->lose();
    }
    p.ann_says(round, round);
    tabs.push_back(std::make_unique<Tab>(p.world));
    EXPECT_EQ(resume(*tabs.back(), p.ben.session, received)["type"], "resumed");
    const json message = tabs.back()->hear("message");
    EXPECT_EQ(message["data"], round);
    received = message["seq"];
    EXPECT_TRUE(tabs.back()->silent());
  }
}

TEST(Resuming, TakesTheSessionFromAnOldSocketThatStillSeemsOpen) {
  Pair p;
  Tab again(p.world);
  EXPECT_EQ(resume(again, p.ben.session, 1)["type"], "resumed");
  EXPECT_EQ(p.ben.close_code(), 4001);
  EXPECT_TRUE(p.ann.silent()) << "nobody was away";
  // The old one can do nothing any more, and its end changes nothing.
  p.world.send(p.ben.connection, client_frame(1, R"({"type":"leave"})"));
  p.ben.lose();
  EXPECT_TRUE(p.ann.silent());
  p.ann_says(1, 1);
  EXPECT_EQ(again.hear("message")["data"], 1);
}

TEST(Resuming, IsPossibleUntilTheWindowEnds) {
  Pair p;
  p.ben.lose();
  p.world.pass(Hub::kResumeWindow - milliseconds(1));
  {
    Tab again(p.world);
    EXPECT_EQ(resume(again, p.ben.session, 1)["type"], "resumed");
    again.lose();
  }
  p.world.pass(Hub::kResumeWindow + milliseconds(100));
  Tab late(p.world);
  const json error = resume(late, p.ben.session, 1);
  EXPECT_EQ(error["code"], "unknown-session");
  EXPECT_EQ(error["id"], "r");
  EXPECT_EQ(late.join("demo")["type"], "joined") << "the same socket may join instead";
}

TEST(Resuming, TheOldestOfASourceThatLosesTooManyIsGivenUp) {
  constexpr std::uint32_t kMost = AwayList::Limits{}.of_source;
  World world;
  const std::string elsewhere = "198.51.100.9:40000";
  const auto lose_one = [&world](const std::string& from) {
    Tab tab(world, from);
    tab.join("demo " + std::to_string(world.service.audit().rooms));
    tab.lose();
    world.pass(milliseconds(20));  // the pace of arrivals
    return tab.session;
  };
  const std::string other = lose_one(elsewhere);
  const std::string first = lose_one("192.0.2.7:40000");
  const std::string second = lose_one("192.0.2.7:40000");
  for (std::uint32_t i = 2; i < kMost; ++i) lose_one("192.0.2.7:40000");
  lose_one("192.0.2.7:40000");  // one more than it may have
  Tab late(world), again(world), back(world, elsewhere);
  EXPECT_EQ(resume(late, first, 1)["code"], "unknown-session");
  EXPECT_EQ(resume(again, second, 1)["type"], "resumed");
  EXPECT_EQ(resume(back, other, 1)["type"], "resumed") << "others are not touched";
}

TEST(Resuming, NeedsTheWholeSecret) {
  Pair p;
  p.ben.lose();
  auto thief = std::make_unique<Tab>(p.world);
  const std::string session = p.ben.session;
  for (std::size_t i = 0; i < session.size(); ++i) {
    std::string wrong = session;
    wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
    if (i % 30 == 29)
      thief = std::make_unique<Tab>(p.world);  // too many wrong guesses end a connection
    EXPECT_EQ(resume(*thief, wrong, 1).value("code", ""), "unknown-session") << i;
  }
  for (const std::string& wrong : {std::string(), session.substr(0, 11), session + "AAAA"}) {
    EXPECT_EQ(resume(*thief, wrong, 1).value("code", ""), "unknown-session");
  }
  Tab owner(p.world);
  EXPECT_EQ(resume(owner, session, 1)["type"], "resumed");
}

TEST(Resuming, GuessingEndsTheConnection) {
  World world;
  Tab thief(world);
  for (int i = 1; i < kMaxFaults; ++i) resume(thief, "AAAA", 1);
  EXPECT_EQ(thief.close_code(), 0);
  resume(thief, "AAAA", 1);
  EXPECT_EQ(thief.close_code(), 1008);
}

TEST(Resuming, WhoClaimsMoreThanWasSentIsUnknown) {
  Pair p;
  p.ben.lose();
  Tab again(p.world);
  EXPECT_EQ(resume(again, p.ben.session, 2)["code"], "unknown-session");
  EXPECT_EQ(resume(again, p.ben.session, 1)["type"], "resumed");
}

TEST(Resuming, WhatWasConfirmedIsNotReplayedAndNotKept) {
  Pair p;
  p.ann_says(1, 3);
  p.ben.lose();
  Tab again(p.world);
  resume(again, p.ben.session, 3);
  EXPECT_EQ(again.hear("message")["seq"], 4);
  again.lose();
  Tab third(p.world);
  // Going back behind what was confirmed would need what is gone.
  EXPECT_EQ(resume(third, p.ben.session, 2)["code"], "unknown-session");
}

TEST(Resuming, APongConfirmsWhatCameBeforeThePing) {
  Pair p;
  p.ann_says(1, 2);
  p.ben.ignore();
  p.ben.answers_pings = false;
  p.world.pass(seconds(26));
  const auto pings = p.ben.control_frames();
  ASSERT_EQ(pings.size(), 1u);
  p.ann_says(3, 3);
  p.world.send(p.ben.connection, client_frame(10, pings[0].payload));
  p.ben.lose();
  {
    Tab again(p.world);
    EXPECT_EQ(resume(again, p.ben.session, 3)["type"], "resumed");
    EXPECT_EQ(again.hear("message")["data"], 3);
    again.lose();
  }
  Tab forgetful(p.world);
  EXPECT_EQ(resume(forgetful, p.ben.session, 2)["code"], "unknown-session");
}

TEST(Resuming, PongsThatConfirmNothingDoNoHarm) {
  Pair p;
  p.ann_says(1, 1);
  for (const std::string& payload :
       {std::string(), std::string("abc"), std::string(9, '\0'), std::string(8, '\0')}) {
    p.world.send(p.ben.connection, client_frame(10, payload));
  }
  p.ben.lose();
  Tab again(p.world);
  EXPECT_EQ(resume(again, p.ben.session, 1)["type"], "resumed");
  EXPECT_EQ(again.hear("message")["data"], 1);
}

TEST(Resuming, ASessionThatMissedTooManyMessagesIsOver) {
  for (const std::size_t missed : {ReplayQueue::kMaxMessages, ReplayQueue::kMaxMessages + 1}) {
    Pair p;
    p.ben.lose();
    p.ann.ignore();
    p.ann_says(1, static_cast<int>(missed));
    Tab again(p.world);
    const json answer = resume(again, p.ben.session, 1);
    if (missed == ReplayQueue::kMaxMessages) {
      EXPECT_EQ(answer["type"], "resumed");
      for (std::size_t i = 1; i <= missed; ++i) EXPECT_EQ(again.hear("message")["data"], i);
    } else {
      EXPECT_EQ(answer["code"], "unknown-session");
      // Its client has just learned that, so nobody waits for it.
      const json news = p.ann.hear("member-left");
      EXPECT_EQ(news["member"], p.ben.self["id"]);
      EXPECT_EQ(news["reason"], "lost");
    }
  }
}

TEST(ReplayQueue, HoldsSoManyMessages) {
  ReplayQueue queue;
  const Frame frame = std::make_shared<const std::string>("x");
  for (std::uint64_t i = 1; i <= ReplayQueue::kMaxMessages; ++i) queue.push(i, frame);
  EXPECT_TRUE(queue.reaches_back_to(0));
  queue.push(ReplayQueue::kMaxMessages + 1, frame);
  EXPECT_FALSE(queue.reaches_back_to(0));
  EXPECT_TRUE(queue.reaches_back_to(1));
  EXPECT_EQ(queue.waiting().size(), ReplayQueue::kMaxMessages);
}

TEST(ReplayQueue, HoldsSoManyBytes) {
  ReplayQueue queue;
  const Frame half = std::make_shared<const std::string>(ReplayQueue::kMaxBytes / 2, 'x');
  const Frame byte = std::make_shared<const std::string>("x");
  queue.push(1, half);
  queue.push(2, half);
  EXPECT_TRUE(queue.reaches_back_to(0));
  queue.push(3, byte);
  EXPECT_FALSE(queue.reaches_back_to(0));
  EXPECT_TRUE(queue.reaches_back_to(1));
  EXPECT_EQ(queue.bytes(), half->size() + 1);
  queue.push(4, std::make_shared<const std::string>(ReplayQueue::kMaxBytes + 1, 'x'));
  EXPECT_TRUE(queue.waiting().empty());
  EXPECT_FALSE(queue.reaches_back_to(3));
  EXPECT_TRUE(queue.reaches_back_to(4));
}

TEST(ReplayQueue, ForgetsWhatIsConfirmed) {
  ReplayQueue queue;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    queue.push(i * 10, std::make_shared<const std::string>("abc"));
  }
  queue.confirm(9);
  EXPECT_EQ(queue.waiting().size(), 5u);
  queue.confirm(25);
  EXPECT_EQ(queue.waiting().front().sequence, 30u);
  EXPECT_EQ(queue.bytes(), 9u);
  EXPECT_FALSE(queue.reaches_back_to(19));
  EXPECT_TRUE(queue.reaches_back_to(20));
  queue.give_up(60);
  EXPECT_FALSE(queue.reaches_back_to(59));
  EXPECT_TRUE(queue.reaches_back_to(60));
  queue.push(70, std::make_shared<const std::string>("abc"));
  queue.confirm(UINT64_MAX);
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.waiting().capacity(), 0u) << "an idle member keeps no buffer";
}

}  // namespace
}  // namespace turnpike::signaling::testing
