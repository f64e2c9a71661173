// signaling::Carrier: everything that moves bytes between connections and what is spoken on them.
// HTTP requests, WebSockets, their limits, deadlines and back pressure, files, the slow goodbye. It
// knows no path: Routes say what a request means, Endpoints what is said on a WebSocket or answered
// later. It never sees a socket: bytes come in by connection and go out through the Outlet.
//
//   bytes --> request --> Routes::on_request --+--> respond
//                            ^                 +--> hold ........... respond, later
//                            |                 +--> begin_stream ... stream, until drop
//     pipelined bytes wait --+                 +--> ask_for_file ... Routes::on_file
//                                              +--> upgrade -------> Endpoint::on_message ...
//
// Whatever ends a connection ends it when the outermost call is over, and only then are endpoints
// told (on_gone) and held-back bytes looked at. Single thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/findings.h"
#include "base/time.h"
#include "signaling/endpoint.h"
#include "signaling/http.h"
#include "signaling/origin.h"
#include "signaling/outlet.h"
#include "signaling/response.h"
#include "signaling/throttle.h"

namespace turnpike::signaling {

// What requests mean. Bodies may have RequestParser::kMaxBody unless max_body says otherwise.
class Routes : public http::BodyLimits {
 public:
  std::size_t max_body(const http::Request&) const override {
    return http::RequestParser::kMaxBody;
  }
  // Calls respond, hold, upgrade or ask_for_file of the carrier, once, before it returns (an
  // endpoint may do it).
  virtual void on_request(Tick now, ConnectionHandle connection, const Visit& visit) = 0;
  // What to answer now that the file is here. Only for those who call ask_for_file.
  virtual http::Response on_file(const http::Request&, const FileAnswer&) {
    return http::text_response(404, "there is nothing here\n");
  }
};

class Carrier final : public Wire {
 public:
  static constexpr std::uint32_t kMaxConnections = 65536;
  static constexpr std::size_t kMaxQueuedBytes = 4 << 20;  // of one connection; then it is cut
  // Of all connections together; then those for which most waits are cut, down to half of it.
  static constexpr std::size_t kMaxQueuedTotal = 256u << 20;
  // Of requests and messages that are not whole yet, and of what is pipelined behind requests that
  // are not answered; then those with most of it are cut, down to half of it.
  static constexpr std::size_t kMaxUnfinishedTotal = 256u << 20;
  // Of one source prefix (/32 or /64). Loopback and trusted proxies are exempt: they speak for
  // everybody. Behind the latter a WebSocket counts for the client that they name.
  static constexpr std::uint32_t kMaxConnectionsPerSource = 1024;
  static constexpr Rate kArrivalRate{1024, milliseconds(10)};  // of one source prefix
  static constexpr seconds kRequestDeadline{10};  // from accept or first byte to the last one
  static constexpr seconds kIdleTime{60};         // between requests
  static constexpr seconds kFileDeadline{30};     // for Outlet::read_file's answer
  // Behind a request that waits for its answer; then it is cut.
  static constexpr std::size_t kMaxPipelined = 64 * 1024;
  static constexpr seconds kLingerTime{2};  // after a refusal, so that the peer can read it
  static constexpr std::size_t kMaxDiscarded = 1 << 20;  // bytes, while lingering
  static constexpr seconds kPingInterval{25};
  static constexpr std::uint8_t kMaxUnansweredPings = 2;
  static constexpr Rate kControlFrameRate{64, milliseconds(100)};  // pings and pongs; then 1008
  static constexpr std::size_t kMaxEndpoints = 16;

  struct Settings {
    std::vector<std::string> allowed_origins;  // for upgrade()
    std::vector<IpRange> trusted_proxies;
  };
  Carrier(Settings settings, Routes& routes);
  ~Carrier() override;
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;

  // The endpoint is given its time from now on. It outlives the carrier's last call.
  void add(Endpoint& endpoint);

  // --- from the world ---
  // An empty handle: full, close the connection.
  ConnectionHandle on_connected(Tick now, const ConnectionOrigin& origin);
  void on_bytes(Tick now, ConnectionHandle connection, ByteView bytes, Outlet& outlet);
  // The connection is gone; no Outlet call names it any more.
  void on_disconnected(Tick now, ConnectionHandle connection, Outlet& outlet);
  void on_file(Tick now, ConnectionHandle connection, const FileAnswer& answer, Outlet& outlet);
  void on_time(Tick now, Outlet& outlet);
  MonoTime next_deadline() const;
  // From now on WebSockets are for those conversations only that their endpoints keep.
  void drain();
  // Every WebSocket gets its endpoint's farewell, then everything is closed. Endpoints are not told
  // any more.
  void shut_down(Tick now, Outlet& outlet);
  std::size_t connection_count() const;
  std::size_t websocket_count() const;  // counts by walking
  // Whether deadlines run and what is counted is there. Between two calls from the world.
  void audit(Findings& findings) const;

  // --- for Routes, inside on_request; and respond and hold, below ---
  // Answers the handshake, or refuses it: the site, the handshake itself, Endpoint::refuse.
  void upgrade(ConnectionHandle connection, const Visit& visit, Endpoint& endpoint, Sites sites);
  // Answers with a body that goes on until somebody ends the connection (server-sent events):
  // `head` without content. The endpoint is told when it is gone.
  void begin_stream(ConnectionHandle connection, const http::Response& head, Endpoint& endpoint,
                    Endpoint::Tag tag);
  // `path` as Outlet::read_file wants it. Routes::on_file answers.
  void ask_for_file(ConnectionHandle connection, Folder folder, std::string_view path);

  // More of a stream; answers how many of its bytes wait. Inside a call from the world, as all
  // below.
  std::size_t stream(ConnectionHandle connection, std::string_view bytes);

  // Wire. Only inside a call from the world.
  void send(ConnectionHandle connection, ws::Opcode opcode, std::string_view payload) override;
  void close(ConnectionHandle connection, ws::CloseCode code, std::string_view reason) override;
  void drop(ConnectionHandle connection) override;
  void hold(ConnectionHandle connection, Endpoint& endpoint, Endpoint::Tag tag) override;
  void respond(ConnectionHandle connection, const http::Response& response) override;

 private:
  friend struct Tampering;  // tests make what audits are to find
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace turnpike::signaling
