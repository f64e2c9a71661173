// y-webrtc's signaling: a socket subscribes to topics, and what is published to a topic goes to all
// of its subscribers, the sender too when it is one, with their number added as "clients". The rest
// of a message is passed on as it came (it may be encrypted). Where rooms ask for a token, it comes
// in `?token=` of the address, and a topic is a room. Single thread, no I/O.
//
//   {"type":"subscribe","topics":["notes"]}
//   {"type":"publish","topic":"notes",...}   {"type":"publish","topic":"notes",...,"clients":2}
//   {"type":"ping"}                          {"type":"pong"}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/slab.h"
#include "signaling/endpoint.h"
#include "signaling/gate.h"
#include "signaling/groups.h"
#include "signaling/json_text.h"

namespace turnpike::signaling {

class YWebrtc final : public Endpoint {
 public:
  struct Settings {
    std::uint32_t topic_size = 64;  // subscribers of one
    std::uint32_t max_sockets = 65536;
    std::uint32_t max_topics = 16384;
  };
  static constexpr std::size_t kMaxMessage = 64 * 1024;
  static constexpr std::size_t kMaxTopic = 256;   // bytes of its name
  static constexpr std::size_t kMaxTopics = 128;  // of one socket, and in one message

  YWebrtc(Settings settings, Wire& wire, Gate& gate);
  ~YWebrtc() override;

  // Endpoint. Refuses before the handshake: 401 when a token is needed and none that is good came,
  // 429 to a source of too many wrong ones.
  std::size_t max_message() const override { return kMaxMessage; }
  std::optional<http::Response> refuse(Tick now, const Visit& visit) override;
  Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) override;
  void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override;
  void on_gone(Tick now, ConnectionHandle connection, Tag tag) override;

  std::size_t socket_count() const { return sockets_.size(); }
  std::size_t topic_count() const { return topics_.size(); }

 private:
  struct Socket;
  using SocketHandle = Handle<Socket>;

  void subscribe(Tick now, SocketHandle handle, Socket& socket, const JsonObject& message);
  void unsubscribe(SocketHandle handle, Socket& socket, const JsonObject& message);

  const Settings settings_;
  Wire& wire_;
  Gate& gate_;
  Slab<Socket> sockets_;
  Groups<Socket> topics_;
};

}  // namespace turnpike::signaling
