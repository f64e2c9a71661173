#include "base/run.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

namespace turnpike {
namespace {

std::array<std::uint8_t, 100> counted() {
  std::array<std::uint8_t, 100> bytes;
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

TEST(Run, OneDatagramIsARunOfOneSegment) {
  const auto bytes = counted();
  const turnpike::Run run = turnpike::Run::one(bytes);
  EXPECT_EQ(run.count, 1u);
  EXPECT_TRUE(equal(run.segment(0), bytes));
  EXPECT_EQ(run.total_bytes(), 100u);
}

TEST(Run, AnEmptyDatagramIsARunToo) {
  const turnpike::Run run = turnpike::Run::one({});
  EXPECT_EQ(run.count, 1u);
  EXPECT_TRUE(run.segment(0).empty());
  EXPECT_EQ(run.total_bytes(), 0u);
}

TEST(Run, TheLastSegmentOfATrainMayBeShort) {
  const auto bytes = counted();
  const turnpike::Run run = turnpike::Run::train(bytes, 30);
  ASSERT_EQ(run.count, 4u);
  EXPECT_EQ(run.segment(0).size(), 30u);
  EXPECT_EQ(run.segment(3).size(), 10u);
  EXPECT_EQ(run.segment(3).front(), 90);
  EXPECT_EQ(run.total_bytes(), 100u);
}

TEST(Run, AnEvenTrainHasAFullLastSegment) {
  const auto bytes = counted();
  const turnpike::Run run = turnpike::Run::train(bytes, 25);
  ASSERT_EQ(run.count, 4u);
  EXPECT_EQ(run.segment(3).size(), 25u);
  EXPECT_EQ(run.total_bytes(), 100u);
}

TEST(Run, ATrainOfOneSegmentIsOneDatagram) {
  const auto bytes = counted();
  for (const std::uint32_t segment : {0u, 100u, 101u}) {
    const turnpike::Run run = turnpike::Run::train(bytes, segment);
    EXPECT_EQ(run.count, 1u);
    EXPECT_EQ(run.segment(0).size(), 100u);
  }
}

TEST(Run, ASliceKeepsTheShortSegmentOnlyAtTheEnd) {
  const auto bytes = counted();
  const turnpike::Run run = turnpike::Run::train(bytes, 30);
  const turnpike::Run head = run.slice(0, 2);
  EXPECT_EQ(head.count, 2u);
  EXPECT_EQ(head.segment(1).size(), 30u);
  EXPECT_EQ(head.total_bytes(), 60u);
  const turnpike::Run tail = run.slice(2, 2);
  EXPECT_EQ(tail.segment(0).front(), 60);
  EXPECT_EQ(tail.segment(1).size(), 10u);
  EXPECT_EQ(tail.total_bytes(), 40u);
}

TEST(Run, ASliceOfTheShortSegmentAloneHasItsSize) {
  const auto bytes = counted();
  const turnpike::Run last = turnpike::Run::train(bytes, 30).slice(3, 1);
  EXPECT_EQ(last.size, 10u);
  EXPECT_EQ(last.segment(0).front(), 90);
  EXPECT_EQ(last.total_bytes(), 10u);
}

TEST(Run, AStrideSkipsWhatLiesBetweenPayloads) {
  const auto bytes = counted();
  turnpike::Run run = turnpike::Run::train(bytes, 20);
  run.data += 4;
  run.size -= 4;
  run.last_size -= 4;
  EXPECT_EQ(run.segment(0).front(), 4);
  EXPECT_EQ(run.segment(2).front(), 44);
  EXPECT_EQ(run.segment(2).size(), 16u);
  EXPECT_EQ(run.slice(1, 3).segment(1).front(), 44);
}

TEST(Run, ASliceCarriesTheHeaderFields) {
  const auto bytes = counted();
  turnpike::Run run = turnpike::Run::train(bytes, 30);
  run.traffic_class = 0xB8;
  run.dont_fragment = DontFragment::kSet;
  EXPECT_EQ(run.slice(1, 1).traffic_class, 0xB8);
  EXPECT_EQ(run.slice(1, 1).dont_fragment, DontFragment::kSet);
}

TEST(RunDeathTest, ASliceOutsideTheRunIsOurFault) {
  const auto bytes = counted();
  EXPECT_DEATH((void)turnpike::Run::train(bytes, 30).slice(3, 2), "CHECK failed");
  EXPECT_DEATH((void)turnpike::Run::train(bytes, 30).slice(0, 0), "CHECK failed");
}

}  // namespace
}  // namespace turnpike
