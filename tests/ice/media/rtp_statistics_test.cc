// Against values computed by hand from RFC 3550's appendix A.
#include "ice/media/rtp_statistics.h"

#include <gtest/gtest.h>

namespace turnpike::media {
namespace {

RtpPacket packet(std::uint16_t sequence, std::uint32_t timestamp = 0) {
  RtpPacket rtp;
  rtp.sequence = sequence;
  rtp.timestamp = timestamp;
  return rtp;
}

RtpPacket numbered(int sequence) { return packet(static_cast<std::uint16_t>(sequence)); }

MonoTime at(std::int64_t ms) { return {milliseconds(ms)}; }

TEST(InboundStream, CountsAcrossTheWrapOfTheSequence) {
  InboundStream stream(1, 8000);
  for (const int sequence : {65533, 65534, 65535, 0, 1, 3}) {
    stream.on_packet(at(0), numbered(sequence));
  }
  const InboundStatistics& statistics = stream.statistics();
  EXPECT_EQ(statistics.packets, 6u);
  EXPECT_EQ(statistics.expected, 7u);
  EXPECT_EQ(statistics.lost, 1);
  EXPECT_EQ(statistics.highest_sequence, 0x10003u);
}

TEST(InboundStream, LateAndDuplicatePacketsCountAsReceived) {
  InboundStream stream(1, 8000);
  for (const int sequence : {10, 12, 11, 12, 12}) stream.on_packet(at(0), numbered(sequence));
  EXPECT_EQ(stream.statistics().expected, 3u);
  EXPECT_EQ(stream.statistics().lost, -2);
  EXPECT_EQ(stream.report(at(0)).cumulative_lost, -2);
  EXPECT_EQ(stream.report(at(0)).fraction_lost, 0);
}

TEST(InboundStream, APacketFarAwayIsSuspectAndTwoInARowAreANewSequence) {
  InboundStream stream(1, 8000);
  stream.on_packet(at(0), packet(100));
  stream.on_packet(at(0), packet(101));
  stream.on_packet(at(0), packet(40000));
  EXPECT_EQ(stream.statistics().packets, 2u);
  stream.on_packet(at(0), packet(102));
  EXPECT_EQ(stream.statistics().highest_sequence, 102u);
  stream.on_packet(at(0), packet(50000));
  stream.on_packet(at(0), packet(50001));
  EXPECT_EQ(stream.statistics().restarts, 1u);
  EXPECT_EQ(stream.statistics().highest_sequence, 50001u);
  EXPECT_EQ(stream.statistics().expected, 4u);
  EXPECT_EQ(stream.statistics().packets, 4u);
}

TEST(InboundStream, TheFractionLostIsOfTheIntervalSinceTheReportBefore) {
  InboundStream stream(1, 8000);
  for (std::uint16_t i = 0; i < 10; ++i) stream.on_packet(at(0), packet(i));
  EXPECT_EQ(stream.report(at(0)).fraction_lost, 0);
  for (const int sequence : {10, 12, 13}) stream.on_packet(at(0), numbered(sequence));
  EXPECT_EQ(stream.report(at(0)).fraction_lost, 64);  // one of four, of 256
  EXPECT_EQ(stream.statistics().fraction_lost, 64);
  EXPECT_EQ(stream.report(at(0)).fraction_lost, 0) << "nothing was expected since";
  EXPECT_EQ(stream.report(at(0)).cumulative_lost, 1);
}

// 8000 Hz, packets every 20 ms (160 units), the second one 5 ms late (40 units):
// J1 = 0 + (40 - 0) / 16 = 2.5; then 5 ms early again, D = 40: J2 = 2.5 + (40 - 2.5) / 16 = 4.84.
TEST(InboundStream, JitterIsThatOfAppendixA8) {
  InboundStream stream(1, 8000);
  stream.on_packet(at(1000), packet(1, 0));
  EXPECT_EQ(stream.statistics().jitter, 0u);
  stream.on_packet(at(1025), packet(2, 160));
  EXPECT_EQ(stream.statistics().jitter, 2u);
  stream.on_packet(at(1040), packet(3, 320));
  EXPECT_EQ(stream.statistics().jitter, 4u);
  EXPECT_EQ(stream.statistics().jitter_time, Duration(500'000));
}

TEST(InboundStream, JitterIsBlindToTheWrapOfTimestampsAndToClocksItDoesNotKnow) {
  InboundStream stream(1, 8000);
  stream.on_packet(at(0), packet(1, 0xffffff60));
  stream.on_packet(at(20), packet(2, 0));
  EXPECT_EQ(stream.statistics().jitter, 0u);
  InboundStream unknown(1, 0);
  unknown.on_packet(at(0), packet(1, 5));
  unknown.on_packet(at(999), packet(2, 7));
  EXPECT_EQ(unknown.statistics().jitter, 0u);
}

TEST(InboundStream, ReportsRepeatTheMiddleOfTheSendersTime) {
  InboundStream stream(1, 8000);
  stream.on_packet(at(0), packet(1));
  EXPECT_EQ(stream.report(at(0)).last_report, 0u);
  SenderReport report;
  report.ntp = 0x1111'2222'3333'4444;
  stream.on_sender_report(at(1000), report);
  const ReportBlock block = stream.report(at(1500));
  EXPECT_EQ(block.last_report, 0x2222'3333u);
  EXPECT_EQ(block.delay, 0x8000u);
}

TEST(OutboundStream, TheRoundTripIsWhatIsLeftOfTheTimeSinceTheReport) {
  OutboundStream stream(1, 8000);
  stream.on_packet(at(0), packet(1, 1000));
  const SenderReport report = stream.report(at(10'000));
  EXPECT_EQ(report.timestamp, 1000u + 80'000u);
  EXPECT_EQ(report.packets, 1u);
  ReportBlock block;
  block.last_report = static_cast<std::uint32_t>(report.ntp >> 16);
  block.delay = 0x4000;  // a quarter of a second
  stream.on_report(at(10'750), block);
  ASSERT_TRUE(stream.statistics().round_trip);
  EXPECT_EQ(*stream.statistics().round_trip, milliseconds(500));
  block.delay = 0x20000;  // longer than it can have been
  stream.on_report(at(10'750), block);
  EXPECT_EQ(*stream.statistics().round_trip, Duration(0));
}

TEST(OutboundStream, WithoutAReportOfOursThereIsNoRoundTrip) {
  OutboundStream stream(1, 8000);
  stream.on_report(at(5), {});
  EXPECT_EQ(stream.statistics().reports, 1u);
  EXPECT_FALSE(stream.statistics().round_trip);
}

}  // namespace
}  // namespace turnpike::media
