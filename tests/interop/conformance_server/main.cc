// What the public compliance suites of Engine.IO 3 and 4 and of Socket.IO 5 talk to: our libraries
// in the setting that they ask for. An echo on /engine.io/, and on /socket.io/ the namespaces "/"
// and "/custom" with the events that they send. Fast heartbeats, loopback only, one thread.
//
//     conformance_server PORT [PING_INTERVAL PING_TIMEOUT]
//
// Port 0 draws one; the first line of output is the address. The suites want a ping every 300 ms
// and 200 ms to answer it, which is the default; a test on a busy machine asks for more.

#include <cstdio>
#include <memory>
#include <string_view>

#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tcp_listener.h"
#include "server/hub_loop.h"
#include "signaling/carrier.h"
#include "signaling/engineio.h"
#include "signaling/socketio.h"
#include "tests/interop/conformance_server/late_wire.h"

namespace turnpike {

namespace {

using signaling::ConnectionHandle;
using signaling::Visit;
namespace engineio = signaling::engineio;
namespace socketio = signaling::socketio;

constexpr std::size_t kMaxPayload = 1'000'000;

struct Heartbeat {
  milliseconds interval{300};
  milliseconds timeout{200};
};

engineio::Settings engine_settings(const Heartbeat& heartbeat) {
  engineio::Settings settings;
  settings.ping_interval = heartbeat.interval;
  settings.ping_timeout = heartbeat.timeout;
  settings.max_payload = kMaxPayload;
  return settings;
}

class Echo final : public engineio::Application {
 public:
  Echo(signaling::Wire& wire, Random& random, const Heartbeat& heartbeat)
      : wire_(wire), server_(engine_settings(heartbeat), wire_, random, *this) {
    wire_.stand_before(server_);
  }
  engineio::Server& server() { return server_; }
  signaling::Endpoint& endpoint() { return wire_; }

 private:
  std::uint64_t on_open(Tick, engineio::SessionHandle, const engineio::Opening&) override {
    return 0;
  }
  void on_message(Tick now, engineio::SessionHandle session, std::uint64_t, engineio::Kind kind,
                  std::string_view payload) override {
    server_.send(now, session, kind, payload);
  }
  void on_close(Tick, engineio::SessionHandle, std::uint64_t, engineio::CloseReason) override {}

  signaling::LateWire wire_;
  engineio::Server server_;
};

// "auth" to whoever connects, and on "/" two events that come back.
class Answers final : public socketio::Application {
 public:
  Answers(signaling::Wire& wire, Random& random, const Heartbeat& heartbeat)
      : server_(settings(heartbeat), wire, random, *this) {}
  socketio::Server& server() { return server_; }

 private:
  static socketio::Settings settings(const Heartbeat& heartbeat) {
    socketio::Settings settings;
    settings.engine = engine_settings(heartbeat);
    settings.connect_timeout = 4 * heartbeat.interval;
    settings.recovery_window = milliseconds(0);
    return settings;
  }
  std::optional<socketio::Refusal> refuse(Tick, const socketio::Greeting& greeting) override {
    if (greeting.name_space == "/" || greeting.name_space == "/custom") return std::nullopt;
    return socketio::Refusal{"Invalid namespace", {}};
  }
  std::uint64_t on_connect(Tick now, socketio::SocketHandle socket,
                           const socketio::Greeting& greeting) override {
    const std::string_view auth = greeting.auth;
    server_.emit(now, socket, {"auth", {&auth, 1}});
    return greeting.name_space == "/";
  }
  void on_event(Tick now, socketio::SocketHandle socket, std::uint64_t is_main,
                const socketio::Event& event) override {
    if (!is_main) return;
    if (event.name == "message") {
      server_.emit(now, socket, {"message-back", event.args, event.attachments});
    } else if (event.name == "message-with-ack" && event.ack) {
      server_.ack(now, socket, *event.ack, event.args, event.attachments);
    }
  }
  void on_disconnect(Tick, socketio::SocketHandle, std::uint64_t) override {}

  socketio::Server server_;
};

class Paths final : public signaling::Routes {
 public:
  Paths(Random& random, const Heartbeat& heartbeat)
      : carrier_(signaling::Carrier::Settings{}, *this),
        echo_(carrier_, random, heartbeat),
        answers_(carrier_, random, heartbeat) {
    carrier_.add(echo_.endpoint());
    carrier_.add(answers_.server());
  }
  signaling::Carrier& carrier() { return carrier_; }

 private:
  std::size_t max_body(const signaling::http::Request&) const override { return kMaxPayload; }
  void on_request(Tick now, ConnectionHandle connection, const Visit& visit) override {
    const std::string_view path = visit.request.path();
    if (path == "/engine.io/") {
      return serve(now, connection, visit, echo_.server(), echo_.endpoint());
    }
    if (path == "/socket.io/") {
      return serve(now, connection, visit, answers_.server(), answers_.server());
    }
    carrier_.respond(connection, signaling::http::text_response(404, "not found\n"));
  }
  template <typename Server>
  void serve(Tick now, ConnectionHandle connection, const Visit& visit, Server& server,
             signaling::Endpoint& endpoint) {
    if (visit.request.lists("upgrade", "websocket")) {
      carrier_.upgrade(connection, visit, endpoint, signaling::Sites::kAny);
    } else {
      server.on_request(now, connection, visit);
    }
  }

  signaling::Carrier carrier_;
  Echo echo_;
  Answers answers_;
};

int serve(std::uint16_t port, const Heartbeat& heartbeat) {
  SystemRandom random;
  set_hash_seed(random.u64());
  auto listener = net::TcpListener::bind({{IpAddress::loopback(Family::kIPv4), port}});
  if (!listener) {
    std::fprintf(stderr, "conformance_server: %s\n", listener.error().message.c_str());
    return 1;
  }
  net::Loop loop;
  Paths paths(random, heartbeat);
  server::HubLoop hub(paths.carrier(), {.loop = loop});
  (*listener)->start(loop, [&](int fd) { hub.take(net::Stream::accept(loop, fd, nullptr), {}); });
  std::printf("http://%s\n", (*listener)->local().to_string().c_str());
  std::fflush(stdout);
  loop.run();
  return 0;
}

}  // namespace

}  // namespace turnpike

int main(int count, char** arguments) {
  const auto number = [&](int i) {
    const auto value = i < count ? turnpike::parse_decimal(arguments[i]) : std::nullopt;
    return value && *value <= 65535 ? static_cast<int>(*value) : -1;
  };
  turnpike::Heartbeat heartbeat;
  if (count == 4) {
    heartbeat = {turnpike::milliseconds(number(2)), turnpike::milliseconds(number(3))};
  }
  const bool odd = heartbeat.interval.count() < 0 || heartbeat.timeout.count() < 0;
  if ((count != 2 && count != 4) || number(1) < 0 || odd) {
    std::fprintf(stderr, "usage: conformance_server PORT [PING_INTERVAL PING_TIMEOUT]\n");
    return 2;
  }
  return turnpike::serve(static_cast<std::uint16_t>(number(1)), heartbeat);
}
