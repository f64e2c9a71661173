#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "net/bind.h"
#include "net/sockaddr.h"
#include "net/tx_batch.h"
#include "net/udp_socket.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

const IpAddress kLoopback = IpAddress::loopback(Family::kIPv4);
const Address kAnyPort{kLoopback, 0};

class Recorder final : public RelaySockets::Receiver {
 public:
  void on_relay_datagrams(std::uint64_t owner, const Address& from, const Run& run) override {
    counts[owner] += run.count;
    datagrams += run.count;
    sources.push_back(from);
    if (then) then(owner);
  }
  void on_relay_error(std::uint64_t owner, const Address& to, const IcmpError& error) override {
    errors.push_back({owner, to, error});
  }
  struct Told {
    std::uint64_t owner;
    Address to;
    IcmpError error;
  };
  std::vector<Told> errors;
  std::map<std::uint64_t, std::size_t> counts;
  std::size_t datagrams = 0;
  std::vector<Address> sources;
  std::function<void(std::uint64_t owner)> then;
};

class CountingWaits : public Syscalls {
 public:
  int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override {
    ++reads;
    return Syscalls::recvmmsg(fd, messages, count, flags);
  }
  int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) override {
    ++waits;
    return Syscalls::epoll_wait(epoll, events, count, timeout_ms);
  }
  int reads = 0;
  int waits = 0;
};

struct Relays {
  explicit Relays(std::uint32_t maximum = 4096) : sockets(loop, arena, recorder, maximum) {}
  RelaySockets::SocketHandle open(std::uint64_t owner) {
    const auto handle = sockets.open(kAnyPort, owner);
    EXPECT_TRUE(handle);
    return *handle;
  }
  Loop loop;
  RxArena arena;
  Recorder recorder;
  RelaySockets sockets;
};

TEST(RelaySockets, DeliverWithOwnerAndSource) {
  Relays relays;
  const auto handle = relays.open(42);
  UdpSocket peer;
  peer.send(relays.sockets.find(handle)->local, bytes_of("x"));
  ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.datagrams == 1; }));
  EXPECT_EQ(relays.recorder.counts[42], 1u);
  EXPECT_EQ(relays.recorder.sources[0], peer.local());
}

TEST(RelaySockets, TellWhatDidNotArrive) {
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const IpAddress loopback = IpAddress::loopback(family);
    Relays relays;
    const auto handle = relays.sockets.open({loopback, 0}, 42);
    if (!handle) continue;  // no IPv6 here
    const auto closed = open_bound({loopback, 0}, SOCK_DGRAM, ReusePort::kNo);
    ASSERT_TRUE(closed);
    const Address nobody = local_address_of(*closed);
    syscalls().close(*closed);
    TxBatch batch(TxBatch::Segmentation::kOff);
    const Bytes body = bytes_of("anybody?");
    batch.push(relays.sockets.find(*handle)->fd, nobody, {}, turnpike::Run::one(body));
    batch.flush();
    ASSERT_TRUE(turn_until(relays.loop, [&] { return !relays.recorder.errors.empty(); }));
    const Recorder::Told& told = relays.recorder.errors[0];
    EXPECT_EQ(told.owner, 42u);
    EXPECT_EQ(told.to, nobody);
    EXPECT_EQ(told.error.type, family == Family::kIPv4 ? 3 : 1);
    EXPECT_EQ(told.error.code, family == Family::kIPv4 ? 3 : 4);
    EXPECT_EQ(told.error.mtu, 0u);
    // The socket works on.
    UdpSocket peer(loopback);
    peer.send(relays.sockets.find(*handle)->local, bytes_of("x"));
    ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.datagrams == 1; }));
  }
}

TEST(RelaySockets, ATrainStaysWhole) {
  if (!kernel_segments_and_merges()) GTEST_SKIP() << "this kernel has no UDP GSO or GRO";
  Relays relays;
  const auto handle = relays.open(1);
  UdpSocket peer;
  ASSERT_TRUE(
      peer.send_train(relays.sockets.find(handle)->local, pattern(20 * 1000 + 10, 1), 1000));
  ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.datagrams == 21; }));
  EXPECT_EQ(relays.sockets.statistics().receive_runs, 1u);
}

TEST(RelaySockets, DoNotReadAgainAfterAShortRead) {
  Relays relays;
  const auto handle = relays.open(1);
  UdpSocket peer;
  CountingWaits counting;
  const SyscallsScope scope(counting);
  for (std::size_t i = 1; i <= 10; ++i) {
    peer.send(relays.sockets.find(handle)->local, bytes_of("x"));
    ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.datagrams == i; }));
    for (int turn = 0; turn < 3; ++turn) relays.loop.run_once();
  }
  EXPECT_EQ(counting.reads, 10);
}

TEST(RelaySockets, OneWakeUpServesAThousandSockets) {
  Relays relays;
  UdpSocket peer;
  std::vector<RelaySockets::SocketHandle> handles;
  for (std::uint64_t owner = 0; owner < 1000; ++owner) handles.push_back(relays.open(owner));
  for (const auto handle : handles) {
    peer.send(relays.sockets.find(handle)->local, bytes_of("x"));
  }
  CountingWaits counting;
  const SyscallsScope scope(counting);
  ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.datagrams == 1000; }));
  EXPECT_EQ(relays.recorder.counts.size(), 1000u);
  EXPECT_EQ(counting.reads, 1000);
  EXPECT_EQ(counting.waits, 4);  // 256 sockets each
}

TEST(RelaySockets, ABusySocketDoesNotStarveTheOthersAndLosesNothing) {
  Relays relays;
  UdpSocket peer;
  const auto busy = relays.open(1);
  const auto quiet = relays.open(2);
  for (std::size_t i = 0; i < 100; ++i) {
    peer.send(relays.sockets.find(busy)->local, pattern(10 + i, 1));
  }
  peer.send(relays.sockets.find(quiet)->local, bytes_of("x"));
  std::size_t busy_before_quiet = 0;
  relays.recorder.then = [&](std::uint64_t owner) {
    if (owner == 2) busy_before_quiet = relays.recorder.counts[1];
  };
  ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.datagrams == 101; }));
  EXPECT_LE(busy_before_quiet, RxArena::kSlots);
}

// With exactly as many messages as slots the read was not short: one more read finds nothing.
TEST(RelaySockets, AFullReadIsFollowedByAnotherInTheNextTurn) {
  Relays relays;
  UdpSocket peer;
  const auto handle = relays.open(1);
  for (unsigned i = 0; i < RxArena::kSlots; ++i) {
    peer.send(relays.sockets.find(handle)->local, pattern(10 + i, 1));
  }
  CountingWaits counting;
  const SyscallsScope scope(counting);
  ASSERT_TRUE(
      turn_until(relays.loop, [&] { return relays.recorder.datagrams == RxArena::kSlots; }));
  for (int i = 0; i < 5; ++i) relays.loop.run_once();
  EXPECT_EQ(counting.reads, 2);
  peer.send(relays.sockets.find(handle)->local, bytes_of("later"));
  EXPECT_TRUE(
      turn_until(relays.loop, [&] { return relays.recorder.datagrams == RxArena::kSlots + 1; }));
}

TEST(RelaySockets, ASocketMayBeClosedInsideItsOwnCallback) {
  Relays relays;
  UdpSocket peer;
  const auto handle = relays.open(1);
  for (std::size_t i = 0; i < 40; ++i) {
    peer.send(relays.sockets.find(handle)->local, pattern(10 + i, 1));
  }
  relays.recorder.then = [&](std::uint64_t) { relays.sockets.close(handle); };
  ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.datagrams > 0; }));
  for (int i = 0; i < 5; ++i) relays.loop.run_once();
  EXPECT_EQ(relays.recorder.sources.size(), 1u);
  EXPECT_EQ(relays.sockets.find(handle), nullptr);
}

// The next socket gets the same descriptor and the same slot; events fetched for the old one must
// not reach it.
TEST(RelaySockets, AHandleOfAClosedSocketNeverNamesItsSuccessor) {
  Relays relays;
  UdpSocket peer;
  const auto first = relays.open(1);
  const auto second = relays.open(2);
  peer.send(relays.sockets.find(first)->local, bytes_of("x"));
  peer.send(relays.sockets.find(second)->local, bytes_of("x"));
  RelaySockets::SocketHandle successor;
  relays.recorder.then = [&](std::uint64_t owner) {
    if (owner > 2) return;
    const auto victim = owner == 1 ? second : first;
    const int fd = relays.sockets.find(victim)->fd;
    relays.sockets.close(victim);
    successor = relays.open(3);
    EXPECT_EQ(relays.sockets.find(successor)->fd, fd);
    EXPECT_EQ(successor.index, victim.index);
    EXPECT_EQ(relays.sockets.find(victim), nullptr);
  };
  ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.datagrams > 0; }));
  for (int i = 0; i < 5; ++i) relays.loop.run_once();
  EXPECT_EQ(relays.recorder.datagrams, 1u);
  peer.send(relays.sockets.find(successor)->local, bytes_of("x"));
  ASSERT_TRUE(turn_until(relays.loop, [&] { return relays.recorder.counts[3] == 1; }));
}

TEST(RelaySockets, ClosingAnUnknownHandleChangesNothing) {
  Relays relays;
  const auto handle = relays.open(1);
  relays.sockets.close(handle);
  const auto next = relays.open(2);
  relays.sockets.close(handle);
  EXPECT_NE(relays.sockets.find(next), nullptr);
}

TEST(RelaySockets, TheKernelsRefusalIsTheAnswer) {
  Relays relays;
  const auto handle = relays.open(1);
  const auto taken = relays.sockets.open(relays.sockets.find(handle)->local, 2);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error(), RelaySockets::OpenError::kAddressInUse);
  const auto foreign = relays.sockets.open(*Address::parse("198.51.100.77:0"), 2);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error(), RelaySockets::OpenError::kNoSuchAddress);
}

TEST(RelaySockets, TheMaximumIsReachedAndNotPassed) {
  Relays relays(3);
  for (std::uint64_t owner = 0; owner < 3; ++owner) relays.open(owner);
  const auto beyond = relays.sockets.open(kAnyPort, 3);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error(), RelaySockets::OpenError::kNoResources);
}

class NoDescriptors : public Syscalls {
 public:
  int socket(int, int, int) override {
    errno = EMFILE;
    return -1;
  }
};

TEST(RelaySockets, WithoutDescriptorsThereAreNoResources) {
  Relays relays;
  NoDescriptors none;
  const SyscallsScope scope(none);
  const auto handle = relays.sockets.open(kAnyPort, 1);
  ASSERT_FALSE(handle);
  EXPECT_EQ(handle.error(), RelaySockets::OpenError::kNoResources);
}

TEST(RelaySockets, DestroyingTheSetClosesEverySocket) {
  Address local;
  {
    Relays relays;
    local = relays.sockets.find(relays.open(1))->local;
    EXPECT_FALSE(check_free(local, SOCK_DGRAM));
  }
  EXPECT_TRUE(check_free(local, SOCK_DGRAM));
}

}  // namespace
}  // namespace turnpike::net
