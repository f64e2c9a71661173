// The whole of signaling under any bytes: HTTP requests, WebSockets, members who come, talk, are
// lost and come back, files, operators and time. Whatever comes, only connections that are open are
// written to, the audit of rooms and connections finds nothing after any step, and when everybody
// has gone nothing is left.
//
// The first byte chooses the settings (World::settings); then steps: byte of the verb, byte of the
// client, byte of the length and so many bytes. What a client says may name what the server told
// others: byte 1 and a client stand for that client's session, byte 2 and a client for its id, byte
// 3 for an invitation to the room "a".

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/random.h"
#include "base/text.h"
#include "signaling/invitation.h"
#include "signaling/room_tokens.h"
#include "signaling/service.h"
#include "tests/fuzz/findings.h"

namespace turnpike::signaling {
namespace {

constexpr std::size_t kClients = 8;
constexpr std::size_t kMaxSteps = 400;
constexpr std::string_view kSecret = "secret";

// A masked frame whose mask is zeroes; the payload is shorter than 64 KiB.
std::string frame(std::uint8_t first, std::string_view payload) {
  std::string bytes(1, static_cast<char>(first));
  if (payload.size() < 126) {
    bytes.push_back(static_cast<char>(0x80 | payload.size()));
  } else {
    bytes.push_back(static_cast<char>(0x80 | 126));
    bytes.push_back(static_cast<char>(payload.size() >> 8));
    bytes.push_back(static_cast<char>(payload.size() & 0xff));
  }
  return bytes.append(4, '\0').append(payload);
}

// What `name` is in a message that the server wrote; the last one counts.
void remember(std::string_view written, std::string_view name, std::string& value) {
  const std::string key = "\"" + std::string(name) + "\":\"";
  const std::size_t at = written.rfind(key);
  if (at == std::string_view::npos) return;
  const std::string_view rest = written.substr(at + key.size());
  value = rest.substr(0, rest.find('"'));
}

class World final : public Outlet {
 public:
  explicit World(ByteView script)
      : script_(script),
        mood_(script_.u8()),
        service_(settings(mood_), random_,
                 [](std::string_view name, WallTime) { CHECK(!name.empty()); }),
        invitation_(InvitationSigner(kSecret).sign({{"a"}, now_.wall + hours(1)})) {}

  void play() {
    for (std::size_t i = 0; i < kMaxSteps && script_.ok() && script_.remaining() > 0; ++i) {
      step();
      check();
    }
    for (std::size_t who = 0; who < kClients; who += 2) hang_up(clients_[who]);
    // The others are waited for: what they may wait for ends within minutes.
    for (int i = 0; i < 4; ++i) pass(minutes(3));
    check();
    const auto left = service_.audit();
    CHECK(left.connections == 0 && left.rooms == 0 && left.members == 0);
    CHECK(service_.conversations() == 0);
    CHECK(service_.carrier().next_deadline() == MonoTime::never());
  }

 private:
  struct Client {
    ConnectionHandle connection;  // empty: none
    bool slow = false;
    std::size_t waits = 0;
    std::string session, id;
  };

  static Settings settings(std::uint8_t mood) {
    Settings settings;
    settings.version = "0";
    settings.secret = kSecret;
    settings.api_keys = {"key"};
    settings.ice_urls = {{"stun:t:3478"}, {"turn:t:3478"}};
    settings.public_url = "http://t:3478";
    settings.open_rooms = (mood & 1) != 0;
    settings.serve_static = (mood & 2) != 0;
    if ((mood & 4) != 0) {
      settings.room_tokens =
          std::make_shared<const RoomTokens>(std::move(*RoomTokens::make({{}, {"open"}})));
    }
    if ((mood & 8) != 0) settings.trusted_proxies = {*IpRange::parse("192.0.2.0/30")};
    if ((mood & 16) != 0) settings.allowed_origins = {"https://app.example"};
    settings.serve_challenges = (mood & 32) != 0;
    return settings;
  }

  // --- Outlet ---
  std::size_t write(ConnectionHandle connection, ByteView bytes) override {
    Client& client = of(connection);
    remember(as_text(bytes), "session", client.session);
    remember(as_text(bytes), "self\":{\"id", client.id);
    if (client.slow) client.waits += bytes.size() * 4096;
    return client.waits;
  }
  void close(ConnectionHandle connection) override { of(connection).connection = {}; }
  void read_file(ConnectionHandle connection, Folder, std::string_view path) override {
    CHECK(open(connection) && !path.starts_with('/'));
    CHECK(path.find("..") == std::string_view::npos && path.find('\0') == std::string_view::npos);
  }

  bool open(ConnectionHandle connection) const {
    return std::any_of(clients_.begin(), clients_.end(),
                       [&](const Client& client) { return client.connection == connection; });
  }
  // The client that has this connection: somebody has.
  Client& of(ConnectionHandle connection) {
    const auto found = std::find_if(clients_.begin(), clients_.end(), [&](const Client& client) {
      return client.connection == connection;
    });
    CHECK(found != clients_.end() && connection.generation != 0);
    return *found;
  }

  // --- steps ---
  void step() {
    const std::uint8_t verb = script_.u8();
    Client& client = clients_[script_.u8() % kClients];
    const std::uint8_t number = script_.u8();
    if (verb % 12 < 5) return talk(verb % 12, client, number);
    switch (verb % 12) {
      case 5:
        return hang_up(client);
      case 6:
        return pass(milliseconds(number * number));
      case 7:
        client.slow = !client.slow;
        client.waits = 0;
        return;
      case 8:
        return answer_file(client, number);
      case 9:
        service_.kick(client.id);
        return;
      case 10:
        if (number == 255) service_.drain(seconds(30));
        if (number == 254) service_.renew(settings(mood_));
        return;
      default:
        hang_up(client);
        return connect(client, number);
    }
  }
  void talk(int how, Client& client, std::uint8_t size) {
    const std::string said =
        meant(as_text(script_.bytes(std::min<std::size_t>(size, script_.remaining()))));
    if (client.connection == ConnectionHandle{}) connect(client, 0);
    switch (how) {
      case 0:
        return send(client, said);
      case 1:
        return send(client,
                    "GET /" + said +
                        " HTTP/1.1\r\nHost: t:3478\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                        "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
      case 2:
      case 3:
        return send(client, frame(0x81, said));
      default:
        // Any frame; the first byte of what is said decides.
        if (said.empty()) return;
        return send(client, frame(static_cast<std::uint8_t>(said[0]), said.substr(1)));
    }
  }
  std::string meant(std::string_view text) const {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool names = (text[i] == 1 || text[i] == 2) && i + 1 < text.size();
      if (names) {
        const Client& other = clients_[static_cast<std::uint8_t>(text[i + 1]) % kClients];
        result += text[i] == 1 ? other.session : other.id;
        ++i;
      } else if (text[i] == 3) {
        result += invitation_;
      } else {
        result.push_back(text[i]);
      }
    }
    return result;
  }
  void connect(Client& client, std::uint8_t number) {
    const auto last = static_cast<std::uint8_t>(number % 8);
    client.connection =
        service_.carrier().on_connected(now_, {{IpAddress::v4(192, 0, 2, last), 40000},
                                               {IpAddress::v4(192, 0, 2, 9), 3478},
                                               (number & 16) != 0,
                                               {}});
    client.waits = 0;
  }
  void send(const Client& client, std::string_view bytes) {
    if (client.connection == ConnectionHandle{}) return;
    service_.carrier().on_bytes(now_, client.connection, as_bytes(bytes), *this);
  }
  void hang_up(Client& client) {
    if (client.connection == ConnectionHandle{}) return;
    const ConnectionHandle gone = std::exchange(client.connection, {});
    service_.carrier().on_disconnected(now_, gone, *this);
  }
  void answer_file(const Client& client, std::uint8_t number) {
    FileAnswer answer;
    answer.kind = static_cast<FileAnswer::Kind>(number % 4);
    if (answer.kind == FileAnswer::Kind::kFile) answer.content = "content";
    if (answer.kind == FileAnswer::Kind::kDirectory) answer.listing = {"a", "b/"};
    answer.is_index = (number & 4) != 0;
    service_.carrier().on_file(now_, client.connection, answer, *this);
  }
  void pass(Duration duration) {
    Carrier& carrier = service_.carrier();
    const Tick begin = now_;
    const MonoTime end = begin.mono + duration;
    for (int i = 0; carrier.next_deadline() <= end; ++i) {
      CHECK(i < 100000);
      now_.mono = std::max(now_.mono, carrier.next_deadline());
      now_.wall = begin.wall + std::chrono::floor<seconds>(now_.mono - begin.mono);
      carrier.on_time(now_, *this);
    }
    now_ = {end, begin.wall + std::chrono::floor<seconds>(duration)};
  }
  void check() {
    fuzz::expect_none(service_.examine());
    const auto audit = service_.audit();
    const auto opened = static_cast<std::size_t>(std::count_if(
        clients_.begin(), clients_.end(),
        [](const Client& client) { return client.connection != ConnectionHandle{}; }));
    CHECK(audit.connections == opened);
    CHECK(audit.rooms <= audit.members);
  }

  Reader script_;
  const std::uint8_t mood_;
  Tick now_{{seconds(1000)}, {seconds(1'767'225'600)}};
  SeededRandom random_{42};
  std::array<Client, kClients> clients_;
  Service service_;
  const std::string invitation_;
};

}  // namespace
}  // namespace turnpike::signaling

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  turnpike::signaling::World({data, size}).play();
  return 0;
}
