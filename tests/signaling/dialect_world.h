// A world for tests of one dialect: visits with a query, and clients by name. One test at a time.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "signaling/room_tokens.h"
#include "tests/signaling/fake_wire.h"

namespace turnpike::signaling::testing {

inline const Tick kStart{{seconds(1000)}, {seconds(1'800'000'000)}};

inline Tick later(Duration by) {
  return {kStart.mono + by, kStart.wall + std::chrono::duration_cast<seconds>(by)};
}

inline RoomTokens with_password(std::string password) {
  return std::move(*RoomTokens::make({{}, {std::move(password)}}));
}

struct Client {
  ConnectionHandle connection;
  Endpoint::Tag tag = 0;
};

inline Client open(FakeWire& wire, Endpoint& endpoint, std::string target, Tick now = kStart) {
  http::Request request;
  request.method = http::Method::kGet;
  request.target = std::move(target);
  Client client{wire.connect(), 0};
  client.tag = endpoint.on_open(now, client.connection, {IpAddress(), false, request});
  return client;
}

inline void say(Endpoint& endpoint, const Client& client, std::string_view text,
                Tick now = kStart) {
  endpoint.on_message(now, client.connection, client.tag, ws::Opcode::kText, text);
}

}  // namespace turnpike::signaling::testing
