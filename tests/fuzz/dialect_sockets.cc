// Whole conversations of ScaleDrone, PeerJS, y-webrtc and raw relay clients: a script of visits,
// messages, farewells and time. Whatever comes, what goes out as a dialect's own word is JSON, only
// sockets that are open are written to, and when all have gone nothing of them is left.
//
// The first byte decides the dialect and whether rooms want a password; then one line a step:
// '0'..'7' TEXT is a message of that client, '+' its number and an address, '-' its number, '>' a
// digit is so many seconds.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "base/text.h"
#include "signaling/json_text.h"
#include "signaling/peerjs.h"
#include "signaling/plain.h"
#include "signaling/scaledrone.h"
#include "signaling/ywebrtc.h"

namespace turnpike::signaling {
namespace {

constexpr std::size_t kClients = 8;
constexpr std::size_t kMaxSteps = 512;

class CheckingWire final : public Wire {
 public:
  explicit CheckingWire(bool only_json) : only_json_(only_json) {}

  std::set<std::uint64_t> open;
  std::set<std::uint64_t> ending;  // by the endpoint; it is still to be told

  void send(ConnectionHandle connection, ws::Opcode, std::string_view payload) override {
    CHECK(open.contains(connection.pack()) || ending.contains(connection.pack()));
    CHECK(is_valid_utf8(payload));
    if (only_json_) CHECK(is_json(payload));
  }
  void close(ConnectionHandle connection, ws::CloseCode, std::string_view) override {
    drop(connection);
  }
  void drop(ConnectionHandle connection) override {
    if (open.erase(connection.pack()) > 0) ending.insert(connection.pack());
  }
  void hold(ConnectionHandle, Endpoint&, Endpoint::Tag) override { CHECK(false); }
  void respond(ConnectionHandle, const http::Response&) override { CHECK(false); }

 private:
  const bool only_json_;
};

class Stage {
 public:
  Stage(Endpoint& endpoint, CheckingWire& wire) : endpoint_(endpoint), wire_(wire) {}

  void step(std::string_view line) {
    if (line.size() < 2) return;
    if (line[0] == '>') return pass(static_cast<std::uint8_t>(line[1]) % 10);
    const bool control = line[0] == '+' || line[0] == '-';
    const std::size_t who = static_cast<std::uint8_t>(line[control ? 1 : 0]) % kClients;
    if (line[0] == '+') return visit(who, line.substr(2));
    if (line[0] == '-') return leave(who);
    say(who, line.substr(1));
  }
  void end() {
    for (std::size_t who = 0; who < kClients; ++who) leave(who);
    for (int i = 0; i < 10; ++i) pass(9);
  }

 private:
  struct Client {
    ConnectionHandle connection;
    Endpoint::Tag tag = 0;
  };

  void visit(std::size_t who, std::string_view target) {
    leave(who);
    http::Request request;
    request.method = http::Method::kGet;
    request.target = "/" + std::string(target);
    if (!http::percent_decode(request.target)) return;  // the carrier's routes refuse these
    const Visit visit{IpAddress(), false, request};
    if (endpoint_.refuse(now_, visit)) return;
    const ConnectionHandle connection{next_++, 1};
    wire_.open.insert(connection.pack());
    clients_[who] = Client{connection, endpoint_.on_open(now_, connection, visit)};
    tell_ended();
  }
  void say(std::size_t who, std::string_view text) {
    if (!clients_[who] || !is_valid_utf8(text)) return;
    const Client client = *clients_[who];
    endpoint_.on_message(now_, client.connection, client.tag, ws::Opcode::kText, text);
    tell_ended();
  }
  void leave(std::size_t who) {
    if (!clients_[who]) return;
    const Client client = *std::exchange(clients_[who], std::nullopt);
    wire_.open.erase(client.connection.pack());
    wire_.ending.erase(client.connection.pack());
    endpoint_.on_gone(now_, client.connection, client.tag);
    tell_ended();
  }
  void pass(int by) {
    now_ = {now_.mono + seconds(by), now_.wall + seconds(by)};
    if (endpoint_.next_deadline() <= now_.mono) endpoint_.on_time(now_);
    tell_ended();
  }
  // What the carrier does when its outermost call is over.
  void tell_ended() {
    for (auto& client : clients_) {
      if (!client || wire_.ending.erase(client->connection.pack()) == 0) continue;
      const Client gone = *std::exchange(client, std::nullopt);
      endpoint_.on_gone(now_, gone.connection, gone.tag);
    }
  }

  Endpoint& endpoint_;
  CheckingWire& wire_;
  Tick now_{{seconds(1000)}, {seconds(1'800'000'000)}};
  std::array<std::optional<Client>, kClients> clients_;
  std::uint32_t next_ = 1;
};

void play(Endpoint& endpoint, CheckingWire& wire, std::string_view script) {
  Stage stage(endpoint, wire);
  for (std::size_t steps = 0; steps < kMaxSteps && !script.empty(); ++steps) {
    const std::string_view line = script.substr(0, script.find('\n'));
    stage.step(line);
    script.remove_prefix(std::min(line.size() + 1, script.size()));
  }
  stage.end();
}

void judge(std::uint8_t mood, std::string_view script) {
  const RoomTokens tokens = mood & 4 ? std::move(*RoomTokens::make({{}, {"open"}})) : RoomTokens();
  Gate gate(tokens);
  SeededRandom random(mood);
  CheckingWire wire(mood % 4 != 3);
  switch (mood % 4) {
    case 0: {
      ScaleDrone endpoint({.room_size = 4, .max_rooms = 8}, wire, random, gate);
      play(endpoint, wire, script);
      CHECK(endpoint.socket_count() == 0 && endpoint.room_count() == 0);
      CHECK(endpoint.history_bytes() == 0);
      return;
    }
    case 1: {
      PeerJs endpoint({.max_peers = 6}, wire, random, gate);
      play(endpoint, wire, script);
      CHECK(endpoint.peer_count() == 0 && endpoint.waiting_bytes() == 0);
      return;
    }
    case 2: {
      YWebrtc endpoint({.topic_size = 4, .max_topics = 8}, wire, gate);
      play(endpoint, wire, script);
      CHECK(endpoint.socket_count() == 0 && endpoint.topic_count() == 0);
      return;
    }
    default: {
      PlainRelay endpoint({.lobby_size = 3, .room_size = 4, .max_rooms = 4}, wire, gate);
      play(endpoint, wire, script);
      CHECK(endpoint.socket_count() == 0);
    }
  }
}

}  // namespace
}  // namespace turnpike::signaling

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  turnpike::signaling::judge(data[0], turnpike::as_text({data + 1, size - 1}));
  return 0;
}
