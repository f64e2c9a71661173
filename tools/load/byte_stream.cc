#include "tools/load/byte_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/sockaddr.h"

namespace turnpike::load {
namespace {

// Messages of every stream pass through it on their way from the kernel.
std::vector<std::uint8_t>& read_room(std::size_t size) {
  static std::vector<std::uint8_t> room(size);
  return room;
}

std::string tls_reason(SSL* ssl) {
  const long verified = SSL_get_verify_result(ssl);
  if (verified != X509_V_OK) {
    return std::string("certificate refused: ") + X509_verify_cert_error_string(verified);
  }
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  return std::string("TLS: ") + (reason != nullptr ? reason : "the connection was closed");
}

}  // namespace

TlsContext make_tls_context() {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Expected<TlsContext> make_verifying_tls_context(const std::string& ca_file) {
  TlsContext context = make_tls_context();
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const int loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                     : SSL_CTX_load_verify_file(context.get(), ca_file.c_str());
  if (loaded == 1) return context;
  ERR_clear_error();
  return failure("no certificates of authorities can be read from " +
                 (ca_file.empty() ? std::string("where this system keeps them") : ca_file));
}

Expected<std::unique_ptr<ByteStream>> ByteStream::open(const Wish& wish) {
  std::unique_ptr<ByteStream> stream(new ByteStream());
  const auto connected = stream->connect(wish);
  if (!connected) return unexpected(connected.error());
  return stream;
}

Expected<void> ByteStream::connect(const Wish& wish) {
  const int domain = wish.server.ip.is_v4() ? AF_INET : AF_INET6;
  fd_ = ::socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return failure(std::string("no more sockets: ") + std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A port is chosen with the connection, so that more connections than ports are possible.
  ::setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const net::SocketAddress from = net::to_sockaddr(wish.from);
  if (::bind(fd_, from.raw(), from.length) != 0) {
    return failure("cannot bind " + wish.from.to_string() + ": " + std::strerror(errno));
  }
  const net::SocketAddress server = net::to_sockaddr(wish.server);
  if (::connect(fd_, server.raw(), server.length) != 0 && errno != EINPROGRESS) {
    return failure("no way to " + wish.server.to_string() + ": " + std::strerror(errno));
  }
  if (wish.context == nullptr) return {};
  ssl_.reset(SSL_new(wish.context));
  SSL_set_fd(ssl_.get(), fd_);
  SSL_set_connect_state(ssl_.get());
  if (wish.name.empty()) return {};
  if (IpAddress::parse(wish.name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), wish.name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl_.get(), wish.name.c_str());
    SSL_set1_host(ssl_.get(), wish.name.c_str());
  }
  return {};
}

ByteStream::~ByteStream() {
  if (fd_ >= 0) ::close(fd_);
}

void ByteStream::fail(std::string reason) {
  state_ = State::kFailed;
  if (reason_.empty()) reason_ = std::move(reason);
}

void ByteStream::fail_by_tls(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
  fail(error == SSL_ERROR_ZERO_RETURN ? "closed by the server" : tls_reason(ssl_.get()));
}

MutableBytes ByteStream::append(std::size_t size) {
  if (out_at_ == out_.size()) {
    out_.clear();
    out_at_ = 0;
  }
  out_.resize(out_.size() + size);
  return {out_.data() + out_.size() - size, size};
}

void ByteStream::append(ByteView bytes) {
  if (bytes.empty()) return;
  std::memcpy(append(bytes.size()).data(), bytes.data(), bytes.size());
}

void ByteStream::flush() {
  if (!advance()) return;
  while (queued() > 0) {
    const std::uint8_t* from = out_.data() + out_at_;
    if (ssl_ != nullptr) {
      ERR_clear_error();
      const int sent = SSL_write(ssl_.get(), from, static_cast<int>(queued()));
      if (sent <= 0) return fail_by_tls(sent);
      out_at_ += static_cast<std::size_t>(sent);
      continue;
    }
    const ssize_t sent = ::send(fd_, from, queued(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR) fail(std::strerror(errno));
      return;
    }
    out_at_ += static_cast<std::size_t>(sent);
  }
}

bool ByteStream::advance() {
  if (state_ == State::kConnecting) {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (error != 0) {
      fail(std::strerror(error));
    } else if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &size) == 0) {
      state_ = ssl_ != nullptr ? State::kHandshaking : State::kOpen;
    }
  }
  if (state_ == State::kHandshaking) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    tls_writes_ = done != 1 && SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_WRITE;
    if (done == 1) {
      state_ = State::kOpen;
    } else {
      fail_by_tls(done);
    }
  }
  return state_ == State::kOpen;
}

ByteView ByteStream::read_some() {
  std::vector<std::uint8_t>& room = read_room(kReadSize);
  ssize_t count = 0;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    count = SSL_read(ssl_.get(), room.data(), static_cast<int>(room.size()));
    if (count <= 0) fail_by_tls(static_cast<int>(count));
  } else {
    count = ::recv(fd_, room.data(), room.size(), 0);
    if (count == 0) fail("closed by the server");
    if (count < 0 && errno != EAGAIN && errno != EINTR) fail(std::strerror(errno));
  }
  if (count <= 0) return {};
  return {room.data(), static_cast<std::size_t>(count)};
}

}  // namespace turnpike::load
