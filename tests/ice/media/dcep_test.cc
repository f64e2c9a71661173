#include "ice/media/dcep.h"

#include <gtest/gtest.h>

namespace turnpike::media {
namespace {

TEST(Dcep, AnOpenMessageIsWrittenToTheByte) {
  ChannelOptions options;
  options.label = "ab";
  options.protocol = "p";
  options.ordered = false;
  options.max_lifetime_ms = 0x01020304;
  const std::vector<std::uint8_t> expected = {3, 0x82, 1, 0, 1, 2, 3, 4, 0, 2, 0, 1, 'a', 'b', 'p'};
  EXPECT_EQ(write_channel_open(options), expected);
  EXPECT_EQ(parse_channel_open(expected), options);
}

TEST(Dcep, EveryTruncationIsRefused) {
  ChannelOptions options;
  options.label = "label";
  options.max_retransmits = 7;
  const auto message = write_channel_open(options);
  for (std::size_t size = 0; size < message.size(); ++size) {
    EXPECT_FALSE(parse_channel_open(ByteView(message.data(), size))) << size;
  }
  EXPECT_TRUE(parse_channel_open(message));
}

TEST(Dcep, RefusesUnknownTypesTrailingBytesAndTextThatIsNotUtf8) {
  const std::vector<std::uint8_t> type = {3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(parse_channel_open(type));
  const std::vector<std::uint8_t> trailing = {3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(parse_channel_open(trailing));
  const std::vector<std::uint8_t> text = {3, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff};
  EXPECT_FALSE(parse_channel_open(text));
}

TEST(Dcep, LabelsHaveALimit) {
  ChannelOptions options;
  options.label.assign(kMaxLabel, 'x');
  EXPECT_FALSE(write_channel_open(options).empty());
  options.label += 'x';
  EXPECT_TRUE(write_channel_open(options).empty());
}

TEST(Dcep, AnAckIsOneByte) {
  EXPECT_TRUE(is_channel_ack(write_channel_ack()));
  EXPECT_FALSE(is_channel_ack(std::vector<std::uint8_t>{2, 0}));
  EXPECT_FALSE(is_channel_ack({}));
}

}  // namespace
}  // namespace turnpike::media
