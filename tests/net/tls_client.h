// A TLS client on OpenSSL for the tests: non-blocking, driven step by step from the test's loop.
// Certificates for it are made in a folder of their own.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "net/tls_context.h"
#include "tests/net/harness.h"

namespace turnpike::net {

// A folder that disappears with its content.
class Folder {
 public:
  Folder();
  ~Folder();
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

// A self-signed certificate for localhost and 127.0.0.1, made once for the process.
const TlsContext& test_context();

class TlsClient {
 public:
  struct Wish {
    std::string alpn;  // comma separated
    int max_version = 0;
    int min_version = 0;
  };
  explicit TlsClient(Descriptor fd) : TlsClient(std::move(fd), Wish()) {}
  TlsClient(Descriptor fd, const Wish& wish);
  ~TlsClient();

  // Moves whatever can be moved now: handshake, sending, receiving.
  void step();
  void send(ByteView bytes) { to_send_.insert(to_send_.end(), bytes.begin(), bytes.end()); }
  // close_notify and FIN.
  void finish();
  void close() { fd_.close(); }
  // While paused the client reads nothing.
  void pause_reading(bool paused) { paused_ = paused; }

  SSL* ssl() { return ssl_; }
  bool secured() const { return SSL_is_init_finished(ssl_) == 1; }
  std::string alpn() const;
  std::size_t unsent() const { return to_send_.size(); }

  Bytes received;
  bool closed = false;  // close_notify seen
  bool failed = false;

 private:
  void note(int result);

  Descriptor fd_;
  SSL_CTX* context_;
  SSL* ssl_;
  Bytes to_send_;
  bool paused_ = false;
};

}  // namespace turnpike::net
