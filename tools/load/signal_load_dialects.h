// What a client says on its WebSocket, for each dialect that a load run can speak. A Dialect is
// stateless and serves all clients of a run; what it must remember of one is that client's Seat.
// The generator's own thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace turnpike::signal_load {

// A client's place: clients 2n and 2n+1 are the sides of pair n, and a pair has a room of its own.
struct Seat {
  std::uint32_t pair = 0;
  std::uint8_t side = 0;
  std::uint8_t step = 0;  // of the dialect's opening
  bool enters = true;     // a room; otherwise it only connects
};

enum class Meaning : std::uint8_t {
  kNothing,
  kReady,    // connected, and in its room if it enters one
  kData,     // what a peer sent
  kRefused,  // it will not get there
};

class Dialect {
 public:
  virtual ~Dialect() = default;

  virtual std::string_view name() const = 0;
  virtual std::string_view description() const = 0;
  // The request target of the WebSocket handshake.
  virtual std::string target(const std::string& room) const = 0;
  // The WebSocket is open. `reply`, here and below, is said if it is not empty.
  virtual Meaning on_open(Seat& seat, const std::string& room, std::string& reply) const = 0;
  // `data` is set with kData.
  virtual Meaning on_text(Seat& seat, const std::string& room, std::string_view text,
                          std::string& reply, std::string_view& data) const = 0;
  // The text that carries `data` (it needs no escaping) to the room.
  virtual void wrap(const std::string& room, std::string_view data, std::string& out) const = 0;
  // What a client says now and then so that it is not taken for dead; "" when that is the server's.
  virtual std::string_view heartbeat() const { return {}; }
  // Whether the server sends a message back to its sender, too.
  virtual bool echoes() const { return false; }
};

inline constexpr std::size_t kDialects = 5;
const std::array<const Dialect*, kDialects>& all_dialects();
// nullptr when there is none of that name.
const Dialect* find_dialect(std::string_view name);

}  // namespace turnpike::signal_load
