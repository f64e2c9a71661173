// The client of the authorisation service against a service on the same loop, which answers when
// the test says so.
#include "server/hook_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>

#include "net/tcp_listener.h"
#include "tests/net/harness.h"
#include "tests/net/tls_client.h"

namespace turnpike::server {
namespace {

using Kind = HookAnswer::Kind;

// Requests in the order in which they came.
class Service {
 public:
  explicit Service(net::Loop& loop, const net::TlsContext* tls = nullptr) : loop_(loop), tls_(tls) {
    net::TcpListener::Wish wish;
    wish.bind = {IpAddress::loopback(Family::kIPv4), 0};
    listener_ = std::move(*net::TcpListener::bind(wish));
    listener_->start(loop_, [this](int fd) { accept(fd); });
  }
  std::uint16_t port() const { return listener_->local().port; }

  struct Connection final : net::Stream::Receiver {
    void on_secured(net::Stream&) override {}
    void on_bytes(net::Stream&, ByteView bytes) override {
      service->received += bytes.size();
      text.append(as_text(bytes));
      const std::size_t head = text.find("\r\n\r\n");
      if (head == std::string::npos) return;
      const std::size_t length = text.find("Content-Length: ");
      const auto size = std::stoul(text.substr(length + 16));
      if (text.size() < head + 4 + size) return;
      service->requests.push_back({text, this});
      text.clear();
    }
    void on_drained(net::Stream&) override {}
    void on_end(net::Stream&, End) override { stream.reset(); }
    Service* service = nullptr;
    std::unique_ptr<net::Stream> stream;
    std::string text;
  };
  struct Request {
    std::string text;
    Connection* connection;
  };

  void reply(std::size_t request, std::string_view text) {
    requests[request].connection->stream->write(as_bytes(text));
  }
  void cut(std::size_t request) { requests[request].connection->stream.reset(); }
  std::size_t open() const {
    return static_cast<std::size_t>(std::count_if(
        connections.begin(), connections.end(), [](const auto& c) { return c.stream != nullptr; }));
  }

  std::vector<Request> requests;
  std::list<Connection> connections;
  std::size_t received = 0;

 private:
  void accept(int fd) {
    Connection& connection = connections.emplace_back();
    connection.service = this;
    connection.stream = net::Stream::accept(loop_, fd, tls_);
    connection.stream->start(connection);
  }
  net::Loop& loop_;
  const net::TlsContext* const tls_;
  std::unique_ptr<net::TcpListener> listener_;
};

std::string ok(std::string_view body, std::string_view more = "") {
  return "HTTP/1.1 200 OK\r\n" + std::string(more) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
const std::string kSecret = ok(R"({"password": "secret"})");

struct HookClientTest : testing::Test {
  net::Loop loop;
  Service service{loop};
  std::map<std::string, HookAnswer, std::less<>> settled;
  HookClient::Settings settings;
  std::unique_ptr<HookClient> made;

  HookClientTest() {
    settings.url = {false, "127.0.0.1", service.port(), "/turn"};
    settings.realm = "example.org";
    settings.token = "token";
    settings.timeout = seconds(30);
  }
  ~HookClientTest() override {
    if (made) made->shut_down();
  }
  HookClient& client() {
    if (!made) {
      made = std::make_unique<HookClient>(
          loop, settings, [this](std::string_view username, const HookAnswer& answer) {
            EXPECT_FALSE(settled.contains(username)) << "settled twice: " << username;
            settled.emplace(username, answer);
          });
    }
    return *made;
  }
  void ask(const std::string& name) { ASSERT_TRUE(client().post({name, "{}"})); }
  [[nodiscard]] bool requests(std::size_t count) {
    return net::turn_until(loop, [&] { return service.requests.size() >= count; });
  }
  [[nodiscard]] bool answers(std::size_t count) {
    return net::turn_until(loop, [&] { return settled.size() >= count; });
  }
};

TEST_F(HookClientTest, AsksAndTellsTheAnswer) {
  ask("alice");
  ASSERT_TRUE(requests(1));
  EXPECT_EQ(service.requests[0].text,
            "POST /turn HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(service.port()) +
                "\r\nUser-Agent: Turnpike\r\nContent-Type: application/json\r\n"
                "Accept: application/json\r\nAuthorization: Bearer token\r\n"
                "Content-Length: 2\r\n\r\n{}");
  service.reply(0, kSecret);
  ASSERT_TRUE(answers(1));
  EXPECT_EQ(settled["alice"].kind, Kind::kKnown);
  EXPECT_EQ(settled["alice"].user.key, stun::long_term_key("alice", "example.org", "secret"));
}

TEST_F(HookClientTest, AConnectionServesOneQuestionAfterTheOther) {
  for (std::size_t i = 0; i < 5; ++i) {
    ask("u" + std::to_string(i));
    ASSERT_TRUE(requests(i + 1));
    service.reply(i, kSecret);
    ASSERT_TRUE(answers(i + 1));
  }
  EXPECT_EQ(service.connections.size(), 1u);
  EXPECT_EQ(client().connections(), 1u);
}

TEST_F(HookClientTest, ConnectionsHaveAMaximumAndQuestionsWaitTheirTurn) {
  const std::size_t crowd = 3 * HookClient::kMaxConnections;
  for (std::size_t i = 0; i < crowd; ++i) ask("u" + std::to_string(i));
  ASSERT_TRUE(requests(HookClient::kMaxConnections));
  for (int i = 0; i < 20; ++i) loop.run_once();
  EXPECT_EQ(service.requests.size(), HookClient::kMaxConnections);
  for (std::size_t i = 0; i < crowd; ++i) {
    ASSERT_TRUE(requests(i + 1));
    service.reply(i, kSecret);
  }
  ASSERT_TRUE(answers(crowd));
  EXPECT_EQ(service.connections.size(), HookClient::kMaxConnections);
}

TEST_F(HookClientTest, AServiceThatClosesAfterEachAnswerIsServedAnew) {
  for (std::size_t i = 0; i < 3; ++i) {
    ask("u" + std::to_string(i));
    ASSERT_TRUE(requests(i + 1));
    service.reply(i, ok(R"({"password": "x"})", "Connection: close\r\n"));
    ASSERT_TRUE(answers(i + 1));
    EXPECT_EQ(client().connections(), 0u);
  }
  EXPECT_EQ(service.connections.size(), 3u);
}

TEST_F(HookClientTest, AQuestionOnAConnectionThatHadEndedIsAskedAgain) {
  ask("alice");
  ASSERT_TRUE(requests(1));
  service.reply(0, kSecret);
  ASSERT_TRUE(answers(1));
  ask("bob");
  ASSERT_TRUE(requests(2));
  service.cut(1);
  ASSERT_TRUE(requests(3));
  EXPECT_EQ(service.requests[2].text, service.requests[1].text);
  service.reply(2, kSecret);
  ASSERT_TRUE(answers(2));
  EXPECT_EQ(settled["bob"].kind, Kind::kKnown);
}

TEST_F(HookClientTest, AnIdleConnectionThatTheServiceClosesIsForgotten) {
  ask("alice");
  ASSERT_TRUE(requests(1));
  service.reply(0, kSecret);
  ASSERT_TRUE(answers(1));
  service.cut(0);
  ASSERT_TRUE(net::turn_until(loop, [&] { return client().connections() == 0; }));
  ask("bob");
  ASSERT_TRUE(requests(2));
}

TEST_F(HookClientTest, ANewConnectionThatEndsWithoutAnAnswerIsAFailure) {
  ask("alice");
  ASSERT_TRUE(requests(1));
  service.cut(0);
  ASSERT_TRUE(answers(1));
  EXPECT_EQ(settled["alice"].kind, Kind::kFailed);
  EXPECT_EQ(service.requests.size(), 1u);
}

TEST_F(HookClientTest, GarbageHalvesAndHugeAnswersAreFailures) {
  const std::vector<std::string> answers_given = {
      "SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
      "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", ok("hello"),
      "HTTP/1.1 200 OK\r\nX: " + std::string(70000, 'x')};
  for (std::size_t i = 0; i < answers_given.size(); ++i) {
    const std::string name = "u" + std::to_string(i);
    ask(name);
    ASSERT_TRUE(requests(i + 1));
    service.reply(i, answers_given[i]);
    ASSERT_TRUE(answers(i + 1));
    EXPECT_EQ(settled[name].kind, Kind::kFailed) << i;
    EXPECT_FALSE(settled[name].failure.empty()) << i;
  }
}

TEST_F(HookClientTest, WhatAServiceSaysUnaskedEndsTheConnection) {
  ask("alice");
  ASSERT_TRUE(requests(1));
  service.reply(0, kSecret + ok(R"({"password": "planted"})"));
  ASSERT_TRUE(answers(1));
  ASSERT_TRUE(net::turn_until(loop, [&] { return client().connections() == 0; }));
  ask("bob");
  ASSERT_TRUE(requests(2));
  EXPECT_FALSE(settled.contains("bob"));
}

TEST_F(HookClientTest, NobodyThereIsAFailureAfterFewAttempts) {
  {
    Service closed(loop);
    settings.url.port = closed.port();
  }
  ask("alice");
  ASSERT_TRUE(answers(1));
  EXPECT_EQ(settled["alice"].kind, Kind::kFailed);
  EXPECT_NE(settled["alice"].failure.find("nobody answers"), std::string::npos);
}

TEST_F(HookClientTest, TheTimeLimitSettlesEveryQuestion) {
  settings.timeout = seconds(0);
  const std::size_t crowd = HookClient::kMaxConnections + 5;
  for (std::size_t i = 0; i < crowd; ++i) ask("u" + std::to_string(i));
  ASSERT_TRUE(answers(crowd));
  for (const auto& [name, answer] : settled) {
    EXPECT_EQ(answer.kind, Kind::kFailed) << name;
    EXPECT_NE(answer.failure.find("no answer within"), std::string::npos) << answer.failure;
  }
  EXPECT_EQ(client().connections(), 0u);
}

TEST_F(HookClientTest, TheMailboxHasAMaximum) {
  for (std::size_t i = 0; i < HookClient::kMailboxCapacity; ++i) {
    ASSERT_TRUE(client().post({std::to_string(i), "{}"}));
  }
  EXPECT_FALSE(client().post({"one more", "{}"}));
}

TEST_F(HookClientTest, NamesAreResolved) {
  settings.url.host = "localhost";
  ask("alice");
  ASSERT_TRUE(requests(1));
  service.reply(0, kSecret);
  ASSERT_TRUE(answers(1));
  EXPECT_EQ(settled["alice"].kind, Kind::kKnown);
}

TEST_F(HookClientTest, ShutsDownWithQuestionsUnderWayAndSettlesNothingMore) {
  settings.url.host = "localhost";
  ask("alice");
  loop.run_once();
  client().shut_down();
  ask("bob");
  for (int i = 0; i < 10; ++i) loop.run_once();
  EXPECT_TRUE(settled.empty());
  EXPECT_EQ(client().connections(), 0u);
}

struct HttpsClientTest : testing::Test {
  net::Folder folder;
  net::Loop loop;
  std::shared_ptr<const net::TlsContext> certificate;
  std::optional<HookAnswer> settled;

  // The service has a certificate for `name`, and is called `host`.
  HookAnswer ask(const std::string& name, const std::string& host, bool trusted = true) {
    const net::TlsContext::Files files{folder.file("c.pem"), folder.file("k.pem")};
    EXPECT_TRUE(net::write_self_signed(files, {name}));
    certificate = std::move(*net::TlsContext::load(files));
    Service service(loop, certificate.get());
    HookClient::Settings settings;
    settings.url = {true, host, service.port(), "/"};
    settings.realm = "example.org";
    auto tls = net::TlsClientContext::load(trusted ? files.certificate : "");
    EXPECT_TRUE(tls) << tls.error().message;
    settings.tls = std::move(*tls);
    HookClient client(loop, settings,
                      [this](std::string_view, const HookAnswer& answer) { settled = answer; });
    EXPECT_TRUE(client.post({"alice", "{}"}));
    bool replied = false;
    EXPECT_TRUE(net::turn_until(loop, [&] {
      if (!service.requests.empty() && !replied) {
        service.reply(0, kSecret);
        replied = true;
      }
      return settled.has_value();
    }));
    if (!replied) {
      EXPECT_EQ(service.received, 0u);
    }
    client.shut_down();
    return settled.value_or(HookAnswer{});
  }
};

TEST_F(HttpsClientTest, ACertificateThatIsTrustedAndForThatNameWillDo) {
  EXPECT_EQ(ask("localhost", "localhost").kind, Kind::kKnown);
}

TEST_F(HttpsClientTest, OrForThatAddress) {
  EXPECT_EQ(ask("127.0.0.1", "127.0.0.1").kind, Kind::kKnown);
}

TEST_F(HttpsClientTest, ACertificateForAnotherNameIsRefusedBeforeAnythingIsSaid) {
  const HookAnswer answer = ask("elsewhere.example.org", "localhost");
  EXPECT_EQ(answer.kind, Kind::kFailed);
  EXPECT_NE(answer.failure.find("TLS failed: "), std::string::npos) << answer.failure;
  EXPECT_NE(answer.failure.find("mismatch"), std::string::npos) << answer.failure;
}

TEST_F(HttpsClientTest, ACertificateOfNobodyWeKnowIsRefused) {
  const HookAnswer answer = ask("localhost", "localhost", false);
  EXPECT_EQ(answer.kind, Kind::kFailed);
  EXPECT_NE(answer.failure.find("self-signed"), std::string::npos) << answer.failure;
}

TEST(TlsClientContext, AFileWithoutCertificatesIsAnErrorThatNamesIt) {
  net::Folder folder;
  folder.write("none.pem", "nothing\n");
  for (const char* name : {"none.pem", "missing.pem"}) {
    const auto loaded = net::TlsClientContext::load(folder.file(name));
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find(name), std::string::npos);
  }
}

}  // namespace
}  // namespace turnpike::server
