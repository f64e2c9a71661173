// What tests of Engine.IO share: a server on a fake wire, an application that remembers what it was
// told, and a client that speaks in requests and frames.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "signaling/engineio.h"
#include "tests/signaling/fake_wire.h"

namespace turnpike::signaling::testing {

class RecordingApplication final : public engineio::Application {
 public:
  using Handle = engineio::SessionHandle;
  struct Session {
    Handle handle;
    std::string sid;
    engineio::Version version = engineio::Version::k4;
    std::vector<std::string> messages;  // binary ones behind "<bin>"
    std::vector<engineio::CloseReason> closed;
  };

  std::uint64_t on_open(Tick now, Handle handle, const engineio::Opening& opening) override {
    EXPECT_NE(opening.visit.request.target, "");
    sessions.push_back({handle, std::string(opening.sid), opening.version, {}, {}});
    if (when_opened) when_opened(now, handle);
    return sessions.size();
  }
  void on_message(Tick now, Handle handle, std::uint64_t tag, engineio::Kind kind,
                  std::string_view payload) override {
    Session& session = sessions.at(tag - 1);
    EXPECT_EQ(session.handle, handle);
    EXPECT_TRUE(session.closed.empty());
    const bool text = kind == engineio::Kind::kText;
    session.messages.push_back((text ? "" : "<bin>") + std::string(payload));
    if (when_told) when_told(now, handle, kind, payload);
  }
  void on_close(Tick, Handle handle, std::uint64_t tag, engineio::CloseReason reason) override {
    Session& session = sessions.at(tag - 1);
    EXPECT_EQ(session.handle, handle);
    session.closed.push_back(reason);
    if (when_closed) when_closed(handle);
  }

  std::vector<Session> sessions;
  std::function<void(Tick, Handle)> when_opened;
  std::function<void(Tick, Handle, engineio::Kind, std::string_view)> when_told;
  std::function<void(Handle)> when_closed;
};

class EngineIoTest : public ::testing::Test {
 protected:
  using Reason = engineio::CloseReason;
  using Kind = engineio::Kind;
  struct Socket {
    ConnectionHandle connection;
    Endpoint::Tag tag = 0;
    std::optional<http::Response> refused;
  };

  explicit EngineIoTest(engineio::Settings settings = {})
      : random_(7), server_(settings, wire_, random_, application_) {}

  Tick now() const { return {now_, WallTime{seconds(1'700'000'000)}}; }
  void pass(Duration time) {
    now_ = now_ + time;
    server_.on_time(now());
  }

  // A request on a connection of its own; answers the connection.
  ConnectionHandle ask(http::Method method, std::string_view query, std::string body = {},
                       std::string_view content_type = {}) {
    http::Request request = make(method, query);
    request.body = std::move(body);
    if (!content_type.empty())
      request.headers.push_back({"content-type", std::string(content_type)});
    const ConnectionHandle connection = wire_.connect();
    server_.on_request(now(), connection, {source_, false, request});
    return connection;
  }
  ConnectionHandle get(std::string_view query) { return ask(http::Method::kGet, query); }
  ConnectionHandle post(std::string_view query, std::string body) {
    return ask(http::Method::kPost, query, std::move(body), "text/plain;charset=UTF-8");
  }
  // The one answer that the request got.
  const http::Response& answer(ConnectionHandle connection) {
    static const http::Response kNone;
    const auto& responses = wire_.line(connection).responses;
    EXPECT_EQ(responses.size(), 1u);
    return responses.empty() ? kNone : responses.back();
  }
  std::string body(ConnectionHandle connection) { return answer(connection).body; }
  bool held(ConnectionHandle connection) { return wire_.line(connection).held; }
  void cut(ConnectionHandle connection) {
    server_.on_gone(now(), connection, wire_.line(connection).held_tag);
  }

  Socket open_socket(std::string_view query) {
    const http::Request request = make(http::Method::kGet, query);
    Socket socket;
    socket.connection = wire_.connect();
    const Visit visit{source_, false, request};
    socket.refused = server_.refuse(now(), visit);
    if (!socket.refused) socket.tag = server_.on_open(now(), socket.connection, visit);
    return socket;
  }
  void say(const Socket& socket, std::string_view text) {
    server_.on_message(now(), socket.connection, socket.tag, ws::Opcode::kText, text);
  }
  void say_bytes(const Socket& socket, std::string_view bytes) {
    server_.on_message(now(), socket.connection, socket.tag, ws::Opcode::kBinary, bytes);
  }
  std::vector<std::string> heard(const Socket& socket) { return wire_.take(socket.connection); }
  FakeWire::Line& line(const Socket& socket) { return wire_.line(socket.connection); }

  // Opens by polling and answers "EIO=N&transport=polling&sid=...".
  std::string polling(int version, std::string_view extra = {}) {
    const std::string query = "EIO=" + std::to_string(version) + "&transport=polling";
    const ConnectionHandle handshake = get(query + std::string(extra));
    EXPECT_EQ(answer(handshake).status, 200u);
    return query + "&sid=" + application_.sessions.back().sid;
  }
  static std::string as_websocket(const std::string& query) {
    std::string changed = query;
    return changed.replace(changed.find("polling"), 7, "websocket");
  }
  RecordingApplication::Session& session() { return application_.sessions.back(); }
  void echo() {
    application_.when_told = [this](Tick now, auto handle, Kind kind, std::string_view payload) {
      server_.send(now, handle, kind, payload);
    };
  }

  static std::string error(int code, std::string_view message) {
    return "{\"code\":" + std::to_string(code) + ",\"message\":\"" + std::string(message) + "\"}";
  }

  MonoTime now_{seconds(100)};
  IpAddress source_ = IpAddress::v4(192, 0, 2, 7);
  FakeWire wire_;
  SeededRandom random_;
  RecordingApplication application_;
  engineio::Server server_;

 private:
  static http::Request make(http::Method method, std::string_view query) {
    http::Request request;
    request.method = method;
    request.target = "/socket.io/?" + std::string(query);
    return request;
  }
};

}  // namespace turnpike::signaling::testing
