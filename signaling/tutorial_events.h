// What Socket.IO events mean for the pages of three WebRTC tutorials, all at once: their event
// names differ, and where they do not, their arguments do. A relay with rooms: values go on with
// their own JSON type and text. Owns the Socket.IO server. Single thread, no I/O.
//
//   tutorial 001   joinRoom, sendOffer, sendAnswer, sendCandidate     rooms of many
//   tutorial 002   offer, answer, onicecandidate, message to an id    everybody: the lobby
//   tutorial 003   join, leave, message in a room                     rooms of two
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/slab.h"
#include "signaling/gate.h"
#include "signaling/pace.h"
#include "signaling/socketio.h"

namespace turnpike::signaling {

class TutorialEvents final : private socketio::Application {
 public:
  struct Settings {
    socketio::Settings socketio;
    // Sockets of one namespace (and ?room=) that hear each other's 002 events. Whoever comes when
    // it is full connects, but is not among them until somebody has left and it speaks again.
    std::uint32_t lobby_size = 32;
    // A room of 003 is told `bye` for a member whose connection was lost.
    bool bye_on_disconnect = true;
  };
  static constexpr std::size_t kRoomOfTwo = 2;      // 003
  static constexpr std::size_t kMaxRoomText = 256;  // bytes of JSON; then it is ignored
  static constexpr std::size_t kMaxMembers = 64;    // of a room of 001

  TutorialEvents(Settings settings, Wire& wire, Random& random, Gate& gate);
  ~TutorialEvents() override;

  // For the routes of /socket.io/: on_request, upgrades, and the time.
  socketio::Server& server() { return server_; }

 private:
  struct Visitor;
  using VisitorHandle = Handle<Visitor>;

  // An event that is being handled.
  struct Call {
    Tick now;
    socketio::SocketHandle socket;
    Visitor& visitor;
    const socketio::Event& event;
    bool judged = false;
  };
  using Handler = void (TutorialEvents::*)(Call&);
  struct Meaning {
    std::string_view event;
    Handler handler;
  };
  static Handler handler_of(std::string_view event);

  std::optional<socketio::Refusal> refuse(Tick now, const socketio::Greeting& greeting) override;
  std::uint64_t on_connect(Tick now, socketio::SocketHandle socket,
                           const socketio::Greeting& greeting) override;
  void on_event(Tick now, socketio::SocketHandle socket, std::uint64_t tag,
                const socketio::Event& event) override;
  bool keeps(Tick now, socketio::SocketHandle socket, std::uint64_t tag) override;
  bool may_return(Tick now, socketio::SocketHandle socket, std::uint64_t tag,
                  const socketio::Greeting& greeting) override;
  void on_disconnect(Tick now, socketio::SocketHandle socket, std::uint64_t tag) override;

  // Tutorial 001.
  void join_room(Call& call);
  template <const auto& event_name, const auto& key>
  void pass_on(Call& call);
  void make_space(Tick now, std::string_view room);
  // Tutorial 002.
  void to_lobby(Call& call);
  void to_socket(Call& call);
  bool enter_lobby(socketio::SocketHandle socket, const Visitor& visitor);
  void leave_lobby(socketio::SocketHandle socket, Visitor& visitor);
  // Tutorial 003.
  void join_pair(Call& call);
  void leave_pair(Call& call);
  void to_pair(Call& call);
  void message(Call& call);  // of 002 or 003

  // Whether the client may say this now, to so many. Once for each event.
  bool passes(Call& call, std::size_t recipients);
  std::size_t others_in(std::string_view room, socketio::SocketHandle socket) const;
  bool admits(Tick now, const Visitor& visitor, std::string_view room) const;
  // The acknowledgement of a join, if one is wanted: null, or a sentence that says why not.
  void answer(const Call& call, std::string_view fault);
  std::string own_id(socketio::SocketHandle socket) const;  // JSON text

  const Settings settings_;
  Gate& gate_;
  Slab<Visitor> visitors_;
  socketio::Server server_;
};

}  // namespace turnpike::signaling
