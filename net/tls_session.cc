#include "net/tls_session.h"

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstdint>

#include "base/address.h"
#include "base/check.h"
#include "net/syscalls.h"
#include "net/tls_client_context.h"
#include "net/tls_context.h"

namespace turnpike::net {
namespace {

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

// The callbacks of the BIO; its data is the TlsSession.
struct TlsSession::Method {
  static BIO_METHOD* get() {
    static BIO_METHOD* const method = make();
    return method;
  }

  static BIO_METHOD* make() {
    BIO_METHOD* method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "turnpike descriptor");
    CHECK(method != nullptr);
    BIO_meth_set_read_ex(method, &Method::read);
    BIO_meth_set_write_ex(method, &Method::write);
    BIO_meth_set_ctrl(method, &Method::control);
    return method;
  }

  static int read(BIO* bio, char* room, std::size_t size, std::size_t* got) {
    auto& session = *static_cast<TlsSession*>(BIO_get_data(bio));
    *got = 0;
    BIO_clear_retry_flags(bio);
    if (session.is_flooded()) return -1;
    if (session.known_empty_) {
      BIO_set_retry_read(bio);
      return -1;
    }
    ssize_t count = 0;
    do {
      count = syscalls().read(session.fd_, room, size);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      session.known_empty_ = would_block(errno);
      if (session.known_empty_) BIO_set_retry_read(bio);
      return -1;
    }
    session.at_end_ = count == 0;
    session.known_empty_ = count > 0 && static_cast<std::size_t>(count) < size;
    *got = static_cast<std::size_t>(count);
    return count > 0;
  }

  static int write(BIO* bio, const char* bytes, std::size_t size, std::size_t* sent) {
    const auto& session = *static_cast<TlsSession*>(BIO_get_data(bio));
    *sent = 0;
    BIO_clear_retry_flags(bio);
    const iovec piece{const_cast<char*>(bytes), size};
    ssize_t count = 0;
    do {
      count = syscalls().writev(session.fd_, &piece, 1);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      if (would_block(errno)) BIO_set_retry_write(bio);
      return -1;
    }
    *sent = static_cast<std::size_t>(count);
    return 1;
  }

  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return static_cast<TlsSession*>(BIO_get_data(bio))->at_end_;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
};

std::unique_ptr<TlsSession> TlsSession::create(SSL_CTX* context, int fd) {
  std::unique_ptr<TlsSession> session(new TlsSession(fd));
  session->ssl_ = SSL_new(context);
  BIO* bio = BIO_new(Method::get());
  if (session->ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, session.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(session->ssl_, bio, bio);
  SSL_set_msg_callback(session->ssl_, &TlsSession::on_message);
  SSL_set_msg_callback_arg(session->ssl_, session.get());
  return session;
}

// One call of SSL_read() goes through all that is of the handshake until there are bytes or no more
// records, so that it is here that it must be stopped: what follows a close_notify is thrown away.
void TlsSession::on_message(int sent, int, int type, const void* bytes, std::size_t size, SSL* ssl,
                            void* session) {
  const auto* message = static_cast<const std::uint8_t*>(bytes);
  const bool updates_keys =
      sent == 0 && type == SSL3_RT_HANDSHAKE && size > 0 && message[0] == SSL3_MT_KEY_UPDATE;
  const bool refuses_handshake =
      sent != 0 && type == SSL3_RT_ALERT && size > 1 && message[1] == SSL_AD_NO_RENEGOTIATION;
  if (!updates_keys && !refuses_handshake) return;
  if (static_cast<TlsSession*>(session)->renewals_.take()) return;
  SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

std::unique_ptr<TlsSession> TlsSession::create(const TlsContext& context, int fd) {
  auto session = create(context.raw(), fd);
  if (session) SSL_set_accept_state(session->ssl_);
  return session;
}

// RFC 9525 section 6.3: no common name, and a wildcard is a whole label. RFC 6066 section 3: an
// address is no server name.
std::unique_ptr<TlsSession> TlsSession::create(const TlsClientContext& context, int fd,
                                               const std::string& host) {
  auto session = create(context.raw(), fd);
  if (!session) return nullptr;
  SSL* ssl = session->ssl_;
  SSL_set_connect_state(ssl);
  if (const auto ip = IpAddress::parse(host)) {
    const bool set =
        X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), ip->bytes().data(), ip->bytes().size()) == 1;
    return set ? std::move(session) : nullptr;
  }
  SSL_set_hostflags(ssl,
                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool set =
      SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  return set ? std::move(session) : nullptr;
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

}  // namespace turnpike::net
