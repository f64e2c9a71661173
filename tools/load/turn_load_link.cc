#include "tools/load/turn_load_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace turnpike::load {
namespace {

// Messages of every link pass through it on their way from the kernel.
std::vector<std::uint8_t>& read_room(std::size_t size) {
  static std::vector<std::uint8_t> room(size);
  return room;
}

}  // namespace

TlsContext make_tls_context() {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Expected<std::unique_ptr<Link>> Link::open(const Wish& wish) {
  std::unique_ptr<Link> link(new Link(wish.transport));
  if (wish.transport != Transport::kUdp) {
    const auto connected = link->connect_stream(wish);
    if (!connected) return unexpected(connected.error());
    return link;
  }
  const auto fd = open_udp({.from = wish.from, .trains = wish.trains});
  if (!fd) return unexpected(fd.error());
  link->fd_ = *fd;
  const net::SocketAddress server = net::to_sockaddr(wish.server);
  if (::connect(link->fd_, server.raw(), server.length) != 0) {
    return failure("no way to " + wish.server.to_string() + ": " + std::strerror(errno));
  }
  link->state_ = State::kOpen;
  return link;
}

Expected<void> Link::connect_stream(const Wish& wish) {
  const int domain = wish.server.ip.is_v4() ? AF_INET : AF_INET6;
  fd_ = ::socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return failure(std::string("no more sockets: ") + std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const net::SocketAddress from = net::to_sockaddr(wish.from);
  if (::bind(fd_, from.raw(), from.length) != 0) {
    return failure("cannot bind " + wish.from.to_string() + ": " + std::strerror(errno));
  }
  const net::SocketAddress server = net::to_sockaddr(wish.server);
  if (::connect(fd_, server.raw(), server.length) != 0 && errno != EINPROGRESS) {
    return failure("no way to " + wish.server.to_string() + ": " + std::strerror(errno));
  }
  if (transport_ == Transport::kTls) {
    ssl_.reset(SSL_new(wish.context));
    SSL_set_fd(ssl_.get(), fd_);
    SSL_set_connect_state(ssl_.get());
  }
  return {};
}

Link::~Link() {
  if (fd_ >= 0) ::close(fd_);
}

void Link::send(ByteView message) {
  if (transport_ == Transport::kUdp) {
    // A refused or full socket is a lost datagram: the transaction sends again.
    [[maybe_unused]] const ssize_t sent = ::send(fd_, message.data(), message.size(), 0);
    return;
  }
  const std::size_t padding = padding_to_four(message.size());
  const MutableBytes room = append(message.size() + padding);
  std::memcpy(room.data(), message.data(), message.size());
  std::memset(room.data() + message.size(), 0, padding);
  flush();
}

MutableBytes Link::append(std::size_t size) {
  if (out_at_ == out_.size()) {
    out_.clear();
    out_at_ = 0;
  }
  out_.resize(out_.size() + size);
  return {out_.data() + out_.size() - size, size};
}

void Link::flush() {
  if (!advance()) return;
  while (queued() > 0) {
    const std::uint8_t* from = out_.data() + out_at_;
    if (ssl_ != nullptr) {
      ERR_clear_error();
      const int sent = SSL_write(ssl_.get(), from, static_cast<int>(queued()));
      if (sent <= 0) {
        const int error = SSL_get_error(ssl_.get(), sent);
        if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) state_ = State::kFailed;
        return;
      }
      out_at_ += static_cast<std::size_t>(sent);
      continue;
    }
    const ssize_t sent = ::send(fd_, from, queued(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR) state_ = State::kFailed;
      return;
    }
    out_at_ += static_cast<std::size_t>(sent);
  }
}

bool Link::advance() {
  if (state_ == State::kConnecting) {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (error != 0) {
      state_ = State::kFailed;
    } else if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &size) == 0) {
      state_ = transport_ == Transport::kTls ? State::kHandshaking : State::kOpen;
    }
  }
  if (state_ == State::kHandshaking) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
    tls_writes_ = error == SSL_ERROR_WANT_WRITE;
    if (done == 1) {
      state_ = State::kOpen;
    } else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      state_ = State::kFailed;
    }
  }
  return state_ == State::kOpen;
}

ByteView Link::read_some() {
  std::vector<std::uint8_t>& room = read_room(kReadSize);
  ssize_t count = 0;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    count = SSL_read(ssl_.get(), room.data(), static_cast<int>(room.size()));
    if (count <= 0) {
      const int error = SSL_get_error(ssl_.get(), static_cast<int>(count));
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) state_ = State::kFailed;
      return {};
    }
  } else {
    count = ::recv(fd_, room.data(), room.size(), 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) state_ = State::kFailed;
    if (count <= 0) return {};
  }
  return {room.data(), static_cast<std::size_t>(count)};
}

}  // namespace turnpike::load
