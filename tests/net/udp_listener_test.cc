#include <gtest/gtest.h>
#include <netinet/in.h>

#include <memory>

#include "net/sockaddr.h"
#include "net/tx_batch.h"
#include "net/udp_socket.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

const IpAddress kLoopback = IpAddress::loopback(Family::kIPv4);

struct Seen {
  Address from;
  std::vector<Bytes> datagrams;
  int traffic_class;
};

class Recorder final : public UdpListener::Receiver {
 public:
  void on_datagrams(UdpListener& listener, const Address& from, const Run& run) override {
    Seen& seen = runs.emplace_back(Seen{from, {}, run.traffic_class});
    for (std::uint32_t i = 0; i < run.count; ++i) {
      const ByteView bytes = run.segment(i);
      seen.datagrams.emplace_back(bytes.begin(), bytes.end());
    }
    datagrams += run.count;
    if (then) then(listener);
  }
  std::vector<Seen> runs;
  std::size_t datagrams = 0;
  std::function<void(UdpListener&)> then;
};

struct Listening {
  explicit Listening(const IpAddress& ip = kLoopback, int receive_buffer = 4 << 20) {
    auto bound = UdpListener::bind({.bind = {ip, 0}, .receive_buffer = receive_buffer});
    EXPECT_TRUE(bound) << bound.error().message;
    listener = std::move(*bound);
    listener->start(loop, arena, recorder);
  }
  Loop loop;
  RxArena arena;
  Recorder recorder;
  std::unique_ptr<UdpListener> listener;
};

class CountingReceives : public Syscalls {
 public:
  int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override {
    ++calls;
    return Syscalls::recvmmsg(fd, messages, count, flags);
  }
  int calls = 0;
};

TEST(UdpListener, DeliversADatagramWithItsSource) {
  Listening here;
  UdpSocket client;
  client.send(here.listener->local(), bytes_of("hello"));
  ASSERT_TRUE(turn_until(here.loop, [&] { return !here.recorder.runs.empty(); }));
  EXPECT_EQ(here.recorder.runs[0].from, client.local());
  ASSERT_EQ(here.recorder.runs[0].datagrams.size(), 1u);
  EXPECT_EQ(text_of(here.recorder.runs[0].datagrams[0]), "hello");
}

TEST(UdpListener, DeliversAnEmptyDatagram) {
  Listening here;
  UdpSocket client;
  client.send(here.listener->local(), {});
  ASSERT_TRUE(turn_until(here.loop, [&] { return !here.recorder.runs.empty(); }));
  EXPECT_TRUE(here.recorder.runs[0].datagrams[0].empty());
}

TEST(UdpListener, DeliversTheLargestDatagram) {
  Listening here;
  UdpSocket client;
  const Bytes large = pattern(65507, 3);
  client.send(here.listener->local(), large);
  ASSERT_TRUE(turn_until(here.loop, [&] { return !here.recorder.runs.empty(); }));
  EXPECT_EQ(here.recorder.runs[0].datagrams[0], large);
}

TEST(UdpListener, ATrainStaysWhole) {
  if (!kernel_segments_and_merges()) GTEST_SKIP() << "this kernel has no UDP GSO or GRO";
  Listening here;
  UdpSocket client;
  const Bytes sent = pattern(40 * 1200 + 700, 5);
  ASSERT_TRUE(client.send_train(here.listener->local(), sent, 1200));
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.recorder.datagrams == 41; }));
  ASSERT_EQ(here.recorder.runs.size(), 1u);
  Bytes joined;
  for (const Bytes& one : here.recorder.runs[0].datagrams) {
    joined.insert(joined.end(), one.begin(), one.end());
  }
  EXPECT_EQ(joined, sent);
  EXPECT_EQ(here.recorder.runs[0].datagrams.back().size(), 700u);
  EXPECT_EQ(here.listener->statistics().receive_runs, 1u);
  EXPECT_EQ(here.listener->statistics().receive_datagrams, 41u);
}

TEST(UdpListener, AnswersLeaveFromTheAddressThatWasAsked) {
  Loop loop;
  RxArena arena;
  Recorder recorder;
  TxBatch batch(TxBatch::Segmentation::kProbe);
  recorder.then = [&](UdpListener& listener) {
    batch.push(listener.fd(), recorder.runs.back().from, bytes_of("here"), turnpike::Run{});
  };
  loop.on_flush([&] { batch.flush(); });
  std::vector<std::unique_ptr<UdpListener>> listeners;
  for (const char* ip : {"127.0.0.2", "127.0.0.3"}) {
    auto bound = UdpListener::bind({.bind = {*IpAddress::parse(ip), 0}});
    ASSERT_TRUE(bound);
    listeners.push_back(std::move(*bound));
    listeners.back()->start(loop, arena, recorder);
  }
  for (const auto& listener : listeners) {
    UdpSocket client;
    client.send(listener->local(), bytes_of("who?"));
    std::optional<UdpSocket::Received> answer;
    ASSERT_TRUE(turn_until(loop, [&] { return (answer = client.receive_now()).has_value(); }));
    EXPECT_EQ(answer->from, listener->local());
  }
}

TEST(UdpListener, TheTrafficClassIsDelivered) {
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const auto probe = open_bound({IpAddress::loopback(family), 0}, SOCK_DGRAM, ReusePort::kNo);
    if (!probe) continue;  // no IPv6 here
    const Descriptor closes(*probe);
    Listening here(IpAddress::loopback(family));
    UdpSocket client(IpAddress::loopback(family));
    const int expedited = 46 << 2 | 1;
    const bool v4 = family == Family::kIPv4;
    ASSERT_EQ(::setsockopt(client.fd(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS,
                           &expedited, sizeof expedited),
              0);
    client.send(here.listener->local(), bytes_of("voice"));
    ASSERT_TRUE(turn_until(here.loop, [&] { return !here.recorder.runs.empty(); }));
    EXPECT_EQ(here.recorder.runs[0].traffic_class, expedited);
  }
}

TEST(UdpListener, DoesNotReadAgainAfterAShortRead) {
  Listening here;
  UdpSocket client;
  client.send(here.listener->local(), bytes_of("one"));
  CountingReceives counting;
  const SyscallsScope scope(counting);
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.recorder.datagrams == 1; }));
  for (int i = 0; i < 5; ++i) here.loop.run_once();
  EXPECT_EQ(counting.calls, 1);
}

TEST(UdpListener, AWakeUpReadsABoundedNumberOfMessagesAndLosesNone) {
  Listening here;
  UdpSocket client;
  for (int i = 0; i < 300; ++i) {
    client.send(here.listener->local(), pattern(100 + static_cast<std::size_t>(i % 50), 1));
  }
  std::size_t most = 0;
  ASSERT_TRUE(turn_until(here.loop, [&] {
    const std::size_t before = here.recorder.datagrams;
    here.loop.run_once();
    most = std::max(most, here.recorder.datagrams - before);
    return here.recorder.datagrams >= 300;
  }));
  EXPECT_EQ(here.recorder.datagrams, 300u);
  EXPECT_EQ(most, 16 * RxArena::kSlots);
}

TEST(UdpListener, PacketsThatFoundTheQueueFullAreCounted) {
  Listening here(kLoopback, 4096);
  UdpSocket client;
  const auto send_many = [&](int count) {
    for (int i = 0; i < count; ++i) client.send(here.listener->local(), pattern(1000, 1));
  };
  send_many(200);
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.recorder.datagrams > 0; }));
  here.loop.run_once();
  const std::size_t first_batch = here.recorder.datagrams;
  ASSERT_LT(first_batch, 200u);
  // The kernel tells with the next packet that it queues.
  send_many(1);
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.recorder.datagrams == first_batch + 1; }));
  EXPECT_EQ(here.listener->statistics().receive_queue_overflows, 200 - first_batch);
  send_many(1);
  ASSERT_TRUE(turn_until(here.loop, [&] { return here.recorder.datagrams == first_batch + 2; }));
  EXPECT_EQ(here.listener->statistics().receive_queue_overflows, 200 - first_batch);
}

TEST(UdpListener, MayBeDestroyedByItsReceiver) {
  Listening here;
  UdpSocket client;
  for (int i = 0; i < 5; ++i) client.send(here.listener->local(), pattern(100, 1));
  here.recorder.then = [&](UdpListener&) { here.listener.reset(); };
  ASSERT_TRUE(turn_until(here.loop, [&] { return !here.listener; }));
  for (int i = 0; i < 3; ++i) here.loop.run_once();
  EXPECT_LE(here.recorder.runs.size(), 1u);
}

}  // namespace
}  // namespace turnpike::net
