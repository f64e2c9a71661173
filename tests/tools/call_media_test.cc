// The media of a call: what is sent when, how it is judged on arrival, and what quality it makes.
#include <gtest/gtest.h>

#include <vector>

#include "tools/call/quality.h"
#include "tools/call/streams.h"

namespace turnpike::call {
namespace {

MonoTime at(Duration since) { return {since}; }

std::vector<DuePacket> take_all(Schedule& schedule, Duration from, Duration until) {
  std::vector<DuePacket> packets;
  for (Duration now = from; now < until; now += milliseconds{1}) {
    while (const auto packet = schedule.take(at(now))) packets.push_back(*packet);
  }
  return packets;
}

TEST(CallSchedule, SendsFiftyAudioPacketsASecond) {
  Schedule schedule(at(seconds{1}), 0);
  EXPECT_FALSE(schedule.take(at(milliseconds{999})));
  const auto packets = take_all(schedule, seconds{1}, seconds{3});
  ASSERT_EQ(packets.size(), 100u);
  EXPECT_TRUE(packets[0].marker);
  EXPECT_FALSE(packets[1].marker);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    EXPECT_EQ(packets[i].size, 160u);
    EXPECT_EQ(packets[i].timestamp, i * 960);
    EXPECT_EQ(packets[i].due, at(seconds{1} + i * milliseconds{20}));
  }
}

TEST(CallSchedule, PutsAsMuchSoundIntoAPacketAsWasAskedFor) {
  Schedule schedule(at(Duration{0}), 0, milliseconds{60});
  const auto packets = take_all(schedule, Duration{0}, milliseconds{600});
  ASSERT_EQ(packets.size(), 10u);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    EXPECT_EQ(packets[i].size, 480u);
    EXPECT_EQ(packets[i].timestamp, i * 2880);
    EXPECT_EQ(packets[i].due, at(i * milliseconds{60}));
  }
}

TEST(CallSchedule, SendsThirtyFramesASecondAtTheBitrateThatWasAskedFor) {
  Schedule schedule(at(Duration{0}), 1'200'000);
  std::size_t bytes = 0, frames = 0, first = 0;
  for (const DuePacket& packet : take_all(schedule, Duration{0}, seconds{4})) {
    if (packet.kind == Kind::kAudio) continue;
    EXPECT_LE(packet.size, kMaxVideoPayload);
    EXPECT_EQ(packet.timestamp, frames * 3000);
    bytes += packet.size;
    frames += packet.marker;
    first += packet.first;
  }
  EXPECT_EQ(frames, 120u);
  EXPECT_EQ(first, 120u);
  EXPECT_NEAR(static_cast<double>(bytes) * 8 / 4, 1'200'000, 5'000);
}

TEST(CallSchedule, CutsKeyFramesIntoMorePackets) {
  Schedule schedule(at(Duration{0}), 1'200'000);
  std::vector<int> packets_of_frame;
  int count = 0;
  for (const DuePacket& packet : take_all(schedule, Duration{0}, milliseconds{2500})) {
    if (packet.kind == Kind::kAudio) continue;
    ++count;
    if (packet.marker) packets_of_frame.push_back(std::exchange(count, 0));
  }
  EXPECT_EQ(packets_of_frame[0], 16);
  EXPECT_EQ(packets_of_frame[1], 4);
  EXPECT_EQ(packets_of_frame[60], 16);
}

struct CallReceiver : testing::Test {
  ByteView packet(Kind kind, std::uint32_t sequence, std::uint64_t sent_at,
                  std::uint32_t flow = 8) {
    DuePacket due;
    due.kind = kind;
    due.size = 200;
    due.first = true;
    room.resize(due.size);
    write_payload(payloads, due, flow, sequence, sent_at, room);
    return room;
  }
  load::Payloads payloads;
  std::vector<std::uint8_t> room;
  Receiver receiver{8};
};

TEST_F(CallReceiver, MeasuresDelayAndJitterOfWhatArrives) {
  constexpr std::uint64_t kMs = 1'000'000;
  EXPECT_EQ(receiver.take(payloads, Kind::kVideo, packet(Kind::kVideo, 0, 0), 10 * kMs), 10 * kMs);
  EXPECT_EQ(receiver.take(payloads, Kind::kVideo, packet(Kind::kVideo, 1, 20 * kMs), 46 * kMs),
            26 * kMs);
  EXPECT_EQ(receiver.received().packets, 2u);
  EXPECT_DOUBLE_EQ(receiver.received().delay_ms(), 18);
  EXPECT_EQ(receiver.received().delay_max_ns, 26 * kMs);
  EXPECT_DOUBLE_EQ(receiver.received().jitter_ns, 1e6);  // 16 ms / 16
  EXPECT_EQ(receiver.received().last_at, 46 * kMs);
}

TEST_F(CallReceiver, TellsLateRepeatedDamagedAndForeignPacketsApart) {
  const auto take = [&](ByteView payload) {
    return receiver.take(payloads, Kind::kAudio, payload, 5).has_value();
  };
  EXPECT_TRUE(take(packet(Kind::kAudio, 0, 1)));
  EXPECT_TRUE(take(packet(Kind::kAudio, 2, 1)));
  EXPECT_TRUE(take(packet(Kind::kAudio, 1, 1)));
  EXPECT_FALSE(take(packet(Kind::kAudio, 1, 1)));
  EXPECT_FALSE(take(packet(Kind::kAudio, 3, 1, 9)));
  packet(Kind::kAudio, 4, 1);
  room[100] ^= 1;
  EXPECT_FALSE(take(room));
  EXPECT_FALSE(take({}));
  EXPECT_FALSE(receiver.take(payloads, Kind::kVideo, {}, 5));
  const Received& received = receiver.received();
  EXPECT_EQ(received.packets, 3u);
  EXPECT_EQ(received.reordered, 1u);
  EXPECT_EQ(received.duplicated, 1u);
  EXPECT_EQ(received.misrouted, 1u);
  EXPECT_EQ(received.corrupt, 3u);
}

// --- quality

TEST(CallQuality, OfAPerfectNetworkIsTheBestThatG107Knows) {
  EXPECT_NEAR(rating_of({}), 93.2, 1e-9);
  EXPECT_NEAR(mos_of({}), 4.41, 0.005);
}

TEST(CallQuality, IsTheMosThatG107GivesToARating) {
  EXPECT_NEAR(mos_of_rating(90), 4.34, 0.01);  // G.107 annex B, table B.1
  EXPECT_NEAR(mos_of_rating(80), 4.03, 0.01);
  EXPECT_NEAR(mos_of_rating(70), 3.60, 0.01);
  EXPECT_NEAR(mos_of_rating(60), 3.10, 0.005);
  EXPECT_NEAR(mos_of_rating(50), 2.58, 0.01);
  EXPECT_EQ(mos_of_rating(-3), 1);
  EXPECT_EQ(mos_of_rating(120), 4.5);
}

TEST(CallQuality, FallsWithDelayJitterAndLoss) {
  EXPECT_GT(mos_of({}), mos_of({.delay_ms = 200}));
  EXPECT_GT(mos_of({.delay_ms = 200}), mos_of({.delay_ms = 400}));
  EXPECT_GT(mos_of({.delay_ms = 200}), mos_of({.delay_ms = 200, .jitter_ms = 30}));
  EXPECT_GT(mos_of({.loss = 0.01}), mos_of({.loss = 0.05}));
  // A quarter of the packets is as many as the robustness: half of what there is to lose is lost.
  EXPECT_NEAR(rating_of({.loss = 0.251}), 93.2 - 47.5, 0.01);
  EXPECT_EQ(rating_of({.delay_ms = 3000, .loss = 1}), 0);
}

}  // namespace
}  // namespace turnpike::call
