#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <numeric>

#include "net/sockaddr.h"
#include "net/socket_stream.h"
#include "net/stream.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

using End = Stream::Receiver::End;
using Written = Stream::Written;

struct Connected {
  Connected() : Connected(TcpPair()) {}
  explicit Connected(TcpPair pair)
      : peer(std::move(pair.theirs)), stream(Stream::accept(loop, pair.ours.take(), nullptr)) {
    stream->start(collector);
  }
  Loop loop;
  Peer peer;
  Collector collector;
  std::unique_ptr<Stream> stream;
};

// The kernel takes and gives little at a time.
class SmallPortions : public Syscalls {
 public:
  ssize_t writev(int fd, const iovec* pieces, int) override {
    ++writes;
    iovec first = pieces[0];
    first.iov_len = std::min<std::size_t>(first.iov_len, 1 + writes % 7001);
    return Syscalls::writev(fd, &first, 1);
  }
  ssize_t read(int fd, void* buffer, size_t size) override {
    ++reads;
    return Syscalls::read(fd, buffer, std::min<std::size_t>(size, 1 + reads % 5003));
  }
  std::size_t writes = 0;
  std::size_t reads = 0;
};

class CountingWrites : public Syscalls {
 public:
  ssize_t writev(int fd, const iovec* pieces, int count) override {
    ++writes;
    return Syscalls::writev(fd, pieces, count);
  }
  ssize_t read(int fd, void* buffer, size_t size) override {
    ++reads;
    return Syscalls::read(fd, buffer, size);
  }
  int writes = 0;
  int reads = 0;
};

// Echoes `total` bytes through the stream.
void expect_echo(Connected& here, std::size_t total) {
  const Bytes sent = pattern(total, 11);
  here.collector.when_bytes = [](Stream& stream, ByteView bytes) { stream.write(bytes); };
  std::size_t at = 0;
  ASSERT_TRUE(turn_until(here.loop, [&] {
    at += here.peer.send(ByteView(sent).subspan(at));
    here.peer.read_available();
    return here.peer.received.size() >= total;
  }));
  EXPECT_EQ(here.collector.received, sent);
  EXPECT_EQ(here.peer.received, sent);
  EXPECT_EQ(here.stream->queued_bytes(), 0u);
}

TEST(TcpStream, KnowsItsAddresses) {
  TcpPair pair;
  const Address local = local_address_of(pair.ours.get());
  const Address remote = remote_address_of(pair.ours.get());
  const Connected here(std::move(pair));
  EXPECT_EQ(here.stream->local(), local);
  EXPECT_EQ(here.stream->remote(), remote);
  EXPECT_FALSE(here.stream->secure());
  EXPECT_EQ(here.stream->alpn(), "");
}

TEST(TcpStream, EchoesTenMegabytes) {
  Connected here;
  expect_echo(here, 10 << 20);
}

TEST(TcpStream, EchoesWhenTheKernelTakesAndGivesLittle) {
  Connected here;
  SmallPortions small;
  const SyscallsScope scope(small);
  expect_echo(here, 1 << 20);
}

TEST(TcpStream, WhatIsWrittenInOneTurnLeavesWithOneSystemCall) {
  Connected here;
  CountingWrites counting;
  const SyscallsScope scope(counting);
  here.collector.when_bytes = [](Stream& stream, ByteView) {
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(stream.write_datagram(bytes_of("head"), bytes_of("body!"), 3), Written::kQueued);
    }
  };
  here.peer.send(bytes_of("go"));
  ASSERT_TRUE(turn_until(here.loop, [&] {
    here.peer.read_available();
    return here.peer.received.size() == 600;
  }));
  EXPECT_EQ(text_of(ByteView(here.peer.received).first(12)), std::string("headbody!\0\0\0", 12));
  EXPECT_EQ(counting.writes, 1);
  EXPECT_EQ(counting.reads, 1);
}

TEST(TcpStream, DatagramsAboveTheHighWatermarkAreDroppedWholeAndDrainingIsTold) {
  Connected here;
  const Bytes body = pattern(1000, 1);
  std::size_t queued = 0;
  // Nobody reads: the kernel's buffers fill first, then the queue.
  ASSERT_TRUE(turn_until(here.loop, [&] {
    while (here.stream->write_datagram({}, body, 0) == Written::kQueued) ++queued;
    here.loop.run_once();
    return here.stream->write_datagram({}, body, 0) == Written::kDropped &&
           here.stream->queued_bytes() + body.size() > Stream::kHighWatermark;
  }));
  EXPECT_LE(here.stream->queued_bytes(), Stream::kHighWatermark);
  EXPECT_EQ(here.collector.drained, 0);
  std::size_t at_drained = 0;
  here.collector.when_drained = [&](Stream& stream) { at_drained = stream.queued_bytes(); };
  ASSERT_TRUE(turn_until(here.loop, [&] {
    here.peer.read_available();
    return here.stream->queued_bytes() == 0;
  }));
  EXPECT_EQ(here.collector.drained, 1);
  EXPECT_LT(at_drained, Stream::kLowWatermark);
  ASSERT_TRUE(turn_until(here.loop, [&] {
    here.peer.read_available();
    return here.peer.received.size() % body.size() == 0;
  }));
  EXPECT_EQ(here.peer.received.size() % body.size(), 0u);
}

TEST(TcpStream, TheHighWatermarkItselfIsAllowedAndOneByteMoreIsNot) {
  Connected here;
  here.collector.when_bytes = [](Stream& stream, ByteView) {
    // The kernel takes all of the first attempt, so that what counts is what it left.
    stream.write(Bytes(Stream::kHighWatermark - 10));
  };
  class Full : public Syscalls {
   public:
    ssize_t writev(int, const iovec*, int) override {
      errno = EAGAIN;
      return -1;
    }
  } full;
  here.peer.send(bytes_of("go"));
  {
    const SyscallsScope scope(full);
    ASSERT_TRUE(turn_until(here.loop, [&] { return here.stream->queued_bytes() > 0; }));
    EXPECT_EQ(here.stream->write_datagram(Bytes(4), Bytes(6), 1), Written::kDropped);
    EXPECT_EQ(here.stream->write_datagram(Bytes(4), Bytes(5), 1), Written::kQueued);
    EXPECT_EQ(here.stream->write_datagram(Bytes(1), {}, 0), Written::kDropped);
    EXPECT_EQ(here.stream->queued_bytes(), Stream::kHighWatermark);
  }
}

// A client that reads well gets more than the watermark in one turn.
TEST(TcpStream, AQueueThatTheKernelWouldTakeIsNoReasonToDrop) {
  Connected here;
  const int buffer = 4 << 20;
  ::setsockopt(here.peer.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  int dropped = 0;
  for (int i = 0; i < 300; ++i) {
    if (here.stream->write_datagram({}, Bytes(1000), 0) == Written::kDropped) ++dropped;
    if (i % 100 == 99) here.peer.read_available();
  }
  EXPECT_EQ(dropped, 0);
}

TEST(TcpStream, WriteAlwaysTakesAndTellsWhenALargeOneHasDrained) {
  Connected here;
  const Bytes large = pattern(3 << 20, 1);
  here.stream->write(large);
  EXPECT_EQ(here.stream->queued_bytes(), large.size());
  ASSERT_TRUE(turn_until(here.loop, [&] {
    here.peer.read_available();
    return here.peer.received.size() == large.size();
  }));
  EXPECT_EQ(here.peer.received, large);
  EXPECT_TRUE(turn_until(here.loop, [&] { return here.collector.drained == 1; }));
}

TEST(TcpStream, WhatOnDrainedWritesLeavesToo) {
  Connected here;
  here.collector.when_drained = [](Stream& stream) { stream.write(bytes_of("the end")); };
  here.stream->write(Bytes(Stream::kHighWatermark + 1));
  ASSERT_TRUE(turn_until(here.loop, [&] {
    here.peer.read_available();
    return here.peer.received.size() == Stream::kHighWatermark + 1 + 7;
  }));
}

TEST(TcpStream, PausedItDeliversNothingAndResumedEverything) {
  Connected here;
  here.stream->pause_reading();
  here.peer.send(bytes_of("later"));
  for (int i = 0; i < 5; ++i) here.loop.run_once();
  EXPECT_TRUE(here.collector.received.empty());
  here.stream->resume_reading();
  ASSERT_TRUE(turn_until(here.loop, [&] { return !here.collector.received.empty(); }));
  EXPECT_EQ(text_of(here.collector.received), "later");
}

TEST(TcpStream, PausingInsideACallbackStopsAtOnce) {
  Connected here;
  here.collector.when_bytes = [](Stream& stream, ByteView) { stream.pause_reading(); };
  SmallPortions small;
  const SyscallsScope scope(small);
  const Bytes sent = pattern(20000, 1);
  ASSERT_EQ(here.peer.send(sent), sent.size());
  for (int i = 0; i < 10; ++i) here.loop.run_once();
  EXPECT_EQ(here.collector.deliveries, 1);
  here.collector.when_bytes = nullptr;
  here.stream->resume_reading();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.received.size() == sent.size(); }));
  EXPECT_EQ(here.collector.received, sent);
}

TEST(TcpStream, NothingIsReadForAReceiverWithoutTimeUntilItHasSome) {
  Connected here;
  CountingWrites kernel;
  bool time = false;
  int asked = 0;
  here.collector.when_asked = [&] {
    ++asked;
    return time;
  };
  here.peer.send(bytes_of("patience"));
  {
    const SyscallsScope scope(kernel);
    ASSERT_TRUE(turn_until(here.loop, [&] { return asked >= 5; }));
    EXPECT_EQ(kernel.reads, 0);
  }
  EXPECT_TRUE(here.collector.received.empty());
  time = true;
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.deliveries == 1; }));
  EXPECT_EQ(text_of(here.collector.received), "patience");
}

TEST(TcpStream, AnEndIsToldToAReceiverThatHasTimeAgain) {
  Connected here;
  bool time = false;
  here.collector.when_asked = [&] { return time; };
  here.peer.send(bytes_of("last words"));
  here.peer.close();
  for (int i = 0; i < 5; ++i) here.loop.run_once();
  EXPECT_FALSE(here.collector.end);
  time = true;
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(text_of(here.collector.received), "last words");
}

// Receivers that have time for one delivery between two flushes, and one peer that never stops.
TEST(TcpStream, WhoWasRefusedIsServedBeforeATalkerComesAgain) {
  constexpr int kStreams = 6;
  Loop loop;
  int left = 1;
  loop.on_flush([&] { left = 1; });
  std::vector<Collector> collectors(kStreams);
  std::vector<Peer> peers;
  std::vector<std::unique_ptr<Stream>> streams;
  for (Collector& collector : collectors) {
    TcpPair pair;
    peers.emplace_back(std::move(pair.theirs));
    streams.push_back(Stream::accept(loop, pair.ours.take(), nullptr));
    collector.when_asked = [&] { return left > 0; };
    collector.when_bytes = [&](Stream&, ByteView) { --left; };
    streams.back()->start(collector);
  }
  for (Peer& peer : peers) peer.send(bytes_of("x"));
  for (int turn = 0; turn < 2 * kStreams; ++turn) {
    peers[0].send(bytes_of("x"));
    loop.run_once();
  }
  for (const Collector& collector : collectors) EXPECT_GE(collector.deliveries, 1);
}

TEST(TcpStream, ThePeersCloseIsTheEnd) {
  Connected here;
  here.peer.send(bytes_of("bye"));
  here.peer.close();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kClosed);
  EXPECT_EQ(text_of(here.collector.received), "bye");
  EXPECT_EQ(here.stream->write_datagram({}, bytes_of("x"), 0), Written::kDropped);
}

TEST(TcpStream, AResetIsTold) {
  Connected here;
  const linger hard{1, 0};
  ::setsockopt(here.peer.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  here.peer.close();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kReset);
}

TEST(TcpStream, AResetIsToldEvenWhileReadingIsPaused) {
  Connected here;
  here.stream->pause_reading();
  here.stream->write(Bytes(8 << 20));  // so that there is something to send
  here.loop.run_once();
  const linger hard{1, 0};
  ::setsockopt(here.peer.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  here.peer.close();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kReset);
}

// An HTTP/1.0 client that says "no more requests" with its FIN.
TEST(TcpStream, APeerThatHalfClosesStillGetsItsAnswer) {
  Connected here;
  const Bytes answer = pattern(1 << 20, 2);
  here.collector.when_bytes = [&](Stream& stream, ByteView) { stream.write(answer); };
  here.peer.send(bytes_of("GET"));
  here.peer.shut_down_sending();
  ASSERT_TRUE(turn_until(here.loop, [&] {
    here.peer.read_available();
    return here.peer.received.size() == answer.size() && here.collector.end.has_value();
  }));
  EXPECT_EQ(here.collector.end, End::kClosed);
}

TEST(TcpStream, FinishSendsWhatIsQueuedThenClosesAndWaitsForThePeer) {
  Connected here;
  const Bytes answer = pattern(2 << 20, 4);
  here.stream->write(answer);
  here.stream->finish();
  here.stream->write(bytes_of("too late"));
  ASSERT_TRUE(turn_until(here.loop, [&] {
    here.peer.read_available();
    return here.peer.closed;
  }));
  EXPECT_EQ(here.peer.received, answer);
  EXPECT_FALSE(here.collector.end) << "the peer has not closed";
  here.peer.close();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kClosed);
}

// Closing with unread bytes would reset the connection and could destroy the answer.
TEST(TcpStream, FinishDiscardsWhatThePeerStillSends) {
  Connected here;
  here.collector.when_bytes = [](Stream& stream, ByteView) {
    stream.write(bytes_of("413"));
    stream.finish();
  };
  const Bytes upload = pattern(4 << 20, 1);
  std::size_t at = 0;
  ASSERT_TRUE(turn_until(here.loop, [&] {
    at += here.peer.send(ByteView(upload).subspan(at));
    here.peer.read_available();
    return at == upload.size() && here.peer.closed;
  }));
  EXPECT_EQ(text_of(here.peer.received), "413");
  EXPECT_FALSE(here.peer.reset);
  EXPECT_EQ(here.collector.deliveries, 1);
}

TEST(TcpStream, FinishDoesNotWaitForeverForThePeer) {
  Connected here;
  here.stream->finish();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kClosed);
}

TEST(TcpStream, FinishWithoutAReceiverStillSends) {
  Loop loop;
  TcpPair pair;
  Peer peer(std::move(pair.theirs));
  const auto stream = Stream::accept(loop, pair.ours.take(), nullptr);
  stream->write(bytes_of("refused"));
  stream->finish();
  ASSERT_TRUE(turn_until(loop, [&] {
    peer.read_available();
    return peer.closed;
  }));
  EXPECT_EQ(text_of(peer.received), "refused");
}

TEST(TcpStream, MayBeDestroyedInsideEveryCallback) {
  for (const int which : {0, 1, 2}) {
    SCOPED_TRACE(which);
    Connected here;
    const auto destroy = [&] { here.stream.reset(); };
    if (which == 0) here.collector.when_bytes = [&](Stream&, ByteView) { destroy(); };
    if (which == 1) here.collector.when_drained = [&](Stream&) { destroy(); };
    if (which == 2) here.collector.when_end = [&](Stream&) { destroy(); };
    here.stream->write(Bytes(Stream::kHighWatermark + 1));
    if (which != 1) here.peer.send(bytes_of("x"));
    if (which == 2) here.peer.shut_down_sending();
    ASSERT_TRUE(turn_until(here.loop, [&] {
      if (which != 0) here.peer.read_available();
      return here.stream == nullptr;
    }));
    for (int i = 0; i < 3; ++i) here.loop.run_once();
  }
}

TEST(TcpStream, DestroyedWithBytesToFlushItLeavesTheOthersAlone) {
  Loop loop;
  Collector collector;
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) {
    TcpPair pair;
    peers.emplace_back(std::move(pair.theirs));
    streams.push_back(Stream::accept(loop, pair.ours.take(), nullptr));
    streams.back()->start(collector);
    streams.back()->write(bytes_of("x"));
  }
  streams[1].reset();
  ASSERT_TRUE(turn_until(loop, [&] {
    for (Peer& peer : peers) peer.read_available();
    return !peers[0].received.empty() && !peers[2].received.empty();
  }));
  EXPECT_TRUE(peers[1].received.empty());
}

TEST(TcpStream, AReadBudgetLetsOthersHaveTheirTurn) {
  Connected here;
  // A kernel that always has more.
  class Endless : public Syscalls {
   public:
    ssize_t read(int, void*, size_t size) override { return static_cast<ssize_t>(size); }
  } endless;
  here.peer.send(bytes_of("x"));
  const SyscallsScope scope(endless);
  here.loop.run_once();
  EXPECT_GT(here.collector.received.size(), 0u);
  EXPECT_LE(here.collector.received.size(), SocketStream::kReadBudget);
  here.stream->pause_reading();
}

TEST(TcpStream, ReleasedBytesAreDeliveredFirstOnTheOtherLoop) {
  Connected here;
  std::optional<Stream::Released> released;
  here.collector.when_bytes = [&](Stream& stream, ByteView bytes) {
    stream.write(bytes_of("from the first loop;"));
    released = Stream::release(std::move(here.stream), bytes.subspan(4));
  };
  here.peer.send(bytes_of("usedrest;"));
  ASSERT_TRUE(turn_until(here.loop, [&] { return released.has_value(); }));
  here.peer.send(bytes_of("later"));
  EXPECT_FALSE(released->secure());

  Loop other;
  Collector collector;
  const Address remote = released->remote();
  const auto stream = Stream::adopt(other, std::move(*released));
  EXPECT_EQ(stream->remote(), remote);
  stream->start(collector);
  EXPECT_TRUE(collector.received.empty()) << "start() itself delivers nothing";
  ASSERT_TRUE(turn_until(other, [&] {
    here.peer.read_available();
    return collector.received.size() == 10 && !here.peer.received.empty();
  }));
  EXPECT_EQ(text_of(collector.received), "rest;later");
  EXPECT_EQ(text_of(here.peer.received), "from the first loop;");
  for (int i = 0; i < 3; ++i) here.loop.run_once();
  EXPECT_EQ(here.collector.deliveries, 1);
}

TEST(TcpStream, BytesReleasedTwiceWithoutBeingReadKeepTheirOrder) {
  Connected here;
  auto once = Stream::release(std::move(here.stream), bytes_of("one "));
  auto stream = Stream::adopt(here.loop, std::move(once));
  auto twice = Stream::release(std::move(stream), bytes_of("zero "));
  stream = Stream::adopt(here.loop, std::move(twice));
  Collector collector;
  stream->start(collector);
  here.peer.send(bytes_of("two"));
  ASSERT_TRUE(turn_until(here.loop, [&] { return collector.received.size() == 12; }));
  EXPECT_EQ(text_of(collector.received), "zero one two");
}

TEST(TcpStream, DestroyingWhatWasReleasedClosesTheConnection) {
  Connected here;
  { const auto released = Stream::release(std::move(here.stream), {}); }
  here.peer.read_available();
  EXPECT_TRUE(here.peer.closed);
}

// The front door gives a stream to the hub inside a callback, on the same loop.
TEST(TcpStream, ANewReceiverTakesOverInsideACallback) {
  Connected here;
  Collector second;
  here.collector.when_bytes = [&](Stream& stream, ByteView) { stream.start(second); };
  here.peer.send(bytes_of("first"));
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.deliveries == 1; }));
  here.peer.send(bytes_of("second"));
  ASSERT_TRUE(turn_until(here.loop, [&] { return second.deliveries == 1; }));
  EXPECT_EQ(text_of(second.received), "second");
  EXPECT_EQ(here.collector.deliveries, 1);
}

}  // namespace
}  // namespace turnpike::net
