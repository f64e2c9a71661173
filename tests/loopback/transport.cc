#include "tests/loopback/transport.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "net/sockaddr.h"

namespace turnpike::loopback {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

int domain_of(const Address& address) { return address.ip.is_v4() ? AF_INET : AF_INET6; }

bool wait_for(int fd, short events, Clock::time_point until) {
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, left < 0 ? 0 : static_cast<int>(left) + 1);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

int udp_socket(const Address& bind_to) {
  const int fd = ::socket(domain_of(bind_to), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  const net::SocketAddress address = net::to_sockaddr(bind_to);
  CHECK(::bind(fd, address.raw(), address.length) == 0);
  const int buffer = 4 << 20;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  return fd;
}

int tcp_socket(const Address& server) {
  const int fd = ::socket(domain_of(server), SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  const net::SocketAddress address = net::to_sockaddr(server);
  if (::connect(fd, address.raw(), address.length) != 0) {
    ::close(fd);
    return -1;
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

std::optional<UdpPeer::Datagram> receive_datagram(int fd, milliseconds patience) {
  if (!wait_for(fd, POLLIN, Clock::now() + patience)) return std::nullopt;
  Bytes room(65536);
  net::SocketAddress from;
  from.length = sizeof from.storage;
  const ssize_t got = ::recvfrom(fd, room.data(), room.size(), 0, from.raw(), &from.length);
  if (got < 0) return std::nullopt;
  room.resize(static_cast<std::size_t>(got));
  return UdpPeer::Datagram{net::from_sockaddr(from.raw()), std::move(room)};
}

bool send_datagram(int fd, const Address& to, ByteView bytes) {
  const net::SocketAddress address = net::to_sockaddr(to);
  const ssize_t sent =
      ::sendto(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL, address.raw(), address.length);
  return sent == static_cast<ssize_t>(bytes.size());
}

class UdpTransport final : public Transport {
 public:
  UdpTransport(const Address& server, const Address& from)
      : server_(server), fd_(udp_socket(from)) {}
  ~UdpTransport() override { ::close(fd_); }
  bool send(ByteView message) override { return send_datagram(fd_, server_, message); }
  std::optional<Bytes> receive(milliseconds patience) override {
    auto datagram = receive_datagram(fd_, patience);
    if (!datagram) return std::nullopt;
    sender_ = datagram->from;
    return std::move(datagram->bytes);
  }
  Address local() const override { return net::local_address_of(fd_); }
  Address sender() const override { return sender_; }
  bool is_stream() const override { return false; }
  int fd() const override { return fd_; }

 private:
  Address server_, sender_;
  int fd_;
};

class PlainConnection final : public RawConnection {
 public:
  explicit PlainConnection(int fd) : fd_(fd) {}
  ~PlainConnection() override { ::close(fd_); }
  using RawConnection::write;
  bool write(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
  }
  Bytes read(milliseconds patience) override {
    Bytes room(65536);
    if (!wait_for(fd_, POLLIN, Clock::now() + patience)) return {};
    const ssize_t got = ::recv(fd_, room.data(), room.size(), 0);
    ended_ = got <= 0;
    room.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return room;
  }
  bool ended() const override { return ended_; }
  std::string alpn() const override { return ""; }
  Address local() const override { return net::local_address_of(fd_); }
  int fd() const override { return fd_; }

 private:
  int fd_;
  bool ended_ = false;
};

SSL_CTX* client_context() {
  static SSL_CTX* const context = [] {
    SSL_CTX* made = SSL_CTX_new(TLS_client_method());
    CHECK(made != nullptr);
    SSL_CTX_set_verify(made, SSL_VERIFY_NONE, nullptr);  // the tests' certificates are self-signed
    return made;
  }();
  return context;
}

class TlsConnection final : public RawConnection {
 public:
  TlsConnection(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}
  ~TlsConnection() override {
    SSL_shutdown(ssl_);
    SSL_free(ssl_);
    ::close(fd_);
  }
  using RawConnection::write;
  bool write(ByteView bytes) override {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) ==
           static_cast<int>(bytes.size());
  }
  // A session ticket is readable on the socket and yields no bytes: hence the loop, and a receive
  // time limit on the socket so that SSL_read never waits for ever.
  Bytes read(milliseconds patience) override {
    const auto until = Clock::now() + patience;
    Bytes room(65536);
    while (true) {
      if (SSL_pending(ssl_) == 0 && !wait_for(fd_, POLLIN, until)) return {};
      const int got = SSL_read(ssl_, room.data(), static_cast<int>(room.size()));
      if (got > 0) {
        room.resize(static_cast<std::size_t>(got));
        return room;
      }
      const int reason = SSL_get_error(ssl_, got);
      ERR_clear_error();
      if (reason == SSL_ERROR_WANT_READ && Clock::now() < until) continue;
      ended_ = reason != SSL_ERROR_WANT_READ;
      return {};
    }
  }
  bool ended() const override { return ended_; }
  std::string alpn() const override {
    const unsigned char* name = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl_, &name, &length);
    return std::string(reinterpret_cast<const char*>(name), length);
  }
  Address local() const override { return net::local_address_of(fd_); }
  int fd() const override { return fd_; }

 private:
  int fd_;
  SSL* ssl_;
  bool ended_ = false;
};

std::unique_ptr<RawConnection> secure(int fd, const std::string& alpn) {
  const timeval short_while{0, 200000};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &short_while, sizeof short_while);
  SSL* ssl = SSL_new(client_context());
  CHECK(ssl != nullptr);
  SSL_set_fd(ssl, fd);
  SSL_set_mode(ssl, SSL_MODE_AUTO_RETRY);
  if (!alpn.empty()) {
    std::string wire(1, static_cast<char>(alpn.size()));
    wire += alpn;
    SSL_set_alpn_protos(ssl, as_bytes(wire).data(), static_cast<unsigned>(wire.size()));
  }
  const auto until = Clock::now() + kPatience;
  int done = -1;
  while ((done = SSL_connect(ssl)) != 1) {
    if (SSL_get_error(ssl, done) != SSL_ERROR_WANT_READ || Clock::now() > until) break;
  }
  ERR_clear_error();
  if (done == 1) return std::make_unique<TlsConnection>(fd, ssl);
  SSL_free(ssl);
  ::close(fd);
  return nullptr;
}

// Messages on a stream: STUN tells its length in bytes 2 and 3 without the header; so does
// ChannelData, and is padded.
class StreamTransport final : public Transport {
 public:
  StreamTransport(std::unique_ptr<RawConnection> connection, const Address& server)
      : connection_(std::move(connection)), server_(server) {}
  bool send(ByteView message) override {
    Bytes padded(message.begin(), message.end());
    padded.resize(message.size() + padding_to_four(message.size()));
    return connection_->write(ByteView(padded));
  }
  std::optional<Bytes> receive(milliseconds patience) override {
    const auto until = Clock::now() + patience;
    while (true) {
      if (auto message = take_message()) return message;
      const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now());
      const Bytes more = connection_->read(std::max(left, milliseconds(0)));
      if (more.empty()) return std::nullopt;
      buffer_.insert(buffer_.end(), more.begin(), more.end());
    }
  }
  Address local() const override { return connection_->local(); }
  Address sender() const override { return server_; }
  bool is_stream() const override { return true; }
  int fd() const override { return connection_->fd(); }

 private:
  std::optional<Bytes> take_message() {
    Reader in{ByteView(buffer_).subspan(at_)};
    const std::uint8_t first = in.u8();
    in.skip(1);
    const std::size_t length = in.u16();
    if (!in.ok()) return std::nullopt;
    const std::size_t size = first >= 0x40 ? 4 + length : 20 + length;
    const std::size_t framed = size + padding_to_four(size);
    if (buffer_.size() - at_ < framed) return std::nullopt;
    const auto begin = buffer_.begin() + static_cast<std::ptrdiff_t>(at_);
    Bytes message(begin, begin + static_cast<std::ptrdiff_t>(size));
    at_ += framed;
    if (at_ == buffer_.size()) {
      buffer_.clear();
      at_ = 0;
    }
    return message;
  }

  std::unique_ptr<RawConnection> connection_;
  Address server_;
  Bytes buffer_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Transport> over_udp(const Address& server, std::optional<Address> from) {
  return std::make_unique<UdpTransport>(
      server, from.value_or(Address{IpAddress::loopback(server.family()), 0}));
}

std::unique_ptr<Transport> over_tcp(const Address& server) {
  auto connection = RawConnection::open(server, RawConnection::Security::kPlain);
  if (!connection) return nullptr;
  return std::make_unique<StreamTransport>(std::move(connection), server);
}

std::unique_ptr<Transport> over_tls(const Address& server, const std::string& alpn) {
  auto connection = RawConnection::open(server, RawConnection::Security::kTls, alpn);
  if (!connection) return nullptr;
  return std::make_unique<StreamTransport>(std::move(connection), server);
}

std::unique_ptr<RawConnection> RawConnection::open(const Address& server, Security security,
                                                   const std::string& alpn) {
  const int fd = tcp_socket(server);
  if (fd < 0) return nullptr;
  if (security == Security::kTls) return secure(fd, alpn);
  return std::make_unique<PlainConnection>(fd);
}

bool RawConnection::closes(milliseconds patience) {
  const auto until = Clock::now() + patience;
  while (!ended() && Clock::now() < until) {
    read(std::chrono::duration_cast<milliseconds>(until - Clock::now()));
  }
  return ended();
}

std::string RawConnection::read_until(std::string_view end) {
  std::string text;
  const auto until = Clock::now() + kPatience;
  while (text.find(end) == std::string::npos && !ended() && Clock::now() < until) {
    const Bytes more = read(std::chrono::duration_cast<milliseconds>(until - Clock::now()));
    text.append(more.begin(), more.end());
  }
  return text;
}

UdpPeer::UdpPeer(const IpAddress& ip)
    : fd_(udp_socket({ip, 0})), address_(net::local_address_of(fd_)) {}
UdpPeer::~UdpPeer() { ::close(fd_); }
bool UdpPeer::can_bind(const Address& address) {
  const int fd = ::socket(domain_of(address), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const net::SocketAddress raw = net::to_sockaddr(address);
  const bool bound = ::bind(fd, raw.raw(), raw.length) == 0;
  ::close(fd);
  return bound;
}
bool UdpPeer::send(const Address& to, ByteView bytes) { return send_datagram(fd_, to, bytes); }
std::optional<UdpPeer::Datagram> UdpPeer::receive(milliseconds patience) {
  return receive_datagram(fd_, patience);
}

}  // namespace turnpike::loopback
