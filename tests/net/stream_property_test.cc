// Whatever happens to a stream on the way (a kernel that takes and gives little, pauses, hand-overs
// in and outside of callbacks with a part of the bytes unread), what is echoed is what was sent.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/random.h"
#include "net/stream.h"
#include "tests/net/harness.h"
#include "tests/net/tls_client.h"

namespace turnpike::net {
namespace {

class Whims : public Syscalls {
 public:
  explicit Whims(std::uint64_t seed) : random_(seed) {}
  ssize_t writev(int fd, const iovec* pieces, int count) override {
    if (busy()) return -1;
    if (random_.below(2) == 0) return Syscalls::writev(fd, pieces, count);
    iovec first = pieces[0];
    first.iov_len = std::min<std::size_t>(first.iov_len, 1 + random_.below(20000));
    return Syscalls::writev(fd, &first, 1);
  }
  ssize_t read(int fd, void* buffer, size_t size) override {
    if (busy()) return -1;
    const std::size_t most = random_.below(2) == 0 ? size : 1 + random_.below(3000);
    return Syscalls::read(fd, buffer, std::min(size, most));
  }

 private:
  bool busy() {
    errno = random_.below(2) == 0 ? EAGAIN : EINTR;
    return random_.below(8) == 0;
  }
  SeededRandom random_;
};

// Echoes, and does everything that a receiver may do in between.
class Restless final : public Stream::Receiver {
 public:
  Restless(Loop& loop, std::uint64_t seed) : loop_(loop), random_(seed) {}

  void take(std::unique_ptr<Stream> stream) {
    stream_ = std::move(stream);
    stream_->start(*this);
  }
  void between_turns() {
    if (!stream_) return adopt_again();
    if (random_.below(6) == 0) stream_->pause_reading();
    if (random_.below(3) == 0) stream_->resume_reading();
    if (random_.below(12) == 0) release({});
  }
  void on_secured(Stream&) override {
    if (random_.below(4) == 0) release({});
  }
  void on_bytes(Stream& stream, ByteView bytes) override {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    const bool leaves = random_.below(10) == 0;
    const std::size_t consumed = leaves ? random_.below(size + 1) : size;
    stream.write(bytes.first(consumed));
    if (leaves) return release(bytes.subspan(consumed));
    if (random_.below(10) == 0) stream.pause_reading();
  }
  void on_drained(Stream&) override {}
  void on_end(Stream&, End) override { ended = true; }
  bool ended = false;
  int hand_overs = 0;

 private:
  void release(ByteView unread) {
    ++hand_overs;
    released_.emplace(Stream::release(std::move(stream_), unread));
  }
  void adopt_again() {
    auto stream = Stream::adopt(loop_, std::move(*released_));
    released_.reset();
    take(std::move(stream));
  }

  Loop& loop_;
  SeededRandom random_;
  std::unique_ptr<Stream> stream_;
  std::optional<Stream::Released> released_;
};

constexpr std::size_t kTotal = 600000;
constexpr std::uint64_t kSeeds = 25;

TEST(StreamProperty, PlainEchoesAreExact) {
  int hand_overs = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Whims whims(seed);
    const SyscallsScope scope(whims);
    Loop loop;
    TcpPair pair;
    Peer peer(std::move(pair.theirs));
    Restless restless(loop, seed);
    restless.take(Stream::accept(loop, pair.ours.take(), nullptr));
    const Bytes sent = pattern(kTotal, seed);
    std::size_t at = 0;
    ASSERT_TRUE(turn_until(loop, [&] {
      at += peer.send(ByteView(sent).subspan(at));
      peer.read_available();
      restless.between_turns();
      return peer.received.size() >= kTotal || restless.ended;
    }));
    ASSERT_EQ(peer.received, sent);
    ASSERT_FALSE(restless.ended);
    hand_overs += restless.hand_overs;
  }
  EXPECT_GT(hand_overs, 100);
}

TEST(StreamProperty, TlsEchoesAreExact) {
  int hand_overs = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Whims whims(seed);
    const SyscallsScope scope(whims);
    Loop loop;
    TcpPair pair;
    TlsClient client(std::move(pair.theirs),
                     {.max_version = seed % 3 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION});
    Restless restless(loop, seed);
    restless.take(Stream::accept(loop, pair.ours.take(), &test_context()));
    const Bytes sent = pattern(kTotal, seed);
    client.send(sent);
    ASSERT_TRUE(turn_until(loop, [&] {
      client.step();
      restless.between_turns();
      return client.received.size() >= kTotal || client.failed || restless.ended;
    }));
    ASSERT_EQ(client.received, sent);
    ASSERT_FALSE(restless.ended);
    hand_overs += restless.hand_overs;
  }
  EXPECT_GT(hand_overs, 100);
}

}  // namespace
}  // namespace turnpike::net
