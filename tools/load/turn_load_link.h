// A client's way to the server: a connected UDP socket, a TCP connection or TLS on one, all
// non-blocking. Messages in, messages out. Owned by its session; one thread.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/expected.h"
#include "tools/load/turn_load_options.h"
#include "tools/load/turn_load_sockets.h"
#include "turn/stream_framer.h"

namespace turnpike::load {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using TlsContext = std::unique_ptr<SSL_CTX, SslFree>;
// A client's context that trusts every certificate: what is measured is the server.
TlsContext make_tls_context();

class Link {
 public:
  // Data is not queued beyond this: it waits for the server to read.
  static constexpr std::size_t kFull = 256 * 1024;

  struct Wish {
    Transport transport;
    Address from;
    Address server;
    Trains trains;
    SSL_CTX* context;
  };
  static Expected<std::unique_ptr<Link>> open(const Wish& wish);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  int fd() const { return fd_; }
  bool is_stream() const { return transport_ != Transport::kUdp; }
  bool is_open() const { return state_ == State::kOpen; }
  bool has_failed() const { return state_ == State::kFailed; }
  bool wants_write() const { return state_ == State::kConnecting || queued() > 0 || tls_writes_; }
  bool is_full() const { return queued() >= kFull; }

  // A whole message; streams pad it. Streams leave with flush().
  void send(ByteView message);
  // Room for `size` bytes at the end of what a stream will send.
  MutableBytes append(std::size_t size);
  void flush();

  // Goes on with connect and handshake, then reads once or a few times and calls f(message).
  template <typename F>
  void on_ready(Inbox& inbox, F&& f) {
    if (transport_ == Transport::kUdp) {
      inbox.receive(fd_, [&](const sockaddr*, ByteView datagram) { f(datagram); });
      return;
    }
    if (!advance()) return;
    for (int i = 0; i < kReadsAtOnce; ++i) {
      const ByteView bytes = read_some();
      if (bytes.empty()) return;
      framer_.feed(bytes);
      ByteView message;
      auto result = framer_.next(message);
      for (; result == turn::StreamFramer::Result::kMessage; result = framer_.next(message)) {
        f(message);
      }
      if (result == turn::StreamFramer::Result::kGarbage) {
        state_ = State::kFailed;
        return;
      }
      framer_.keep_rest();
    }
  }

 private:
  static constexpr int kReadsAtOnce = 4;
  static constexpr std::size_t kReadSize = 64 * 1024;
  enum class State : std::uint8_t { kConnecting, kHandshaking, kOpen, kFailed };

  explicit Link(Transport transport) : transport_(transport) {}
  Expected<void> connect_stream(const Wish& wish);
  bool advance();  // true when open
  ByteView read_some();
  std::size_t queued() const { return out_.size() - out_at_; }

  Transport transport_;
  State state_ = State::kConnecting;
  int fd_ = -1;
  std::unique_ptr<SSL, SslFree> ssl_;
  bool tls_writes_ = false;  // a handshake waits for room to write
  std::vector<std::uint8_t> out_;
  std::size_t out_at_ = 0;
  turn::StreamFramer framer_;
};

}  // namespace turnpike::load
