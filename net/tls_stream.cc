#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <utility>

namespace turnpike::net {

namespace {

std::string reason_of_failure(const SSL* ssl) {
  if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
    return X509_verify_cert_error_string(verdict);
  }
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  return reason == nullptr ? "" : reason;
}

}  // namespace

TlsStream::TlsStream(Loop& loop, std::unique_ptr<Released::State> state)
    : SocketStream(loop, *state), session_(std::move(state->tls)) {
  state->fd = -1;
}

// One attempt to say close_notify, so that the peer can tell an end from a cut.
TlsStream::~TlsStream() {
  if (session_ == nullptr || failed_ || !SSL_is_init_finished(session_->ssl())) return;
  ERR_clear_error();
  SSL_shutdown(session_->ssl());
  ERR_clear_error();
}

std::string_view TlsStream::alpn() const {
  if (session_ == nullptr) return {};
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(session_->ssl(), &name, &length);
  return {reinterpret_cast<const char*>(name), length};
}

Stream::Tls TlsStream::tls() const {
  if (session_ == nullptr || !SSL_is_init_finished(session_->ssl())) return {};
  return {SSL_get_version(session_->ssl()), SSL_get_cipher_name(session_->ssl())};
}

TlsStream::Io TlsStream::handshake() {
  ERR_clear_error();
  return outcome(SSL_do_handshake(session_->ssl()));
}

TlsStream::Io TlsStream::read_some(MutableBytes room, std::size_t& size) {
  session_->on_time(now());
  ERR_clear_error();
  const Io io = outcome(SSL_read_ex(session_->ssl(), room.data(), room.size(), &size));
  if (!session_->is_flooded()) return io;
  failed_ = true;
  return Io::kFailed;
}

// A chunk is a record. After a record that the kernel did not take whole, OpenSSL wants the same
// bytes again; they are still the first of the front chunk, perhaps with more behind them.
TlsStream::Io TlsStream::write_some(ByteQueue& queue, ChunkPool& chunks) {
  const ByteView record = queue.front();
  std::size_t sent = 0;
  ERR_clear_error();
  const Io io = outcome(SSL_write_ex(session_->ssl(), record.data(), record.size(), &sent));
  queue.consume(chunks, sent);
  return io;
}

bool TlsStream::has_buffered() const { return !failed_ && SSL_has_pending(session_->ssl()) == 1; }

TlsStream::Io TlsStream::say_goodbye() {
  if (failed_) return Io::kFailed;
  ERR_clear_error();
  const int result = SSL_shutdown(session_->ssl());
  return result >= 0 ? Io::kProgress : outcome(result);
}

TlsStream::Io TlsStream::outcome(int result) {
  if (failed_) return Io::kFailed;
  if (result > 0) return Io::kProgress;
  switch (SSL_get_error(session_->ssl(), result)) {
    case SSL_ERROR_WANT_READ:
      return Io::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Io::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Io::kClosed;
    case SSL_ERROR_SYSCALL:
      end_of_failure_ = Receiver::End::kReset;
      break;
    default:
      break;
  }
  failed_ = true;
  // Of servers' connections nobody asks, and strangers make them fail.
  if (SSL_is_server(session_->ssl()) == 0) failure_ = reason_of_failure(session_->ssl());
  ERR_clear_error();
  return Io::kFailed;
}

}  // namespace turnpike::net
