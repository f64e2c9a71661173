// The inside of signaling::Service: its connections and how their bytes find the pages, the API and
// the hub. Three sources: service.cc (connections, time), service_http.cc (requests),
// service_websocket.cc (frames, and the hub's words). Single thread.
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/timer_wheel.h"
#include "signaling/api.h"
#include "signaling/hub.h"
#include "signaling/native.h"
#include "signaling/origin.h"
#include "signaling/service.h"
#include "signaling/throttle.h"
#include "signaling/ws.h"

namespace turnpike::signaling {

// A request whose answer is a file that has not come yet, and what was pipelined behind it.
struct FileWait {
  http::Request request;
  std::string pipelined;
};

// One connection on its way from HTTP to its end. What is needed only while bytes are in flight is
// behind pointers.
struct Connection {
  enum class Phase : std::uint8_t { kHttp, kFile, kWebSocket, kLingering };

  explicit Connection(const ConnectionOrigin& from) : origin(from) {}
  // What it counts for among all queues. More than this is a file, which the outlet bounds.
  std::size_t share() const { return std::min(queued, Service::kMaxQueuedBytes); }

  Timer timer;  // of the phase: request deadline, idle time, next ping, end of lingering
  ConnectionOrigin origin;
  Phase phase = Phase::kHttp;
  bool served = false;          // at least one response was sent
  bool doomed = false;          // to be ended when the current call is done
  std::uint8_t unanswered = 0;  // pings
  std::uint32_t discarded = 0;  // bytes, while lingering
  std::size_t queued = 0;       // bytes in the outlet, when last told
  std::unique_ptr<http::RequestParser> parser;
  std::unique_ptr<FileWait> file;
  std::unique_ptr<ws::Reader> reader;  // from the upgrade on
  PeerHandle peer;
  TokenBucket control_frames;
};

class Service::Core final : public HubSink {
 public:
  Core(Settings settings, Random& random);

  ConnectionHandle connect(Tick now, const ConnectionOrigin& origin);
  void receive(Tick now, ConnectionHandle handle, ByteView bytes, Outlet& outlet);
  void disconnect(Tick now, ConnectionHandle handle, Outlet& outlet);
  void file_arrived(Tick now, ConnectionHandle handle, const FileAnswer& answer, Outlet& outlet);
  void pass_time(Tick now, Outlet& outlet);
  void shut_down(Tick now, Outlet& outlet);
  MonoTime next_deadline() const { return wheel_.next(); }
  Audit audit() const;
  std::string example_ice_servers(WallTime now) const;
  std::string room_link(std::string_view room, WallTime now) const;

  // HubSink
  void deliver(PeerHandle peer, std::string_view text) override;
  void dismiss(PeerHandle peer, Dismissal why) override;
  void revoke(std::string_view name, WallTime until) override;

 private:
  enum class TimerKind : std::uint32_t { kConnection, kMember };
  // Every entry point stands in one: it holds the time and the outlet, and when the outermost one
  // ends, the connections that were cut on the way are ended.
  class Call;

  // --- connections (service.cc) ---
  void dispatch(ConnectionHandle handle, ByteView bytes);
  void end(ConnectionHandle handle, Connection& connection);     // close, then forget
  void forget(ConnectionHandle handle, Connection& connection);  // the outlet knows already
  void release_peer(Connection& connection);
  void doom(ConnectionHandle handle, Connection& connection);
  void end_doomed();
  void write(ConnectionHandle handle, Connection& connection, ByteView bytes);
  void relieve();
  void linger(Connection& connection);
  void discard(ConnectionHandle handle, Connection& connection, ByteView bytes);
  void on_connection_timer(ConnectionHandle handle, Connection& connection);
  void arm(Connection& connection, Duration after);

  // --- HTTP (service_http.cc) ---
  std::size_t on_http(ConnectionHandle handle, Connection& connection, ByteView bytes);
  void on_request(ConnectionHandle handle, http::Request request);
  void on_request_timeout(ConnectionHandle handle, Connection& connection);
  void respond(ConnectionHandle handle, const http::Request* request,
               const http::Response& response);
  void open_to_sites(ConnectionHandle handle, const http::Request& request);
  std::optional<http::Response> own_page(const http::Request& request) const;
  http::Response config() const;
  void ask_for_file(ConnectionHandle handle, http::Request request);

  // --- WebSocket (service_websocket.cc) ---
  void upgrade(ConnectionHandle handle, const http::Request& request);
  void on_websocket(ConnectionHandle handle, ByteView bytes);
  void on_framing_error(ConnectionHandle handle, Connection& connection);
  void on_frame(ConnectionHandle handle, Connection& connection, const ws::Message& message);
  void on_control_frame(ConnectionHandle handle, Connection& connection,
                        const ws::Message& message);
  void send_frame(ConnectionHandle handle, Connection& connection, ws::Opcode opcode,
                  std::string_view payload);
  void close_websocket(ConnectionHandle handle, Connection& connection, ws::CloseCode code);
  void on_ping_due(ConnectionHandle handle, Connection& connection);

  Settings settings_;
  Random& random_;
  Minter minter_;
  InvitationSigner signer_;
  TimerWheel wheel_;
  Hub hub_;
  Api api_;
  NativeDialect native_;
  Slab<Connection> connections_{kMaxConnections};
  Slab<Peer> peers_{kMaxConnections};
  SourceThrottle arrivals_;
  struct IpHash {
    std::size_t operator()(const IpAddress& ip) const { return hash_value(ip); }
  };
  boost::unordered_flat_map<IpAddress, std::uint32_t, IpHash> per_source_;
  std::size_t queued_ = 0;  // in the outlet for all connections, as far as it told
  std::vector<ConnectionHandle> doomed_;
  std::string scratch_;  // the frame being written
  Tick now_;
  Outlet* outlet_ = nullptr;
  int depth_ = 0;
};

class Service::Core::Call {
 public:
  Call(Core& core, Tick now, Outlet& outlet) : core_(core), before_(core.outlet_) {
    core_.now_ = now;
    core_.outlet_ = &outlet;
    ++core_.depth_;
  }
  ~Call() {
    if (core_.depth_ == 1) {
      if (core_.queued_ > kMaxQueuedTotal) core_.relieve();
      core_.end_doomed();
    }
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
