// The audit of signaling: silent about rooms and connections at work, and not about what must not
// be.
#include <gmock/gmock.h>

#include "base/timer_wheel.h"
#include "signaling/carrier_core.h"
#include "signaling/hub.h"
#include "signaling/native.h"
#include "tests/signaling/world.h"

namespace turnpike::signaling {

// What no message can do.
struct Tampering {
  static void lose_room_name(Hub& hub) { hub.by_name_.clear(); }
  static void add_replay_bytes(Hub& hub) { hub.replay_bytes_ += 7; }
  static Room& only_room(Hub& hub) {
    Room* found = nullptr;
    hub.rooms_.for_each([&](RoomHandle, Room& room) { found = &room; });
    CHECK(found != nullptr);
    return *found;
  }
  static Member& only_member(Hub& hub) {
    Member* found = nullptr;
    hub.members_.for_each([&](MemberHandle, Member& member) { found = &member; });
    CHECK(found != nullptr);
    return *found;
  }
  static void miscount_sources(Carrier& carrier) { carrier.core_->per_source_.clear(); }
  static void miscount_bytes(Carrier& carrier) {
    carrier.core_->queued_ += 3;
    carrier.core_->unfinished_ += 4;
  }
  static void lose_deadlines(Carrier& carrier) {
    carrier.core_->connections_.for_each(
        [](ConnectionHandle, Connection& connection) { connection.timer.disarm(); });
  }
};

namespace testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Silent final : public HubSink {
 public:
  void deliver(PeerHandle, std::string_view) override {}
  void dismiss(PeerHandle, Dismissal) override {}
  void revoke(std::string_view, WallTime) override {}
};

class HubAudit : public ::testing::Test {
 protected:
  std::vector<std::string> found() {
    Findings findings;
    hub_.audit(findings);
    return findings.sentences();
  }
  MemberHandle join(std::string_view room, std::uint32_t peer) {
    JoinRequest request;
    request.room = room;
    request.name = "Ann";
    const auto joined = hub_.join(now_, {PeerHandle{peer, 1}, &dialect_, IpAddress::v4(9, 9, 9, 9)},
                                  request, sink_);
    EXPECT_TRUE(joined);
    return *joined;
  }

  Tick now_{MonoTime() + seconds(1000), WallTime{seconds(1'700'000'000)}};
  SeededRandom random_{7};
  Minter minter_{"secret", IceUrls{}};
  InvitationSigner signer_{"the server's secret"};
  NativeDialect dialect_;
  TimerWheel wheel_;
  Silent sink_;
  Hub hub_{Hub::Settings{}, minter_, signer_, random_, {wheel_, 0}};
};

TEST_F(HubAudit, FindsNothingWhileMembersComeAndGo) {
  EXPECT_THAT(found(), IsEmpty());
  const MemberHandle ann = join("demo", 1), bob = join("demo", 2);
  EXPECT_THAT(found(), IsEmpty());
  hub_.lost(now_, bob, PeerHandle{2, 1}, sink_);
  SendRequest hello;
  hello.data = "\"hello\"";
  EXPECT_FALSE(hub_.send(now_, ann, hello, sink_));
  EXPECT_THAT(found(), IsEmpty());
  hub_.leave(now_, bob, sink_);
  hub_.leave(now_, ann, sink_);
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(HubAudit, FindsARoomThatHasLostItsName) {
  join("demo", 1);
  Tampering::lose_room_name(hub_);
  EXPECT_THAT(found(), ElementsAre("room demo is not found by its name",
                                   "rooms by name: 0 counted, 1 there"));
}

TEST_F(HubAudit, FindsAnEmptyRoomAndAMemberWithoutOne) {
  join("demo", 1);
  Tampering::only_room(hub_).members.clear();
  EXPECT_THAT(found(), ElementsAre("room demo is empty and still there",
                                   "members of all rooms: 0 counted, 1 there"));
}

TEST_F(HubAudit, FindsMembersWhoAreAwayForEver) {
  const MemberHandle ann = join("demo", 1);
  hub_.lost(now_, ann, PeerHandle{1, 1}, sink_);
  Tampering::only_member(hub_).timer.disarm();
  EXPECT_THAT(found(), ElementsAre(HasSubstr("waits without a deadline")));
  Tampering::only_member(hub_).peer = PeerHandle{1, 1};
  EXPECT_THAT(found(), ElementsAre("members who are away: 1 counted, 0 there"));
}

TEST_F(HubAudit, FindsBytesThatAreCountedAndNotKept) {
  Tampering::add_replay_bytes(hub_);
  EXPECT_THAT(found(), ElementsAre("bytes kept for members to come back: 7 counted, 0 there"));
}

TEST(SignalingAudit, AsksNoDeadlineOfThoseWhomEndpointsKeep) {
  World world;
  Tab native(world);
  native.join("demo");
  for (const char* path : {"/socket.io/?EIO=4&transport=websocket", "/anything"}) {
    std::string upgrade = std::string(kUpgrade) + "\r\n";
    upgrade.replace(upgrade.find("/ws"), 3, path);
    world.send(world.connect(), upgrade);
  }
  EXPECT_THAT(world.service.examine().sentences(), IsEmpty());
  world.pass(seconds(20));
  EXPECT_THAT(world.service.examine().sentences(), IsEmpty());
}

TEST(SignalingAudit, FindsNothingInAServiceAtWorkAndMiscountsInABrokenOne) {
  World world;
  const auto found = [&] { return world.service.examine().sentences(); };
  EXPECT_THAT(found(), IsEmpty());
  const ConnectionHandle one = world.connect(), other = world.connect("192.0.2.8:40000");
  world.send(one, "GET / HTTP/1.1\r\nHost: x\r\n");
  EXPECT_THAT(found(), IsEmpty());
  world.hang_up(other);
  EXPECT_THAT(found(), IsEmpty());
  Tampering::miscount_bytes(world.service.carrier());
  EXPECT_EQ(found().size(), 2u);
  Tampering::lose_deadlines(world.service.carrier());
  EXPECT_THAT(found().front(), HasSubstr("has no deadline"));
  Tampering::miscount_sources(world.service.carrier());
  EXPECT_THAT(found()[1], HasSubstr("counted for the wrong sources"));
}

}  // namespace
}  // namespace testing
}  // namespace turnpike::signaling
