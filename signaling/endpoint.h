// The seam between what carries bytes and what they say. An Endpoint is what is spoken on a path:
// the native protocol, the raw relay, Engine.IO, ScaleDrone, PeerJS, y-webrtc. It is stateless or a
// state machine, and one object serves all its conversations. A Wire is what it may do to a
// connection; the Carrier (signaling/carrier.h) implements it over HTTP and WebSocket.
//
// A conversation begins with on_open (a WebSocket) or Wire::hold (a request whose answer comes
// later), and on_gone ends it, whoever wished it, exactly once; only respond() ends a held one
// without. No Wire function calls an Endpoint before it has returned. Single thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/slab.h"
#include "base/time.h"
#include "signaling/http.h"
#include "signaling/response.h"
#include "signaling/ws.h"

namespace turnpike::signaling {

struct Connection;  // private to the carrier
using ConnectionHandle = Handle<Connection>;

// What TLS has agreed on with a client; constant strings. Empty: without TLS.
struct TlsFacts {
  std::string_view version;
  std::string_view cipher;
};

// Who asks, as far as the connection and trusted proxies tell, and what for.
struct Visit {
  IpAddress source;
  bool secure = false;  // came over TLS, here or at a trusted proxy
  const http::Request& request;
  TlsFacts tls{};  // of the connection here, be it a proxy's
};

class Endpoint {
 public:
  // What an endpoint answers for itself to each conversation: its handle for what it keeps of it.
  using Tag = std::uint64_t;
  enum class KeepAlive : std::uint8_t {
    kPings,  // the carrier sends WebSocket pings and ends connections that do not answer
    kOwn,    // the endpoint does it
  };

  virtual ~Endpoint() = default;

  // Of one message and of its fragments together; what is larger ends the connection (1009).
  virtual std::size_t max_message() const = 0;
  // Otherwise a binary message ends the connection (1003).
  virtual bool takes_binary() const { return false; }
  virtual KeepAlive keep_alive() const { return KeepAlive::kPings; }

  // An answer instead of the WebSocket handshake, which itself is in order.
  virtual std::optional<http::Response> refuse(Tick, const Visit&) { return std::nullopt; }
  // While the server drains: whether this conversation belongs to one that is kept. All others are
  // closed with 1013 as soon as they are open.
  virtual bool belongs_to_kept(const Visit&) const { return false; }
  // The WebSocket is open.
  virtual Tag on_open(Tick now, ConnectionHandle connection, const Visit& visit) = 0;
  // A whole message, text (valid UTF-8) or binary.
  virtual void on_message(Tick now, ConnectionHandle connection, Tag tag, ws::Opcode opcode,
                          std::string_view payload) = 0;
  // A message was too large; the close frame follows.
  virtual void on_too_large(Tick, ConnectionHandle, Tag) {}
  // Closed by either side, or lost. The handle names nothing any more.
  virtual void on_gone(Tick now, ConnectionHandle connection, Tag tag) = 0;

  // With KeepAlive::kPings: what a ping carries, and what came back in a pong.
  virtual std::string ping_payload(Tag) { return {}; }
  virtual void on_pong(Tick, ConnectionHandle, Tag, std::string_view) {}

  // Everything whose time has come; and when that is next.
  virtual void on_time(Tick) {}
  virtual MonoTime next_deadline() const { return MonoTime::never(); }

  enum class Farewell : std::uint8_t {
    kGoingAway,  // a close frame with 1001
    kNone,       // the connection just ends, so that clients come back
  };
  // How a WebSocket of this endpoint ends when the server stops.
  virtual Farewell farewell() const { return Farewell::kGoingAway; }
};

class Wire {
 public:
  virtual ~Wire() = default;

  // --- to a WebSocket; nothing happens when it is gone ---
  virtual void send(ConnectionHandle connection, ws::Opcode opcode, std::string_view payload) = 0;
  // The closing handshake. Nothing is delivered to the endpoint any more.
  virtual void close(ConnectionHandle connection, ws::CloseCode code,
                     std::string_view reason = {}) = 0;
  // The connection, a WebSocket or a stream, ends without a close frame, after what was sent.
  virtual void drop(ConnectionHandle connection) = 0;

  // --- to an HTTP request ---
  // Inside the handling of a request: the answer comes later, by respond().
  virtual void hold(ConnectionHandle connection, Endpoint& endpoint, Endpoint::Tag tag) = 0;
  // Answers the request that is being handled or held.
  virtual void respond(ConnectionHandle connection, const http::Response& response) = 0;
};

}  // namespace turnpike::signaling
