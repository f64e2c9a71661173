#include "tools/call/signaling.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace turnpike::call {
namespace {

using nlohmann::json;

const char* word_of(Signaling::Type type) {
  return type == Signaling::Type::kOffer ? "offer" : "answer";
}

// A member that is a string, or "".
std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<IceServer> servers_of(const json& list) {
  std::vector<IceServer> servers;
  if (!list.is_array()) return servers;
  for (const json& entry : list) {
    if (!entry.is_object()) continue;
    const auto add = [&](const json& url) {
      if (!url.is_string()) return;
      servers.push_back({url, text_of(entry, "username"), text_of(entry, "credential")});
    };
    const auto urls = entry.find("urls");
    if (urls == entry.end()) continue;
    if (urls->is_array()) {
      for (const json& url : *urls) add(url);
    } else {
      add(*urls);
    }
  }
  return servers;
}

// Both dialects carry what RTCSessionDescription is as JSON. False: it is something else.
bool take_description(const json& description, Signaling::Outputs& outputs) {
  if (!description.is_object()) return false;
  const std::string type = text_of(description, "type");
  if (type != "offer" && type != "answer") return false;
  outputs.on_description(type == "offer" ? Signaling::Type::kOffer : Signaling::Type::kAnswer,
                         text_of(description, "sdp"));
  return true;
}

class Native final : public Signaling {
 public:
  Native(Place place, Outputs& outputs) : place_(std::move(place)), outputs_(outputs) {}

  std::string target() const override { return "/ws"; }
  void on_open() override {
    json join = {{"type", "join"}, {"room", place_.room}, {"name", place_.name}};
    if (!place_.invitation.empty()) join["invitation"] = place_.invitation;
    outputs_.say(join.dump());
  }
  void on_text(std::string_view text) override {
    const json message = json::parse(text, nullptr, false);
    if (!message.is_object()) return;
    const std::string type = text_of(message, "type");
    if (type == "joined") return on_joined(message);
    if (type == "member-joined" && message.contains("member")) {
      return meet(message["member"], Arrival::kFirst);
    }
    if (type == "member-left" && text_of(message, "member") == partner_) {
      partner_.clear();
      return outputs_.on_partner_left();
    }
    if (type == "message" && text_of(message, "from") == partner_) return on_data(message);
    if (type == "error" && !joined_) outputs_.on_refused(text_of(message, "code"));
  }
  void describe(Type type, const std::string& sdp) override {
    send({{"description", {{"type", word_of(type)}, {"sdp", sdp}}}});
  }
  void tell(const std::string& candidate, const std::string& mid) override {
    send({{"candidate", {{"candidate", candidate}, {"sdpMid", mid}, {"sdpMLineIndex", 0}}}});
  }
  void leave() override { outputs_.say(R"({"type":"leave"})"); }

 private:
  void on_joined(const json& message) {
    joined_ = true;
    const auto servers = message.find("iceServers");
    outputs_.on_joined(servers == message.end() ? std::vector<IceServer>{} : servers_of(*servers));
    const auto members = message.find("members");
    if (members == message.end() || !members->is_array()) return;
    for (const json& member : *members) meet(member, Arrival::kLater);
  }
  // The first one met is who we talk to.
  void meet(const json& member, Arrival ours) {
    if (!partner_.empty() || !member.is_object()) return;
    partner_ = text_of(member, "id");
    if (!partner_.empty()) outputs_.on_partner(ours);
  }
  void on_data(const json& message) {
    const auto data = message.find("data");
    if (data == message.end() || !data->is_object()) return;
    if (const auto found = data->find("description"); found != data->end()) {
      take_description(*found, outputs_);
    } else if (const auto one = data->find("candidate"); one != data->end() && one->is_object()) {
      outputs_.on_candidate(text_of(*one, "candidate"));
    }
  }
  void send(json data) {
    if (partner_.empty()) return;
    outputs_.say(json{{"type", "send"}, {"to", partner_}, {"data", std::move(data)}}.dump());
  }

  const Place place_;
  Outputs& outputs_;
  bool joined_ = false;
  std::string partner_;
};

// Engine.IO 3 over a WebSocket from the start; events join, joined, otherjoin, message and bye.
class SocketIo final : public Signaling {
 public:
  SocketIo(Place place, Outputs& outputs) : place_(std::move(place)), outputs_(outputs) {}

  std::string target() const override { return "/socket.io/?EIO=3&transport=websocket"; }
  std::string_view heartbeat() const override { return "2"; }
  void on_open() override {}
  void on_text(std::string_view text) override {
    if (text == "40" && !std::exchange(connected_, true)) return emit({"join", place_.room});
    if (text.starts_with("44")) return outputs_.on_refused(std::string(text.substr(2)));
    if (!text.starts_with("42")) return;
    const json event = json::parse(text.substr(2), nullptr, false);
    if (!event.is_array() || event.empty() || !event[0].is_string()) return;
    on_event(event[0], event);
  }
  void describe(Type type, const std::string& sdp) override {
    send({{"type", word_of(type)}, {"sdp", sdp}});
  }
  void tell(const std::string& candidate, const std::string& mid) override {
    send({{"type", "candidate"}, {"label", 0}, {"id", mid}, {"candidate", candidate}});
  }
  void leave() override { emit({"leave", place_.room}); }

 private:
  void on_event(const std::string& name, const json& event) {
    if (name == "joined") return outputs_.on_joined({});
    if (name == "full") return outputs_.on_refused("full");
    if (name == "otherjoin") return meet(Arrival::kFirst);
    if (name == "bye" && std::exchange(met_, false)) return outputs_.on_partner_left();
    if (name != "message" || event.size() < 3 || !event[2].is_object()) return;
    // Nobody tells who is there already: they show themselves by what they say.
    meet(Arrival::kLater);
    if (take_description(event[2], outputs_)) return;
    if (text_of(event[2], "type") == "candidate") {
      outputs_.on_candidate(text_of(event[2], "candidate"));
    }
  }
  void meet(Arrival ours) {
    if (!std::exchange(met_, true)) outputs_.on_partner(ours);
  }
  void send(json data) { emit({"message", place_.room, std::move(data)}); }
  void emit(json event) { outputs_.say("42" + event.dump()); }

  const Place place_;
  Outputs& outputs_;
  bool connected_ = false;
  bool met_ = false;
};

}  // namespace

std::string_view name_of(Dialect dialect) {
  return dialect == Dialect::kNative ? "native" : "socketio";
}

std::vector<IceServer> parse_ice_servers(std::string_view text) {
  return servers_of(json::parse(text, nullptr, false));
}

std::unique_ptr<Signaling> make_signaling(Dialect dialect, Signaling::Place place,
                                          Signaling::Outputs& outputs) {
  if (dialect == Dialect::kNative) return std::make_unique<Native>(std::move(place), outputs);
  return std::make_unique<SocketIo>(std::move(place), outputs);
}

}  // namespace turnpike::call
