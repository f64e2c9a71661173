#include "signaling/ywebrtc.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "signaling/pace.h"

namespace turnpike::signaling {

namespace {

std::optional<std::string> text_member(const JsonObject& message, std::string_view name) {
  const auto value = message.find(name);
  return value ? json_string(*value) : std::nullopt;
}

// The names in "topics"; what can be none is passed over.
std::vector<std::string> topics_of(const JsonObject& message) {
  std::vector<std::string> topics;
  const auto list = message.find("topics");
  const auto elements = list ? json_elements(*list, YWebrtc::kMaxTopics) : std::nullopt;
  if (!elements) return topics;
  for (const std::string_view element : *elements) {
    auto topic = json_string(element);
    if (topic && !topic->empty() && topic->size() <= YWebrtc::kMaxTopic) {
      topics.push_back(std::move(*topic));
    }
  }
  return topics;
}

// The message as it came, but for the number of subscribers.
std::string with_clients(std::string_view text, const JsonObject& message, std::size_t count) {
  const std::string number = std::to_string(count);
  if (const auto value = message.find("clients")) {
    const auto at = static_cast<std::size_t>(value->data() - text.data());
    std::string result(text.substr(0, at));
    return result.append(number).append(text.substr(at + value->size()));
  }
  // It has members, "type" at least, so that a comma fits before its last brace.
  std::string result(text.substr(0, text.rfind('}')));
  return result.append(R"(,"clients":)").append(number).append("}");
}

}  // namespace

struct YWebrtc::Socket {
  ConnectionHandle connection;
  SourceMark source;
  std::optional<RoomGrant> grant;  // of the token that was shown
  Pace pace;
  std::vector<std::string> topics;
  bool admits(std::string_view topic, WallTime now) const {
    if (!grant) return true;
    return grant->admits(topic) && (!grant->expires || now < *grant->expires + RoomTokens::kLeeway);
  }
};

YWebrtc::YWebrtc(Settings settings, Wire& wire, Gate& gate)
    : settings_(settings),
      wire_(wire),
      gate_(gate),
      sockets_(settings.max_sockets),
      topics_({settings.max_topics, settings.topic_size, &gate.rooms()}) {}

YWebrtc::~YWebrtc() = default;

std::optional<http::Response> YWebrtc::refuse(Tick now, const Visit& visit) {
  if (sockets_.size() >= settings_.max_sockets) {
    return http::text_response(503, "too many connections\n");
  }
  if (!gate_.asks()) return std::nullopt;
  const auto token = http::query_value(visit.request.query(), "token");
  const auto grant = gate_.judge(now, visit.source, token.value_or(""));
  if (grant) return std::nullopt;
  const unsigned status = grant.error() == TokenFault::kTooManyWrong ? 429 : 401;
  return http::text_response(status, std::string(to_sentence(grant.error())) + "\n");
}

Endpoint::Tag YWebrtc::on_open(Tick now, ConnectionHandle connection, const Visit& visit) {
  const SocketHandle handle = sockets_.emplace();
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) {
    wire_.drop(connection);
    return 0;
  }
  socket->connection = connection;
  socket->source = SourceMark(visit.source);
  if (gate_.asks()) {
    const auto token = http::query_value(visit.request.query(), "token");
    // Without a good one it has been refused; a grant of no room opens none.
    socket->grant = gate_.judge(now, visit.source, token.value_or("")).value_or(RoomGrant{});
  }
  return handle.pack();
}

void YWebrtc::on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode,
                         std::string_view payload) {
  const SocketHandle handle = SocketHandle::unpack(tag);
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  const auto message = JsonObject::parse(payload);
  if (!message) {
    return wire_.close(connection, ws::CloseCode::kUnsupportedData, "not a JSON object");
  }
  const std::string type = text_member(*message, "type").value_or(std::string());
  const std::string topic =
      type == "publish" ? text_member(*message, "topic").value_or(std::string()) : std::string();
  const auto subscribers = topics_.members(topic);
  switch (socket->pace.judge(now.mono, payload.size(), subscribers.size())) {
    case Pace::Judgement::kPass:
      break;
    case Pace::Judgement::kDrop:
      return;
    case Pace::Judgement::kAbuse:
      return wire_.close(connection, ws::CloseCode::kPolicy, "too many messages");
  }
  if (type == "subscribe") return subscribe(now, handle, *socket, *message);
  if (type == "unsubscribe") return unsubscribe(handle, *socket, *message);
  if (type == "ping") return wire_.send(connection, ws::Opcode::kText, R"({"type":"pong"})");
  if (type != "publish" || subscribers.empty() || !socket->admits(topic, now.wall)) return;
  const std::string text = with_clients(payload, *message, subscribers.size());
  for (const SocketHandle subscriber : subscribers) {
    wire_.send(sockets_.find(subscriber)->connection, ws::Opcode::kText, text);
  }
}

void YWebrtc::on_gone(Tick, ConnectionHandle, Tag tag) {
  const SocketHandle handle = SocketHandle::unpack(tag);
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  for (const std::string& topic : socket->topics) topics_.leave(topic, handle);
  sockets_.erase(handle);
}

// The protocol has no word for a refusal: who may not or cannot subscribe hears nothing.
void YWebrtc::subscribe(Tick now, SocketHandle handle, Socket& socket, const JsonObject& message) {
  for (std::string& topic : topics_of(message)) {
    if (socket.topics.size() >= kMaxTopics) return;
    // Topics are a table that everybody shares: each counts like a message.
    if (socket.pace.judge(now.mono, topic.size()) != Pace::Judgement::kPass) return;
    if (!socket.admits(topic, now.wall)) continue;
    if (topics_.join(topic, handle, socket.source) != Groups<Socket>::Outcome::kJoined) continue;
    socket.topics.push_back(std::move(topic));
  }
}

void YWebrtc::unsubscribe(SocketHandle handle, Socket& socket, const JsonObject& message) {
  for (const std::string& topic : topics_of(message)) {
    if (topics_.leave(topic, handle)) std::erase(socket.topics, topic);
  }
}

}  // namespace turnpike::signaling
