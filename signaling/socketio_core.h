// The inside of socketio::Server: clients (sessions of Engine.IO), their sockets (one for each
// namespace), and what is kept for those that may come back. Private to signaling/socketio*.cc.
// Single thread.
//
// A socket ends when its client leaves the namespace, when its session ends and the application
// does not keep it, or when the recovery window is over. The application's calls may end any
// socket, so nothing that was found is used behind one of them without finding it again.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/timer_wheel.h"
#include "signaling/pace.h"
#include "signaling/socketio.h"
#include "signaling/socketio_packet.h"

namespace turnpike::signaling::socketio {

// A packet and its attachments, encoded for protocol 5, shared by all who are to get it.
struct Broadcast {
  std::string head;
  std::vector<std::string> attachments;
  std::size_t size = 0;  // bytes of all
};

// The last broadcasts to a socket, for the case that it is lost and comes back.
struct History {
  static constexpr std::size_t kCost = 64;  // of an entry, besides its bytes
  struct Entry {
    std::uint64_t number;
    std::shared_ptr<const Broadcast> broadcast;
    MonoTime until;  // nobody can have missed it and still come back
  };
  std::deque<Entry> entries;
  std::size_t bytes = 0;
  std::uint64_t forgotten = 0;  // the last number that is not here any more
};

// A binary packet whose attachments are on their way.
struct Unfinished {
  std::string head;
  std::size_t wanted = 0;
  std::vector<std::string> attachments;
  std::size_t bytes = 0;
};

struct Client {
  engineio::SessionHandle session;
  engineio::Version version = engineio::Version::k4;
  std::string sid;
  std::string query;
  std::vector<SocketHandle> sockets;  // at most kMaxNamespaces
  std::unique_ptr<Unfinished> unfinished;
  Pace pace;             // of packets that are no events; those are the application's to judge
  bool closing = false;  // nothing it says counts any more
  Timer timer;           // until its first namespace
};
using ClientHandle = Handle<Client>;

struct Socket {
  static constexpr std::size_t kIdBytes = 15;   // 20 characters
  static constexpr std::size_t kPidBytes = 18;  // 24 characters, a secret

  ClientHandle client;  // stale while it is away
  engineio::Version version = engineio::Version::k4;
  SourceMark source;  // of the client that it began with
  bool away = false;
  bool gone = false;            // the application is hearing of its end
  bool arriving = false;        // it is hearing of its beginning, and its tag is not known yet
  bool leaves_at_once = false;  // it was ended meanwhile
  std::string name_space;
  std::string id;
  std::string pid;  // empty: cannot be recovered
  std::uint64_t tag = 0;
  std::vector<std::string> rooms;
  std::unique_ptr<History> history;
  std::uint64_t lost_at = 0;  // the last broadcast before it was away
  Timer timer;                // away: the recovery window; else: the end of its oldest entry
};

class Server::Core {
 public:
  Core(const Settings& settings, Wire& wire, Random& random, Server& server,
       socketio::Application& application);
  ~Core();

  engineio::Server& engine() { return engine_; }
  const engineio::Server& engine() const { return engine_; }
  std::size_t socket_count() const { return sockets_.size(); }
  Socket* find_live(SocketHandle handle);
  const Socket* find_live(SocketHandle handle) const {
    return const_cast<Core*>(this)->find_live(handle);
  }
  // Also one whose end the application is hearing of.
  const Socket* find_any(SocketHandle handle) const { return sockets_.find(handle); }
  SocketHandle find_id(std::string_view name_space, std::string_view id) const;

  // --- socketio.cc: from below, and the life of sockets ---
  std::uint64_t on_open(Tick now, engineio::SessionHandle session,
                        const engineio::Opening& opening);
  void on_message(Tick now, std::uint64_t tag, engineio::Kind kind, std::string_view payload);
  void on_close(Tick now, std::uint64_t tag, engineio::CloseReason reason);
  void on_time(Tick now);
  MonoTime next_deadline() const;
  void disconnect(Tick now, SocketHandle handle);
  void close(Tick now, SocketHandle handle);

  // --- socketio_sending.cc ---
  void emit(Tick now, SocketHandle handle, const Outgoing& event);
  void emit_all(Tick now, std::span<const SocketHandle> sockets, const Outgoing& event,
                SocketHandle except);
  void ack(Tick now, SocketHandle handle, std::uint64_t id, std::span<const std::string_view> args,
           std::span<const std::string_view> attachments);

  // --- socketio_rooms.cc ---
  JoinOutcome join(SocketHandle handle, std::string_view room);
  bool leave(SocketHandle handle, std::string_view room);
  const Groups<Socket>& rooms() const { return rooms_; }

 private:
  enum TimerKind : std::uint32_t { kConnectTime, kSocketTime };
  // A name of sockets that strangers choose a part of.
  using Index = boost::unordered_flat_map<std::string, SocketHandle, NameHash, std::equal_to<>>;

  bool recovers() const { return settings_.recovery_window > milliseconds(0); }
  void take_text(Tick now, ClientHandle handle, Client& client, std::string_view text);
  void take_binary(Tick now, ClientHandle handle, Client& client, std::string_view bytes);
  void take_packet(Tick now, ClientHandle handle, Client& client, const Packet& packet,
                   std::span<const std::string_view> attachments);
  void deliver(Tick now, SocketHandle handle, const Socket& socket, const Packet& packet,
               std::span<const std::string_view> attachments);
  void fail(Tick now, Client& client);  // closes the session; on_close follows
  void drop_unfinished(Client& client);

  // Answers a CONNECT, or opens "/" unasked.
  void connect(Tick now, ClientHandle handle, const Packet& packet);
  void welcome(Tick now, Client& client, const Socket& socket);
  void reject(Tick now, const Client& client, std::string_view name_space, const Refusal& refusal);
  SocketHandle make_socket(ClientHandle handle, const Client& client, std::string_view name_space);
  SocketHandle socket_on(const Client& client, std::string_view name_space) const;
  void detach(Socket& socket, SocketHandle handle);
  void end_socket(Tick now, SocketHandle handle);
  // The connection of a socket is no more: it goes away for a while, or for good.
  void lose(Tick now, SocketHandle handle, bool may_return);

  // --- socketio_rooms.cc: recovery ---
  // True: the socket that `pid` names lives on in this client and knows what it missed.
  bool recover(Tick now, ClientHandle handle, const Greeting& greeting);
  // Which broadcasts were missed: those after this number. nullopt: some are not known any more.
  std::optional<std::uint64_t> last_seen(const Socket& socket,
                                         const std::optional<std::string>& offset) const;
  void keep(Tick now, Socket& socket, const std::shared_ptr<const Broadcast>& broadcast);
  void forget_old(Tick now, Socket& socket);
  bool may_keep(const Socket& socket, const History& history, std::size_t size) const;
  void forget_first(const Socket& socket, History& history);
  void no_longer_away(const Socket& socket, SocketHandle handle);
  std::string offset_text(std::uint64_t number) const;

  void send_packet(Tick now, std::span<const engineio::SessionHandle> sessions,
                   std::string_view head, std::span<const std::string_view> attachments);

  const Settings settings_;
  Random& random_;
  socketio::Application& application_;
  const std::string run_;  // in every offset: those of another process mean nothing here
  TimerWheel wheel_;
  Slab<Client> clients_;
  Slab<Socket> sockets_;
  Index by_id_;  // namespace and id
  Index by_pid_;
  Groups<Socket> rooms_;
  std::uint64_t broadcasts_ = 0;  // the number of the last one
  std::size_t kept_total_ = 0;
  std::size_t unfinished_total_ = 0;
  SourceShares kept_shares_;
  AwayList away_;
  engineio::Server engine_;  // the last: its sessions end first
};

}  // namespace turnpike::signaling::socketio
