// What one member of a room says and hears on its WebSocket, as a state machine without sockets:
// the native protocol (docs/signaling.md), or rooms of two by Socket.IO as clients 1.x and 2.x
// speak it (docs/dialects.md). Session descriptions and candidates travel as browsers write them.
// Owned by an endpoint; its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace turnpike::call {

enum class Dialect : std::uint8_t { kNative, kSocketIo };
std::string_view name_of(Dialect dialect);  // "native", "socketio"

// One URL of an iceServers list, as text.
struct IceServer {
  std::string url, username, credential;
  bool operator==(const IceServer&) const = default;
};
// From the JSON of an iceServers list; what is not one gives an empty list.
std::vector<IceServer> parse_ice_servers(std::string_view json);

class Signaling {
 public:
  enum class Type : std::uint8_t { kOffer, kAnswer };
  enum class Arrival : std::uint8_t { kFirst, kLater };  // than the partner

  // Must not destroy the signaling.
  class Outputs {
   public:
    virtual ~Outputs() = default;
    virtual void say(std::string_view text) = 0;
    // In the room. `servers` may be empty: an invitation is what brings them.
    virtual void on_joined(std::vector<IceServer> servers) = 0;
    // Somebody to talk to is there, who was there before or came later.
    virtual void on_partner(Arrival ours) = 0;
    virtual void on_description(Type type, const std::string& sdp) = 0;
    // "candidate:..."; those that follow their description.
    virtual void on_candidate(const std::string& line) = 0;
    virtual void on_partner_left() = 0;
    // There will be no room for us; in the server's words.
    virtual void on_refused(const std::string& why) = 0;
  };
  struct Place {
    std::string room;
    std::string invitation;
    std::string name;
  };

  virtual ~Signaling() = default;
  // The request target of the WebSocket.
  virtual std::string target() const = 0;
  virtual void on_open() = 0;
  virtual void on_text(std::string_view text) = 0;
  // What is owed to the server every 20 seconds; "" when nothing.
  virtual std::string_view heartbeat() const { return {}; }

  virtual void describe(Type type, const std::string& sdp) = 0;
  virtual void tell(const std::string& candidate, const std::string& mid) = 0;
  virtual void leave() = 0;
};

std::unique_ptr<Signaling> make_signaling(Dialect dialect, Signaling::Place place,
                                          Signaling::Outputs& outputs);

}  // namespace turnpike::call
