#include "tools/load/turn_load_link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace turnpike::load {

std::string_view name_of(Transport transport) {
  constexpr std::string_view kNames[] = {"udp", "tcp", "tls", "dtls"};
  return kNames[static_cast<std::size_t>(transport)];
}

Expected<std::unique_ptr<Link>> Link::open(const Wish& wish) {
  std::unique_ptr<Link> link(new Link());
  if (!is_datagram(wish.transport)) {
    auto stream =
        ByteStream::open({.from = wish.from,
                          .server = wish.server,
                          .context = wish.transport == Transport::kTls ? wish.context : nullptr,
                          .name = wish.name});
    if (!stream) return unexpected(stream.error());
    link->stream_ = std::move(*stream);
    return link;
  }
  const auto fd = open_udp({.from = wish.from, .trains = wish.trains});
  if (!fd) return unexpected(fd.error());
  link->fd_ = *fd;
  const net::SocketAddress server = net::to_sockaddr(wish.server);
  if (::connect(link->fd_, server.raw(), server.length) != 0) {
    return failure("no way to " + wish.server.to_string() + ": " + std::strerror(errno));
  }
  if (wish.transport == Transport::kDtls) {
    link->dtls_ = std::make_unique<DtlsDatagrams>(wish.context, link->fd_, wish.server);
  }
  return link;
}

Link::~Link() {
  if (fd_ >= 0) ::close(fd_);
}

void Link::send(ByteView message) {
  if (dtls_) return dtls_->send(message);
  if (!is_stream()) {
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

}  // namespace turnpike::load
