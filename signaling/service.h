// signaling::Service: everything that speaks HTTP or WebSocket on our ports, as one state machine:
// pages, the credential API, rooms. It never sees a socket: bytes come in by connection, bytes go
// out through the Outlet. Single thread (the hub loop's, or the only loop's).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/slab.h"
#include "base/time.h"
#include "signaling/endpoint.h"
#include "signaling/ice_servers.h"
#include "signaling/throttle.h"

namespace turnpike::signaling {

struct Settings {
  std::string version;
  std::string secret;                 // signs invitations and mints credentials
  std::vector<std::string> api_keys;  // for back ends
  IceUrls ice_urls;
  std::string public_url;     // "http://192.0.2.1:3478", how pages are reached; no final slash
  bool open_rooms = false;    // credentials for everyone who joins
  bool serve_static = false;  // --static was given: unknown paths are asked of Outlet::read_file
  // Sites whose pages may use the API and the WebSocket besides our own origin (the request's
  // Host).
  std::vector<std::string> allowed_origins;
};

struct ConnectionOrigin {
  Address remote;
  Address local;
  bool secure = false;  // came over TLS
};

class Outlet {
 public:
  virtual ~Outlet() = default;
  // Takes the bytes; answers how many wait for this connection now. The service closes connections
  // that read too slowly.
  virtual std::size_t write(ConnectionHandle connection, ByteView bytes) = 0;
  // After what was written has left. No further call names this connection.
  virtual void close(ConnectionHandle connection) = 0;
  // A member left for good: its relay allocations end, its credentials are refused until then.
  virtual void revoke(std::string_view name, WallTime until) = 0;
  // Wants a file below the static folder; `path` is decoded, relative, clean of "..", dot files and
  // NUL. Answered once by Service::on_file, at once or later.
  virtual void read_file(ConnectionHandle connection, std::string_view path) = 0;
};

struct FileAnswer {
  enum class Kind : std::uint8_t { kFile, kDirectory, kNotFound, kTooLarge };
  Kind kind = Kind::kNotFound;
  std::string content;               // kFile
  WallTime modified;                 // kFile
  std::vector<std::string> listing;  // kDirectory without index.html; folders end in '/'
  // kFile: the content is the index.html of the folder that was asked for.
  bool is_index = false;
};

class Service {
 public:
  static constexpr std::uint32_t kMaxConnections = 65536;
  static constexpr std::size_t kMaxQueuedBytes = 4 << 20;  // of one connection; then it is cut
  // Of all connections together; then those for which most waits are cut, down to half of it.
  static constexpr std::size_t kMaxQueuedTotal = 256u << 20;
  // Of one source prefix (/32 or /64). Loopback is exempt: there a proxy speaks for everybody.
  static constexpr std::uint32_t kMaxConnectionsPerSource = 1024;
  static constexpr Rate kArrivalRate{1024, milliseconds(10)};  // of one source prefix
  static constexpr seconds kRequestDeadline{10};  // from accept or first byte to the last one
  static constexpr seconds kIdleTime{60};         // between requests
  static constexpr seconds kFileDeadline{30};     // for Outlet::read_file's answer
  static constexpr std::size_t kMaxPipelined = 64 * 1024;  // behind a file; then it is cut
  static constexpr seconds kLingerTime{2};  // after a refusal, so that the peer can read it
  static constexpr std::size_t kMaxDiscarded = 1 << 20;  // bytes, while lingering
  static constexpr seconds kPingInterval{25};
  static constexpr std::uint8_t kMaxUnansweredPings = 2;
  static constexpr Rate kControlFrameRate{64, milliseconds(100)};  // pings and pongs; then 1008

  Service(Settings settings, Random& random);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // An empty handle: full, close the connection.
  ConnectionHandle on_connected(Tick now, const ConnectionOrigin& origin);
  void on_bytes(Tick now, ConnectionHandle connection, ByteView bytes, Outlet& outlet);
  // The connection is gone; no Outlet call names it any more.
  void on_disconnected(Tick now, ConnectionHandle connection, Outlet& outlet);
  void on_file(Tick now, ConnectionHandle connection, const FileAnswer& answer, Outlet& outlet);
  void on_time(Tick now, Outlet& outlet);
  MonoTime next_deadline() const;
  // Tells every WebSocket that the server goes away (close 1001) and closes the rest.
  void shut_down(Tick now, Outlet& outlet);

  // For the start-up lines and the command line: an iceServers list and the path of a room link
  // with an invitation in its fragment.
  std::string example_ice_servers(WallTime now) const;  // JSON, indented
  std::string room_link(std::string_view room, WallTime now) const;

  struct Audit {
    std::size_t connections = 0;
    std::size_t rooms = 0;
    std::size_t members = 0;
  };
  Audit audit() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace turnpike::signaling
