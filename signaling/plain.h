// The raw relay, for pages that open a bare WebSocket and expect to hear the other one (tutorial
// 000): every text goes byte for byte to every other socket of the same path and `?room=`, and
// nothing else ever does: no welcome, no presence, no errors. Single thread, no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/slab.h"
#include "signaling/endpoint.h"
#include "signaling/gate.h"
#include "signaling/groups.h"
#include "signaling/pace.h"

namespace turnpike::signaling {

class PlainRelay final : public Endpoint {
 public:
  struct Settings {
    std::uint32_t lobby_size = 32;  // of the room that nobody named: the bare path
    std::uint32_t room_size = 64;   // of others
    std::uint32_t max_sockets = 65536;
    std::uint32_t max_rooms = 16384;
  };
  static constexpr std::size_t kMaxMessage = 64 * 1024;
  static constexpr std::size_t kMaxRoomName = 128;  // bytes of `?room=`
  static constexpr std::size_t kMaxPath = 256;      // bytes

  PlainRelay(Settings settings, Wire& wire, Gate& gate);
  ~PlainRelay() override;

  // Endpoint. Refuses before the handshake: 401 without a token that opens the room, 429 to a
  // source of too many wrong tokens or rooms, 503 where the room is full, 400 for a room name that
  // is none.
  std::size_t max_message() const override { return kMaxMessage; }
  std::optional<http::Response> refuse(Tick now, const Visit& visit) override;
  Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) override;
  void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override;
  void on_gone(Tick now, ConnectionHandle connection, Tag tag) override;

  std::size_t socket_count() const { return sockets_.size(); }

 private:
  struct Socket;
  Wire& wire_;
  const Settings settings_;
  Gate& gate_;
  Slab<Socket> sockets_;
  Groups<Socket> rooms_;
};

}  // namespace turnpike::signaling
