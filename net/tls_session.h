// TlsSession: one connection's OpenSSL state together with the descriptor it runs on. It moves
// between loops as one object. Its BIO goes through syscalls() and knows when a short read has told
// that the kernel has nothing more, which saves a read() for every burst of records. Does not own
// the descriptor. One thread at a time.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "net/renewals.h"

namespace turnpike::net {

class TlsClientContext;
class TlsContext;

class TlsSession {
 public:
  // Server side. nullptr when there is no memory for it.
  static std::unique_ptr<TlsSession> create(const TlsContext& context, int fd);
  // Client side: the certificate must be for this name or address. nullptr as above.
  static std::unique_ptr<TlsSession> create(const TlsClientContext& context, int fd,
                                            const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  SSL* ssl() { return ssl_; }
  // Forgets that the descriptor was empty.
  void on_readiness() { known_empty_ = false; }
  // Before each read.
  void on_time(MonoTime now) { renewals_.on_time(now); }
  // The peer has had its keys made anew too often: nothing more is read of it.
  bool is_flooded() const { return renewals_.are_too_many(); }

 private:
  struct Method;
  explicit TlsSession(int fd) : fd_(fd) {}
  static std::unique_ptr<TlsSession> create(SSL_CTX* context, int fd);
  static void on_message(int sent, int version, int type, const void* bytes, std::size_t size,
                         SSL* ssl, void* session);

  int fd_;
  bool known_empty_ = false;
  bool at_end_ = false;
  Renewals renewals_;
  SSL* ssl_ = nullptr;
};

}  // namespace turnpike::net
