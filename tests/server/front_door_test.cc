// Connections without a worker behind them: who is closed when, and who pushes whom out. Time is
// passed in; the sockets are real ones on loopback.
#include "server/front_door.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/sockaddr.h"
#include "stun/builder.h"

namespace turnpike::server {
namespace {

using stun::Builder;

// A client's end and the descriptor that accept() gave for the other one.
struct Pair {
  int client = -1;
  int accepted = -1;
};

class FrontDoorTest : public testing::Test, public FrontDoor::Owner {
 protected:
  void SetUp() override {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto any = net::to_sockaddr({IpAddress::loopback(Family::kIPv4), 0});
    ASSERT_EQ(::bind(listener_, any.raw(), any.length), 0);
    ASSERT_EQ(::listen(listener_, 16), 0);
  }
  void TearDown() override {
    door_.reset();
    for (const int fd : clients_) ::close(fd);
    ::close(listener_);
  }
  void open_door(const FrontDoor::Limits& limits = {}) {
    door_ = std::make_unique<FrontDoor>(loop_, nullptr, *this, limits);
  }
  // Connects and lets the door have the other end; answers the client's end.
  int connect(PortKind kind = PortKind::kAny) {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = net::to_sockaddr(net::local_address_of(listener_));
    EXPECT_EQ(::connect(client, address.raw(), address.length), 0);
    const int accepted = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    EXPECT_GE(accepted, 0);
    clients_.push_back(client);
    door_->accept(accepted, kind);
    return client;
  }
  // A message and more, the message cut in two so that the framer has to keep it.
  void send_in_pieces_with_more(int client, ByteView request) {
    send(client, request.first(7));
    std::vector<std::uint8_t> rest(request.begin() + 7, request.end());
    rest.insert(rest.end(), {'r', 'a', 'w'});
    send(client, rest);
  }
  void send(int client, ByteView bytes) {
    ASSERT_EQ(::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    turn_loop();
  }
  // Loopback delivers before send() returns; a few turns read it and flush.
  void turn_loop() {
    for (int i = 0; i < 4; ++i) loop_.run_once();
  }
  void pass(Duration time) {
    const Tick now = loop_.tick();
    passed_ += time;
    door_->on_time({now.mono + passed_, now.wall});
    turn_loop();
  }
  bool is_closed(int client) {
    turn_loop();
    std::array<char, 256> room{};
    ssize_t got = 0;
    while ((got = ::recv(client, room.data(), room.size(), MSG_DONTWAIT)) > 0) {
    }
    return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  }

  void on_stream_message(const turn::Path& path, ByteView) override {
    ++messages_;
    last_path_ = path;
    if (departs_) door_->depart(path.stream, *departs_);
    if (answer_.empty()) return;
    door_->find_stream(path.stream)->write_datagram(answer_, {}, 0);
  }
  void on_stream_gone(const turn::Path&) override { ++gone_; }
  void take_http(std::unique_ptr<net::Stream>, ByteView) override { ++handed_over_; }
  void on_departure(const FrontDoor::Departure&, std::unique_ptr<net::Stream> stream,
                    ByteView unread) override {
    departed_ = std::move(stream);
    unread_.assign(unread.begin(), unread.end());
  }

  net::Loop loop_;
  std::unique_ptr<FrontDoor> door_;
  int listener_ = -1;
  std::vector<int> clients_;
  Duration passed_{0};
  int messages_ = 0, gone_ = 0, handed_over_ = 0;
  std::optional<FrontDoor::Departure> departs_;  // what the next message leads to
  std::unique_ptr<net::Stream> departed_;
  std::vector<std::uint8_t> unread_;
  turn::Path last_path_;
  std::vector<std::uint8_t> answer_;  // written for every message; empty: nothing is
};

std::array<std::uint8_t, 20> binding_request() {
  std::array<std::uint8_t, 20> room{};
  Builder(room, stun::Class::kRequest, stun::Method::kBinding, {1, 2, 3}).finish();
  return room;
}

TEST_F(FrontDoorTest, ASilentConnectionIsClosedAfterItsDecisionTime) {
  open_door();
  const int client = connect();
  pass(FrontDoor::kDecisionTime - seconds(1));
  EXPECT_FALSE(is_closed(client));
  pass(seconds(2));
  EXPECT_TRUE(is_closed(client));
  EXPECT_EQ(door_->statistics().closed_late.read(), 1u);
  EXPECT_EQ(door_->connections(), 0u);
}

TEST_F(FrontDoorTest, HalfAMessageDoesNotBuyTime) {
  open_door();
  const int client = connect();
  const auto request = binding_request();
  send(client, ByteView(request).first(10));
  pass(FrontDoor::kDecisionTime - seconds(1));
  send(client, ByteView(request).subspan(10, 9));
  EXPECT_FALSE(is_closed(client));
  pass(seconds(2));
  EXPECT_TRUE(is_closed(client));
  EXPECT_EQ(messages_, 0);
}

TEST_F(FrontDoorTest, AMessageInManyPiecesIsOneMessage) {
  open_door();
  const int client = connect();
  for (const std::uint8_t byte : binding_request()) send(client, ByteView(&byte, 1));
  EXPECT_EQ(messages_, 1);
  EXPECT_EQ(last_path_.transport, turn::Transport::kTcp);
  EXPECT_EQ(last_path_.remote, net::local_address_of(client));
  EXPECT_EQ(last_path_.local, net::local_address_of(listener_));
}

TEST_F(FrontDoorTest, WithoutAnAllocationSilenceEndsTheConnection) {
  open_door();
  const int client = connect();
  send(client, binding_request());
  pass(FrontDoor::kIdleTime - seconds(1));
  EXPECT_FALSE(is_closed(client));
  pass(seconds(2));
  EXPECT_TRUE(is_closed(client));
  EXPECT_EQ(door_->statistics().closed_idle.read(), 1u);
  EXPECT_EQ(gone_, 1);
}

TEST_F(FrontDoorTest, AnAllocationKeepsTheConnectionForAsLongAsItLives) {
  open_door();
  const int client = connect();
  send(client, binding_request());
  door_->on_allocation(last_path_.stream, StreamDirectory::Allocation::kHeld);
  pass(hours(2));
  EXPECT_FALSE(is_closed(client));
  door_->on_allocation(last_path_.stream, StreamDirectory::Allocation::kNone);
  passed_ = Duration(0);
  pass(FrontDoor::kIdleTime + seconds(1));
  EXPECT_TRUE(is_closed(client));
}

TEST_F(FrontDoorTest, TheOldestUndecidedMakesRoomForTheNewest) {
  open_door({.undecided = 2});
  const int first = connect();
  const int second = connect();
  EXPECT_FALSE(is_closed(first));
  const int third = connect();
  EXPECT_TRUE(is_closed(first));
  EXPECT_FALSE(is_closed(second));
  EXPECT_FALSE(is_closed(third));
  EXPECT_EQ(door_->statistics().closed_crowded.read(), 1u);
}

TEST_F(FrontDoorTest, WhoIsSilentForLongestMakesRoomAmongTheIdle) {
  open_door({.idle = 2});
  const int first = connect();
  send(first, binding_request());
  const int second = connect();
  send(second, binding_request());
  send(first, binding_request());
  const int third = connect();
  send(third, binding_request());
  EXPECT_TRUE(is_closed(second));
  EXPECT_FALSE(is_closed(first));
  EXPECT_FALSE(is_closed(third));
}

TEST_F(FrontDoorTest, WhoHoldsAnAllocationIsNeverPushedOut) {
  open_door({.idle = 1});
  const int first = connect();
  send(first, binding_request());
  door_->on_allocation(last_path_.stream, StreamDirectory::Allocation::kHeld);
  for (int i = 0; i < 3; ++i) send(connect(), binding_request());
  EXPECT_FALSE(is_closed(first));
  EXPECT_EQ(door_->connections(), 2u);
}

// The kernel's buffers take some megabytes; beyond them the answers would be ours to keep.
TEST_F(FrontDoorTest, WhoAsksAndNeverReadsTheAnswersIsClosed) {
  open_door();
  answer_.resize(16 * 1024);
  const int client = connect();
  const auto request = binding_request();
  constexpr int kEnough = 4096;
  int asked = 0;
  while (door_->statistics().closed_deaf.read() == 0 && asked++ < kEnough) {
    ::send(client, request.data(), request.size(), MSG_NOSIGNAL);
    loop_.run_once();
  }
  EXPECT_EQ(door_->statistics().closed_deaf.read(), 1u);
  EXPECT_EQ(door_->connections(), 0u);
  EXPECT_EQ(gone_, 1);
}

TEST_F(FrontDoorTest, WhoHoldsAnAllocationMayReadLate) {
  open_door();
  const int client = connect();
  send(client, binding_request());
  door_->on_allocation(last_path_.stream, StreamDirectory::Allocation::kHeld);
  answer_.resize(16 * 1024);
  const auto request = binding_request();
  for (int i = 0; i < 1024; ++i) {
    ::send(client, request.data(), request.size(), MSG_NOSIGNAL);
    loop_.run_once();
  }
  EXPECT_EQ(door_->connections(), 1u);
  EXPECT_LE(door_->find_stream(last_path_.stream)->queued_bytes(), net::Stream::kHighWatermark);
}

TEST_F(FrontDoorTest, OneConnectionPastTheMaximumIsClosedAtOnce) {
  open_door({.connections = 2});
  const int first = connect();
  connect();
  const int third = connect();
  EXPECT_TRUE(is_closed(third));
  EXPECT_FALSE(is_closed(first));
}

TEST_F(FrontDoorTest, HttpLeavesAndIsForgotten) {
  open_door();
  send(connect(), as_bytes("GET / HTTP/1.1\r\n"));
  EXPECT_EQ(handed_over_, 1);
  EXPECT_EQ(door_->connections(), 0u);
  EXPECT_EQ(gone_, 0);
}

TEST_F(FrontDoorTest, WhatIsSplicedLeavesWithTheBytesBehindTheMessage) {
  open_door();
  departs_ = FrontDoor::Departure{{42}, 0};
  send_in_pieces_with_more(connect(), binding_request());
  ASSERT_TRUE(departed_);
  EXPECT_EQ(as_text(unread_), "raw");
  EXPECT_EQ(door_->connections(), 0u);
  departed_.reset();
}

TEST_F(FrontDoorTest, AnotherWorkerSeesTheMessageAgain) {
  open_door();
  departs_ = FrontDoor::Departure{{}, 3};
  const auto request = binding_request();
  const int client = connect();
  send_in_pieces_with_more(client, request);
  ASSERT_TRUE(departed_);
  EXPECT_EQ(unread_.size(), request.size() + 3);
  EXPECT_EQ(messages_, 1);

  departs_.reset();
  unread_.resize(request.size());
  door_->adopt(net::Stream::release(std::move(departed_), unread_));
  turn_loop();
  EXPECT_EQ(messages_, 2);
  EXPECT_EQ(last_path_.remote, net::local_address_of(client));
  EXPECT_EQ(door_->connections(), 1u);
}

TEST_F(FrontDoorTest, WithoutACertificateTlsIsClosed) {
  open_door();
  const int client = connect();
  send(client, as_bytes("\x16\x03\x01"));
  EXPECT_TRUE(is_closed(client));
  EXPECT_EQ(door_->statistics().closed_unknown.read(), 1u);
}

const std::string kProxyLine = "PROXY TCP4 192.0.2.1 203.0.113.10 50000 3478\r\n";

TEST_F(FrontDoorTest, AProxiedConnectionIsItsClients) {
  open_door();
  door_->trust({*IpRange::parse("127.0.0.0/8")});
  const int client = connect(PortKind::kProxied);
  std::string bytes = kProxyLine;
  const auto request = binding_request();
  bytes.append(as_text(request));
  send(client, as_bytes(bytes));
  EXPECT_EQ(messages_, 1);
  EXPECT_EQ(last_path_.remote, *Address::parse("192.0.2.1:50000"));
  EXPECT_EQ(last_path_.local, net::local_address_of(listener_));
}

TEST_F(FrontDoorTest, AProxyHeaderMayBeCutAnywhere) {
  open_door();
  door_->trust({*IpRange::parse("127.0.0.1")});
  const auto request = binding_request();
  const std::string bytes = kProxyLine + std::string(as_text(request));
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    const int client = connect(PortKind::kProxied);
    send(client, as_bytes(std::string_view(bytes).substr(0, cut)));
    send(client, as_bytes(std::string_view(bytes).substr(cut)));
    EXPECT_EQ(messages_, static_cast<int>(cut)) << "cut after " << cut << " bytes";
  }
}

TEST_F(FrontDoorTest, AHeaderLongerThanOneLookIsTakenWhole) {
  using namespace std::string_literals;
  open_door();
  door_->trust({*IpRange::parse("127.0.0.1")});
  const std::string addresses = "\xC0\x00\x02\x01\xCB\x00\x71\x0A\xC3\x50\x0D\x96"s;
  const std::string frame =
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\x08\x0C"s + addresses + std::string(2048, 'x');
  const auto request = binding_request();
  send(connect(PortKind::kProxied), as_bytes(frame + std::string(as_text(request))));
  EXPECT_EQ(messages_, 1);
  EXPECT_EQ(last_path_.remote, *Address::parse("192.0.2.1:50000"));
}

TEST_F(FrontDoorTest, ALoadBalancersOwnConnectionKeepsItsAddress) {
  open_door();
  door_->trust({*IpRange::parse("127.0.0.1")});
  const int client = connect(PortKind::kProxied);
  const auto request = binding_request();
  send(client, as_bytes("PROXY UNKNOWN\r\n" + std::string(as_text(request))));
  EXPECT_EQ(messages_, 1);
  EXPECT_EQ(last_path_.remote, net::local_address_of(client));
}

TEST_F(FrontDoorTest, OnlyTrustedLoadBalancersMayConnect) {
  open_door();
  EXPECT_TRUE(is_closed(connect(PortKind::kProxied))) << "nobody is trusted";
  door_->trust({*IpRange::parse("10.0.0.0/8")});
  EXPECT_TRUE(is_closed(connect(PortKind::kProxied)));
  EXPECT_EQ(door_->statistics().closed_proxy.read(), 2u);
  EXPECT_EQ(door_->connections(), 0u);
}

TEST_F(FrontDoorTest, AWrongProxyHeaderClosesTheConnection) {
  open_door();
  door_->trust({*IpRange::parse("127.0.0.1")});
  const int client = connect(PortKind::kProxied);
  send(client, binding_request());
  EXPECT_TRUE(is_closed(client));
  EXPECT_EQ(door_->statistics().closed_proxy.read(), 1u);
  EXPECT_EQ(messages_, 0);
}

TEST_F(FrontDoorTest, AHeaderHasItsDeadline) {
  open_door();
  door_->trust({*IpRange::parse("127.0.0.1")});
  const int client = connect(PortKind::kProxied);
  send(client, as_bytes(std::string_view(kProxyLine).substr(0, 20)));
  pass(FrontDoor::kDecisionTime + seconds(1));
  EXPECT_TRUE(is_closed(client));
  EXPECT_EQ(door_->statistics().closed_late.read(), 1u);
}

TEST_F(FrontDoorTest, AClientThatLeavesIsReportedOnce) {
  open_door();
  const int client = connect();
  send(client, binding_request());
  ::shutdown(client, SHUT_RDWR);
  turn_loop();
  EXPECT_EQ(gone_, 1);
  EXPECT_EQ(door_->connections(), 0u);
}

}  // namespace
}  // namespace turnpike::server
