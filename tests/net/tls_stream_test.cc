#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <thread>

#include "net/openssl_memory.h"
#include "net/renewals.h"
#include "net/stream.h"
#include "tests/net/harness.h"
#include "tests/net/tls_client.h"

namespace turnpike::net {
namespace {

using End = Stream::Receiver::End;
using Written = Stream::Written;

struct Connected {
  explicit Connected(const TlsClient::Wish& wish = {}) : Connected(TcpPair(), wish) {}
  Connected(TcpPair pair, const TlsClient::Wish& wish)
      : client(std::move(pair.theirs), wish),
        stream(Stream::accept(loop, pair.ours.take(), &test_context())) {
    stream->start(collector);
  }
  [[nodiscard]] bool until(const std::function<bool()>& condition) {
    return turn_until(loop, [&] {
      client.step();
      return condition();
    });
  }
  [[nodiscard]] bool shake_hands() {
    return until([&] { return collector.secured == 1 && client.secured(); });
  }
  Loop loop;
  TlsClient client;
  Collector collector;
  std::unique_ptr<Stream> stream;
};

class CountingCalls : public Syscalls {
 public:
  ssize_t writev(int fd, const iovec* pieces, int count) override {
    ++writes;
    return Syscalls::writev(fd, pieces, count);
  }
  ssize_t read(int fd, void* buffer, size_t size) override {
    ++reads;
    const ssize_t count = Syscalls::read(fd, buffer, size);
    if (count < 0) ++vain_reads;
    return count;
  }
  int writes = 0;
  int reads = 0;
  int vain_reads = 0;
};

class SmallPortions : public Syscalls {
 public:
  ssize_t writev(int fd, const iovec* pieces, int count) override {
    if (++writes % 3 == 0) {
      errno = EAGAIN;
      return -1;
    }
    iovec first = pieces[0];
    first.iov_len = std::min<std::size_t>(first.iov_len, 1 + writes % 7001);
    return Syscalls::writev(fd, &first, std::min(count, 1));
  }
  ssize_t read(int fd, void* buffer, size_t size) override {
    return Syscalls::read(fd, buffer, std::min<std::size_t>(size, 1 + ++reads % 5003));
  }
  std::size_t writes = 0;
  std::size_t reads = 0;
};

void expect_echo(Connected& here, std::size_t total) {
  const Bytes sent = pattern(total, 11);
  here.collector.when_bytes = [](Stream& stream, ByteView bytes) { stream.write(bytes); };
  here.client.send(sent);
  ASSERT_TRUE(here.until([&] { return here.client.received.size() >= total; }));
  EXPECT_EQ(here.collector.received, sent);
  EXPECT_EQ(here.client.received, sent);
  EXPECT_EQ(here.collector.secured, 1);
}

TEST(TlsStream, ShakesHandsThenDeliversBytes) {
  Connected here;
  EXPECT_TRUE(here.stream->secure());
  here.client.send(bytes_of("inside"));
  ASSERT_TRUE(here.until([&] { return !here.collector.received.empty(); }));
  EXPECT_EQ(here.collector.secured, 1);
  EXPECT_EQ(text_of(here.collector.received), "inside");
}

TEST(TlsStream, EchoesMegabytesInBothVersions) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Connected here({.max_version = version});
    expect_echo(here, 4 << 20);
    EXPECT_EQ(SSL_version(here.client.ssl()), version);
  }
}

TEST(TlsStream, EchoesWhenTheKernelTakesAndGivesLittle) {
  Connected here;
  SmallPortions small;
  const SyscallsScope scope(small);
  expect_echo(here, 512 << 10);
}

TEST(TlsStream, OlderVersionsAreRefused) {
  Connected here({.max_version = TLS1_1_VERSION, .min_version = TLS1_VERSION});
  ASSERT_TRUE(here.until([&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kTlsFailed);
  EXPECT_EQ(here.collector.secured, 0);
}

TEST(TlsStream, GarbageInsteadOfAHandshakeIsATlsFailure) {
  TcpPair pair;
  Peer peer(std::move(pair.theirs));
  Loop loop;
  Collector collector;
  const auto stream = Stream::accept(loop, pair.ours.take(), &test_context());
  stream->start(collector);
  peer.send(bytes_of("GET / HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(turn_until(loop, [&] { return collector.end.has_value(); }));
  EXPECT_EQ(collector.end, End::kTlsFailed);
}

TEST(TlsStream, AClientThatLeavesDuringTheHandshakeIsATlsFailure) {
  Connected here;
  here.client.step();
  here.client.close();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kTlsFailed);
}

TEST(TlsStream, AlpnPrefersTurnAndClaimsNothingUnknown) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", ""},
      {"stun.turn", "stun.turn"},
      {"http/1.1", "http/1.1"},
      {"h2,http/1.1", "http/1.1"},
      {"http/1.1,stun.turn", "stun.turn"},
      {"stun.turn,http/1.1", "stun.turn"},
      {"h2", ""},
      {"http/1.0,stun.turn.x,stun", ""},
      {"http/1.1,stun.nat-discovery", "stun.nat-discovery"},
  };
  for (const auto& [offer, agreed] : table) {
    SCOPED_TRACE(offer);
    Connected here({.alpn = offer});
    std::string at_secured = "not called";
    ASSERT_TRUE(here.shake_hands());
    EXPECT_EQ(here.stream->alpn(), agreed);
    EXPECT_EQ(here.client.alpn(), agreed);
  }
}

TEST(TlsStream, OneTurnsPacketsShareOneRecordAndOneSystemCall) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  ASSERT_TRUE(here.until([&] { return here.stream->queued_bytes() == 0; }));
  CountingCalls counting;
  const SyscallsScope scope(counting);
  here.collector.when_bytes = [](Stream& stream, ByteView) {
    for (int i = 0; i < 80; ++i) {
      EXPECT_EQ(stream.write_datagram(bytes_of("head"), Bytes(196), 0), Written::kQueued);
    }
  };
  here.client.send(bytes_of("go"));
  ASSERT_TRUE(here.until([&] { return here.client.received.size() == 16000; }));
  EXPECT_EQ(counting.writes, 1);
}

// A short read told that nothing more was there, so nobody asks again.
TEST(TlsStream, ManyRecordsAreReadAtOnceAndNoReadIsInVain) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  for (int i = 0; i < 20; ++i) {
    here.client.send(bytes_of("record"));
    here.client.step();
  }
  CountingCalls counting;
  const SyscallsScope scope(counting);
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.received.size() == 120; }));
  EXPECT_EQ(here.collector.deliveries, 20);
  EXPECT_LE(counting.reads, 5);
  EXPECT_EQ(counting.vain_reads, 0);
}

TEST(TlsStream, DatagramsAboveTheHighWatermarkAreDroppedAndDrainingIsTold) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  here.client.pause_reading(true);
  const Bytes body = pattern(1000, 1);
  ASSERT_TRUE(turn_until(here.loop, [&] {
    while (here.stream->write_datagram({}, body, 0) == Written::kQueued) {
    }
    here.loop.run_once();
    return here.stream->write_datagram({}, body, 0) == Written::kDropped &&
           here.stream->queued_bytes() + body.size() > Stream::kHighWatermark;
  }));
  here.client.pause_reading(false);
  ASSERT_TRUE(here.until([&] { return here.stream->queued_bytes() == 0; }));
  EXPECT_EQ(here.collector.drained, 1);
  ASSERT_TRUE(here.until([&] { return here.client.received.size() % body.size() == 0; }));
  for (std::size_t at = 0; at < here.client.received.size(); at += body.size()) {
    ASSERT_TRUE(equal(ByteView(here.client.received).subspan(at, body.size()), body));
  }
}

TEST(TlsStream, AnIdleConnectionHoldsNoRecordBuffers) {
  if (!openssl_memory_in_use()) GTEST_SKIP() << "a sanitizer watches every block instead";
  std::thread([] {
    Connected here;
    expect_echo(here, 100000);
    EXPECT_EQ(kept_openssl_blocks(1), 2u);  // one to read into, one to write from
  }).join();
}

TEST(TlsStream, BytesThatOpensslHasReadAheadAreDeliveredAfterAPause) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  here.collector.when_bytes = [](Stream& stream, ByteView) { stream.pause_reading(); };
  for (int i = 0; i < 5; ++i) {
    here.client.send(bytes_of("record"));
    here.client.step();
  }
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.deliveries == 1; }));
  for (int i = 0; i < 5; ++i) here.loop.run_once();
  EXPECT_EQ(here.collector.deliveries, 1);
  here.collector.when_bytes = nullptr;
  here.stream->resume_reading();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.received.size() == 30; }));
}

TEST(TlsStream, BytesThatOpensslHasReadAheadWaitForAReceiverWithoutTime) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  here.collector.when_asked = [&] { return here.collector.deliveries == 0; };
  for (int i = 0; i < 5; ++i) {
    here.client.send(bytes_of("record"));
    here.client.step();
  }
  for (int i = 0; i < 10; ++i) here.loop.run_once();
  EXPECT_EQ(here.collector.deliveries, 1);
  here.collector.when_asked = nullptr;
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.received.size() == 30; }));
}

TEST(TlsStream, CloseNotifyIsTheEnd) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  here.client.finish();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kClosed);
}

TEST(TlsStream, ACloseWithoutCloseNotifyIsAnEndToo) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  here.client.close();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kClosed);
}

TEST(TlsStream, FinishSendsTheRestAndCloseNotify) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  const Bytes answer = pattern(2 << 20, 4);
  here.stream->write(answer);
  here.stream->finish();
  ASSERT_TRUE(here.until([&] { return here.client.closed; }));
  EXPECT_FALSE(here.client.failed);
  EXPECT_EQ(here.client.received, answer);
  EXPECT_FALSE(here.collector.end);
  here.client.finish();
  ASSERT_TRUE(here.until([&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kClosed);
}

TEST(TlsStream, DestroyingItSaysCloseNotify) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  here.stream.reset();
  ASSERT_TRUE(here.until([&] { return here.client.closed; }));
  EXPECT_FALSE(here.client.failed);
}

TEST(TlsStream, FinishBeforeTheHandshakeIsOverJustEnds) {
  Connected here;
  here.stream->finish();
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.collector.end.has_value(); }));
  EXPECT_EQ(here.collector.end, End::kClosed);
}

TEST(TlsStream, MayBeDestroyedWhenItIsSecured) {
  Connected here;
  class Destroyer final : public Collector {
   public:
    explicit Destroyer(std::unique_ptr<Stream>& stream) : stream_(stream) {}
    void on_secured(Stream&) override { stream_.reset(); }

   private:
    std::unique_ptr<Stream>& stream_;
  } destroyer(here.stream);
  here.stream->start(destroyer);
  here.client.send(bytes_of("GET"));
  ASSERT_TRUE(here.until([&] { return here.stream == nullptr; }));
  for (int i = 0; i < 3; ++i) here.loop.run_once();
}

TEST(TlsStream, RenegotiationIsRefused) {
  Connected here({.max_version = TLS1_2_VERSION});
  ASSERT_TRUE(here.shake_hands());
  SSL_renegotiate(here.client.ssl());
  here.client.send(bytes_of("x"));
  ASSERT_TRUE(here.until([&] { return here.client.failed || here.collector.end; }));
  EXPECT_EQ(here.collector.secured, 1);
}

TEST(TlsStream, KeyUpdatesGoThrough) {
  Connected here({.min_version = TLS1_3_VERSION});
  ASSERT_TRUE(here.shake_hands());
  ASSERT_EQ(SSL_key_update(here.client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
  expect_echo(here, 100000);
}

TEST(TlsStream, KeyUpdatesWithoutEndEndTheConnection) {
  for (const int wish : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
    Connected here({.min_version = TLS1_3_VERSION});
    ASSERT_TRUE(here.shake_hands());
    here.client.pause_reading(true);
    for (int i = 0; i <= Renewals::kAtOnce; ++i) {
      ASSERT_EQ(SSL_key_update(here.client.ssl(), wish), 1);
      ASSERT_EQ(SSL_do_handshake(here.client.ssl()), 1);
    }
    ASSERT_TRUE(here.until([&] { return here.collector.end.has_value(); }));
    EXPECT_EQ(here.collector.end, End::kTlsFailed);
  }
}

TEST(TlsStream, AsManyKeyUpdatesAsAreGoodLeaveTheConnectionWhole) {
  Connected here({.min_version = TLS1_3_VERSION});
  ASSERT_TRUE(here.shake_hands());
  for (int i = 0; i < Renewals::kAtOnce; ++i) {
    ASSERT_EQ(SSL_key_update(here.client.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(here.client.ssl()), 1);
  }
  expect_echo(here, 1000);
}

TEST(Renewals, AreGoodForSixtyFourAtOnceAndOneMoreEachSecond) {
  Renewals renewals;
  MonoTime now{hours(5)};
  const auto fit = [&] {
    renewals.on_time(now);
    int count = 0;
    while (renewals.take()) ++count;
    return count;
  };
  EXPECT_EQ(fit(), 64);
  EXPECT_TRUE(renewals.are_too_many());
  renewals = Renewals();
  renewals.on_time(now);
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(renewals.take());
  for (int i = 0; i < 1000; ++i) {
    now = now + milliseconds(1100);
    renewals.on_time(now);
    ASSERT_TRUE(renewals.take()) << i;
  }
  now = now + hours(1);
  EXPECT_EQ(fit(), 64);
}

TEST(TlsStream, ATicketResumesTheSession) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Connected first({.max_version = version});
    expect_echo(first, 1000);
    SSL_SESSION* session = SSL_get1_session(first.client.ssl());
    ASSERT_NE(session, nullptr);
    Connected second({.max_version = version});
    ASSERT_EQ(SSL_set_session(second.client.ssl(), session), 1);
    ASSERT_TRUE(second.shake_hands());
    EXPECT_EQ(SSL_session_reused(second.client.ssl()), 1) << version;
    SSL_SESSION_free(session);
  }
}

TEST(TlsStream, ReleasedAfterItIsSecuredItGoesOnElsewhere) {
  Connected here({.alpn = "http/1.1"});
  std::optional<Stream::Released> released;
  here.collector.when_bytes = [&](Stream&, ByteView bytes) {
    released = Stream::release(std::move(here.stream), bytes);
  };
  // Several records, of which the first is delivered and the others wait inside OpenSSL.
  ASSERT_TRUE(here.shake_hands());
  for (const char* text : {"one;", "two;", "three;"}) {
    here.client.send(bytes_of(text));
    here.client.step();
  }
  ASSERT_TRUE(turn_until(here.loop, [&] { return released.has_value(); }));
  EXPECT_TRUE(released->secure());
  Loop other;
  Collector collector;
  const auto stream = Stream::adopt(other, std::move(*released));
  EXPECT_EQ(stream->alpn(), "http/1.1");
  stream->start(collector);
  stream->write(bytes_of("answer"));
  ASSERT_TRUE(turn_until(other, [&] {
    here.client.step();
    return collector.received.size() == 14 && here.client.received.size() == 6;
  }));
  EXPECT_EQ(text_of(collector.received), "one;two;three;");
  EXPECT_EQ(text_of(here.client.received), "answer");
  EXPECT_EQ(collector.secured, 0) << "that was told on the first loop";
}

// A record that the kernel took in part must go on where it stopped.
TEST(TlsStream, ReleasedWithAHalfSentRecordItCompletesIt) {
  Connected here;
  ASSERT_TRUE(here.shake_hands());
  here.client.pause_reading(true);
  const Bytes answer = pattern(8 << 20, 6);
  here.stream->write(answer);
  for (int i = 0; i < 10; ++i) here.loop.run_once();
  ASSERT_GT(here.stream->queued_bytes(), 0u) << "the kernel took everything";
  auto released = Stream::release(std::move(here.stream), {});
  here.client.pause_reading(false);
  Loop other;
  Collector collector;
  const auto stream = Stream::adopt(other, std::move(released));
  stream->start(collector);
  ASSERT_TRUE(turn_until(other, [&] {
    here.client.step();
    return here.client.received.size() >= answer.size() || here.client.failed;
  }));
  EXPECT_EQ(here.client.received, answer);
}

TEST(TlsStream, ReleasedInTheMiddleOfTheHandshakeItIsSecuredElsewhere) {
  Connected here;
  here.client.step();
  here.loop.run_once();
  auto released = Stream::release(std::move(here.stream), {});
  Loop other;
  Collector collector;
  const auto stream = Stream::adopt(other, std::move(released));
  stream->start(collector);
  ASSERT_TRUE(turn_until(other, [&] {
    here.client.step();
    return collector.secured == 1 && here.client.secured();
  }));
}

}  // namespace
}  // namespace turnpike::net
