#include "net/splice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "net/byte_queue.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

struct Spliced {
  Spliced() : Spliced(TcpPair(), TcpPair()) {}
  Spliced(TcpPair one, TcpPair two) : client(std::move(one.theirs)), peer(std::move(two.theirs)) {
    splice = std::make_unique<Splice>(loop, Stream::accept(loop, one.ours.take(), nullptr),
                                      Stream::accept(loop, two.ours.take(), nullptr), [this] {
                                        ended = true;
                                        splice.reset();
                                      });
  }
  void read_both() {
    client.read_available();
    peer.read_available();
  }
  Loop loop;
  Peer client;
  Peer peer;
  bool ended = false;
  std::unique_ptr<Splice> splice;
};

TEST(Splice, CarriesBytesBothWaysAndTheFirstOnesFirst) {
  Spliced both;
  both.client.send(bytes_of(" world"));
  both.splice->start(bytes_of("hello"));
  both.peer.send(bytes_of("and back"));
  ASSERT_TRUE(turn_until(both.loop, [&] {
    both.read_both();
    return text_of(both.peer.received) == "hello world" &&
           text_of(both.client.received) == "and back";
  }));
}

TEST(Splice, BytesThatWaitedBeforeItBeganAreCarried) {
  Spliced both;
  both.peer.send(bytes_of("early"));
  both.peer.close();
  both.splice->start({});
  ASSERT_TRUE(turn_until(both.loop, [&] {
    both.client.read_available();
    return both.client.closed;
  }));
  EXPECT_EQ(text_of(both.client.received), "early");
}

TEST(Splice, ASlowReaderStopsTheSenderAndGetsEverything) {
  Spliced both;
  both.splice->start({});
  const Bytes all = pattern(32u << 20, 5);
  std::size_t sent = 0;
  std::size_t most_queued = 0;
  const auto push = [&] {
    sent += both.client.send(ByteView(all).subspan(sent));
    both.loop.run_once();
    most_queued = std::max(most_queued, both.loop.queued_stream_bytes());
  };
  // The peer does not read: the sender comes to a halt, with little held here.
  std::size_t before = 1;
  for (int quiet = 0; quiet < 200; quiet = sent == before ? quiet + 1 : 0) {
    before = sent;
    push();
  }
  EXPECT_LT(sent, all.size());
  ASSERT_TRUE(turn_until(both.loop, [&] {
    push();
    both.peer.read_available();
    return both.peer.received.size() == all.size();
  }));
  EXPECT_EQ(both.peer.received, all);
  EXPECT_LE(most_queued, Splice::kHighWatermark + 64 * 1024 + 2 * Chunk::kBytes);
}

TEST(Splice, OneDirectionMayEndBeforeTheOther) {
  Spliced both;
  both.splice->start({});
  both.client.send(bytes_of("question"));
  both.client.shut_down_sending();
  ASSERT_TRUE(turn_until(both.loop, [&] {
    both.peer.read_available();
    return both.peer.closed;
  }));
  EXPECT_EQ(text_of(both.peer.received), "question");
  EXPECT_FALSE(both.ended);
  both.peer.send(bytes_of("answer"));
  both.peer.close();
  ASSERT_TRUE(turn_until(both.loop, [&] {
    both.client.read_available();
    return both.client.closed && both.ended;
  }));
  EXPECT_EQ(text_of(both.client.received), "answer");
}

TEST(Splice, TheEndComesAfterWhatWasSentBefore) {
  Spliced both;
  both.splice->start({});
  const Bytes all = pattern(1u << 20, 6);
  std::size_t sent = 0;
  while (sent < all.size()) {
    sent += both.client.send(ByteView(all).subspan(sent));
    both.loop.run_once();
    both.peer.read_available();
  }
  both.client.close();
  ASSERT_TRUE(turn_until(both.loop, [&] {
    both.peer.read_available();
    return both.peer.closed;
  }));
  EXPECT_EQ(both.peer.received, all);
  both.peer.close();
  EXPECT_TRUE(turn_until(both.loop, [&] { return both.ended; }));
}

TEST(Splice, AnEndIsNotReadBeforeItsTimeAndTheOtherIs) {
  Spliced both;
  std::size_t read_of_client = 0;
  both.splice->pace_by([&](Splice::From from, std::size_t bytes) {
    if (from == Splice::From::kPeer) return MonoTime{};
    read_of_client += bytes;
    return MonoTime::never();
  });
  both.splice->start(bytes_of("first"));
  both.client.send(pattern(1u << 20, 7));
  const Bytes back = pattern(1u << 20, 8);
  std::size_t sent = 0;
  ASSERT_TRUE(turn_until(both.loop, [&] {
    sent += both.peer.send(ByteView(back).subspan(sent));
    both.read_both();
    return both.client.received.size() == back.size();
  }));
  EXPECT_EQ(read_of_client, 5u);
  EXPECT_EQ(text_of(both.peer.received), "first");
}

TEST(Splice, WhatIsPacedArrivesWholeAndIsToldByteForByte) {
  Spliced both;
  std::size_t told = 0;
  int again = 0;
  both.splice->pace_by([&](Splice::From, std::size_t bytes) {
    told += bytes;
    // Two waits for each read: the first is not enough.
    again = bytes != 0 ? 0 : again + 1;
    return again < 2 ? both.loop.tick().mono + milliseconds(1) : MonoTime{};
  });
  both.splice->start({});
  const Bytes all = pattern(2u << 20, 9);
  std::size_t sent = 0;
  ASSERT_TRUE(turn_until(both.loop, [&] {
    sent += both.client.send(ByteView(all).subspan(sent));
    if (sent == all.size()) both.client.shut_down_sending();
    both.peer.read_available();
    return both.peer.closed;
  }));
  EXPECT_EQ(both.peer.received, all);
  EXPECT_EQ(told, all.size());
}

TEST(Splice, DestroyingItClosesBothAtOnce) {
  Spliced both;
  both.splice->start({});
  both.loop.run_once();
  both.splice.reset();
  both.read_both();
  EXPECT_TRUE(both.client.closed || both.client.reset);
  EXPECT_TRUE(both.peer.closed || both.peer.reset);
  EXPECT_FALSE(both.ended);
}

}  // namespace
}  // namespace turnpike::net
