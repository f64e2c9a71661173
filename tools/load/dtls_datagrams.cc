#include "tools/load/dtls_datagrams.h"

#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>

#include <array>

#include "net/sockaddr.h"

namespace turnpike::load {
namespace {

constexpr std::size_t kLargest = 2048;  // more than any payload with its headers

bool is_worth_waiting(int error) {
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

}  // namespace

TlsContext make_dtls_context() {
  TlsContext context(SSL_CTX_new(DTLS_client_method()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

DtlsDatagrams::DtlsDatagrams(SSL_CTX* context, int fd, const Address& server)
    : ssl_(SSL_new(context)) {
  BIO* socket = BIO_new_dgram(fd, BIO_NOCLOSE);
  net::SocketAddress peer = net::to_sockaddr(server);
  BIO_ctrl(socket, BIO_CTRL_DGRAM_SET_CONNECTED, 0, peer.raw());
  SSL_set_bio(ssl_.get(), socket, socket);
  SSL_set_connect_state(ssl_.get());
}

bool DtlsDatagrams::advance() {
  if (state_ == State::kOpen || state_ == State::kFailed) return state_ == State::kOpen;
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) {
    state_ = State::kOpen;
  } else {
    state_ =
        is_worth_waiting(SSL_get_error(ssl_.get(), done)) ? State::kHandshaking : State::kFailed;
  }
  return state_ == State::kOpen;
}

// A refused or full socket is a lost datagram: the transaction sends again.
void DtlsDatagrams::send(ByteView message) {
  if (!is_open()) return;
  ERR_clear_error();
  SSL_write(ssl_.get(), message.data(), static_cast<int>(message.size()));
}

ByteView DtlsDatagrams::read() {
  static std::array<std::uint8_t, kLargest> room;
  ERR_clear_error();
  const int count = SSL_read(ssl_.get(), room.data(), static_cast<int>(room.size()));
  if (count > 0) return ByteView(room).first(static_cast<std::size_t>(count));
  if (!is_worth_waiting(SSL_get_error(ssl_.get(), count))) state_ = State::kFailed;
  return {};
}

}  // namespace turnpike::load
