// A TCP connection, or TLS on one, non-blocking: bytes in, bytes out. What the load tools speak
// STUN, HTTP and WebSocket over. Owned by what speaks; one thread.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/expected.h"

namespace turnpike::load {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using TlsContext = std::unique_ptr<SSL_CTX, SslFree>;
// A client's context that trusts every certificate: what is measured is the server.
TlsContext make_tls_context();
// One that trusts the authorities in a PEM file, or the system's when it is "".
Expected<TlsContext> make_verifying_tls_context(const std::string& ca_file);

class ByteStream {
 public:
  struct Wish {
    Address from;  // any address of the server's family, port 0, will do
    Address server;
    SSL_CTX* context = nullptr;  // nullptr: no TLS
    std::string name;  // for SNI, and what the certificate has to be for; "" asks for neither
  };
  static Expected<std::unique_ptr<ByteStream>> open(const Wish& wish);
  ~ByteStream();
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  int fd() const { return fd_; }
  bool is_open() const { return state_ == State::kOpen; }
  bool has_failed() const { return state_ == State::kFailed; }
  // Why: "connection refused", "certificate verify failed", "closed by the server".
  const std::string& reason() const { return reason_; }
  std::size_t queued() const { return out_.size() - out_at_; }
  bool wants_write() const { return state_ == State::kConnecting || queued() > 0 || tls_writes_; }

  // Room for `size` bytes at the end of what flush() will send.
  MutableBytes append(std::size_t size);
  void append(ByteView bytes);
  void flush();
  // Goes on with connect and handshake; true when open.
  bool advance();
  // What has come, valid until the next call of any stream; empty: nothing more now.
  ByteView read_some();

 private:
  static constexpr std::size_t kReadSize = 64 * 1024;
  enum class State : std::uint8_t { kConnecting, kHandshaking, kOpen, kFailed };

  ByteStream() = default;
  Expected<void> connect(const Wish& wish);
  void fail(std::string reason);
  void fail_by_tls(int result);

  State state_ = State::kConnecting;
  std::string reason_;
  int fd_ = -1;
  std::unique_ptr<SSL, SslFree> ssl_;
  bool tls_writes_ = false;  // a handshake waits for room to write
  std::vector<std::uint8_t> out_;
  std::size_t out_at_ = 0;
};

}  // namespace turnpike::load
