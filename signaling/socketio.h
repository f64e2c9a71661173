// Socket.IO, protocols 4 and 5 (clients 1.x to 4.x), the server's side: namespaces, events with
// binary attachments, acknowledgements, rooms, and sessions that are recovered after a lost
// connection. Owns the Engine.IO sessions below it. What events mean is an Application's. Values
// travel as checked JSON text and are never rebuilt. Single thread, no I/O: see
// signaling/endpoint.h.
//
//   lost, and the application keeps it
//   connected <----------------------> away ---> gone: the window is over,
//   Application::on_disconnect
//       |        CONNECT with its pid                                     ^
//       +-----------------------------------------------------------------+
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/slab.h"
#include "signaling/away_list.h"
#include "signaling/endpoint.h"
#include "signaling/engineio.h"
#include "signaling/groups.h"

namespace turnpike::signaling::socketio {

struct Socket;  // one client in one namespace; private to the server
using SocketHandle = Handle<Socket>;
using JoinOutcome = Groups<Socket>::Outcome;

// How a client asks for a namespace; borrowed for the call.
struct Greeting {
  engineio::Version version;
  IpAddress source;                  // the prefix
  std::string_view name_space;       // "/", "/chat"
  std::string_view auth;             // the CONNECT packet's JSON object; "{}" when there is none
  std::string_view query;            // of the address that opened the session, still encoded
  std::string_view namespace_query;  // protocol 4: what stood behind the namespace's name
  SocketHandle main;  // protocol 4: the session's socket on "/", which every session has unasked
};

struct Refusal {
  std::string message;  // for people
  std::string data;     // JSON text for protocol 5; may be empty
};

struct Event {
  std::string_view name;                          // a number's text for numeric names
  std::span<const std::string_view> args;         // JSON texts
  std::optional<std::uint64_t> ack;               // the client waits for Server::ack with this id
  std::span<const std::string_view> attachments;  // for {"_placeholder":true,"num":n} in args
};

struct Outgoing {
  std::string_view name;
  std::span<const std::string_view> args = {};         // checked JSON texts
  std::span<const std::string_view> attachments = {};  // all of those that args mean
};

class Application {
 public:
  virtual ~Application() = default;
  // A CONNECT_ERROR (protocol 4: ERROR) instead of the namespace. "Invalid namespace" is what
  // clients expect for namespaces that do not exist.
  virtual std::optional<Refusal> refuse(Tick, const Greeting&) { return std::nullopt; }
  // The client is told already. Answers the application's own handle, which comes back with
  // everything else about this socket.
  virtual std::uint64_t on_connect(Tick now, SocketHandle socket, const Greeting& greeting) = 0;
  virtual void on_event(Tick now, SocketHandle socket, std::uint64_t tag, const Event& event) = 0;
  // The connection was lost. True: the socket stays in its rooms and what is broadcast to it is
  // kept, so that the client can come back as the same one; false: on_disconnect follows. Only
  // asked where the client can (protocol 5, Settings::recovery_window).
  virtual bool keeps(Tick, SocketHandle, std::uint64_t /*tag*/) { return false; }
  // A client comes back as this socket, with a greeting of its own, which refuse() let pass. False:
  // it becomes a new one, and on_disconnect of the old one follows.
  virtual bool may_return(Tick, SocketHandle, std::uint64_t /*tag*/, const Greeting&) {
    return true;
  }
  // The last call about this socket; it is still in its rooms, and nothing reaches it any more.
  virtual void on_disconnect(Tick now, SocketHandle socket, std::uint64_t tag) = 0;
};

struct Settings {
  engineio::Settings engine;
  milliseconds connect_timeout{45000};    // from the opening to the first namespace
  milliseconds recovery_window{120'000};  // zero: nothing is ever recovered
  std::uint32_t max_sockets = 131072;     // in all namespaces, those that are away included
  Groups<Socket>::Limits rooms;
  AwayList::Limits away;  // sockets whose connection is lost; who went first ends early
  std::uint32_t max_kept_of_source = 16u << 20;  // bytes that are kept for sockets of one prefix
};

class Server final : public Endpoint, private engineio::Application {
 public:
  static constexpr std::size_t kMaxNamespaces = 16;             // of one session
  static constexpr std::size_t kMaxNamespaceName = 128;         // bytes
  static constexpr std::size_t kMaxRoomsPerSocket = 32;         // then JoinOutcome::kTooMany
  static constexpr std::size_t kMaxRoomName = 512;              // bytes; then kTooMany
  static constexpr std::size_t kMaxAttachmentBytes = 1u << 20;  // of one event; then it closes
  // Of events that wait for their attachments, all together; then the one that waits closes.
  static constexpr std::size_t kMaxUnfinishedTotal = 64u << 20;
  // Broadcasts that are kept for a client that may come back; and of all clients together.
  static constexpr std::size_t kMaxKept = 256;
  static constexpr std::size_t kMaxKeptBytes = 256u << 10;
  static constexpr std::size_t kMaxKeptTotal = 64u << 20;

  // `application` may be the owner of the server: it is not called before the first request.
  Server(Settings settings, Wire& wire, Random& random, socketio::Application& application);
  ~Server() override;

  // GET, POST and OPTIONS on the path. Answers through the Wire, at once or later.
  void on_request(Tick now, ConnectionHandle connection, const Visit& visit);
  std::size_t session_count() const;
  std::size_t polling_count() const;
  // From now on no session begins.
  void drain();
  std::size_t socket_count() const;  // those that are away included

  // Endpoint: for `transport=websocket`, and for the time.
  std::size_t max_message() const override;
  bool takes_binary() const override { return true; }
  KeepAlive keep_alive() const override { return KeepAlive::kOwn; }
  bool belongs_to_kept(const Visit& visit) const override;
  std::optional<http::Response> refuse(Tick now, const Visit& visit) override;
  Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) override;
  void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override;
  void on_gone(Tick now, ConnectionHandle connection, Tag tag) override;
  void on_time(Tick now) override;
  MonoTime next_deadline() const override;
  Farewell farewell() const override { return Farewell::kNone; }

  // --- for the application; handles of sockets that are gone do nothing ---
  // To one socket, now or never: not kept for a client that may come back.
  void emit(Tick now, SocketHandle socket, const Outgoing& event);
  // A broadcast to sockets of one namespace: encoded once for each protocol, kept for those that
  // are away. Protocol 5 clients get the offset as an extra last argument.
  void emit_all(Tick now, std::span<const SocketHandle> sockets, const Outgoing& event,
                SocketHandle except = {});
  void ack(Tick now, SocketHandle socket, std::uint64_t id, std::span<const std::string_view> args,
           std::span<const std::string_view> attachments = {});
  // A DISCONNECT packet; on_disconnect follows before this returns, or after
  // on_connect has.
  void disconnect(Tick now, SocketHandle socket);
  // The whole session with all its namespaces, as for one that breaks the protocol.
  void close(Tick now, SocketHandle socket);

  // Rooms are names of the application's choice; a socket that goes leaves all of its own.
  JoinOutcome join(SocketHandle socket, std::string_view room);
  bool leave(SocketHandle socket, std::string_view room);
  bool contains(std::string_view room, SocketHandle socket) const;
  // Of one socket; until its next join or leave.
  std::span<const std::string> rooms_of(SocketHandle socket) const;
  // Until the next join, leave or disconnect; in the order of joining.
  std::span<const SocketHandle> members(std::string_view room) const;

  // Empty and false for sockets that are gone; inside on_disconnect the names are still known.
  std::string_view id(SocketHandle socket) const;
  std::string_view name_space(SocketHandle socket) const;
  bool is_away(SocketHandle socket) const;
  std::optional<std::uint64_t> tag(SocketHandle socket) const;
  // By the id that clients know.
  SocketHandle find(std::string_view name_space, std::string_view id) const;

 private:
  std::uint64_t on_open(Tick now, engineio::SessionHandle session,
                        const engineio::Opening& opening) override;
  void on_message(Tick now, engineio::SessionHandle session, std::uint64_t tag, engineio::Kind kind,
                  std::string_view payload) override;
  void on_close(Tick now, engineio::SessionHandle session, std::uint64_t tag,
                engineio::CloseReason reason) override;

  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace turnpike::signaling::socketio
