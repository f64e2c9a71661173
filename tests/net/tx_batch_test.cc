#include "net/tx_batch.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include "base/random.h"
#include "net/bind.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

using Segmentation = TxBatch::Segmentation;

bool is_segmented(const msghdr& message) {
  auto* header = const_cast<msghdr*>(&message);
  for (cmsghdr* item = CMSG_FIRSTHDR(header); item != nullptr; item = CMSG_NXTHDR(header, item)) {
    if (item->cmsg_level == SOL_UDP) return true;
  }
  return false;
}

// Counts what is sent and fails what it is told to fail.
class Sends : public Syscalls {
 public:
  int socket(int domain, int type, int protocol) override {
    if (!no_sockets) return Syscalls::socket(domain, type, protocol);
    errno = EMFILE;
    return -1;
  }
  ssize_t sendmsg(int fd, const msghdr* message, int flags) override {
    ++calls;
    if (const int error = refuse(*message)) {
      errno = error;
      return -1;
    }
    const ssize_t sent = Syscalls::sendmsg(fd, message, flags);
    if (sent >= 0) ++messages;
    return sent;
  }
  ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* address,
                 socklen_t length) override {
    iovec piece{const_cast<void*>(bytes), size};
    msghdr message{};
    message.msg_name = const_cast<sockaddr*>(address);
    message.msg_namelen = length;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    return sendmsg(fd, &message, flags);
  }
  // Like the kernel: the first refusal ends the call, and is told when nothing was taken.
  int sendmmsg(int fd, mmsghdr* headers, unsigned count, int flags) override {
    ++calls;
    for (unsigned i = 0; i < count; ++i) {
      if (const int error = refuse(headers[i].msg_hdr)) {
        errno = error;
        return i > 0 ? static_cast<int>(i) : -1;
      }
      if (Syscalls::sendmsg(fd, &headers[i].msg_hdr, flags) < 0) {
        return i > 0 ? static_cast<int>(i) : -1;
      }
      ++messages;
    }
    return static_cast<int>(count);
  }
  bool no_sockets = false;
  int calls = 0;
  int messages = 0;
  std::function<int(const msghdr&)> refuse = [](const msghdr&) { return 0; };
};

// Everything that waits at a receiver.
std::vector<Bytes> drain(UdpSocket& socket) {
  std::vector<Bytes> all;
  while (auto received = socket.receive_now()) all.push_back(std::move(received->bytes));
  return all;
}

std::vector<Bytes> equal_datagrams(std::size_t count, std::size_t size) {
  std::vector<Bytes> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(pattern(size, i + 1));
  return result;
}

void push_each(TxBatch& batch, int fd, const Address& to, const std::vector<Bytes>& datagrams) {
  for (const Bytes& datagram : datagrams) batch.push(fd, to, {}, turnpike::Run::one(datagram));
}

constexpr const char* kNoSegmentation = "this kernel has no UDP_SEGMENT";

TEST(TxBatch, SendsNothingBeforeItIsFlushed) {
  TxBatch batch(Segmentation::kProbe);
  UdpSocket ours, theirs;
  batch.push(ours.fd(), theirs.local(), bytes_of("head"), turnpike::Run::one(bytes_of("body")));
  EXPECT_FALSE(theirs.receive_now());
  batch.flush();
  const auto received = theirs.receive();
  ASSERT_TRUE(received);
  EXPECT_EQ(text_of(received->bytes), "headbody");
  EXPECT_EQ(received->from, ours.local());
  EXPECT_EQ(batch.statistics().datagrams, 1u);
}

TEST(TxBatch, AHeadAloneIsADatagramAndSoIsNothingAtAll) {
  TxBatch batch(Segmentation::kProbe);
  UdpSocket ours, theirs;
  batch.push(ours.fd(), theirs.local(), bytes_of("only"), turnpike::Run{});
  batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one({}));
  batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one({}));
  batch.flush();
  const auto all = drain(theirs);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(text_of(all[0]), "only");
  EXPECT_TRUE(all[1].empty());
  EXPECT_TRUE(all[2].empty());
}

TEST(TxBatch, EqualDatagramsLeaveAsOneSend) {
  TxBatch batch(Segmentation::kProbe);
  if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
  UdpSocket ours, theirs;
  const auto sent = equal_datagrams(40, 1200);
  push_each(batch, ours.fd(), theirs.local(), sent);
  batch.flush();
  EXPECT_EQ(drain(theirs), sent);
  EXPECT_EQ(batch.statistics().system_calls, 1u);
  EXPECT_EQ(batch.statistics().segmented_sends, 1u);
  EXPECT_EQ(batch.statistics().datagrams, 40u);
}

TEST(TxBatch, ATrainWithAHeadBecomesOneSendOfWholeDatagrams) {
  TxBatch batch(Segmentation::kProbe);
  if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
  UdpSocket ours, theirs;
  const Bytes body = pattern(10 * 1000 + 400, 9);
  batch.push(ours.fd(), theirs.local(), bytes_of("HEAD"), turnpike::Run::train(body, 1000));
  batch.flush();
  const auto all = drain(theirs);
  ASSERT_EQ(all.size(), 11u);
  for (std::size_t i = 0; i < all.size(); ++i) {
    Bytes expected = bytes_of("HEAD");
    const ByteView part = turnpike::Run::train(body, 1000).segment(static_cast<std::uint32_t>(i));
    expected.insert(expected.end(), part.begin(), part.end());
    EXPECT_EQ(all[i], expected);
  }
  EXPECT_EQ(batch.statistics().system_calls, 1u);
}

TEST(TxBatch, PaddingFollowsEverySegmentAndIsZero) {
  TxBatch batch(Segmentation::kProbe);
  UdpSocket ours, theirs;
  const Bytes body(23, 0xEE);
  // What was in the arena before must not show.
  batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one(Bytes(100, 0xEE)));
  batch.flush();
  drain(theirs);
  batch.push(ours.fd(), theirs.local(), bytes_of("H"), turnpike::Run::train(body, 9), 3);
  batch.push(ours.fd(), theirs.local(), bytes_of("H"), turnpike::Run{}, 2);
  batch.flush();
  const auto all = drain(theirs);
  ASSERT_EQ(all.size(), 4u);
  Bytes expected = bytes_of("H");
  expected.insert(expected.end(), 9, 0xEE);
  expected.insert(expected.end(), 3, 0);
  EXPECT_EQ(all[0], expected);
  EXPECT_EQ(all[1], expected);
  EXPECT_EQ(all[2].size(), 1u + 5 + 3);
  EXPECT_EQ(text_of(all[3]), std::string("H\0\0", 3));
}

TEST(TxBatch, InterleavedFlowsAreStillSegmented) {
  TxBatch batch(Segmentation::kProbe);
  if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
  UdpSocket ours;
  std::vector<std::unique_ptr<UdpSocket>> receivers;
  for (int i = 0; i < 8; ++i) receivers.push_back(std::make_unique<UdpSocket>());
  const auto sent = equal_datagrams(20, 500);
  for (const Bytes& datagram : sent) {
    for (const auto& to : receivers)
      batch.push(ours.fd(), to->local(), {}, turnpike::Run::one(datagram));
  }
  batch.flush();
  for (const auto& to : receivers) EXPECT_EQ(drain(*to), sent);
  // Two flows may share a slot of the flow table; most must not.
  EXPECT_GE(batch.statistics().segmented_sends, 6u);
  EXPECT_LE(batch.statistics().system_calls, 2u);
}

TEST(TxBatch, ASegmentedSendHasAtMostSixtyFourSegments) {
  TxBatch batch(Segmentation::kProbe);
  if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
  UdpSocket ours, theirs;
  const auto sent = equal_datagrams(65, 100);
  push_each(batch, ours.fd(), theirs.local(), sent);
  batch.flush();
  EXPECT_EQ(drain(theirs), sent);
  EXPECT_EQ(batch.statistics().segmented_sends, 1u);  // the 65th goes alone
  EXPECT_EQ(batch.statistics().dropped, 0u);
}

TEST(TxBatch, ASegmentedSendCarriesAtMostOneDatagramsBytes) {
  TxBatch batch(Segmentation::kProbe);
  if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
  UdpSocket ours, theirs;
  const auto sent = equal_datagrams(60, 1472);  // 88320 bytes
  push_each(batch, ours.fd(), theirs.local(), sent);
  batch.flush();
  EXPECT_EQ(drain(theirs), sent);
  EXPECT_EQ(batch.statistics().segmented_sends, 2u);
}

TEST(TxBatch, SegmentsAboveTheUsualPathMtuAreNeverSegmented) {
  UdpSocket ours, theirs;
  for (const auto& [size, segmented] : {std::pair{1472u, 1u}, std::pair{1473u, 0u}}) {
    TxBatch batch(Segmentation::kProbe);
    if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
    const auto sent = equal_datagrams(5, size);
    push_each(batch, ours.fd(), theirs.local(), sent);
    batch.flush();
    EXPECT_EQ(drain(theirs), sent);
    EXPECT_EQ(batch.statistics().segmented_sends, segmented) << size;
  }
}

TEST(TxBatch, OneDatagramIsNeverSegmented) {
  TxBatch batch(Segmentation::kProbe);
  UdpSocket ours, theirs;
  batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one(pattern(1000, 1)));
  batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one(pattern(1001, 1)));
  batch.flush();
  EXPECT_EQ(drain(theirs).size(), 2u);
  EXPECT_EQ(batch.statistics().segmented_sends, 0u);
}

TEST(TxBatch, TheKillSwitchSendsEverythingPlainly) {
  TxBatch batch(Segmentation::kOff);
  EXPECT_FALSE(batch.segmentation_in_use());
  UdpSocket ours, theirs;
  const auto sent = equal_datagrams(100, 800);
  push_each(batch, ours.fd(), theirs.local(), sent);
  batch.flush();
  EXPECT_EQ(drain(theirs), sent);
  EXPECT_EQ(batch.statistics().segmented_sends, 0u);
  EXPECT_EQ(batch.statistics().system_calls, 2u);  // sendmmsg of 64 and of 36
}

TEST(TxBatch, TheTrafficClassGoesIntoTheHeaderAndSeparatesRuns) {
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const IpAddress loopback = IpAddress::loopback(family);
    const auto probe = open_bound({loopback, 0}, SOCK_DGRAM, ReusePort::kNo);
    if (!probe) continue;  // no IPv6 here
    const Descriptor closes(*probe);
    TxBatch batch(Segmentation::kProbe);
    UdpSocket ours(loopback), theirs(loopback);
    const Bytes body = pattern(300, 1);
    const std::vector<int> classes = {0, 184, 184, 2, 0};
    for (const int traffic_class : classes) {
      turnpike::Run run = turnpike::Run::one(body);
      run.traffic_class = static_cast<std::uint8_t>(traffic_class);
      batch.push(ours.fd(), theirs.local(), {}, run);
    }
    batch.flush();
    std::vector<int> seen;
    while (const auto received = theirs.receive_now()) seen.push_back(received->traffic_class);
    EXPECT_EQ(seen, classes);
  }
}

// Counts how often the options for DF are set, and notes how they stand at each send.
class Options final : public Sends {
 public:
  int setsockopt(int fd, int level, int name, const void* value, socklen_t length) override {
    if ((level == IPPROTO_IP && name == IP_MTU_DISCOVER) ||
        (level == IPPROTO_IPV6 && name == IPV6_DONTFRAG)) {
      ++changes;
      const int set = *static_cast<const int*>(value);
      dont_fragment = level == IPPROTO_IP ? set == IP_PMTUDISC_DO : set == 1;
    }
    return Sends::setsockopt(fd, level, name, value, length);
  }
  int changes = 0;
  bool dont_fragment = false;
  std::vector<std::pair<std::size_t, bool>> sent;  // size of the first piece, and DF
};

TEST(TxBatch, DontFragmentIsSetForThoseWhoAskAndOnlyThem) {
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const IpAddress loopback = IpAddress::loopback(family);
    const auto probe = open_bound({loopback, 0}, SOCK_DGRAM, ReusePort::kNo);
    if (!probe) continue;  // no IPv6 here
    const Descriptor closes(*probe);
    TxBatch batch(Segmentation::kProbe);
    UdpSocket ours(loopback), theirs(loopback);
    Options options;
    options.refuse = [&](const msghdr& message) {
      options.sent.push_back({message.msg_iov[0].iov_len, options.dont_fragment});
      return 0;
    };
    const SyscallsScope scope(options);
    const std::vector<std::pair<std::size_t, bool>> order = {
        {100, false}, {200, true}, {300, false}, {400, true}, {401, true}, {500, false}};
    for (const auto& [size, wish] : order) {
      const Bytes body = pattern(size, size);
      turnpike::Run run = turnpike::Run::one(body);
      run.dont_fragment = wish ? DontFragment::kSet : DontFragment::kUnset;
      batch.push(ours.fd(), theirs.local(), {}, run);
    }
    batch.flush();
    EXPECT_EQ(options.sent, order);
    EXPECT_EQ(drain(theirs).size(), order.size());
    EXPECT_EQ(options.changes, 6);
    const Bytes body = pattern(100, 1);
    batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one(body));
    batch.flush();
    EXPECT_EQ(options.changes, 6);
  }
}

TEST(TxBatch, AFullArenaFlushesByItself) {
  TxBatch batch(Segmentation::kProbe);
  UdpSocket ours;
  std::vector<std::unique_ptr<UdpSocket>> receivers;
  for (int i = 0; i < 4; ++i) receivers.push_back(std::make_unique<UdpSocket>());
  const auto sent = equal_datagrams(400, 1400);
  for (const Bytes& datagram : sent) {
    for (const auto& to : receivers)
      batch.push(ours.fd(), to->local(), {}, turnpike::Run::one(datagram));
  }
  EXPECT_GT(batch.statistics().datagrams, 0u);
  batch.flush();
  for (const auto& to : receivers) EXPECT_EQ(drain(*to), sent);
  EXPECT_EQ(batch.statistics().dropped, 0u);
}

TEST(TxBatch, MoreMessagesThanTheTableHoldsAreSentToo) {
  TxBatch batch(Segmentation::kProbe);
  UdpSocket ours, theirs;
  std::vector<Bytes> sent;
  for (std::size_t i = 0; i < 5000; ++i) sent.push_back(pattern(1 + i % 2, i));
  std::vector<Bytes> received;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    // Growing sizes never coalesce: 1, 2, and 1 again is a new run each time.
    batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one(sent[i]));
    if (i % 1000 == 999) {
      batch.flush();
      const auto part = drain(theirs);
      received.insert(received.end(), part.begin(), part.end());
    }
  }
  EXPECT_EQ(received, sent);
}

TEST(TxBatch, ManySocketsInOneFlush) {
  TxBatch batch(Segmentation::kProbe);
  std::vector<std::unique_ptr<UdpSocket>> ours;
  for (int i = 0; i < 600; ++i) ours.push_back(std::make_unique<UdpSocket>());
  UdpSocket theirs;
  for (int round = 0; round < 2; ++round) {
    for (const auto& from : ours) {
      batch.push(from->fd(), theirs.local(), {}, turnpike::Run::one(pattern(50, 1)));
    }
  }
  batch.flush();
  std::map<Address, int> seen;
  while (const auto received = theirs.receive_now()) ++seen[received->from];
  EXPECT_EQ(seen.size(), 600u);
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](const auto& at) { return at.second == 2; }));
}

TEST(TxBatch, WhatWaitsForADescriptorLeavesBeforeItIsClosed) {
  TxBatch batch(Segmentation::kProbe);
  UdpSocket ours, other, theirs;
  batch.push(ours.fd(), theirs.local(), bytes_of("last words"), turnpike::Run{});
  batch.flush_before_close(other.fd());
  EXPECT_FALSE(theirs.receive_now());
  batch.flush_before_close(ours.fd());
  EXPECT_TRUE(theirs.receive_now());
}

// What one flow's receiver gets must be what it would get packet by packet, whatever is mixed.
TEST(TxBatch, EqualsPacketByPacketOutputForAnyMix) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    TxBatch batch(Segmentation::kProbe);
    std::vector<std::unique_ptr<UdpSocket>> ours, receivers;
    for (int i = 0; i < 3; ++i) ours.push_back(std::make_unique<UdpSocket>());
    for (int i = 0; i < 3; ++i) receivers.push_back(std::make_unique<UdpSocket>());
    std::map<std::pair<Address, Address>, std::vector<Bytes>> expected, got;
    const std::vector<std::uint32_t> sizes = {0, 1, 160, 1197, 1200, 1204, 1472, 1473, 3000};
    for (int step = 0; step < 300; ++step) {
      const UdpSocket& from = *ours[random.below(3)];
      const UdpSocket& to = *receivers[random.below(3)];
      const Bytes head = pattern(random.below(2) * 4, random.u64());
      const std::uint32_t size = sizes[random.below(static_cast<std::uint32_t>(sizes.size()))];
      const std::uint32_t count = random.below(4) == 0 && size > 1 ? 1 + random.below(9) : 1;
      const std::uint32_t last = count == 1 ? size : 1 + random.below(size);
      // A train whose payloads have gaps between them, as ChannelData leaves them.
      const std::uint32_t stride = size + random.below(2) * 4;
      const Bytes memory = pattern(std::size_t{stride} * count + 1, random.u64());
      const turnpike::Run run{memory.data(), size, last, stride, count};
      const auto pad = static_cast<std::uint8_t>(random.below(4));
      batch.push(from.fd(), to.local(), head, run, pad);
      for (std::uint32_t i = 0; i < count; ++i) {
        Bytes datagram = head;
        const ByteView segment = run.segment(i);
        datagram.insert(datagram.end(), segment.begin(), segment.end());
        datagram.insert(datagram.end(), pad, 0);
        expected[{from.local(), to.local()}].push_back(std::move(datagram));
      }
      if (random.below(40) == 0) batch.flush();
    }
    batch.flush();
    for (const auto& to : receivers) {
      while (auto received = to->receive_now()) {
        got[{received->from, to->local()}].push_back(std::move(received->bytes));
      }
    }
    ASSERT_EQ(batch.statistics().dropped, 0u);
    ASSERT_EQ(got, expected);
  }
}

TEST(TxBatch, ARunRefusedAsSegmentsIsSentPlainlyAndSegmentationGoesOn) {
  for (const int error : {EINVAL, EIO, EMSGSIZE}) {
    TxBatch batch(Segmentation::kProbe);
    if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
    UdpSocket ours, theirs;
    const auto sent = equal_datagrams(30, 1000);
    Sends sends;
    const SyscallsScope scope(sends);
    sends.refuse = [&](const msghdr& message) {
      return is_segmented(message) && message.msg_iov[0].iov_len > 100 ? error : 0;
    };
    push_each(batch, ours.fd(), theirs.local(), sent);
    batch.flush();
    EXPECT_EQ(drain(theirs), sent);
    EXPECT_EQ(batch.statistics().datagrams, 30u);
    EXPECT_EQ(batch.statistics().dropped, 0u);
    EXPECT_TRUE(batch.segmentation_in_use()) << "the probe went well";
    sends.refuse = [](const msghdr&) { return 0; };
    push_each(batch, ours.fd(), theirs.local(), sent);
    batch.flush();
    EXPECT_EQ(batch.statistics().segmented_sends, 1u);
  }
}

TEST(TxBatch, SegmentationIsGivenUpWhenTheProbeFailsToo) {
  TxBatch batch(Segmentation::kProbe);
  if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
  UdpSocket ours, theirs;
  const auto sent = equal_datagrams(30, 1000);
  Sends sends;
  const SyscallsScope scope(sends);
  sends.refuse = [](const msghdr& message) { return is_segmented(message) ? EIO : 0; };
  // Two runs in one flush: the second was collected while segmentation was still in use.
  UdpSocket others;
  push_each(batch, ours.fd(), theirs.local(), sent);
  push_each(batch, others.fd(), theirs.local(), sent);
  batch.flush();
  EXPECT_EQ(drain(theirs).size(), 60u);
  EXPECT_FALSE(batch.segmentation_in_use());
  EXPECT_EQ(batch.statistics().dropped, 0u);
  const int calls = sends.calls;
  push_each(batch, ours.fd(), theirs.local(), sent);
  batch.flush();
  EXPECT_EQ(drain(theirs), sent);
  EXPECT_EQ(sends.calls, calls + 1);  // one sendmmsg, nothing was tried in vain
}

// A shortage tells nothing of what the kernel can do.
TEST(TxBatch, SegmentationIsNotGivenUpForAProbeThatCouldNotBeMade) {
  for (const bool without_descriptor : {false, true}) {
    TxBatch batch(Segmentation::kProbe);
    if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
    UdpSocket ours, theirs;
    const auto sent = equal_datagrams(30, 1000);
    Sends sends;
    const SyscallsScope scope(sends);
    sends.no_sockets = without_descriptor;
    sends.refuse = [](const msghdr& message) {
      if (!is_segmented(message)) return 0;
      return message.msg_iov[0].iov_len > 100 ? EMSGSIZE : ENOBUFS;
    };
    push_each(batch, ours.fd(), theirs.local(), sent);
    batch.flush();
    EXPECT_EQ(drain(theirs), sent);
    EXPECT_TRUE(batch.segmentation_in_use());
  }
}

TEST(TxBatch, AKernelWithoutSegmentationIsNoticedAtStart) {
  Sends sends;
  sends.refuse = [](const msghdr& message) { return is_segmented(message) ? EINVAL : 0; };
  const SyscallsScope scope(sends);
  const TxBatch batch(Segmentation::kProbe);
  EXPECT_FALSE(batch.segmentation_in_use());
}

// A path that refuses segments does so every time; the probe must not double its cost.
TEST(TxBatch, TheProbeIsNotRepeatedForEveryFallback) {
  TxBatch batch(Segmentation::kProbe);
  if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
  UdpSocket ours, theirs;
  int probes = 0;
  Sends sends;
  sends.refuse = [&](const msghdr& message) {
    if (!is_segmented(message)) return 0;
    if (message.msg_iov[0].iov_len < 100) ++probes;
    return message.msg_iov[0].iov_len < 100 ? 0 : EINVAL;
  };
  const SyscallsScope scope(sends);
  for (int i = 0; i < 100; ++i) {
    push_each(batch, ours.fd(), theirs.local(), equal_datagrams(2, 500));
    batch.flush();
  }
  EXPECT_EQ(probes, 1);
  EXPECT_EQ(batch.statistics().datagrams, 200u);
}

TEST(TxBatch, WhatTheKernelHasNoRoomForIsDroppedAndCounted) {
  for (const int error : {ENOBUFS, EAGAIN, EPERM, EMSGSIZE}) {
    TxBatch batch(Segmentation::kOff);
    UdpSocket ours, theirs;
    Sends sends;
    const SyscallsScope scope(sends);
    sends.refuse = [&](const msghdr& message) {
      return message.msg_iov[0].iov_len == 101 ? error : 0;
    };
    for (const std::size_t size : {100, 101, 102, 101, 103}) {
      batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one(pattern(size, 1)));
    }
    batch.flush();
    std::vector<std::size_t> sizes;
    for (const Bytes& received : drain(theirs)) sizes.push_back(received.size());
    EXPECT_EQ(sizes, (std::vector<std::size_t>{100, 102, 103}));
    EXPECT_EQ(batch.statistics().datagrams, 3u);
    EXPECT_EQ(batch.statistics().dropped, 2u);
  }
}

TEST(TxBatch, ASegmentedSendWithoutRoomCountsEveryDatagram) {
  TxBatch batch(Segmentation::kProbe);
  if (!batch.segmentation_in_use()) GTEST_SKIP() << kNoSegmentation;
  UdpSocket ours, theirs;
  Sends sends;
  const SyscallsScope scope(sends);
  sends.refuse = [](const msghdr&) { return ENOBUFS; };
  push_each(batch, ours.fd(), theirs.local(), equal_datagrams(10, 100));
  batch.flush();
  EXPECT_EQ(batch.statistics().dropped, 10u);
  EXPECT_EQ(batch.statistics().datagrams, 0u);
  EXPECT_TRUE(batch.segmentation_in_use());
}

// The error belongs to an earlier packet and is told once.
TEST(TxBatch, AnErrorLeftBehindByAnEarlierPacketCostsNothing) {
  for (const int error : {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH}) {
    TxBatch batch(Segmentation::kOff);
    UdpSocket ours, theirs;
    Sends sends;
    const SyscallsScope scope(sends);
    bool told = false;
    sends.refuse = [&](const msghdr&) { return std::exchange(told, true) ? 0 : error; };
    push_each(batch, ours.fd(), theirs.local(), equal_datagrams(3, 100));
    batch.flush();
    EXPECT_EQ(drain(theirs).size(), 3u);
    EXPECT_EQ(batch.statistics().dropped, 0u);
  }
}

TEST(TxBatch, AnUnreachableDestinationIsGivenUpAfterOneRetry) {
  TxBatch batch(Segmentation::kOff);
  UdpSocket ours, theirs;
  Sends sends;
  const SyscallsScope scope(sends);
  sends.refuse = [](const msghdr&) { return EHOSTUNREACH; };
  push_each(batch, ours.fd(), theirs.local(), equal_datagrams(3, 100));
  batch.flush();
  EXPECT_EQ(sends.calls, 6);
  EXPECT_EQ(batch.statistics().dropped, 3u);
}

TEST(TxBatch, ADatagramThatNoSocketCanSendIsDroppedAndTheLargestIsNot) {
  TxBatch batch(Segmentation::kProbe);
  UdpSocket ours, theirs;
  const Bytes largest = pattern(65507, 1);
  const Bytes beyond = pattern(65508, 1);
  batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one(largest));
  batch.push(ours.fd(), theirs.local(), {}, turnpike::Run::one(beyond));
  batch.flush();
  EXPECT_EQ(drain(theirs), std::vector<Bytes>{largest});
  EXPECT_EQ(batch.statistics().dropped, 1u);
}

}  // namespace
}  // namespace turnpike::net
