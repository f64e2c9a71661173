// What turnpike-load judges by: payloads, arrivals, the histogram, and its own boxes.

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <vector>

#include "tools/load/statistics.h"
#include "tools/load/turn_load_payload.h"
#include "tools/load/turn_load_sockets.h"

namespace turnpike::load {
namespace {

using Verdict = Arrivals::Verdict;

std::vector<std::uint8_t> payload_of(std::size_t size, std::uint32_t flow, std::uint32_t sequence) {
  std::vector<std::uint8_t> bytes(size);
  Payloads().write(bytes, flow, sequence, 123456789);
  return bytes;
}

TEST(Payload, IsReadAsItWasWritten) {
  const Payloads payloads;
  for (const std::size_t size : {24u, 25u, 160u, 1200u, 1400u}) {
    const auto bytes = payload_of(size, 7, 4000000000u);
    Stamp stamp;
    ASSERT_TRUE(payloads.read(bytes, stamp)) << size;
    EXPECT_EQ(stamp.flow, 7u);
    EXPECT_EQ(stamp.sequence, 4000000000u);
    EXPECT_EQ(stamp.sent_at, 123456789u);
  }
}

TEST(Payload, IsRefusedWhenAnyBitIsDifferent) {
  const Payloads payloads;
  auto bytes = payload_of(160, 3, 42);
  Stamp stamp;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    EXPECT_FALSE(payloads.read(bytes, stamp)) << bit;
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  EXPECT_TRUE(payloads.read(bytes, stamp));
}

TEST(Payload, IsRefusedWhenItsEndIsMissingOrThereIsMore) {
  const Payloads payloads;
  auto bytes = payload_of(160, 3, 42);
  Stamp stamp;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(payloads.read(ByteView(bytes).first(size), stamp)) << size;
  }
  bytes.push_back(0);
  EXPECT_FALSE(payloads.read(bytes, stamp));
}

TEST(Arrivals, KnowsDuplicatesAndHowManyWerePassed) {
  Arrivals arrivals;
  std::uint32_t passed = 0;
  EXPECT_EQ(arrivals.arrive(0, passed), Verdict::kNew);
  EXPECT_EQ(passed, 1u);
  EXPECT_EQ(arrivals.arrive(5, passed), Verdict::kNew);
  EXPECT_EQ(passed, 5u);
  EXPECT_EQ(arrivals.arrive(5, passed), Verdict::kDuplicate);
  EXPECT_EQ(arrivals.arrive(3, passed), Verdict::kNew);
  EXPECT_EQ(passed, 0u);
  EXPECT_EQ(arrivals.arrive(3, passed), Verdict::kDuplicate);
  EXPECT_EQ(arrivals.arrive(0, passed), Verdict::kDuplicate);
}

TEST(Arrivals, ForgetsWhatIsTooOldAndNothingElse) {
  Arrivals arrivals;
  std::uint32_t passed = 0;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    if (i % 3 == 1) continue;
    ASSERT_EQ(arrivals.arrive(i, passed), Verdict::kNew) << i;
  }
  const std::uint32_t next = 5000;
  for (std::uint32_t i = next - 1024; i < next; ++i) {
    EXPECT_EQ(arrivals.arrive(i, passed), i % 3 != 1 ? Verdict::kDuplicate : Verdict::kNew) << i;
  }
  EXPECT_EQ(arrivals.arrive(next - 1025, passed), Verdict::kTooOld);
}

TEST(Arrivals, StartsAnewAfterALongSilence) {
  Arrivals arrivals;
  std::uint32_t passed = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) arrivals.arrive(i, passed);
  EXPECT_EQ(arrivals.arrive(10000, passed), Verdict::kNew);
  EXPECT_EQ(passed, 8001u);
  for (std::uint32_t i = 10000 - 1023; i < 10000; ++i) {
    EXPECT_EQ(arrivals.arrive(i, passed), Verdict::kNew) << i;
  }
}

TEST(Histogram, TellsPercentilesWithinTwoPercent) {
  Histogram histogram;
  for (std::uint64_t i = 1; i <= 100000; ++i) histogram.record(i * 1000);
  for (const double part : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const double expected = part * 100000 * 1000;
    EXPECT_NEAR(static_cast<double>(histogram.percentile(part)), expected, expected * 0.02) << part;
  }
  EXPECT_EQ(histogram.max(), 100000000u);
  EXPECT_EQ(histogram.percentile(1), 100000000u);
  EXPECT_EQ(histogram.mean(), 50000500u);
}

TEST(Histogram, MergesAndHoldsTheLargestNumber) {
  Histogram one, other;
  one.record(0);
  other.record(UINT64_MAX);
  one.merge(other);
  EXPECT_EQ(one.count(), 2u);
  EXPECT_EQ(one.max(), UINT64_MAX);
  EXPECT_EQ(one.percentile(0), 0u);
  EXPECT_EQ(Histogram().percentile(0.5), 0u);
}

TEST(Proc, KnowsThisProcess) {
  const auto memory = resident_memory_of(::getpid());
  ASSERT_TRUE(memory);
  EXPECT_GT(*memory, 500'000u);
  const auto before = cpu_time_of(::getpid());
  ASSERT_TRUE(before);
  // Run time is added up when the scheduler looks: spin until it has.
  std::optional<std::uint64_t> after = before;
  while (after && *after <= *before) after = cpu_time_of(::getpid());
  EXPECT_TRUE(after);
  EXPECT_FALSE(cpu_time_of(-1));
  EXPECT_FALSE(resident_memory_of(-1));
}

class Boxes : public testing::TestWithParam<Trains> {
 protected:
  Boxes() : inbox_(GetParam()), outbox_(GetParam()) {
    const Address any{IpAddress::v4(127, 0, 0, 1), 0};
    from_ = open_udp({.from = any, .trains = GetParam()}).value_or(-1);
    to_ = open_udp({.from = any, .trains = GetParam()}).value_or(-1);
    address_ = net::to_sockaddr(net::local_address_of(to_));
  }
  ~Boxes() override {
    ::close(from_);
    ::close(to_);
  }
  // Bytes of each datagram that comes, by its first byte and its size.
  std::vector<std::pair<int, std::size_t>> receive(std::size_t count) {
    std::vector<std::pair<int, std::size_t>> got;
    pollfd entry{to_, POLLIN, 0};
    while (got.size() < count && ::poll(&entry, 1, 5000) == 1) {
      inbox_.receive(to_, [&](const sockaddr* from, ByteView datagram) {
        EXPECT_EQ(net::from_sockaddr(from), net::local_address_of(from_));
        got.emplace_back(datagram.empty() ? -1 : datagram[0], datagram.size());
      });
    }
    return got;
  }
  Inbox inbox_;
  Outbox outbox_;
  int from_ = -1, to_ = -1;
  net::SocketAddress address_;
};

TEST_P(Boxes, CarryDatagramsOfAnySizesInOrder) {
  std::vector<std::pair<int, std::size_t>> sent;
  for (const std::size_t size : {100u, 100u, 100u, 60u, 60u, 1200u, 1200u, 1u, 1400u}) {
    sent.emplace_back(static_cast<int>(sent.size()), size);
    outbox_.add(from_, &address_, size)[0] = static_cast<std::uint8_t>(sent.size() - 1);
  }
  outbox_.flush();
  EXPECT_EQ(receive(sent.size()), sent);
  EXPECT_EQ(outbox_.refused(), 0u);
}

TEST_P(Boxes, CarryMoreThanFitsIntoOneCall) {
  std::vector<std::pair<int, std::size_t>> sent;
  for (int i = 0; i < 150; ++i) {
    sent.emplace_back(i, 200);
    outbox_.add(from_, &address_, 200)[0] = static_cast<std::uint8_t>(i);
  }
  outbox_.flush();
  EXPECT_EQ(receive(sent.size()), sent);
}

INSTANTIATE_TEST_SUITE_P(Both, Boxes, testing::Values(Trains::kNo, Trains::kYes),
                         [](const auto& chosen) {
                           return chosen.param == Trains::kYes ? "WithTrains" : "WithoutTrains";
                         });

}  // namespace
}  // namespace turnpike::load
