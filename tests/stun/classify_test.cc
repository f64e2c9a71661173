#include "stun/classify.h"

#include <gtest/gtest.h>

#include <array>

namespace turnpike::stun {
namespace {

// RFC 7983 section 7, figure 3.
PacketKind expected_kind(int first) {
  if (first <= 3) return PacketKind::kStun;
  if (first >= 16 && first <= 19) return PacketKind::kZrtp;
  if (first >= 20 && first <= 63) return PacketKind::kDtls;
  if (first >= 64 && first <= 127) return PacketKind::kChannelData;
  if (first >= 128 && first <= 191) return PacketKind::kRtp;
  return PacketKind::kUnknown;
}

TEST(Classify, TellsAllFirstBytesApart) {
  for (int first = 0; first < 256; ++first) {
    const std::array<std::uint8_t, 2> packet = {static_cast<std::uint8_t>(first), 0xFF};
    EXPECT_EQ(classify(packet), expected_kind(first)) << first;
  }
}

TEST(Classify, NothingAtAllIsUnknown) { EXPECT_EQ(classify({}), PacketKind::kUnknown); }

}  // namespace
}  // namespace turnpike::stun
