// The inside of signaling::Carrier. Three sources: carrier.cc (connections, time, what waits for
// the end of a call), carrier_http.cc (requests), carrier_websocket.cc (frames). Single thread.
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/slab.h"
#include "base/timer_wheel.h"
#include "signaling/carrier.h"
#include "signaling/throttle.h"
#include "signaling/ws.h"

namespace turnpike::signaling {

// A request that has no answer yet, and what was pipelined behind it.
struct Exchange {
  enum class Stage : std::uint8_t {
    kHandling,  // Routes have it
    kHeld,      // an endpoint answers later
    kFile,      // a file answers later
    kAnswered,
  };

  http::Request request;
  std::string pipelined;
  Stage stage = Stage::kHandling;
  bool in_call = true;  // Routes::on_request has not returned: the request is borrowed
};

// One connection on its way from HTTP to its end. What is needed only while bytes are in flight is
// behind pointers.
struct Connection {
  enum class Phase : std::uint8_t { kReading, kAnswering, kStreaming, kWebSocket, kLingering };

  Connection(const IpAddress& from, bool over_tls, const TlsFacts& facts)
      : remote(from), counts_for(source_prefix(from)), secure(over_tls), tls(facts) {}
  // What it counts for among all queues. More than this is a file, which the outlet bounds.
  std::size_t share() const { return std::min(queued, Carrier::kMaxQueuedBytes); }

  Timer timer;  // of the phase: request deadline, idle time, next ping, end of lingering
  IpAddress remote;
  IpAddress counts_for;  // the prefix
  bool secure;
  TlsFacts tls;
  Phase phase = Phase::kReading;
  bool served = false;           // at least one response was sent
  bool doomed = false;           // to be ended when the current call is done
  std::uint8_t unanswered = 0;   // pings
  std::uint32_t discarded = 0;   // bytes, while lingering
  std::uint32_t unfinished = 0;  // bytes kept of what came in, when last counted
  std::size_t queued = 0;        // bytes in the outlet, when last told
  std::unique_ptr<http::RequestParser> parser;
  std::unique_ptr<Exchange> exchange;  // kAnswering
  std::unique_ptr<ws::Reader> reader;  // from the upgrade on
  // The conversation: of a WebSocket, a stream or a held request.
  Endpoint* endpoint = nullptr;
  Endpoint::Tag tag = 0;
  TokenBucket control_frames;
};

class Carrier::Core {
 public:
  Core(Settings settings, Routes& routes);

  void add(Endpoint& endpoint);
  ConnectionHandle connect(Tick now, const ConnectionOrigin& origin);
  void receive(Tick now, ConnectionHandle handle, ByteView bytes, Outlet& outlet);
  void disconnect(Tick now, ConnectionHandle handle, Outlet& outlet);
  void file_arrived(Tick now, ConnectionHandle handle, const FileAnswer& answer, Outlet& outlet);
  void pass_time(Tick now, Outlet& outlet);
  void shut_down(Tick now, Outlet& outlet);
  MonoTime next_deadline() const;
  std::size_t connection_count() const { return connections_.size(); }
  std::size_t websocket_count();
  void audit(Findings& findings);
  void drain() { draining_ = true; }

  void upgrade(ConnectionHandle handle, const Visit& visit, Endpoint& endpoint, Sites sites);
  void ask_for_file(ConnectionHandle handle, Folder folder, std::string_view path);
  void begin_stream(ConnectionHandle handle, const http::Response& head, Endpoint& endpoint,
                    Endpoint::Tag tag);
  std::size_t stream(ConnectionHandle handle, std::string_view bytes);
  void hold(ConnectionHandle handle, Endpoint& endpoint, Endpoint::Tag tag);
  void respond(ConnectionHandle handle, const http::Response& response);
  void send(ConnectionHandle handle, ws::Opcode opcode, std::string_view payload);
  void close(ConnectionHandle handle, ws::CloseCode code, std::string_view reason);
  void drop(ConnectionHandle handle);

 private:
  friend struct Tampering;  // tests make what audits are to find

  // Every entry point stands in one: it holds the time and the outlet, and when the outermost one
  // ends, everything that had to wait for that is done.
  class Call;
  struct Gone {
    Endpoint* endpoint;
    ConnectionHandle handle;
    Endpoint::Tag tag;
  };
  struct Pipelined {
    ConnectionHandle handle;
    std::string bytes;
  };
  static constexpr std::size_t kJoined = 16 * 1024;  // below this a copy is cheaper than two writes

  // --- connections (carrier.cc) ---
  void dispatch(ConnectionHandle handle, ByteView bytes);
  void consume(ConnectionHandle handle, ByteView bytes);
  void end(ConnectionHandle handle, Connection& connection);     // close, then forget
  void forget(ConnectionHandle handle, Connection& connection);  // the outlet knows already
  void end_conversation(ConnectionHandle handle, Connection& connection);
  void doom(ConnectionHandle handle, Connection& connection);
  void settle();
  bool is_full(const IpAddress& source) const;
  void uncount(const Connection& connection);
  static bool needs_deadline(const Connection& connection);
  void count_for(Connection& connection, const IpAddress& source);
  void recount(Connection& connection);
  void write(ConnectionHandle handle, Connection& connection, ByteView bytes);
  // Head and body; the head is used up.
  void write(ConnectionHandle handle, Connection& connection, std::string& head, ByteView body);
  using Shares = std::vector<std::pair<std::size_t, ConnectionHandle>>;
  void relieve_queues();
  void relieve_memory();
  void doom_largest(Shares& shares, std::size_t total, std::size_t goal);
  void linger(Connection& connection);
  void discard(ConnectionHandle handle, Connection& connection, ByteView bytes);
  void on_connection_timer(ConnectionHandle handle, Connection& connection);
  void arm(Connection& connection, Duration after) {
    wheel_.arm(connection.timer, now_.mono + after);
  }

  // --- HTTP (carrier_http.cc) ---
  std::size_t on_http(ConnectionHandle handle, Connection& connection, ByteView bytes);
  void on_request(ConnectionHandle handle, Connection& connection, http::Request request);
  void on_pipelined(ConnectionHandle handle, Connection& connection, ByteView bytes);
  void on_request_timeout(ConnectionHandle handle, Connection& connection);
  // `request` may be null: it could not be read.
  void answer(ConnectionHandle handle, Connection& connection, const http::Request* request,
              const http::Response& response);
  // The exchange that nobody has answered yet; nullptr when there is none.
  static Exchange* open_exchange(Connection* connection);

  // --- WebSocket (carrier_websocket.cc) ---
  void refuse_upgrade(ConnectionHandle handle, http::Response refusal);
  void on_websocket(ConnectionHandle handle, ByteView bytes);
  void on_framing_error(ConnectionHandle handle, Connection& connection);
  void on_frame(ConnectionHandle handle, Connection& connection, const ws::Message& message);
  void on_control_frame(ConnectionHandle handle, Connection& connection,
                        const ws::Message& message);
  void send_frame(ConnectionHandle handle, Connection& connection, ws::Opcode opcode,
                  std::string_view payload);
  void close_websocket(ConnectionHandle handle, Connection& connection, ws::CloseCode code,
                       std::string_view reason = {});
  void on_ping_due(ConnectionHandle handle, Connection& connection);

  Settings settings_;
  Routes& routes_;
  std::vector<Endpoint*> endpoints_;
  TimerWheel wheel_;
  Slab<Connection> connections_{kMaxConnections};
  SourceThrottle arrivals_;
  struct IpHash {
    std::size_t operator()(const IpAddress& ip) const { return hash_value(ip); }
  };
  using PerSource = boost::unordered_flat_map<IpAddress, std::uint32_t, IpHash>;
  PerSource per_source_;
  std::size_t queued_ = 0;      // in the outlet for all connections, as far as it told
  std::size_t unfinished_ = 0;  // of all connections
  // What waits for the end of the outermost call; each names a connection at most once.
  std::vector<ConnectionHandle> doomed_;
  std::vector<Gone> gone_;
  std::vector<Pipelined> pipelined_;
  std::string scratch_;  // the frame being written
  Tick now_;
  Outlet* outlet_ = nullptr;
  int depth_ = 0;
  bool draining_ = false;
};

class Carrier::Core::Call {
 public:
  Call(Core& core, Tick now, Outlet& outlet) : core_(core), before_(core.outlet_) {
    core_.now_ = now;
    core_.outlet_ = &outlet;
    ++core_.depth_;
  }
  ~Call() {
    if (core_.depth_ == 1) core_.settle();
    --core_.depth_;
    core_.outlet_ = before_;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  Core& core_;
  Outlet* before_;
};

}  // namespace turnpike::signaling
