// What tests of Socket.IO share: pages that talk to a server over WebSockets on a fake wire.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "signaling/socketio.h"
#include "tests/signaling/fake_wire.h"

namespace turnpike::signaling::testing {

class SocketIoPages : public ::testing::Test {
 protected:
  struct Page {
    ConnectionHandle connection;
    Endpoint::Tag tag = 0;
    int version = 4;    // EIO
    std::string id;     // of its first namespace
    std::string pid;    // what it may come back with
    std::string first;  // the answer to its CONNECT
  };

  virtual socketio::Server& server() = 0;

  Tick now() const { return {now_, WallTime{seconds(1'700'000'000)} + wall_}; }
  void pass(Duration time) {
    now_ = now_ + time;
    server().on_time(now());
  }
  void settle() { pass(Duration(0)); }

  // The transport only; what was sent behind the open packet is still to be heard.
  Page open(int version, std::string_view query = {}) {
    http::Request request;
    request.method = http::Method::kGet;
    request.target = "/socket.io/?EIO=" + std::to_string(version) + "&transport=websocket";
    if (!query.empty()) request.target.append("&").append(query);
    Page page;
    page.version = version;
    page.connection = wire_.connect();
    const Visit visit{source_, false, request};
    EXPECT_FALSE(server().refuse(now(), visit));
    page.tag = server().on_open(now(), page.connection, visit);
    auto& frames = wire_.line(page.connection).frames;
    EXPECT_FALSE(frames.empty());
    if (frames.empty()) return page;
    page.id = member(frames.front().payload, "sid");
    frames.erase(frames.begin());
    return page;
  }
  // And into a namespace; `auth` is JSON, for EIO 4.
  Page enter(int version, std::string_view name_space = "/", std::string_view auth = {},
             std::string_view query = {}) {
    Page page = open(version, query);
    const std::string prefix = name_space == "/" ? "" : std::string(name_space) + ",";
    if (version == 4) say(page, "0" + prefix + std::string(auth));
    if (version == 3 && name_space != "/") {
      EXPECT_THAT(heard(page), ::testing::ElementsAre("0"));
      say(page, "0" + std::string(name_space));
      page.id = std::string(name_space) + "#" + page.id;
    }
    const auto answers = heard(page);
    EXPECT_EQ(answers.size(), 1u);
    if (answers.empty()) return page;
    page.first = answers.front();
    if (version == 4) {
      page.id = member(page.first, "sid");
      page.pid = member(page.first, "pid");
    }
    return page;
  }

  void say(const Page& page, std::string_view text) {
    server().on_message(now(), page.connection, page.tag, ws::Opcode::kText,
                        "4" + std::string(text));
  }
  void pong(const Page& page) {
    server().on_message(now(), page.connection, page.tag, ws::Opcode::kText, "3");
  }
  void say_bytes(const Page& page, std::string_view bytes) {
    const std::string frame = (page.version == 3 ? "\4" : "") + std::string(bytes);
    server().on_message(now(), page.connection, page.tag, ws::Opcode::kBinary, frame);
  }
  // Socket.IO packets, binary ones behind "<bin>"; Engine.IO's own are left out.
  std::vector<std::string> heard_with_offsets(const Page& page) {
    std::vector<std::string> packets;
    for (auto& frame : std::exchange(wire_.line(page.connection).frames, {})) {
      if (frame.opcode == ws::Opcode::kBinary) {
        packets.push_back("<bin>" + frame.payload.substr(page.version == 3 ? 1 : 0));
      } else if (frame.payload.starts_with("4")) {
        packets.push_back(frame.payload.substr(1));
      }
    }
    return packets;
  }
  // The same without what clients of protocol 5 get for their recovery.
  std::vector<std::string> heard(const Page& page) {
    auto packets = heard_with_offsets(page);
    for (std::string& packet : packets) {
      const auto at = packet.rfind(",\"o-");
      if (at != packet.npos && packet.ends_with("\"]")) packet.replace(at, packet.npos, "]");
    }
    return packets;
  }
  bool is_open(const Page& page) {
    settle();
    return wire_.line(page.connection).open();
  }
  // The connection is lost without a word.
  void cut(const Page& page) {
    server().on_gone(now(), page.connection, page.tag);
    settle();
  }

  // The text of a string member, by eye: the JSON is ours.
  static std::string member(std::string_view json, std::string_view name) {
    const std::string key = "\"" + std::string(name) + "\":\"";
    const auto at = json.find(key);
    if (at == std::string_view::npos) return {};
    const auto rest = json.substr(at + key.size());
    return std::string(rest.substr(0, rest.find('"')));
  }

  FakeWire wire_;
  SeededRandom random_{7};
  IpAddress source_ = IpAddress::v4(192, 0, 2, 7);
  MonoTime now_{seconds(1000)};
  seconds wall_{0};
};

}  // namespace turnpike::signaling::testing
