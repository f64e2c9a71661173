// Stands between an endpoint and its carrier and lets what is said first on a WebSocket leave a
// moment after the handshake's answer. Some suites begin to listen for messages only after `open`,
// and when both come in one segment their client has handed out the message by then. Owned by the
// conformance server; its thread.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "signaling/endpoint.h"

namespace turnpike::signaling {

class LateWire final : public Wire, public Endpoint {
 public:
  static constexpr milliseconds kDelay{20};

  explicit LateWire(Wire& wire) : wire_(wire) {}
  // Before the first call.
  void stand_before(Endpoint& endpoint) { endpoint_ = &endpoint; }

  // --- Wire ---
  void send(ConnectionHandle connection, ws::Opcode opcode, std::string_view payload) override {
    for (Fresh& fresh : fresh_) {
      if (fresh.connection != connection) continue;
      fresh.frames.emplace_back(opcode, payload);
      return;
    }
    wire_.send(connection, opcode, payload);
  }
  void close(ConnectionHandle connection, ws::CloseCode code, std::string_view reason) override {
    flush(connection);
    wire_.close(connection, code, reason);
  }
  void drop(ConnectionHandle connection) override {
    flush(connection);
    wire_.drop(connection);
  }
  void hold(ConnectionHandle connection, Endpoint&, Tag tag) override {
    wire_.hold(connection, *this, tag);
  }
  void respond(ConnectionHandle connection, const http::Response& response) override {
    wire_.respond(connection, response);
  }

  // --- Endpoint ---
  std::size_t max_message() const override { return endpoint_->max_message(); }
  bool takes_binary() const override { return endpoint_->takes_binary(); }
  KeepAlive keep_alive() const override { return endpoint_->keep_alive(); }
  std::optional<http::Response> refuse(Tick now, const Visit& visit) override {
    return endpoint_->refuse(now, visit);
  }
  Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) override {
    fresh_.push_back({connection, now.mono + kDelay, {}});
    return endpoint_->on_open(now, connection, visit);
  }
  void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override {
    endpoint_->on_message(now, connection, tag, opcode, payload);
  }
  void on_gone(Tick now, ConnectionHandle connection, Tag tag) override {
    std::erase_if(fresh_, [&](const Fresh& fresh) { return fresh.connection == connection; });
    endpoint_->on_gone(now, connection, tag);
  }
  void on_time(Tick now) override {
    while (!fresh_.empty() && fresh_.front().due <= now.mono) flush(fresh_.front().connection);
    endpoint_->on_time(now);
  }
  MonoTime next_deadline() const override {
    const MonoTime next = endpoint_->next_deadline();
    return fresh_.empty() ? next : std::min(next, fresh_.front().due);
  }

 private:
  struct Fresh {
    ConnectionHandle connection;
    MonoTime due;
    std::vector<std::pair<ws::Opcode, std::string>> frames;
  };
  void flush(ConnectionHandle connection) {
    const auto found = std::find_if(fresh_.begin(), fresh_.end(), [&](const Fresh& fresh) {
      return fresh.connection == connection;
    });
    if (found == fresh_.end()) return;
    const auto frames = std::move(found->frames);
    fresh_.erase(found);
    for (const auto& [opcode, payload] : frames) wire_.send(connection, opcode, payload);
  }

  Wire& wire_;
  Endpoint* endpoint_ = nullptr;
  std::vector<Fresh> fresh_;  // in the order of their time
};

}  // namespace turnpike::signaling
