// DTLS clients at the door of a worker that is not there: who gets in, who is pushed out, and what
// strangers are sent. Time is passed in.
#include "server/dtls_door.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/base/dtls_contexts.h"

namespace turnpike::server {
namespace {

using dtls::Association;
using State = Association::State;
using Held = DtlsClients::Allocation;

Address at(std::string_view text) { return *Address::parse(text); }

class DtlsDoorTest : public testing::Test, public DtlsDoor::Owner {
 protected:
  struct Client final : dtls::Output {
    void send(ByteView datagram) override {
      to_server.emplace_back(datagram.begin(), datagram.end());
    }
    Address address;
    std::unique_ptr<Association> association;
    std::vector<std::vector<std::uint8_t>> to_server, to_client;
    std::vector<std::string> heard;
  };

  void TearDown() override {  // they say goodbye to everybody
    door_.reset();
    other_.reset();
  }

  void open_door(const DtlsDoor::Limits& limits = {}) {
    door_ = std::make_unique<DtlsDoor>(contexts_.server(), random_, *this, limits);
  }
  Client& client(const std::string& address) {
    auto& slot = clients_[address];
    slot = std::make_unique<Client>();
    slot->address = at(address);
    slot->association = Association::create(contexts_.client(), Association::Role::kClient, *slot);
    return *slot;
  }
  turn::Path path_of(const Client& client) const {
    turn::Path path;
    path.listener = 3;
    path.local = at("203.0.113.10:5349");
    path.remote = client.address;
    return path;
  }
  void to_door(const Client& client, ByteView datagram) {
    door_->on_datagrams(now_, path_of(client), turnpike::Run::one(datagram));
  }
  // Carries what lies between them, until all is quiet.
  void carry(Client& client) {
    while (!client.to_server.empty() || !client.to_client.empty()) {
      for (const auto& datagram : std::exchange(client.to_server, {})) to_door(client, datagram);
      for (const auto& datagram : std::exchange(client.to_client, {})) {
        client.association->feed(datagram);
        while (const auto message = client.association->read(room_)) {
          client.heard.emplace_back(as_text(*message));
        }
      }
    }
  }
  Client& connected(const std::string& address) {
    Client& one = client(address);
    one.association->start();
    carry(one);
    return one;
  }
  // As far as the ClientHello with the cookie, which begins a session.
  Client& begun(const std::string& address) {
    Client& one = client(address);
    one.association->start();
    to_door(one, one.to_server.at(0));
    one.association->feed(one.to_client.at(0));
    to_door(one, one.to_server.at(1));
    return one;
  }
  bool knows(Client& one) {
    one.heard.clear();
    one.association->write(as_bytes("echo"));
    carry(one);
    return one.heard == std::vector<std::string>{"echo"};
  }
  void pass(Duration time) {
    now_.mono = now_.mono + time;
    door_->on_time(now_);
  }

  void send_datagram(const turn::Path& path, ByteView datagram) override {
    EXPECT_EQ(path.listener, 3);
    const auto found = clients_.find(path.remote.to_string());
    if (found == clients_.end()) return;
    found->second->to_client.emplace_back(datagram.begin(), datagram.end());
  }
  void on_dtls_message(const turn::Path& path, const turnpike::Run& message) override {
    last_path_ = path;
    DtlsDoor& door = moved_ ? *other_ : *door_;
    const auto text = as_text(message.segment(0));
    if (text == "echo") door.to_client(path, {message.segment(0), {}, 0});
    if (text == "go" && !moved_) door_->depart(path.stream, 7);
    if (text == "go" && moved_) door.to_client(path, {as_bytes("arrived"), {}, 0});
  }
  bool on_dtls_departure(std::uint32_t worker, DtlsDeparture departure) override {
    EXPECT_EQ(worker, 7u);
    if (other_ == nullptr) return false;
    moved_ = true;
    other_->adopt(now_, std::move(departure));
    return true;
  }
  void forward_datagram(const turn::Path& path, std::uint32_t worker, ByteView datagram) override {
    EXPECT_EQ(worker, 7u);
    ++forwarded_;
    other_->on_datagrams(now_, path, turnpike::Run::one(datagram));
  }
  void on_dtls_gone(const turn::Path& path) override { gone_.push_back(path.remote.to_string()); }

  dtls::Contexts contexts_;
  SeededRandom random_{1};
  std::map<std::string, std::unique_ptr<Client>> clients_;
  std::unique_ptr<DtlsDoor> door_;
  std::unique_ptr<DtlsDoor> other_;  // of worker 7, where messages are heard once one has moved
  bool moved_ = false;
  int forwarded_ = 0;
  Tick now_{{seconds(1000)}, {seconds(1'700'000'000)}};
  turn::Path last_path_;
  std::vector<std::string> gone_;
  std::array<std::uint8_t, dtls::kMaxPayload> room_;
};

TEST_F(DtlsDoorTest, AMessageComesWithThePathOfItsSession) {
  open_door();
  Client& one = connected("192.0.2.1:5000");
  EXPECT_TRUE(knows(one));
  EXPECT_EQ(last_path_.transport, turn::Transport::kDtls);
  EXPECT_EQ(last_path_.remote, one.address);
  EXPECT_NE(last_path_.stream, 0u);
  EXPECT_EQ(door_->statistics().established.read(), 1u);
}

TEST_F(DtlsDoorTest, AStrangerCostsNothingAndIsSentNoMoreThanItSent) {
  open_door();
  for (int i = 0; i < 50; ++i) {
    Client& one = client("192.0.2.1:" + std::to_string(5000 + i));
    one.association->start();
    const auto hello = one.to_server.at(0);
    to_door(one, hello);
    ASSERT_EQ(one.to_client.size(), 1u);
    EXPECT_LE(one.to_client[0].size(), hello.size());
  }
  EXPECT_EQ(door_->sessions(), 0u);
  EXPECT_EQ(door_->next_deadline(), MonoTime::never());
}

TEST_F(DtlsDoorTest, RecordsOfNoSessionAreNotAnswered) {
  open_door();
  Client& one = client("192.0.2.1:5000");
  const std::vector<std::uint8_t> alert = {21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40};
  const std::vector<std::uint8_t> data = {23, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0};
  for (const auto& datagram : {alert, data, std::vector<std::uint8_t>{22}}) to_door(one, datagram);
  EXPECT_TRUE(one.to_client.empty());
  EXPECT_EQ(door_->sessions(), 0u);
}

TEST_F(DtlsDoorTest, HellosOfOnePrefixAreRateLimited) {
  DtlsDoor::Limits limits;
  limits.hellos_per_second = 10;
  open_door(limits);
  std::size_t answered = 0;
  for (int i = 0; i < 100; ++i) {
    Client& one = client("192.0.2.1:" + std::to_string(5000 + i));
    one.association->start();
    to_door(one, one.to_server.at(0));
    answered += one.to_client.size();
  }
  EXPECT_EQ(answered, 20u);
  EXPECT_EQ(door_->statistics().hellos_throttled.read(), 80u);
  EXPECT_TRUE(knows(connected("192.0.2.2:5000")));
}

TEST_F(DtlsDoorTest, AHandshakeThatNeverEndsIsGivenUp) {
  open_door();
  begun("192.0.2.1:5000");
  EXPECT_EQ(door_->sessions(), 1u);
  pass(DtlsDoor::kHandshakeTime - seconds(1));
  EXPECT_EQ(door_->sessions(), 1u);
  pass(seconds(2));
  EXPECT_EQ(door_->sessions(), 0u);
  EXPECT_EQ(door_->statistics().closed_late.read(), 1u);
}

TEST_F(DtlsDoorTest, WhoIsSilentWithoutAnAllocationIsSentAway) {
  open_door();
  Client& one = connected("192.0.2.1:5000");
  pass(DtlsDoor::kIdleTime - seconds(1));
  EXPECT_TRUE(knows(one));
  pass(DtlsDoor::kIdleTime - seconds(1));
  EXPECT_EQ(door_->sessions(), 1u);
  pass(seconds(2));
  EXPECT_EQ(door_->sessions(), 0u);
  EXPECT_EQ(gone_, std::vector<std::string>{"192.0.2.1:5000"});
  carry(one);
  EXPECT_EQ(one.association->state(), State::kClosed) << "close_notify tells the client";
}

TEST_F(DtlsDoorTest, WhoHoldsAnAllocationStays) {
  open_door();
  Client& one = connected("192.0.2.1:5000");
  ASSERT_TRUE(knows(one));
  door_->on_allocation(last_path_.stream, Held::kHeld);
  pass(hours(2));
  EXPECT_TRUE(knows(one));
  door_->on_allocation(last_path_.stream, Held::kNone);
  pass(DtlsDoor::kIdleTime + seconds(1));
  EXPECT_EQ(door_->sessions(), 0u);
}

TEST_F(DtlsDoorTest, NewHandshakesPushTheOldestOut) {
  DtlsDoor::Limits limits;
  limits.handshakes = 2;
  open_door(limits);
  begun("192.0.2.1:5000");
  begun("192.0.2.2:5000");
  EXPECT_TRUE(gone_.empty());
  begun("192.0.2.3:5000");
  EXPECT_EQ(gone_, std::vector<std::string>{"192.0.2.1:5000"});
  EXPECT_EQ(door_->sessions(), 2u);
}

TEST_F(DtlsDoorTest, IdleSessionsPushOutWhoWasSilentForLongest) {
  DtlsDoor::Limits limits;
  limits.idle = 2;
  open_door(limits);
  Client& first = connected("192.0.2.1:5000");
  connected("192.0.2.2:5000");
  ASSERT_TRUE(knows(first));
  connected("192.0.2.3:5000");
  EXPECT_EQ(gone_, std::vector<std::string>{"192.0.2.2:5000"});
  EXPECT_TRUE(knows(first));
}

TEST_F(DtlsDoorTest, OnePrefixHoldsNoMoreThanItsShare) {
  DtlsDoor::Limits limits;
  limits.per_prefix = 2;
  open_door(limits);
  Client& first = connected("192.0.2.1:5000");
  ASSERT_TRUE(knows(first));
  const turn::Path path = last_path_;
  connected("192.0.2.1:5001");
  begun("192.0.2.1:5002");
  EXPECT_EQ(door_->sessions(), 2u);
  EXPECT_EQ(door_->statistics().refused_crowded.read(), 1u);
  // Allocations do not count, they have quotas of their own.
  door_->on_allocation(path.stream, Held::kHeld);
  EXPECT_TRUE(knows(connected("192.0.2.1:5003")));
}

TEST_F(DtlsDoorTest, TheTableIsFullAtItsMaximum) {
  DtlsDoor::Limits limits;
  limits.sessions = 1;
  open_door(limits);
  Client& first = connected("192.0.2.1:5000");
  begun("192.0.2.2:5000");
  EXPECT_EQ(door_->statistics().refused_crowded.read(), 1u);
  EXPECT_TRUE(knows(first));
}

TEST_F(DtlsDoorTest, AClientThatComesBackReplacesItselfOnlyWithACookie) {
  open_door();
  connected("192.0.2.1:5000");
  Client& again = client("192.0.2.1:5000");  // the old one is forgotten
  again.association->start();
  to_door(again, again.to_server.at(0));
  EXPECT_TRUE(gone_.empty()) << "anybody can forge a first ClientHello";
  again.to_server.clear();
  carry(again);
  EXPECT_EQ(gone_, std::vector<std::string>{"192.0.2.1:5000"});
  EXPECT_TRUE(knows(again));
  EXPECT_EQ(door_->sessions(), 1u);
}

TEST_F(DtlsDoorTest, ADuplicateOfTheHelloEndsNothing) {
  open_door();
  Client& one = begun("192.0.2.1:5000");
  const auto hello = one.to_server.at(1);
  one.to_server.clear();
  to_door(one, hello);
  carry(one);
  to_door(one, hello);
  EXPECT_TRUE(gone_.empty());
  EXPECT_TRUE(knows(one));
}

TEST_F(DtlsDoorTest, RepeatsOfTheHelloAreAnsweredWithNothingAndWinNoTime) {
  constexpr std::size_t kSequence = 10;  // the last byte of the record's number
  open_door();
  Client& one = begun("192.0.2.1:5000");
  auto hello = one.to_server.at(1);
  one.to_client.clear();
  for (int i = 0; i < 100; ++i) {
    ++hello[kSequence];  // a record that has not been seen
    to_door(one, hello);
  }
  EXPECT_TRUE(one.to_client.empty());
  EXPECT_EQ(door_->statistics().begun.read(), 1u);
  pass(DtlsDoor::kHandshakeTime - seconds(1));
  ++hello[kSequence];
  to_door(one, hello);
  EXPECT_EQ(door_->sessions(), 1u);
  pass(seconds(2));
  EXPECT_EQ(door_->sessions(), 0u);
}

TEST_F(DtlsDoorTest, CloseNotifyEndsTheSession) {
  open_door();
  Client& one = connected("192.0.2.1:5000");
  one.association->close();
  carry(one);
  EXPECT_EQ(door_->sessions(), 0u);
  EXPECT_EQ(gone_, std::vector<std::string>{"192.0.2.1:5000"});
}

TEST_F(DtlsDoorTest, WhatNoRecordCanCarryIsDroppedAndNothingElse) {
  open_door();
  Client& one = connected("192.0.2.1:5000");
  ASSERT_TRUE(knows(one));
  const std::vector<std::uint8_t> body(dtls::kMaxPayload - 3, 1);
  const std::array<std::uint8_t, 4> head{};
  door_->to_client(last_path_, {head, turnpike::Run::one(body), 0});
  EXPECT_EQ(door_->statistics().messages_dropped.read(), 1u);
  one.heard.clear();
  door_->to_client(last_path_,
                   {head, turnpike::Run::one(ByteView(body).first(dtls::kMaxPayload - 4)), 0});
  carry(one);
  ASSERT_EQ(one.heard.size(), 1u);
  EXPECT_EQ(one.heard[0].size(), dtls::kMaxPayload);
}

TEST_F(DtlsDoorTest, ATrainForAClientIsAMessageEach) {
  open_door();
  Client& one = connected("192.0.2.1:5000");
  ASSERT_TRUE(knows(one));
  one.heard.clear();
  door_->to_client(last_path_, {as_bytes("h"), turnpike::Run::train(as_bytes("aabbcc"), 2), 1});
  carry(one);
  using namespace std::string_literals;
  EXPECT_EQ(one.heard, (std::vector<std::string>{"haa\0"s, "hbb\0"s, "hcc\0"s}));
}

TEST_F(DtlsDoorTest, ASessionThatDepartsGoesOnAtAnotherDoorWithTheMessageUnderWay) {
  open_door();
  other_ = std::make_unique<DtlsDoor>(contexts_.server(), random_, *this, DtlsDoor::Limits{});
  Client& one = connected("192.0.2.1:5000");
  Client& two = connected("192.0.2.1:5001");
  one.association->write(as_bytes("go"));
  carry(one);
  EXPECT_EQ(one.heard, std::vector<std::string>{"arrived"});
  EXPECT_EQ(door_->sessions(), 1u);
  EXPECT_EQ(other_->sessions(), 1u);
  EXPECT_TRUE(gone_.empty()) << "nothing has ended";
  EXPECT_EQ(forwarded_, 0);
  EXPECT_TRUE(knows(one));
  EXPECT_EQ(forwarded_, 1);
  EXPECT_EQ(last_path_.transport, turn::Transport::kDtls);
  EXPECT_EQ(door_->statistics().departed.read(), 1u);
  EXPECT_EQ(other_->statistics().adopted.read(), 1u);
  moved_ = false;
  EXPECT_TRUE(knows(two)) << "the other one stayed";
}

TEST_F(DtlsDoorTest, AMessageThatWaitedForAnAnswerIsHeardAgainAndMayTakeItsSessionAway) {
  open_door();
  other_ = std::make_unique<DtlsDoor>(contexts_.server(), random_, *this, DtlsDoor::Limits{});
  Client& one = connected("192.0.2.1:5000");
  ASSERT_TRUE(knows(one));
  const std::uint64_t session = last_path_.stream;
  door_->bring(now_, session + 1, as_bytes("go"));
  EXPECT_EQ(door_->sessions(), 1u) << "there is no such session";
  door_->bring(now_, session, as_bytes("go"));
  carry(one);
  EXPECT_EQ(one.heard.back(), "arrived");
  EXPECT_EQ(door_->sessions(), 0u);
  door_->bring(now_, session, as_bytes("go"));
  EXPECT_EQ(other_->sessions(), 1u);
}

TEST_F(DtlsDoorTest, ItsClientMayBeginAnewAndItEndsWhereItIs) {
  open_door();
  other_ = std::make_unique<DtlsDoor>(contexts_.server(), random_, *this, DtlsDoor::Limits{});
  Client& one = connected("192.0.2.1:5000");
  one.association->write(as_bytes("go"));
  carry(one);
  Client& anew = connected("192.0.2.1:5000");
  EXPECT_TRUE(knows(anew));
  EXPECT_EQ(door_->sessions(), 0u);
  EXPECT_EQ(other_->sessions(), 1u);
  now_.mono = now_.mono + DtlsDoor::kIdleTime + seconds(1);
  other_->on_time(now_);
  EXPECT_EQ(other_->sessions(), 0u);
  EXPECT_EQ(other_->statistics().closed_idle.read(), 1u);
}

TEST_F(DtlsDoorTest, OneThatComesBackIsServedHereAndNothingGoesInCircles) {
  open_door();
  other_ = std::make_unique<DtlsDoor>(contexts_.server(), random_, *this, DtlsDoor::Limits{});
  Client& one = connected("192.0.2.1:5000");
  one.association->write(as_bytes("go"));
  carry(one);
  // As if worker 7 had sent it back.
  DtlsDeparture back;
  back.path = path_of(one);
  back.association = Association::create(contexts_.server(), Association::Role::kServer, one);
  moved_ = false;
  door_->adopt(now_, std::move(back));
  forwarded_ = 0;
  one.association->write(as_bytes("echo"));
  carry(one);
  EXPECT_EQ(forwarded_, 0);
}

TEST_F(DtlsDoorTest, OneThatFindsNoRoomElsewhereIsLostAndMayBeginAnewHere) {
  open_door();
  Client& one = connected("192.0.2.1:5000");
  one.association->write(as_bytes("go"));
  carry(one);
  EXPECT_TRUE(one.heard.empty());
  EXPECT_EQ(door_->sessions(), 0u);
  EXPECT_TRUE(knows(connected("192.0.2.1:5000")));
  EXPECT_EQ(forwarded_, 0);
}

}  // namespace
}  // namespace turnpike::server
