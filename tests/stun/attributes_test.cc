#include "stun/attributes.h"

#include <gtest/gtest.h>

namespace turnpike::stun {
namespace {

TEST(Attributes, NamesAreTheRfcsAndStrangersAreUnknown) {
  EXPECT_EQ(attribute_name(0x0020), "XOR-MAPPED-ADDRESS");
  EXPECT_EQ(attribute_name(0x0012), "XOR-PEER-ADDRESS");
  EXPECT_EQ(attribute_name(0x8028), "FINGERPRINT");
  EXPECT_EQ(attribute_name(0x7777), "unknown");
  EXPECT_TRUE(is_known_attribute(0x0019));
  EXPECT_FALSE(is_known_attribute(0x0000));
  EXPECT_FALSE(is_known_attribute(0x0004));  // SOURCE-ADDRESS (RFC 3489)
}

TEST(Attributes, ComprehensionIsRequiredInTheLowerHalf) {
  EXPECT_TRUE(is_comprehension_required(0x0000));
  EXPECT_TRUE(is_comprehension_required(0x7FFF));
  EXPECT_FALSE(is_comprehension_required(0x8000));
  EXPECT_FALSE(is_comprehension_required(0xFFFF));
}

TEST(ReasonPhrase, EveryCodeHasItsOwn) {
  EXPECT_EQ(reason_phrase(ErrorCode::kUnauthorized), "Unauthorized");
  EXPECT_EQ(reason_phrase(ErrorCode::kStaleNonce), "Stale Nonce");
  EXPECT_EQ(reason_phrase(ErrorCode::kAllocationQuotaReached), "Allocation Quota Reached");
  EXPECT_EQ(reason_phrase(static_cast<ErrorCode>(499)), "Error");
}

}  // namespace
}  // namespace turnpike::stun
