// A Socket.IO application for tests: remembers what it is told, does what the test wants.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "tests/signaling/socketio_world.h"

namespace turnpike::signaling::testing {

class RecordingIo final : public socketio::Application {
 public:
  std::optional<socketio::Refusal> refuse(Tick, const socketio::Greeting& greeting) override {
    asked.push_back(std::string(greeting.name_space) + " " + std::string(greeting.auth));
    if (!name_spaces.contains(std::string(greeting.name_space))) {
      return socketio::Refusal{"Invalid namespace", {}};
    }
    return refusal;
  }
  std::uint64_t on_connect(Tick now, socketio::SocketHandle socket,
                           const socketio::Greeting& greeting) override {
    sockets.push_back(socket);
    queries.push_back(std::string(greeting.query) + "|" + std::string(greeting.namespace_query));
    mains.push_back(greeting.main);
    if (when_connected) when_connected(now, socket, greeting);
    return sockets.size();
  }
  void on_event(Tick now, socketio::SocketHandle socket, std::uint64_t tag,
                const socketio::Event& event) override {
    EXPECT_EQ(sockets.at(tag - 1), socket);
    std::string line = std::to_string(tag) + " " + std::string(event.name);
    for (const auto arg : event.args) line.append(" ").append(arg);
    for (const auto attachment : event.attachments) line.append(" <").append(attachment) += '>';
    events.push_back(line);
    if (when_told) when_told(now, socket, event);
  }
  bool keeps(Tick, socketio::SocketHandle, std::uint64_t) override { return keeping; }
  bool may_return(Tick, socketio::SocketHandle, std::uint64_t, const socketio::Greeting&) override {
    return returning;
  }
  void on_disconnect(Tick now, socketio::SocketHandle socket, std::uint64_t tag) override {
    EXPECT_EQ(sockets.at(tag - 1), socket);
    gone.push_back(tag);
    if (when_gone) when_gone(now, socket);
  }

  std::set<std::string> name_spaces = {"/", "/chat"};
  std::optional<socketio::Refusal> refusal;
  bool keeping = true;
  bool returning = true;
  std::vector<std::string> asked, queries, events;
  std::vector<socketio::SocketHandle> sockets, mains;
  std::vector<std::uint64_t> gone;
  std::function<void(Tick, socketio::SocketHandle, const socketio::Greeting&)> when_connected;
  std::function<void(Tick, socketio::SocketHandle, const socketio::Event&)> when_told;
  std::function<void(Tick, socketio::SocketHandle)> when_gone;
};

class SocketIoTest : public SocketIoPages {
 protected:
  explicit SocketIoTest(socketio::Settings settings = {})
      : server_(settings, wire_, random_, application_) {}
  socketio::Server& server() override { return server_; }
  void broadcast(std::string_view name, std::vector<std::string_view> args,
                 socketio::SocketHandle except = {}) {
    server_.emit_all(now(), application_.sockets, {.name = name, .args = args}, except);
  }

  RecordingIo application_;
  socketio::Server server_;
};

}  // namespace turnpike::signaling::testing
