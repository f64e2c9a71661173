// Two ends of DTLS over a network of the test's: datagrams are lost, doubled and reordered at will,
// and the clock that libssl reads is the test's, so that its retransmissions cost no time.
#include "base/dtls.h"

#include <gtest/gtest.h>
#include <sys/time.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "tests/base/dtls_contexts.h"

namespace {

turnpike::Duration clock_now = turnpike::seconds(1'700'000'000);

}  // namespace

// Found before the C library's by libssl, which asks nobody else for the time.
extern "C" int gettimeofday(timeval* __restrict time, void* __restrict) noexcept {
  time->tv_sec = clock_now / turnpike::seconds(1);
  time->tv_usec = clock_now % turnpike::seconds(1) / std::chrono::microseconds(1);
  return 0;
}

namespace turnpike::dtls {
namespace {

using Datagram = std::vector<std::uint8_t>;
using State = Association::State;

const Address kClient = *Address::parse("192.0.2.1:50000");

class Wire final : public Output {
 public:
  void send(ByteView datagram) override {
    sent.emplace_back(datagram.begin(), datagram.end());
    bytes += datagram.size();
    largest = std::max(largest, datagram.size());
  }
  Datagram take() {
    Datagram first = std::move(sent.front());
    sent.pop_front();
    return first;
  }
  std::deque<Datagram> sent;
  std::size_t bytes = 0;
  std::size_t largest = 0;
};

class DtlsTest : public testing::Test {
 protected:
  void SetUp() override {
    client_ = Association::create(contexts_.client(), Association::Role::kClient, to_server_);
    ASSERT_NE(client_, nullptr);
  }
  MonoTime now() const { return {clock_now}; }
  void pass(Duration time) { clock_now += time; }

  void to_server(ByteView datagram) {
    if (server_ == nullptr) {
      server_ = listener_.on_datagram(now(), kClient, datagram, to_client_);
      if (server_ == nullptr) return;
      server_->send_to(to_client_);
      server_->start();
      return;
    }
    server_->feed(datagram);
    while (const auto message = server_->read(room_)) {
      at_server_.emplace_back(as_text(*message));
    }
  }
  void to_client(ByteView datagram) {
    client_->feed(datagram);
    while (const auto message = client_->read(room_)) {
      at_client_.emplace_back(as_text(*message));
    }
  }
  // Carries everything that is under way; a judge says how often a datagram arrives.
  void carry(const std::function<int()>& copies = [] { return 1; }) {
    while (!to_server_.sent.empty() || !to_client_.sent.empty()) {
      if (!to_server_.sent.empty()) {
        const Datagram datagram = to_server_.take();
        for (int i = copies(); i > 0; --i) to_server(datagram);
      }
      if (!to_client_.sent.empty()) {
        const Datagram datagram = to_client_.take();
        for (int i = copies(); i > 0; --i) to_client(datagram);
      }
    }
  }
  void connect() {
    client_->start();
    carry();
    ASSERT_EQ(client_->state(), State::kEstablished);
    ASSERT_EQ(server_->state(), State::kEstablished);
  }
  // Until the first retransmission is due.
  void wait_for_timers() {
    const auto at_client = client_->timeout();
    const auto at_server = server_ == nullptr ? std::nullopt : server_->timeout();
    pass(std::min(at_client.value_or(minutes(1)), at_server.value_or(minutes(1))));
    client_->on_timeout();
    if (server_ != nullptr) server_->on_timeout();
  }
  // The ClientHello with which an association begins, cookie and all.
  Datagram second_hello() {
    client_->start();
    to_server(to_server_.take());
    to_client(to_client_.take());
    return to_server_.take();
  }

  Contexts contexts_;
  SeededRandom random_{7};
  Listener listener_{contexts_.server(), random_};
  Wire to_server_, to_client_;
  std::unique_ptr<Association> client_, server_;
  std::array<std::uint8_t, kMaxPayload> room_;
  std::vector<std::string> at_server_, at_client_;
};

TEST_F(DtlsTest, AStrangerGetsACookieShorterThanItsHelloAndNothingIsKept) {
  client_->start();
  const Datagram hello = to_server_.take();
  to_server(hello);
  EXPECT_EQ(server_, nullptr);
  ASSERT_EQ(to_client_.sent.size(), 1u);
  EXPECT_LT(to_client_.bytes, hello.size());
  EXPECT_EQ(to_client_.sent.front()[13], 3);  // hello_verify_request
}

TEST_F(DtlsTest, AHelloWithItsCookieBegins) {
  connect();
  EXPECT_STREQ(SSL_get_version(server_->raw()), "DTLSv1.2");
}

TEST_F(DtlsTest, ACookieOfAnotherAddressOrOfLongAgoIsAnsweredWithANewOne) {
  const Datagram hello = second_hello();
  const auto verdict = [&](const Address& from) {
    to_client_.sent.clear();
    return listener_.on_datagram(now(), from, hello, to_client_) != nullptr;
  };
  EXPECT_FALSE(verdict(*Address::parse("192.0.2.1:50001")));
  EXPECT_EQ(to_client_.sent.size(), 1u);
  EXPECT_FALSE(verdict(*Address::parse("192.0.2.2:50000")));
  EXPECT_EQ(to_client_.sent.size(), 1u);
  pass(Cookies::kInterval);
  EXPECT_TRUE(verdict(kClient)) << "the key that has just changed is still good";
  pass(Cookies::kInterval);
  EXPECT_FALSE(verdict(kClient));
  EXPECT_EQ(to_client_.sent.size(), 1u);
}

TEST_F(DtlsTest, StrangersGetNothingForAnythingElse) {
  const Datagram hello = second_hello();
  for (std::size_t cut = 0; cut < hello.size(); ++cut) {
    Wire answers;
    EXPECT_EQ(listener_.on_datagram(now(), kClient, ByteView(hello).first(cut), answers), nullptr);
    EXPECT_LE(answers.bytes, cut);
  }
  for (std::size_t at = 0; at < hello.size(); ++at) {
    Datagram damaged = hello;
    damaged[at] ^= 0xFF;
    Wire answers;
    (void)listener_.on_datagram(now(), kClient, damaged, answers);
    EXPECT_LE(answers.bytes, damaged.size()) << "byte " << at;
  }
}

TEST_F(DtlsTest, MessagesKeepTheirBoundaries) {
  connect();
  for (const char* text : {"one", "two", "three"}) {
    EXPECT_TRUE(client_->write(as_bytes(text)));
    EXPECT_TRUE(server_->write(as_bytes(text)));
  }
  carry();
  EXPECT_EQ(at_server_, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(at_client_, at_server_);
}

TEST_F(DtlsTest, AMessageIsOneDatagramHoweverLong) {
  connect();
  const std::string longest(kMaxPayload, 'x');
  EXPECT_TRUE(server_->write(as_bytes(longest)));
  ASSERT_EQ(to_client_.sent.size(), 1u);
  carry();
  EXPECT_EQ(at_client_, std::vector<std::string>{longest});
  EXPECT_FALSE(server_->write(as_bytes(longest + "x")));
  EXPECT_EQ(server_->state(), State::kEstablished);
}

TEST_F(DtlsTest, SeveralRecordsInOneDatagramAreSeveralMessages) {
  connect();
  client_->write(as_bytes("a"));
  client_->write(as_bytes("b"));
  Datagram both = to_server_.take();
  const Datagram second = to_server_.take();
  both.insert(both.end(), second.begin(), second.end());
  to_server(both);
  EXPECT_EQ(at_server_, (std::vector<std::string>{"a", "b"}));
}

TEST_F(DtlsTest, ARepeatedOrForgedRecordIsNoMessage) {
  connect();
  client_->write(as_bytes("once"));
  const Datagram record = to_server_.take();
  Datagram forged = record;
  forged.back() ^= 1;
  to_server(forged);
  to_server(record);
  to_server(record);
  EXPECT_EQ(at_server_, std::vector<std::string>{"once"});
  EXPECT_EQ(server_->state(), State::kEstablished);
}

TEST_F(DtlsTest, FlightsAreCutToTheHandshakeMtu) {
  connect();
  EXPECT_GT(to_client_.largest, 100u);
  EXPECT_LE(to_client_.largest, kHandshakeMtu);
}

TEST_F(DtlsTest, AFlightIsSentAgainWhenItsTimeIsUp) {
  const Datagram hello = second_hello();
  to_server(hello);
  ASSERT_NE(server_, nullptr);
  ASSERT_FALSE(to_client_.sent.empty());
  to_client_.sent.clear();
  EXPECT_EQ(server_->on_timeout(), State::kHandshaking);
  EXPECT_TRUE(to_client_.sent.empty()) << "it is not due yet";
  ASSERT_TRUE(server_->timeout());
  pass(*server_->timeout());
  EXPECT_EQ(server_->on_timeout(), State::kHandshaking);
  EXPECT_FALSE(to_client_.sent.empty());
  carry();
  EXPECT_EQ(server_->state(), State::kEstablished);
  EXPECT_FALSE(server_->timeout());
}

// One packet in four is lost, one in four comes twice, and the clock moves only when all is quiet.
TEST_F(DtlsTest, TheHandshakeSurvivesLossAndDuplicates) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SeededRandom luck(seed);
    server_ = nullptr;
    client_ = Association::create(contexts_.client(), Association::Role::kClient, to_server_);
    client_->start();
    const auto done = [&] {
      return server_ != nullptr && server_->state() == State::kEstablished &&
             client_->state() == State::kEstablished;
    };
    for (int round = 0; round < 64 && !done(); ++round) {
      carry([&] {
        const std::uint32_t drawn = luck.below(4);
        return drawn == 0 ? 0 : drawn == 1 ? 2 : 1;
      });
      wait_for_timers();
    }
    EXPECT_TRUE(done()) << "seed " << seed;
  }
}

TEST_F(DtlsTest, TheHandshakeSurvivesReordering) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SeededRandom luck(seed);
    server_ = nullptr;
    client_ = Association::create(contexts_.client(), Association::Role::kClient, to_server_);
    client_->start();
    for (int round = 0; round < 64; ++round) {
      for (Wire* wire : {&to_server_, &to_client_}) {
        auto& queue = wire->sent;
        for (std::size_t i = 1; i < queue.size(); ++i) {
          std::swap(queue[i], queue[luck.below(static_cast<std::uint32_t>(i + 1))]);
        }
        std::deque<Datagram> flight;
        flight.swap(queue);
        for (const Datagram& datagram : flight) {
          wire == &to_server_ ? to_server(datagram) : to_client(datagram);
        }
      }
      if (to_server_.sent.empty() && to_client_.sent.empty()) {
        wait_for_timers();
      }
    }
    ASSERT_NE(server_, nullptr);
    EXPECT_EQ(server_->state(), State::kEstablished) << "seed " << seed;
    EXPECT_EQ(client_->state(), State::kEstablished) << "seed " << seed;
  }
}

TEST_F(DtlsTest, WhoNeverAnswersIsGivenUp) {
  to_server(second_hello());
  ASSERT_NE(server_, nullptr);
  for (int i = 0; i < 32 && server_->state() != State::kClosed; ++i) {
    pass(minutes(2));
    server_->on_timeout();
  }
  EXPECT_EQ(server_->state(), State::kClosed);
  EXPECT_FALSE(server_->timeout());
}

TEST_F(DtlsTest, CloseNotifyEndsTheOtherSide) {
  connect();
  client_->close();
  EXPECT_EQ(client_->state(), State::kClosed);
  carry();
  EXPECT_EQ(server_->state(), State::kClosed);
  EXPECT_FALSE(server_->write(as_bytes("late")));
}

TEST_F(DtlsTest, TheHelloOfAnAssociationIsKnownAgain) {
  const Datagram hello = second_hello();
  to_server(hello);
  ASSERT_NE(server_, nullptr);
  EXPECT_TRUE(is_client_hello(hello));
  EXPECT_TRUE(server_->began_with(hello));
  auto other = Association::create(contexts_.client(), Association::Role::kClient, to_server_);
  other->start();
  EXPECT_TRUE(is_client_hello(to_server_.sent.back()));
  EXPECT_FALSE(server_->began_with(to_server_.sent.back()));
}

TEST_F(DtlsTest, RenegotiationIsRefused) {
  connect();
  SSL_renegotiate(client_->raw());
  SSL_do_handshake(client_->raw());
  ASSERT_FALSE(to_server_.sent.empty());
  while (!to_server_.sent.empty()) to_server(to_server_.take());
  ASSERT_EQ(to_client_.sent.size(), 1u) << "an alert";
  EXPECT_EQ(to_client_.take()[0], 21);
  EXPECT_EQ(SSL_num_renegotiations(server_->raw()), 0);
  EXPECT_TRUE(server_->write(as_bytes("still here")));
}

TEST_F(DtlsTest, OlderVersionsAreRefused) {
  SSL_set_max_proto_version(client_->raw(), DTLS1_VERSION);
  SSL_set_min_proto_version(client_->raw(), DTLS1_VERSION);
  SSL_set_security_level(client_->raw(), 0);
  client_->start();
  carry();
  EXPECT_NE(client_->state(), State::kEstablished);
  EXPECT_TRUE(server_ == nullptr || server_->state() != State::kEstablished);
}

}  // namespace
}  // namespace turnpike::dtls
