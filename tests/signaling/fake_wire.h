// A Wire for tests of one Endpoint: remembers what was sent, answered and ended, by connection.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "signaling/endpoint.h"

namespace turnpike::signaling::testing {

class FakeWire final : public Wire {
 public:
  struct Frame {
    ws::Opcode opcode;
    std::string payload;
  };
  struct Line {
    std::vector<Frame> frames;
    std::vector<http::Response> responses;
    bool held = false;
    Endpoint::Tag held_tag = 0;
    bool closed = false;
    ws::CloseCode code = ws::CloseCode::kNoStatus;
    bool dropped = false;
    bool open() const { return !closed && !dropped; }
  };

  // A connection that no other has been.
  ConnectionHandle connect() { return {next_++, 1}; }
  Line& line(ConnectionHandle connection) { return lines_[connection.pack()]; }
  // What was sent since the last question; binary and text alike.
  std::vector<std::string> take(ConnectionHandle connection) {
    std::vector<std::string> payloads;
    for (Frame& frame : std::exchange(line(connection).frames, {})) {
      payloads.push_back(std::move(frame.payload));
    }
    return payloads;
  }

  void send(ConnectionHandle connection, ws::Opcode opcode, std::string_view payload) override {
    if (line(connection).open()) line(connection).frames.push_back({opcode, std::string(payload)});
  }
  void close(ConnectionHandle connection, ws::CloseCode code, std::string_view) override {
    line(connection).closed = true;
    line(connection).code = code;
  }
  void drop(ConnectionHandle connection) override { line(connection).dropped = true; }
  void hold(ConnectionHandle connection, Endpoint&, Endpoint::Tag tag) override {
    line(connection).held = true;
    line(connection).held_tag = tag;
  }
  void respond(ConnectionHandle connection, const http::Response& response) override {
    line(connection).held = false;
    line(connection).responses.push_back(response);
  }

 private:
  std::map<std::uint64_t, Line> lines_;
  std::uint32_t next_ = 1;
};

}  // namespace turnpike::signaling::testing
