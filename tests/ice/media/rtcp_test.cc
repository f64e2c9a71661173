#include "ice/media/rtcp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace turnpike::media {
namespace {

using ::testing::ElementsAre;
using Bytes = std::vector<std::uint8_t>;

template <typename T>
T only(ByteView compound) {
  const auto messages = parse_rtcp(compound);
  EXPECT_TRUE(messages && messages->size() == 1 && std::holds_alternative<T>(messages->front()));
  if (!messages || messages->empty()) return {};
  const T* found = std::get_if<T>(&messages->front());
  return found == nullptr ? T{} : *found;
}

TEST(Rtcp, AReceiverReportIsWrittenToTheByteAndReadAgain) {
  std::array<std::uint8_t, 64> room;
  Writer out(room);
  ASSERT_TRUE(write_receiver_report(out, {0x01020304, {{9, 128, -2, 0x10005, 7, 0xabcd, 65536}}}));
  const Bytes expected = {0x81, 201, 0, 7, 1, 2, 3, 4, 0, 0, 0,    9,    128, 0xff, 0xff, 0xfe,
                          0,    1,   0, 5, 0, 0, 0, 7, 0, 0, 0xab, 0xcd, 0,   1,    0,    0};
  EXPECT_TRUE(equal(out.written(), expected));
  const auto report = only<ReceiverReport>(out.written());
  ASSERT_EQ(report.blocks.size(), 1u);
  EXPECT_EQ(report.blocks[0].cumulative_lost, -2);
  EXPECT_EQ(report.blocks[0].fraction_lost, 128);
  EXPECT_EQ(report.blocks[0].highest_sequence, 0x10005u);
  EXPECT_EQ(report.blocks[0].delay, 65536u);
}

TEST(Rtcp, ACompoundIsReadInOrder) {
  std::array<std::uint8_t, 256> room;
  Writer out(room);
  ASSERT_TRUE(write_sender_report(out, {1, 2, 3, 4, 5, {}}));
  ASSERT_TRUE(write_source_description(out, 1, "name"));
  ASSERT_TRUE(write_picture_loss(out, {1, 6}));
  ASSERT_TRUE(write_full_intra_request(out, {1, {{7, 8}}}));
  ASSERT_TRUE(write_bitrate_estimate(out, {1, 2'500'000, {9}}));
  ASSERT_TRUE(write_goodbye(out, {{1, 2}}));
  const auto messages = parse_rtcp(out.written());
  ASSERT_TRUE(messages);
  ASSERT_EQ(messages->size(), 6u);
  EXPECT_EQ(std::get<SenderReport>((*messages)[0]).octets, 5u);
  EXPECT_EQ(std::get<SenderReport>((*messages)[0]).ntp, 2u);
  EXPECT_EQ(std::get<SourceDescription>((*messages)[1]).cname, "name");
  EXPECT_EQ(std::get<PictureLoss>((*messages)[2]).media, 6u);
  EXPECT_EQ(std::get<FullIntraRequest>((*messages)[3]).entries[0].sequence, 8);
  EXPECT_NEAR(static_cast<double>(std::get<BitrateEstimate>((*messages)[4]).bits_per_second), 2.5e6,
              16);
  EXPECT_THAT(std::get<Goodbye>((*messages)[5]).ssrcs, ElementsAre(1, 2));
}

TEST(Rtcp, NacksArePackedSixteenToAWord) {
  std::array<std::uint8_t, 64> room;
  Writer out(room);
  ASSERT_TRUE(write_nack(out, {1, 2, {65535, 0, 15, 16, 100}}));
  EXPECT_EQ(out.size(), 24u);
  EXPECT_THAT(only<Nack>(out.written()).lost, ElementsAre(65535, 0, 15, 16, 100));
}

TEST(Rtcp, TransportWideFeedbackIsKnownByItsHead) {
  const Bytes feedback = {0x8f, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 7, 0, 3, 0, 0, 0, 0};
  EXPECT_EQ(only<TransportFeedback>(feedback).base_sequence, 7);
  EXPECT_EQ(only<TransportFeedback>(feedback).packets, 3);
}

TEST(Rtcp, UnknownPacketsAreSkipped) {
  Bytes compound = {0x80, 207, 0, 1, 1, 2, 3, 4};  // XR
  const Bytes goodbye = {0x81, 203, 0, 1, 0, 0, 0, 5};
  compound.insert(compound.end(), goodbye.begin(), goodbye.end());
  EXPECT_THAT(only<Goodbye>(compound).ssrcs, ElementsAre(5));
}

TEST(Rtcp, EveryTruncationIsRefused) {
  std::array<std::uint8_t, 128> room;
  Writer out(room);
  ASSERT_TRUE(write_sender_report(out, {1, 2, 3, 4, 5, {ReportBlock{}, ReportBlock{}}}));
  for (std::size_t size = 0; size < out.size(); ++size) {
    EXPECT_FALSE(parse_rtcp(out.written().first(size))) << size;
  }
  EXPECT_TRUE(parse_rtcp(out.written()));
}

TEST(Rtcp, CountsThatLieAreRefused) {
  EXPECT_FALSE(parse_rtcp(Bytes{0x82, 201, 0, 1, 0, 0, 0, 1}));  // two blocks, none there
  EXPECT_FALSE(parse_rtcp(Bytes{0x82, 203, 0, 1, 0, 0, 0, 1}));  // two sources, one there
  EXPECT_FALSE(parse_rtcp(Bytes{0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 'a', 'b'}));
  EXPECT_FALSE(parse_rtcp(Bytes{0xa0, 203, 0, 1, 0, 0, 0, 9}));  // more padding than bytes
}

TEST(Rtcp, AFloodOfMessagesIsCutOff) {
  std::array<std::uint8_t, 2000> room;
  Writer out(room);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(write_picture_loss(out, {1, 2}));
  EXPECT_EQ(parse_rtcp(out.written())->size(), kMaxRtcpMessages);
}

TEST(Rtcp, NtpTimeHasSecondsAndTheirFraction) {
  EXPECT_EQ(ntp_of({milliseconds(2500)}), 0x2'8000'0000u);
}

}  // namespace
}  // namespace turnpike::media
