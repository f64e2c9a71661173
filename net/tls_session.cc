#include "net/tls_session.h"

#include <openssl/bio.h>

#include <cerrno>

#include "base/check.h"
#include "net/syscalls.h"
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

std::unique_ptr<TlsSession> TlsSession::create(const TlsContext& context, int fd) {
  std::unique_ptr<TlsSession> session(new TlsSession(fd));
  session->ssl_ = SSL_new(context.raw());
  BIO* bio = BIO_new(Method::get());
  if (session->ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, session.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(session->ssl_, bio, bio);
  SSL_set_accept_state(session->ssl_);
  return session;
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

}  // namespace turnpike::net
