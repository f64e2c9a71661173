#include "base/bytes.h"

#include <gtest/gtest.h>

#include <array>

namespace turnpike {
namespace {

TEST(Reader, ReadsNetworkOrder) {
  const std::array<std::uint8_t, 15> bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Reader in(bytes);
  EXPECT_EQ(in.u8(), 1);
  EXPECT_EQ(in.u16(), 0x0203);
  EXPECT_EQ(in.u32(), 0x04050607u);
  EXPECT_EQ(in.u64(), 0x08090A0B0C0D0E0Full);
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(Reader, AnOverrunIsStickyAndAnswersZeros) {
  const std::array<std::uint8_t, 3> bytes = {1, 2, 3};
  Reader in(bytes);
  EXPECT_EQ(in.u32(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u8(), 0);  // three bytes are left, and stay unread
  EXPECT_TRUE(in.bytes(1).empty());
  EXPECT_EQ(in.remaining(), 3u);
}

TEST(Reader, ReadsExactlyToTheEnd) {
  const std::array<std::uint8_t, 3> bytes = {1, 2, 3};
  Reader in(bytes);
  in.skip(1);
  EXPECT_TRUE(equal(in.bytes(2), ByteView(bytes).subspan(1)));
  EXPECT_TRUE(in.ok());
  in.skip(1);
  EXPECT_FALSE(in.ok());
}

TEST(Writer, WritesNetworkOrderExactlyToTheEnd) {
  std::array<std::uint8_t, 15> room{};
  Writer out(room);
  out.u8(1);
  out.u16(0x0203);
  out.u32(0x04050607);
  out.u64(0x08090A0B0C0D0E0Full);
  EXPECT_TRUE(out.ok());
  for (std::size_t i = 0; i < room.size(); ++i) EXPECT_EQ(room[i], i + 1);
}

TEST(Writer, AnOverrunIsStickyAndWritesNothing) {
  std::array<std::uint8_t, 3> room = {7, 7, 7};
  Writer out(room);
  out.u32(0);
  out.u8(0);
  out.zeros(1);
  out.bytes(as_bytes("x"));
  EXPECT_FALSE(out.ok());
  EXPECT_EQ(out.size(), 0u);
  EXPECT_EQ(room, (std::array<std::uint8_t, 3>{7, 7, 7}));
}

TEST(Writer, PatchesOnlyWhatWasWritten) {
  std::array<std::uint8_t, 4> room{};
  Writer out(room);
  out.u16(0);
  out.patch_u16(0, 0xABCD);
  EXPECT_TRUE(out.ok());
  EXPECT_EQ(room[0], 0xAB);
  EXPECT_EQ(room[1], 0xCD);
  out.patch_u16(1, 0);
  EXPECT_FALSE(out.ok());
}

TEST(Padding, GoesToTheNextMultipleOfFour) {
  EXPECT_EQ(padding_to_four(0), 0u);
  EXPECT_EQ(padding_to_four(1), 3u);
  EXPECT_EQ(padding_to_four(2), 2u);
  EXPECT_EQ(padding_to_four(3), 1u);
  EXPECT_EQ(padding_to_four(4), 0u);
}

}  // namespace
}  // namespace turnpike
