// ScaleDrone's version 3 on WebSocket /v3/websocket, for the pages of tutorial 004 and other users
// of its SDK: rooms within a channel, messages to all in a room (the sender too), and members lists
// for rooms whose name begins with "observable-". What members say is checked JSON text and goes on
// unchanged. A client that must show a token does it with `authenticate`, or brings it in `?token=`
// of the address. Single thread, no I/O.
//
//   {"type":"subscribe","room":"observable-1","callback":1}    {"callback":1}
//   {"type":"publish","room":"observable-1","message":...}     to all, with client_id, id,
//   timestamp
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/slab.h"
#include "signaling/endpoint.h"
#include "signaling/gate.h"
#include "signaling/groups.h"
#include "signaling/json_text.h"

namespace turnpike::signaling {

class ScaleDrone final : public Endpoint {
 public:
  struct Settings {
    std::vector<std::string> channels;  // that are served; empty: any
    std::uint32_t room_size = 64;
    std::uint32_t max_sockets = 65536;
    std::uint32_t max_rooms = 16384;
    std::size_t max_history = 64u << 20;              // bytes that all rooms remember together
    std::uint32_t max_history_of_source = 16u << 20;  // and those that one source prefix opened
  };
  static constexpr std::size_t kMaxMessage = 64 * 1024;
  static constexpr std::size_t kMaxName = 128;                // bytes of a channel or room
  static constexpr std::size_t kMaxClientData = 4096;         // bytes of JSON
  static constexpr std::size_t kMaxSubscriptions = 64;        // of one socket
  static constexpr std::uint32_t kMaxWrongTokens = 5;         // then 1008: nobody guesses here
  static constexpr std::size_t kMaxHistory = 100;             // messages of one room
  static constexpr std::size_t kMaxRoomHistory = 256 * 1024;  // bytes of one room

  ScaleDrone(Settings settings, Wire& wire, Random& random, Gate& gate);
  ~ScaleDrone() override;

  // Endpoint
  std::size_t max_message() const override { return kMaxMessage; }
  Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) override;
  void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override;
  void on_gone(Tick now, ConnectionHandle connection, Tag tag) override;
  // The SDK comes back only after close code 1006, which is what no close frame at all means.
  Farewell farewell() const override { return Farewell::kNone; }

  std::size_t socket_count() const { return sockets_.size(); }
  std::size_t room_count() const { return rooms_.size(); }
  std::size_t history_bytes() const { return history_bytes_; }

 private:
  struct Socket;
  struct Room;
  struct Request;
  using SocketHandle = Handle<Socket>;
  using RoomHandle = Handle<Room>;

  void handshake(Socket& socket, const Request& request);
  void authenticate(Tick now, Socket& socket, const Request& request);
  void subscribe(Tick now, SocketHandle handle, Socket& socket, const Request& request);
  void publish(Tick now, SocketHandle handle, Socket& socket, const Request& request);
  void unsubscribe(SocketHandle handle, Socket& socket, const Request& request);
  bool admits(Tick now, const Socket& socket, std::string_view room) const;
  // Whether the client's pace allows this; if not, it was told or its connection ends.
  bool passes(Tick now, Socket& socket, const Request& request, std::size_t bytes,
              std::size_t recipients = 1);

  RoomHandle find_room(std::string_view key) const;
  // Empty when there is no place for another one.
  RoomHandle open_room(const Socket& opener, std::string_view name);
  static std::size_t wanted_history(const JsonObject& request);
  std::size_t cost_of_joining(const Socket& socket, RoomHandle room, std::size_t history) const;
  void welcome(const Socket& socket, const Room& room, std::size_t history);
  void leave(SocketHandle handle, const Socket& socket, RoomHandle room);
  void announce(const Room& room, std::string_view what, const Socket& about, SocketHandle handle);
  void remember(Room& room, std::string tail);
  void forget_first(Room& room);

  static void describe(Socket& socket);
  void answer(const Socket& socket, const Request& request, std::string_view error = {});
  void send(const Socket& socket, std::string_view text);

  const Settings settings_;
  Wire& wire_;
  Random& random_;
  Gate& gate_;
  SourceShares history_shares_;
  Slab<Socket> sockets_;
  Slab<Room> rooms_;
  boost::unordered_flat_map<std::string, RoomHandle, NameHash, std::equal_to<>> names_;
  std::size_t history_bytes_ = 0;
};

}  // namespace turnpike::signaling
