// Blocking ways to a server for tests: UDP, TCP and TLS on plain system calls and OpenSSL, so that
// nothing of net/ is on both sides of a test. One message in, one message out.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"

namespace turnpike::loopback {

using Bytes = std::vector<std::uint8_t>;
inline constexpr std::chrono::milliseconds kPatience{10000};

class Transport {
 public:
  virtual ~Transport() = default;
  // A whole STUN or ChannelData message; streams pad it to four bytes.
  virtual bool send(ByteView message) = 0;
  // The next whole message; nullopt when none came in time or the connection is over.
  virtual std::optional<Bytes> receive(std::chrono::milliseconds patience = kPatience) = 0;
  virtual Address local() const = 0;
  // Where the last message came from.
  virtual Address sender() const = 0;
  virtual bool is_stream() const = 0;
  virtual int fd() const = 0;
};

std::unique_ptr<Transport> over_udp(const Address& server, std::optional<Address> from = {});
// nullptr when the connection is refused.
std::unique_ptr<Transport> over_tcp(const Address& server);
// nullptr when the handshake fails. `alpn` "" offers none.
std::unique_ptr<Transport> over_tls(const Address& server, const std::string& alpn = "");

// A connection without messages: raw bytes, for HTTP, WebSocket and garbage.
class RawConnection {
 public:
  enum class Security : std::uint8_t { kPlain, kTls };
  static std::unique_ptr<RawConnection> open(const Address& server, Security security,
                                             const std::string& alpn = "");
  virtual ~RawConnection() = default;
  virtual bool write(ByteView bytes) = 0;
  bool write(std::string_view text) { return write(as_bytes(text)); }
  // What comes next, at most 64 KiB; empty on timeout and when the other side has closed.
  virtual Bytes read(std::chrono::milliseconds patience = kPatience) = 0;
  // True when the other side closes (or resets) in time; bytes that come before are dropped.
  bool closes(std::chrono::milliseconds patience = kPatience);
  // Everything until `end` has been seen.
  std::string read_until(std::string_view end);
  virtual bool ended() const = 0;
  virtual std::string alpn() const = 0;
  virtual Address local() const = 0;
  virtual int fd() const = 0;
};

// A UDP socket of a test's own: peers and echo servers.
class UdpPeer {
 public:
  explicit UdpPeer(const IpAddress& ip);
  ~UdpPeer();
  UdpPeer(const UdpPeer&) = delete;
  UdpPeer& operator=(const UdpPeer&) = delete;
  const Address& address() const { return address_; }
  bool send(const Address& to, ByteView bytes);
  struct Datagram {
    Address from;
    Bytes bytes;
  };
  std::optional<Datagram> receive(std::chrono::milliseconds patience = kPatience);
  int fd() const { return fd_; }
  static bool can_bind(const Address& address);

 private:
  int fd_;
  Address address_;
};

}  // namespace turnpike::loopback
