// The inside of engineio::Server: its sessions and what happens to them. Private to
// signaling/engineio*.cc. Single thread.
//
//                   GET                      2probe, 5
//   (none) --------------------> kPolling -------------> kWebSocket
//      |  WebSocket                  |  close()               |
//      +-------------------> ...     v                        v
//                                kParting ---------------> kEnded
//                                  the next GET, 30 s         Application::on_close, freed
//
// A session ends on the wire at once; the application hears of it, and the session is freed, when
// the outermost call into the server is over. So nothing here vanishes under a caller's hands.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/timer_wheel.h"
#include "signaling/engineio.h"
#include "signaling/engineio_packet.h"
#include "signaling/groups.h"

namespace turnpike::signaling::engineio {

// What a session has only while it polls.
struct Polling {
  struct Waiting {
    Type type;
    Kind kind;
    std::string data;
  };
  // A GET that is held, and how it wants its answer.
  struct Poll {
    ConnectionHandle connection;
    bool base64 = false;
    std::optional<std::string> jsonp;  // the index
  };

  Poll poll;
  ConnectionHandle probe;  // the WebSocket that is to take over
  bool probed = false;     // it said 2probe
  Timer probe_timer;
  std::vector<Waiting> queue;
  std::size_t queued = 0;  // bytes, with kPacketCost for each packet
};

struct Session {
  static constexpr std::size_t kSidBytes = 15;  // 20 characters
  enum class Phase : std::uint8_t { kPolling, kWebSocket, kParting, kEnded };

  std::string_view sid() const { return {sid_text.data(), sid_text.size()}; }

  std::array<char, 20> sid_text{};
  Version version = Version::k4;
  Phase phase = Phase::kPolling;
  CloseReason reason = CloseReason::kTransportClose;
  bool base64_only = false;  // said so in the handshake
  bool awaits_pong = false;
  bool told = false;  // the application, by on_close
  IpAddress source;   // its prefix; loopback, which is not counted, as it is
  ConnectionHandle socket;
  std::uint64_t tag = 0;
  Timer timer;  // the heartbeat; while parting, the patience
  std::unique_ptr<Polling> polling;
};

class Server::Core {
 public:
  Core(Settings settings, Server& server, Wire& wire, Random& random, Application& application);

  // Runs a call into the server and, when it is the outermost, what it left behind.
  template <typename Call>
  auto enter(Tick now, Call&& call);

  void on_request(Tick now, ConnectionHandle connection, const Visit& visit);
  std::optional<http::Response> refuse(Tick now, const Visit& visit);
  Tag open_socket(Tick now, ConnectionHandle connection, const Visit& visit);
  void on_frame(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                std::string_view payload);
  void on_gone(Tick now, ConnectionHandle connection, Tag tag);
  void on_time(Tick now);
  MonoTime next_deadline() const;
  void send_all(Tick now, std::span<const SessionHandle> sessions, Kind kind,
                std::string_view payload);
  void close(Tick now, SessionHandle handle);

  const Settings& settings() const { return settings_; }
  void stop_beginning() { draining_ = true; }
  std::size_t polling_count();
  IpAddress source(SessionHandle handle) const {
    const Session* session = sessions_.find(handle);
    return session == nullptr ? IpAddress() : session->source;
  }
  std::size_t live() const { return by_sid_.size() - parting_; }

 private:
  // The loop's timers have a grain of 64 ms; a deadline that is later than this counts anew.
  static constexpr milliseconds kTimerGrain{100};
  static constexpr seconds kPartingTime{30};
  static constexpr std::size_t kPacketCost = 64;
  static constexpr std::size_t kMaxJsonpIndex = 16;
  enum TimerKind : std::uint32_t { kBeat, kProbeTime };

  enum class Transport : std::uint8_t { kPolling, kWebSocket };
  // The protocol's error codes.
  enum class Error : std::uint8_t {
    kUnknownTransport = 0,
    kUnknownSid = 1,
    kBadMethod = 2,
    kBadRequest = 3,
    kForbidden = 4,
    kUnsupportedVersion = 5,
  };
  // What a query asks for.
  struct Wish {
    Transport transport = Transport::kPolling;
    Version version = Version::k4;
    bool base64 = false;
    std::optional<std::string> jsonp;
    SessionHandle session;  // empty: a new one
  };
  struct Refusal {
    Error error;
    unsigned status = 400;
  };
  // The frames that a message becomes, made when first met.
  struct Frames {
    std::string text, binary3;
  };

  // --- engineio.cc: a session's life ---
  SessionHandle begin(Tick now, const Visit& visit, const Wish& wish);
  std::optional<Refusal> room_for(const Visit& visit) const;
  std::string open_data(const Session& session) const;
  // Ends it on the wire and in the tables; on_close follows.
  void end(Tick now, SessionHandle handle, Session& session, CloseReason reason);
  void end_socket(Session& session, CloseReason reason);
  void end_polling(Tick now, Session& session, CloseReason reason);
  void finish_parting(SessionHandle handle, Session& session);
  void forget(Session& session);
  void clear_queue(Polling& polling);
  void drain(Tick now);
  void start_beating(Tick now, Session& session);
  void ping_again(Tick now, Session& session);
  void beat(Tick now, SessionHandle handle, Session& session);
  // What came from the client while the session lives.
  void take_packet(Tick now, SessionHandle handle, Session& session, const Packet& packet);
  void heard(Tick now, Session& session);
  void send_packet(Tick now, SessionHandle handle, Session& session, const Packet& packet);
  void send_frame(const Session& session, const Packet& packet, Frames& frames);
  void enqueue(Tick now, SessionHandle handle, Session& session, const Packet& packet);
  void append(Polling& polling, const Packet& packet);
  bool lives(const Session& session) const {
    return session.phase == Session::Phase::kPolling || session.phase == Session::Phase::kWebSocket;
  }

  // --- engineio_polling.cc ---
  Expected<Wish, Refusal> judge(Tick now, const Visit& visit);
  SessionHandle find_sid(Tick now, std::string_view sid);
  static std::string_view message_of(Error error);
  static http::Response error_response(const Refusal& refusal);
  void open_polling(Tick now, ConnectionHandle connection, const Visit& visit, const Wish& wish);
  void on_poll(Tick now, ConnectionHandle connection, SessionHandle handle, Session& session,
               Wish&& wish);
  void on_post(Tick now, ConnectionHandle connection, const http::Request& request,
               SessionHandle handle, Session& session, const Wish& wish);
  bool take_body(Tick now, SessionHandle handle, Session& session, BodyFormat format,
                 std::string_view body);
  // Answers the held GET with what waits.
  void flush_poll(Session& session);
  void answer_poll(Session& session, std::span<const Packet> packets);
  void answer_poll(Session& session, Type type);

  // --- engineio_websocket.cc ---
  Tag open_probe(Tick now, ConnectionHandle connection, SessionHandle handle, Session& session);
  void on_probe_frame(Tick now, SessionHandle handle, Session& session, const Packet& packet);
  void upgrade(Tick now, SessionHandle handle, Session& session);
  void drop_probe(Session& session);
  std::optional<Packet> decode_frame(const Session& session, ws::Opcode opcode,
                                     std::string_view payload);

  const Settings settings_;
  Server& server_;
  Wire& wire_;
  Random& random_;
  Application& application_;
  TimerWheel wheel_;
  Slab<Session> sessions_;
  // The names lie in the sessions, which stay where they are.
  boost::unordered_flat_map<std::string_view, SessionHandle, NameHash, std::equal_to<>> by_sid_;
  struct PrefixHash {
    std::size_t operator()(const IpAddress& prefix) const { return hash_value(prefix); }
  };
  boost::unordered_flat_map<IpAddress, std::uint32_t, PrefixHash> by_prefix_;
  bool draining_ = false;
  std::vector<SessionHandle> to_flush_;  // a GET is held and something waits
  std::vector<SessionHandle> ended_;     // the application is to be told, the rest to be freed
  std::size_t queued_total_ = 0;
  std::size_t parting_ = 0;
  std::uint32_t depth_ = 0;  // of calls into the server
  std::string scratch_;      // bytes of base64
};

template <typename Call>
auto Server::Core::enter(Tick now, Call&& call) {
  struct Guard {
    Core& core;
    Tick now;
    ~Guard() {
      if (core.depth_ == 1) core.drain(now);
      --core.depth_;
    }
  };
  ++depth_;
  const Guard guard{*this, now};
  return call();
}

}  // namespace turnpike::signaling::engineio
