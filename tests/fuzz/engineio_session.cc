// Sessions of Engine.IO under any order of requests, frames, lost connections and time. The wire
// and the application check every promise of signaling/endpoint.h and signaling/engineio.h: one
// answer for each request, nothing to connections that are gone, one on_close for each session and
// nothing after it. In the end everything is closed and nothing is left.
//
//   the input is a list of steps: byte of the verb, byte of the subject, then what the verb takes

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "base/text.h"
#include "signaling/engineio.h"

namespace turnpike::signaling {

namespace {

constexpr std::size_t kMaxSessions = 8;
constexpr std::size_t kMaxQueued = 4096;
constexpr std::size_t kMaxPayload = 512;

class World final : public Wire, public engineio::Application {
 public:
  explicit World(ByteView script) : script_(script), server_(settings(), *this, random_, *this) {}

  void play() {
    while (script_.ok() && script_.remaining() > 0) step();
    finish();
  }

 private:
  enum class State : std::uint8_t { kIdle, kAsked, kHeld, kSocket, kClosing, kGone };
  struct Line {
    State state = State::kIdle;
    Endpoint::Tag tag = 0;
  };
  struct Session {
    engineio::SessionHandle handle;
    std::string sid;
    bool closed = false;
  };

  static engineio::Settings settings() {
    engineio::Settings settings;
    settings.ping_interval = milliseconds(300);
    settings.ping_timeout = milliseconds(200);
    settings.upgrade_timeout = milliseconds(400);
    settings.max_payload = kMaxPayload;
    settings.max_sessions = kMaxSessions;
    settings.max_sessions_per_source = kMaxSessions - 1;
    settings.max_queued = kMaxQueued;
    settings.max_queued_total = 3 * kMaxQueued;
    return settings;
  }

  Tick now() const { return {now_, WallTime{}}; }
  Line& line(ConnectionHandle connection) {
    CHECK(connection.index < lines_.size());
    return lines_[connection.index];
  }
  ConnectionHandle connect(State state) {
    lines_.push_back({state, 0});
    return {static_cast<std::uint32_t>(lines_.size() - 1), 1};
  }

  // --- Wire ---
  void send(ConnectionHandle connection, ws::Opcode opcode, std::string_view payload) override {
    CHECK(line(connection).state == State::kSocket);
    if (opcode == ws::Opcode::kText) CHECK(is_valid_utf8(payload) && !payload.empty());
  }
  void close(ConnectionHandle connection, ws::CloseCode, std::string_view) override {
    CHECK(line(connection).state == State::kSocket);
    line(connection).state = State::kClosing;
  }
  void drop(ConnectionHandle connection) override { close(connection, {}, {}); }
  void hold(ConnectionHandle connection, Endpoint& endpoint, Endpoint::Tag tag) override {
    CHECK(&endpoint == &server_);
    CHECK(line(connection).state == State::kAsked);
    line(connection) = {State::kHeld, tag};
  }
  void respond(ConnectionHandle connection, const http::Response& response) override {
    const State state = line(connection).state;
    CHECK(state == State::kAsked || state == State::kHeld);
    line(connection).state = State::kGone;
    // Escapes and base64 make what waits larger, at most so much.
    CHECK(response.content().size() <= 6 * kMaxQueued + 512);
  }

  // --- Application ---
  std::uint64_t on_open(Tick now, engineio::SessionHandle handle,
                        const engineio::Opening& opening) override {
    CHECK(opening.sid.size() == 20);
    sessions_.push_back({handle, std::string(opening.sid), false});
    if (mood_ % 8 == 1) server_.send(now, handle, engineio::Kind::kText, "hello");
    if (mood_ % 8 == 2) server_.close(now, handle);
    return sessions_.size() - 1;
  }
  void on_message(Tick now, engineio::SessionHandle handle, std::uint64_t tag, engineio::Kind kind,
                  std::string_view payload) override {
    CHECK(tag < sessions_.size() && sessions_[tag].handle == handle && !sessions_[tag].closed);
    if (kind == engineio::Kind::kText) CHECK(is_valid_utf8(payload));
    if (mood_ % 4 == 0) return;
    if (mood_ % 8 == 3) return server_.close(now, handle);
    // Text of JSON never has a raw record separator; a sender of others would split its packets.
    if (payload.find('\x1e') != std::string_view::npos) return;
    std::vector<engineio::SessionHandle> all;
    for (const Session& session : sessions_) all.push_back(session.handle);
    server_.send_all(now, all, kind, payload);
  }
  void on_close(Tick now, engineio::SessionHandle handle, std::uint64_t tag,
                engineio::CloseReason) override {
    CHECK(tag < sessions_.size() && sessions_[tag].handle == handle && !sessions_[tag].closed);
    sessions_[tag].closed = true;
    server_.send(now, handle, engineio::Kind::kText, "to nobody");
    server_.close(now, handle);
    if (mood_ % 16 == 5) server_.close(now, sessions_[0].handle);
  }

  // --- steps ---
  std::string text(std::size_t most) {
    const std::size_t byte = script_.u8();
    const std::size_t wanted = byte < 200 ? byte : 200 + (byte - 200) * 8;
    const std::size_t size = std::min({wanted, most, script_.remaining()});
    return std::string(as_text(script_.bytes(size)));
  }
  std::string query(std::uint8_t how, std::string_view transport) {
    std::string query = how & 1 ? "EIO=3" : "EIO=4";
    if ((how & 0x0e) == 0x0e) query = "EIO=5";
    query.append("&transport=").append(transport);
    if (how & 0x10) query += "&b64=1";
    if (how & 0x20) query += "&j=3";
    if ((how & 0x40) && !sessions_.empty()) {
      query += "&sid=" + sessions_[(how >> 1 & 7) % sessions_.size()].sid;
    }
    return query;
  }
  http::Request request(http::Method method, std::string query) {
    http::Request request;
    request.method = method;
    request.target = "/socket.io/?" + std::move(query);
    return request;
  }
  void ask(http::Method method) {
    http::Request asked = request(method, query(script_.u8(), "polling"));
    if (method == http::Method::kPost) {
      if (script_.u8() % 4 == 0)
        asked.headers.push_back({"content-type", "application/octet-stream"});
      asked.body = text(kMaxPayload + 8);
    }
    const ConnectionHandle connection = connect(State::kAsked);
    server_.on_request(now(), connection, {source_, false, asked});
    const State state = line(connection).state;
    CHECK(state == State::kHeld || state == State::kGone);
  }
  void open_socket() {
    const http::Request asked = request(http::Method::kGet, query(script_.u8(), "websocket"));
    const Visit visit{source_, false, asked};
    if (server_.refuse(now(), visit)) return;
    const ConnectionHandle connection = connect(State::kSocket);
    line(connection).tag = server_.on_open(now(), connection, visit);
    sockets_.push_back(connection);
  }
  void speak(ws::Opcode opcode) {
    const std::uint8_t which = script_.u8();
    const std::string said = text(kMaxPayload);
    if (sockets_.empty()) return;
    const ConnectionHandle connection = sockets_[which % sockets_.size()];
    if (line(connection).state != State::kSocket) return;
    if (opcode == ws::Opcode::kText && !is_valid_utf8(said)) return;
    server_.on_message(now(), connection, line(connection).tag, opcode, said);
  }
  void lose(std::size_t index) {
    const State state = lines_[index].state;
    if (state != State::kHeld && state != State::kSocket && state != State::kClosing) return;
    lines_[index].state = State::kGone;
    server_.on_gone(now(), {static_cast<std::uint32_t>(index), 1}, lines_[index].tag);
  }
  void pass(Duration time) {
    now_ = now_ + time;
    server_.on_time(now());
    CHECK(server_.next_deadline() > now_ - milliseconds(64));
  }
  void step() {
    mood_ = script_.u8();
    switch (mood_ >> 4 & 7) {
      case 0:
        return ask(http::Method::kGet);
      case 1:
        return ask(http::Method::kPost);
      case 2:
        return open_socket();
      case 3:
        return speak(ws::Opcode::kText);
      case 4:
        return speak(ws::Opcode::kBinary);
      case 5:
        if (const std::uint8_t which = script_.u8(); !lines_.empty()) lose(which % lines_.size());
        return;
      case 6:
        return pass(milliseconds(script_.u8() * 4));
      default:
        break;
    }
    const std::uint8_t which = script_.u8();
    if (sessions_.empty()) return;
    const auto handle = sessions_[which % sessions_.size()].handle;
    if (mood_ & 1) return server_.close(now(), handle);
    server_.send(now(), handle, mood_ & 2 ? engineio::Kind::kBinary : engineio::Kind::kText, "abc");
  }

  void finish() {
    mood_ = 0;
    CHECK(server_.session_count() <= kMaxSessions);
    for (std::size_t i = 0; i < lines_.size(); ++i) lose(i);
    for (int i = 0; i < 4; ++i) pass(seconds(20));  // the goodbyes of 30 seconds as well
    CHECK(server_.session_count() == 0);
    CHECK(server_.next_deadline() == MonoTime::never());
    for (const Session& session : sessions_) CHECK(session.closed);
    for (const Line& left : lines_) CHECK(left.state == State::kGone);
  }

  Reader script_;
  std::uint8_t mood_ = 0;  // of the application, during this step
  MonoTime now_{seconds(1)};
  SeededRandom random_{1};
  const IpAddress source_ = IpAddress::v4(192, 0, 2, 1);
  std::vector<Line> lines_;
  std::vector<ConnectionHandle> sockets_;
  std::vector<Session> sessions_;
  engineio::Server server_;
};

}  // namespace

}  // namespace turnpike::signaling

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  turnpike::signaling::World({data, size}).play();
  return 0;
}
