// A Service with everything around it played by the test: sockets, clock, files. Clients say what
// they send; what the service wrote is read back with parsers of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "signaling/service.h"

namespace turnpike::signaling::testing {

using nlohmann::json;

inline constexpr std::string_view kSecret = "the server's secret";
inline constexpr std::string_view kKey = "key-for-back-ends";

class FakeOutlet final : public Outlet {
 public:
  struct Wire {
    std::string written;
    bool closed = false;
    std::size_t stuck = 0;  // bytes that wait; a slow reader's grow
    bool slow = false;
  };
  struct Revocation {
    std::string name;
    WallTime until;
  };

  std::size_t write(ConnectionHandle connection, ByteView bytes) override;
  void close(ConnectionHandle connection) override;
  void read_file(ConnectionHandle connection, Folder folder, std::string_view path) override;

  Wire& wire(ConnectionHandle connection) { return wires_[connection.pack()]; }

  std::vector<Revocation> revoked;
  std::vector<std::string> asked_files;
  std::vector<std::string> asked_challenges;
  std::function<void(ConnectionHandle, std::string_view)> on_read_file;

 private:
  std::map<std::uint64_t, Wire> wires_;
};

struct HttpAnswer {
  int status = 0;
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string header(const std::string& name) const;
  json parsed() const { return json::parse(body); }
};

class Tab;

struct World {
  explicit World(std::function<void(Settings&)> change = {});

  static Settings default_settings();
  ConnectionHandle connect(std::string_view from = "192.0.2.7:40000");
  void send(ConnectionHandle connection, std::string_view bytes);
  void hang_up(ConnectionHandle connection) { carrier.on_disconnected(now, connection, outlet); }
  // Time passes, every deadline at its time.
  void pass(Duration duration);
  bool closed(ConnectionHandle connection) { return outlet.wire(connection).closed; }
  std::string take(ConnectionHandle connection);
  // Everything written so far, as responses; HEAD answers have no body.
  std::vector<HttpAnswer> answers(ConnectionHandle connection, bool head = false);
  // One request on its own connection.
  HttpAnswer ask(std::string_view request, bool head = false);
  HttpAnswer get(std::string_view target, std::string_view more_headers = {});
  HttpAnswer post(std::string_view target, std::string_view body,
                  std::string_view more_headers = {});
  std::string invitation(std::string_view room, seconds life = seconds(3600));

  std::vector<Tab*> tabs;  // they answer pings while time passes
  SeededRandom random{42};
  FakeOutlet outlet;
  Tick now;
  Service service;
  Carrier& carrier = service.carrier();
};

struct ServerFrame {
  int opcode = 0;
  bool final = true;
  std::string payload;
};
// Takes whole frames from the front of `bytes`; fails the test on a masked or broken one.
std::vector<ServerFrame> take_frames(std::string& bytes);
// A frame as a client sends it, masked.
std::string client_frame(int opcode, std::string_view payload, bool final = true);

inline constexpr std::string_view kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: turn.example:3478\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

// A browser's tab: one WebSocket and what came over it.
class Tab {
 public:
  explicit Tab(World& world, std::string_view from = "192.0.2.7:40000");
  ~Tab();
  Tab(const Tab&) = delete;
  Tab& operator=(const Tab&) = delete;

  void say(const json& message) { say_text(message.dump()); }
  void say_text(std::string_view text) { world_->send(connection, client_frame(1, text)); }
  // The next message of the server; a null value (and a failure) when there is none.
  json hear();
  // The next message has this type.
  json hear(std::string_view type);
  bool silent();
  // Everything that came and was not heard yet is dropped.
  void ignore();
  // {"type":"join"} and its answer.
  json join(std::string_view room, std::string_view name = "", std::string_view invitation = "");
  void lose() { world_->hang_up(connection); }
  // The close code that the server sent: 0 none, 1005 without a code.
  int close_code();
  std::vector<ServerFrame> control_frames();
  void answer_pings();

  ConnectionHandle connection;
  bool answers_pings = true;
  json self;  // of `joined`
  std::string session;

 private:
  void collect();
  World* world_;
  std::string bytes_;
  std::deque<json> heard_;
  std::vector<ServerFrame> control_;
};

}  // namespace turnpike::signaling::testing
