// Engine.IO, protocols 3 and 4, the server's side: sessions that begin as long polling or as a
// WebSocket, upgrade from one to the other without losing or doubling a message, and beat. One
// Server serves one path. What is said in a session is an Application's (Socket.IO). Sans-IO: HTTP
// requests and WebSockets come from the Carrier, answers leave through the Wire. Single thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/slab.h"
#include "signaling/endpoint.h"

namespace turnpike::signaling::engineio {

struct Session;  // private to the server
using SessionHandle = Handle<Session>;

enum class Version : std::uint8_t { k3 = 3, k4 = 4 };
enum class Kind : std::uint8_t { kText, kBinary };

// How a session begins; borrowed for the call.
struct Opening {
  Version version;
  std::string_view sid;  // a secret of the client's with protocol 4
  const Visit& visit;    // the first request
};

enum class CloseReason : std::uint8_t {
  kTransportClose,  // the connection ended
  kTransportError,  // it broke a rule of the transport
  kPingTimeout,
  kParseError,
  kClosedByClient,  // a close packet
  kClosedByServer,  // Server::close
  kTooSlow,         // too much waited for it
};

class Application {
 public:
  virtual ~Application() = default;
  // What is sent from here leaves with the handshake, behind the open packet. Answers the
  // application's own handle, which comes back with everything else about this session.
  virtual std::uint64_t on_open(Tick now, SessionHandle session, const Opening& opening) = 0;
  virtual void on_message(Tick now, SessionHandle session, std::uint64_t tag, Kind kind,
                          std::string_view payload) = 0;
  // The last call about this session; nothing can be sent to it any more.
  virtual void on_close(Tick now, SessionHandle session, std::uint64_t tag, CloseReason reason) = 0;
};

struct Settings {
  milliseconds ping_interval{25000};
  milliseconds ping_timeout{20000};
  milliseconds upgrade_timeout{10000};
  std::size_t max_payload = 1'000'000;  // bytes of a POST and of a WebSocket message
  std::uint32_t max_sessions = 65536;
  std::uint32_t max_sessions_per_source = 1024;  // of a source prefix; loopback is exempt
  std::size_t max_queued = 4u << 20;  // bytes that wait for a poll; then the session ends
  // Of all sessions together; then whoever is sent to ends.
  std::size_t max_queued_total = 128u << 20;
};

class Server final : public Endpoint {
 public:
  Server(Settings settings, Wire& wire, Random& random, Application& application);
  ~Server() override;

  // GET, POST and OPTIONS on the path. Answers through the Wire, at once or later.
  void on_request(Tick now, ConnectionHandle connection, const Visit& visit);

  // Endpoint: `transport=websocket`.
  std::size_t max_message() const override;
  bool takes_binary() const override { return true; }
  KeepAlive keep_alive() const override { return KeepAlive::kOwn; }
  bool belongs_to_kept(const Visit& visit) const override;  // one of a session that lives
  std::optional<http::Response> refuse(Tick now, const Visit& visit) override;
  Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) override;
  void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                  std::string_view payload) override;
  void on_gone(Tick now, ConnectionHandle connection, Tag tag) override;
  void on_time(Tick now) override;
  MonoTime next_deadline() const override;
  // Clients come back when the connection just ends.
  Farewell farewell() const override { return Farewell::kNone; }

  // For the application. Never calls it back before returning; nothing happens when the session is
  // gone.
  void send(Tick now, SessionHandle session, Kind kind, std::string_view payload);
  // The same to many, framed once for each protocol and transport that is met.
  void send_all(Tick now, std::span<const SessionHandle> sessions, Kind kind,
                std::string_view payload);
  // After what was sent. on_close follows, with kClosedByServer.
  void close(Tick now, SessionHandle session);
  // Where a session began: the source's prefix (loopback as it is). 0.0.0.0 when it is gone.
  IpAddress source(SessionHandle session) const;
  std::size_t session_count() const;
  std::size_t polling_count() const;  // those of them without a WebSocket; counts by walking
  // From now on no session begins.
  void drain();

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace turnpike::signaling::engineio
