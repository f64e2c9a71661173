// turn::Client and what the challenge tells it (RFC 8489 sections 9.2.5 and 10), against our own
// server and against challenges that somebody edited.
#include "turn/client.h"

#include <gtest/gtest.h>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

// The client's end, with the server behind it; `edit` stands on the path of what the server says.
struct Line final : Client::Outputs {
  explicit Line(RelayHouse& its_house) : house(its_house) {}

  void to_server(ByteView message) override {
    sent.emplace_back(message.begin(), message.end());
    pending.push_back(sent.back());
  }
  void on_allocated(const Address& relayed, const Address&) override { got_relayed = relayed; }
  void on_peer_ready(const Address&) override { ++peers_ready; }
  void on_peer_refused(const Address&, std::uint16_t) override {}
  void on_data(const Address&, ByteView) override {}
  void on_alternate(const Address& server, std::string_view domain) override {
    alternate = server;
    alternate_domain = domain;
  }
  void on_ended(Client::Ending ending, std::uint16_t code) override {
    ended = ending;
    ended_code = code;
  }

  // Until nobody has anything to say.
  void talk(Client& client) {
    Guest guest(house, "203.0.113.5:4000", "", "", transport);
    while (!pending.empty()) {
      const Bytes message = pending.front();
      pending.erase(pending.begin());
      Bytes answer = guest.exchange(message).bytes();
      if (edit) answer = edit(answer);
      if (!answer.empty()) client.on_packet(house.now, answer, *this);
    }
  }
  stun::MessageView last() const { return *stun::MessageView::parse(sent.back()); }

  RelayHouse& house;
  Transport transport = Transport::kUdp;
  std::function<Bytes(Bytes)> edit;
  std::vector<Bytes> sent, pending;
  std::optional<Address> got_relayed, alternate;
  std::string alternate_domain;
  std::optional<Client::Ending> ended;
  std::uint16_t ended_code = 0;
  int peers_ready = 0;
};

struct Clients : testing::Test {
  explicit Clients(HouseRules rules = {}) : house(std::move(rules)) {}
  RelayHouse house;
  SeededRandom random{3};
  Line line{house};
  Client client{{.username = "alice", .password = "secret"}, random};

  void allocate() {
    client.allocate(house.now, line);
    line.talk(client);
  }
};

TEST_F(Clients, ChooseSha256WhereItIsOffered) {
  allocate();
  ASSERT_TRUE(line.got_relayed);
  const stun::MessageView request = line.last();
  EXPECT_TRUE(request.has(Attribute::kMessageIntegritySha256));
  EXPECT_FALSE(request.has(Attribute::kMessageIntegrity));
  EXPECT_EQ(request.u32(Attribute::kPasswordAlgorithm), 0x00020000u);
  EXPECT_TRUE(equal(*request.value(Attribute::kPasswordAlgorithms), stun::kPasswordAlgorithmList));
  EXPECT_EQ(request.text(Attribute::kUsername), "alice");
  client.reach(house.now, address("9.9.9.9:9"), Client::Binding::kPermission, line);
  line.talk(client);
  EXPECT_EQ(line.peers_ready, 1);
}

struct ClientsOfHashes : Clients {
  ClientsOfHashes()
      : Clients([] {
          HouseRules rules;
          rules.announce_userhash = true;
          rules.shared_secrets = {"s3cret"};
          rules.adjust = [](Settings& settings) { settings.nonce_lifetime = seconds(60); };
          return rules;
        }()) {}
};

TEST_F(ClientsOfHashes, HideTheirNameWhereTheServerAsksForIt) {
  allocate();
  ASSERT_TRUE(line.got_relayed);
  EXPECT_FALSE(line.last().has(Attribute::kUsername));
  EXPECT_TRUE(
      equal(*line.last().value(Attribute::kUserhash), stun::userhash("alice", RelayHouse::kRealm)));
}

// What rooms make up, no server finds by its hash.
TEST_F(ClientsOfHashes, TellTheirNameToAServerThatDoesNotFindTheHash) {
  const std::string name = "1800000000:guest";
  Client guest({.username = name, .password = rest_password("s3cret", name)}, random);
  guest.allocate(house.now, line);
  line.talk(guest);
  ASSERT_TRUE(line.got_relayed);
  ASSERT_EQ(line.sent.size(), 3u);
  EXPECT_TRUE(stun::MessageView::parse(line.sent[1])->has(Attribute::kUserhash));
  EXPECT_FALSE(line.last().has(Attribute::kUserhash));
  EXPECT_EQ(line.last().text(Attribute::kUsername), name);
  EXPECT_TRUE(line.last().has(Attribute::kMessageIntegritySha256));
  house.pass(house.settings->nonce_lifetime + seconds(1));
  guest.reach(house.now, address("9.9.9.9:9"), Client::Binding::kPermission, line);
  line.talk(guest);
  EXPECT_EQ(line.peers_ready, 1);
  EXPECT_EQ(line.last().text(Attribute::kUsername), name) << "and go on with it";
}

TEST_F(ClientsOfHashes, GoOnWithTheHashWhenTheirNonceIsStale) {
  allocate();
  house.pass(house.settings->nonce_lifetime + seconds(1));
  client.reach(house.now, address("9.9.9.9:9"), Client::Binding::kPermission, line);
  line.talk(client);
  EXPECT_EQ(line.peers_ready, 1);
  EXPECT_FALSE(line.last().has(Attribute::kUsername));
}

TEST_F(ClientsOfHashes, TryAWrongPasswordOnceByHashAndOnceByName) {
  Client wrong({.username = "alice", .password = "guess"}, random);
  wrong.allocate(house.now, line);
  line.talk(wrong);
  EXPECT_EQ(line.ended, Client::Ending::kRefused);
  EXPECT_EQ(line.ended_code, 401);
  EXPECT_EQ(line.sent.size(), 3u);
}

// Somebody on the way says that the server has forgotten.
TEST_F(ClientsOfHashes, TellNobodyTheirNameOnceTheirHashWasFound) {
  allocate();
  ASSERT_TRUE(line.got_relayed);
  const std::size_t before = line.sent.size();
  line.edit = [](const Bytes& answer) {
    Bytes room(500);
    const auto view = stun::MessageView::parse(answer);
    stun::Builder builder = stun::Builder::response(room, stun::Class::kError, *view);
    builder.error(stun::ErrorCode::kUnauthorized)
        .text(Attribute::kRealm, RelayHouse::kRealm)
        .text(Attribute::kNonce, "obMatJos2AAAA");
    const ByteView done = builder.finish();
    return Bytes(done.begin(), done.end());
  };
  client.reach(house.now, address("9.9.9.9:9"), Client::Binding::kPermission, line);
  line.talk(client);
  EXPECT_EQ(line.sent.size(), before + 1);
  EXPECT_FALSE(line.last().has(Attribute::kUsername));
}

struct ClientsOfMd5 : Clients {
  ClientsOfMd5()
      : Clients([] {
          HouseRules rules;
          rules.users = {{"alice", "", stun::long_term_key("alice", RelayHouse::kRealm, "secret")}};
          return rules;
        }()) {}
};

TEST_F(ClientsOfMd5, UseMd5AndSha1WhereNothingIsOffered) {
  allocate();
  ASSERT_TRUE(line.got_relayed);
  EXPECT_TRUE(line.last().has(Attribute::kMessageIntegrity));
  EXPECT_FALSE(line.last().has(Attribute::kPasswordAlgorithm));
}

// RFC 8489 section 16.1.3: the list was taken out on the way, the bit in the nonce was not.
TEST_F(Clients, AreNotBidDown) {
  line.edit = [](Bytes answer) {
    const auto view = stun::MessageView::parse(answer);
    if (!view || view->message_class() != stun::Class::kError) return answer;
    Bytes room(answer.size());
    stun::Builder builder = stun::Builder::response(room, stun::Class::kError, *view);
    builder.error(stun::ErrorCode::kUnauthorized)
        .text(Attribute::kRealm, *view->text(Attribute::kRealm))
        .text(Attribute::kNonce, *view->text(Attribute::kNonce));
    const ByteView done = builder.finish();
    return Bytes(done.begin(), done.end());
  };
  allocate();
  EXPECT_FALSE(line.got_relayed);
  EXPECT_EQ(line.sent.size(), 1u) << "no credentials left the client";
  EXPECT_EQ(line.ended, Client::Ending::kRefused);
}

TEST_F(Clients, TakeNoAnswerThatIsNotSigned) {
  line.edit = [](Bytes answer) {
    const auto view = stun::MessageView::parse(answer);
    if (view && view->message_class() == stun::Class::kSuccess) answer.back() ^= 1;
    return answer;
  };
  allocate();
  EXPECT_FALSE(line.got_relayed);
  EXPECT_FALSE(line.ended) << "it waits for the right one";
}

struct ClientsSentAway : Clients {
  ClientsSentAway()
      : Clients([] {
          HouseRules rules;
          rules.adjust = [](Settings& settings) {
            settings.alternate_servers = {{address("9.9.9.7:3479"), "turn2.example.org"}};
          };
          return rules;
        }()) {}
};

TEST_F(ClientsSentAway, LearnWhereTo) {
  line.transport = Transport::kTls;
  allocate();
  EXPECT_EQ(line.alternate, address("9.9.9.7:3479"));
  EXPECT_EQ(line.alternate_domain, "turn2.example.org");
  EXPECT_EQ(line.ended_code, 300);
}

TEST_F(Clients, AreNotSentAwayByStrangers) {
  line.edit = [](const Bytes& answer) {
    const auto view = stun::MessageView::parse(answer);
    Bytes room(200);
    stun::Builder builder = stun::Builder::response(room, stun::Class::kError, *view);
    builder.error(stun::ErrorCode::kTryAlternate)
        .plain_address(Attribute::kAlternateServer, address("6.6.6.6:3478"));
    const ByteView done = builder.finish();
    return Bytes(done.begin(), done.end());
  };
  allocate();
  EXPECT_FALSE(line.alternate);
  EXPECT_FALSE(line.ended);
}

}  // namespace
}  // namespace turnpike::turn
