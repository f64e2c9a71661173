#include "tools/load/signal_load_dialects.h"

namespace turnpike::signal_load {

namespace {

// Our messages are the only strings that begin with a tilde (MessageFormat).
Meaning find_data(std::string_view text, std::string_view& data) {
  const std::size_t begin = text.find("\"~");
  if (begin == std::string_view::npos) return Meaning::kNothing;
  const std::size_t end = text.find('"', begin + 1);
  if (end == std::string_view::npos) return Meaning::kNothing;
  data = text.substr(begin + 1, end - begin - 1);
  return Meaning::kData;
}

class Native final : public Dialect {
 public:
  std::string_view name() const override { return "native"; }
  std::string_view description() const override { return "turnpike's own protocol, /ws"; }
  std::string target(const std::string&) const override { return "/ws"; }

  Meaning on_open(Seat& seat, const std::string& room, std::string& reply) const override {
    if (!seat.enters) return Meaning::kReady;
    reply.append(R"({"type":"join","room":")").append(room).append("\"}");
    return Meaning::kNothing;
  }
  Meaning on_text(Seat&, const std::string&, std::string_view text, std::string&,
                  std::string_view& data) const override {
    if (text.starts_with(R"({"type":"message")")) return find_data(text, data);
    if (text.starts_with(R"({"type":"joined")")) return Meaning::kReady;
    if (text.starts_with(R"({"type":"error")")) return Meaning::kRefused;
    return Meaning::kNothing;
  }
  void wrap(const std::string&, std::string_view data, std::string& out) const override {
    out.append(R"({"type":"send","data":")").append(data).append("\"}");
  }
};

class Plain final : public Dialect {
 public:
  std::string_view name() const override { return "plain"; }
  std::string_view description() const override { return "raw JSON over WebSocket, /?room=NAME"; }
  std::string target(const std::string& room) const override { return "/?room=" + room; }

  Meaning on_open(Seat&, const std::string&, std::string&) const override {
    return Meaning::kReady;
  }
  Meaning on_text(Seat&, const std::string&, std::string_view text, std::string&,
                  std::string_view& data) const override {
    return find_data(text, data);
  }
  void wrap(const std::string&, std::string_view data, std::string& out) const override {
    out.append(R"({"event":"_ice_candidate","data":")").append(data).append("\"}");
  }
};

// Socket.IO over a WebSocket from the start. The room's events are join, joined and message.
class SocketIo : public Dialect {
 public:
  void wrap(const std::string& room, std::string_view data, std::string& out) const override {
    out.append(R"(42["message",")").append(room).append("\",\"").append(data).append("\"]");
  }

 protected:
  static Meaning on_event(std::string_view text, std::string_view& data) {
    if (text.starts_with(R"(42["message")")) return find_data(text, data);
    if (text.starts_with(R"(42["joined")")) return Meaning::kReady;
    if (text.starts_with(R"(42["full")") || text.starts_with("44")) return Meaning::kRefused;
    return Meaning::kNothing;
  }
  static Meaning enter(const Seat& seat, const std::string& room, std::string& reply) {
    if (!seat.enters) return Meaning::kReady;
    reply.append(R"(42["join",")").append(room).append("\"]");
    return Meaning::kNothing;
  }
};

class SocketIo5 final : public SocketIo {
 public:
  std::string_view name() const override { return "socketio5"; }
  std::string_view description() const override { return "Socket.IO 3 and 4 clients (EIO=4)"; }
  std::string target(const std::string&) const override {
    return "/socket.io/?EIO=4&transport=websocket";
  }
  Meaning on_open(Seat&, const std::string&, std::string&) const override {
    return Meaning::kNothing;
  }
  Meaning on_text(Seat& seat, const std::string& room, std::string_view text, std::string& reply,
                  std::string_view& data) const override {
    if (text.starts_with("42")) return on_event(text, data);
    if (text == "2") {
      reply = "3";
    } else if (text.starts_with("0{")) {
      reply = "40";
    } else if (text.starts_with("40{")) {
      return enter(seat, room, reply);
    }
    return text.starts_with("44") ? Meaning::kRefused : Meaning::kNothing;
  }
};

class SocketIo4 final : public SocketIo {
 public:
  std::string_view name() const override { return "socketio4"; }
  std::string_view description() const override { return "Socket.IO 1 and 2 clients (EIO=3)"; }
  std::string target(const std::string&) const override {
    return "/socket.io/?EIO=3&transport=websocket";
  }
  Meaning on_open(Seat&, const std::string&, std::string&) const override {
    return Meaning::kNothing;
  }
  Meaning on_text(Seat& seat, const std::string& room, std::string_view text, std::string& reply,
                  std::string_view& data) const override {
    if (text == "40") return enter(seat, room, reply);
    return on_event(text, data);
  }
  std::string_view heartbeat() const override { return "2"; }
};

class ScaleDrone final : public Dialect {
 public:
  std::string_view name() const override { return "scaledrone"; }
  std::string_view description() const override { return "ScaleDrone v3, /v3/websocket"; }
  std::string target(const std::string&) const override { return "/v3/websocket"; }

  Meaning on_open(Seat&, const std::string&, std::string& reply) const override {
    reply = R"({"type":"handshake","channel":"load","version":2,"client_data":null,"callback":0})";
    return Meaning::kNothing;
  }
  Meaning on_text(Seat& seat, const std::string& room, std::string_view text, std::string& reply,
                  std::string_view& data) const override {
    if (seat.step == kDone) return find_data(text, data);
    if (text.find("\"error\"") != std::string_view::npos) return Meaning::kRefused;
    if (text.find(seat.step == 0 ? "\"callback\":0" : "\"callback\":1") == std::string_view::npos) {
      return Meaning::kNothing;
    }
    if (seat.step++ == 0 && seat.enters) {
      reply.append(R"({"type":"subscribe","room":"observable-)").append(room);
      reply.append(R"(","callback":1})");
      return Meaning::kNothing;
    }
    seat.step = kDone;
    return Meaning::kReady;
  }
  void wrap(const std::string& room, std::string_view data, std::string& out) const override {
    out.append(R"({"type":"publish","room":"observable-)").append(room);
    out.append(R"(","message":")").append(data).append("\"}");
  }
  bool echoes() const override { return true; }

 private:
  static constexpr std::uint8_t kDone = 2;
};

}  // namespace

const std::array<const Dialect*, kDialects>& all_dialects() {
  static const Native native;
  static const Plain plain;
  static const SocketIo5 socketio5;
  static const SocketIo4 socketio4;
  static const ScaleDrone scaledrone;
  static const std::array<const Dialect*, kDialects> all{&native, &plain, &socketio5, &socketio4,
                                                         &scaledrone};
  return all;
}

const Dialect* find_dialect(std::string_view name) {
  for (const Dialect* dialect : all_dialects()) {
    if (dialect->name() == name) return dialect;
  }
  return nullptr;
}

}  // namespace turnpike::signal_load
