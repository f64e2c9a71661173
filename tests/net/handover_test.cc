// TLS connections change their loop while bytes are on the way in both directions: accepted and
// decided on one thread, living on another, as from a worker to the hub. Under ThreadSanitizer,
// with ten thousand of them, this is the proof that a hand-over leaves nothing behind on its old
// loop.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <list>
#include <memory>
#include <thread>
#include <unordered_map>

#include "base/mailbox.h"
#include "net/stream.h"
#include "tests/net/harness.h"
#include "tests/net/tls_client.h"

namespace turnpike::net {
namespace {

#ifdef __SANITIZE_THREAD__
constexpr int kHandovers = 10000;
#else
constexpr int kHandovers = 1000;
#endif
constexpr std::size_t kAtOnce = 50;
constexpr std::size_t kBytes = 3000;

// The loop that adopts: echoes everything and ends a connection when the client does.
class Hub {
 public:
  Hub()
      : arrived_(loop_, [this] { on_mail(); }),
        stopped_(loop_, [this] { loop_.stop(); }),
        mailbox_(4096, [this] { arrived_.wake(); }),
        thread_([this] { loop_.run(); }) {}
  ~Hub() {
    stopped_.wake();
    thread_.join();
  }
  [[nodiscard]] bool post(Stream::Released released) { return mailbox_.post(std::move(released)); }
  int ended() const { return ended_.load(); }

 private:
  struct Visitor final : Stream::Receiver {
    explicit Visitor(Hub& its_hub) : hub(its_hub) {}
    void on_secured(Stream&) override {}
    void on_bytes(Stream& from, ByteView bytes) override { from.write(bytes); }
    void on_drained(Stream&) override {}
    void on_end(Stream&, End) override {
      ++hub.ended_;
      hub.visitors_.erase(place);
    }
    Hub& hub;
    std::unique_ptr<Stream> stream;
    std::list<Visitor>::iterator place;
  };

  void on_mail() {
    for (Stream::Released& released : mailbox_.take_all()) {
      Visitor& visitor = visitors_.emplace_back(*this);
      visitor.place = std::prev(visitors_.end());
      visitor.stream = Stream::adopt(loop_, std::move(released));
      visitor.stream->start(visitor);
    }
  }

  Loop loop_;
  Async arrived_;
  Async stopped_;
  Mailbox<Stream::Released> mailbox_;
  std::list<Visitor> visitors_;
  std::atomic<int> ended_{0};
  std::thread thread_;
};

// One connection: its client, and the stream until it is handed over.
class Visit final : public Stream::Receiver {
 public:
  Visit(Loop& loop, Hub& hub, std::uint64_t number)
      : Visit(loop, hub, TcpPair(), pattern(kBytes, number), number) {}

  // Whether everything sent has come back.
  bool step() {
    client_.step();
    EXPECT_FALSE(client_.failed);
    if (client_.received.size() < sent_.size()) return client_.failed;
    EXPECT_EQ(client_.received, sent_);
    client_.finish();
    return true;
  }

  void on_secured(Stream&) override {
    // Some go at once, some with their first bytes.
    if (at_once_) hand_over({});
  }
  void on_bytes(Stream&, ByteView bytes) override { hand_over(bytes); }
  void on_drained(Stream&) override {}
  void on_end(Stream&, End) override { ADD_FAILURE() << "ended before it was handed over"; }

 private:
  Visit(Loop& loop, Hub& hub, TcpPair pair, Bytes sent, std::uint64_t number)
      : hub_(hub),
        at_once_(number % 2 == 0),
        sent_(std::move(sent)),
        client_(std::move(pair.theirs)),
        stream_(Stream::accept(loop, pair.ours.take(), &test_context())) {
    client_.send(sent_);
    stream_->start(*this);
  }
  void hand_over(ByteView unread) {
    EXPECT_TRUE(hub_.post(Stream::release(std::move(stream_), unread)));
  }

  Hub& hub_;
  const bool at_once_;
  const Bytes sent_;
  TlsClient client_;
  std::unique_ptr<Stream> stream_;
};

TEST(Handover, TlsConnectionsChangeTheirLoopUnderLoad) {
  Loop loop;
  Hub hub;
  std::list<std::unique_ptr<Visit>> visits;
  int begun = 0;
  while (begun < kHandovers || !visits.empty()) {
    while (begun < kHandovers && visits.size() < kAtOnce) {
      visits.push_back(std::make_unique<Visit>(loop, hub, static_cast<std::uint64_t>(begun++)));
    }
    loop.run_once();
    visits.remove_if([](const std::unique_ptr<Visit>& visit) { return visit->step(); });
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_TRUE(turn_until(loop, [&] { return hub.ended() == kHandovers; }));
}

}  // namespace
}  // namespace turnpike::net
