#include "ice/media/rtp.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace turnpike::media {
namespace {

using Bytes = std::vector<std::uint8_t>;

// Version 2, padding, extension, one CSRC; marker, type 111.
const Bytes kPacket = {0xb1, 0xef, 0x12, 0x34, 0, 0,    0,    9,   0xde, 0xad, 0xbe,
                       0xef, 1,    2,    3,    4, 0xbe, 0xde, 0,   2,    0x10, 0x7f,
                       0,    0x31, 0xaa, 0xbb, 0, 0,    'h',  'i', 0,    2};

TEST(Rtp, EveryFieldOfAPacketIsFound) {
  const auto packet = parse_rtp(kPacket);
  ASSERT_TRUE(packet);
  EXPECT_TRUE(packet->marker);
  EXPECT_EQ(packet->payload_type, 111);
  EXPECT_EQ(packet->sequence, 0x1234);
  EXPECT_EQ(packet->timestamp, 9u);
  EXPECT_EQ(packet->ssrc, 0xdeadbeefu);
  EXPECT_EQ(packet->csrcs.size(), 4u);
  EXPECT_EQ(as_text(packet->payload), "hi");
  EXPECT_EQ(packet->padding, 2);
  EXPECT_TRUE(equal(packet->extension_of(1).value(), Bytes{0x7f}));
  EXPECT_TRUE(equal(packet->extension_of(3).value(), Bytes{0xaa, 0xbb}));
  EXPECT_FALSE(packet->extension_of(2));
  EXPECT_FALSE(packet->extension_of(0));
}

TEST(Rtp, IsWrittenToTheSameBytes) {
  Bytes room(kPacket.size());
  Writer out(room);
  ASSERT_TRUE(write_rtp(out, *parse_rtp(kPacket)));
  EXPECT_EQ(room, kPacket);
  Bytes small(kPacket.size() - 1);
  Writer full(small);
  EXPECT_FALSE(write_rtp(full, *parse_rtp(kPacket)));
}

TEST(Rtp, TwoByteExtensionsAreFound) {
  RtpPacket packet;
  packet.extension_profile = 0x1003;
  const Bytes extension = {0, 5, 0, 200, 3, 'a', 'b', 'c'};
  packet.extension = extension;
  EXPECT_EQ(packet.extension_of(5)->size(), 0u);
  EXPECT_EQ(as_text(*packet.extension_of(200)), "abc");
  EXPECT_FALSE(packet.extension_of(6));
}

TEST(Rtp, NothingIsReadBehindElementFifteenOrBehindTheEnd) {
  RtpPacket packet;
  packet.extension_profile = RtpPacket::kOneByteExtensions;
  const Bytes stopped = {0xf0, 0, 0x10, 1};
  packet.extension = stopped;
  EXPECT_FALSE(packet.extension_of(1));
  const Bytes cut = {0x1f, 1, 2, 3};  // sixteen bytes, of which three are there
  packet.extension = cut;
  EXPECT_FALSE(packet.extension_of(1));
}

TEST(Rtp, WhatIsNotRtpIsRefused) {
  for (std::size_t size = 0; size < 28; ++size) {
    EXPECT_FALSE(parse_rtp(ByteView(kPacket.data(), size))) << size;
  }
  Bytes version = kPacket;
  version[0] &= 0x7f;
  EXPECT_FALSE(parse_rtp(version));
  Bytes padding = kPacket;
  padding.back() = 5;  // more than there is
  EXPECT_FALSE(parse_rtp(padding));
  padding.back() = 0;
  EXPECT_FALSE(parse_rtp(padding));
  Bytes rtcp = kPacket;
  rtcp[1] = 200;
  EXPECT_FALSE(parse_rtp(rtcp));
  EXPECT_TRUE(is_rtcp(rtcp));
}

TEST(Rtp, FieldsAreRewrittenInPlace) {
  Bytes packet = kPacket;
  set_rtp_payload_type(packet, 96);
  set_rtp_sequence(packet, 0xffff);
  set_rtp_timestamp(packet, 0x01020304);
  set_rtp_ssrc(packet, 5);
  const auto parsed = parse_rtp(packet);
  EXPECT_TRUE(parsed->marker);
  EXPECT_EQ(parsed->payload_type, 96);
  EXPECT_EQ(parsed->sequence, 0xffff);
  EXPECT_EQ(parsed->timestamp, 0x01020304u);
  EXPECT_EQ(parsed->ssrc, 5u);
}

}  // namespace
}  // namespace turnpike::media
