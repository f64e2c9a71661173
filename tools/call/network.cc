#include "tools/call/network.h"

#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "net/sockaddr.h"

namespace turnpike::call {

class Network::Host final : public Loop::Watcher {
 public:
  Host(Network& network, ice::Base base, int fd) : network_(network), base_(base), fd_(fd) {
    load::note_arrivals(fd_);
    network_.loop_.add(fd_, *this, Loop::Interest::kRead);
  }
  ~Host() override {
    network_.loop_.remove(fd_, *this);
    ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  void on_ready() override {
    network_.loop_.inbox().receive(fd_, [&](const sockaddr* from, ByteView bytes) {
      network_.owner_.on_datagram(base_, net::from_sockaddr(from), bytes);
    });
  }

  Network& network_;
  const ice::Base base_;
  const int fd_;
};

class Network::Way final : public Loop::Watcher {
 public:
  Way(Network& network, std::size_t server, std::unique_ptr<load::Link> link)
      : network_(network), server_(server), link_(std::move(link)), writing_(link_->is_stream()) {
    if (link_->is_plain_udp()) load::note_arrivals(link_->fd());
    network_.loop_.add(link_->fd(), *this,
                       writing_ ? Loop::Interest::kReadWrite : Loop::Interest::kRead);
    if (link_->is_open()) announce();
  }
  ~Way() override { network_.loop_.remove(link_->fd(), *this); }

  void send(ByteView message) {
    // What a server does not read is lost here as it would be on UDP, and shows as loss.
    if (lost_ || link_->is_full()) return;
    link_->send(message);
    note_interest();
  }

 private:
  void on_ready() override {
    if (lost_) return;
    link_->on_ready(network_.loop_.inbox(),
                    [&](ByteView message) { network_.owner_.on_link_message(server_, message); });
    if (link_->has_failed()) {
      lost_ = true;
      network_.loop_.remove(link_->fd(), *this);
      return network_.owner_.on_link_lost(server_, link_->reason());
    }
    if (link_->is_open()) announce();
    link_->flush();
    note_interest();
  }
  void announce() {
    if (!std::exchange(announced_, true)) {
      network_.loop_.later([this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired()) network_.owner_.on_link_open(server_);
      });
    }
  }
  void note_interest() {
    const bool wants = link_->wants_write();
    if (std::exchange(writing_, wants) == wants) return;
    network_.loop_.change(link_->fd(), *this,
                          wants ? Loop::Interest::kReadWrite : Loop::Interest::kRead);
  }

  Network& network_;
  const std::size_t server_;
  std::unique_ptr<load::Link> link_;
  bool writing_;
  bool announced_ = false;
  bool lost_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

Network::Network(Loop& loop, Owner& owner) : loop_(loop), owner_(owner) {}

Network::~Network() = default;

Expected<Address> Network::open_host(const IpAddress& ip) {
  const auto fd = load::open_udp({.from = {ip, 0}, .receive_buffer = kReceiveBuffer});
  if (!fd) return unexpected(fd.error());
  hosts_.push_back(std::make_unique<Host>(*this, static_cast<ice::Base>(hosts_.size()), *fd));
  return net::local_address_of(*fd);
}

void Network::open_link(const LinkWish& wish) {
  auto link = load::Link::open({.transport = wish.transport,
                                .from = wish.from,
                                .server = wish.address,
                                .trains = load::Trains::kNo,
                                .context = wish.context,
                                .name = wish.name});
  if (!link) {
    loop_.later([this, alive = std::weak_ptr<int>(alive_), server = wish.server,
                 why = link.error().message] {
      if (!alive.expired()) owner_.on_link_lost(server, why);
    });
    return;
  }
  if (ways_.size() <= wish.server) ways_.resize(wish.server + 1);
  ways_[wish.server] = std::make_unique<Way>(*this, wish.server, std::move(*link));
}

void Network::send(ice::Base host, const Address& to, ByteView bytes) {
  const net::SocketAddress address = net::to_sockaddr(to);
  // What the kernel does not take is a lost datagram.
  [[maybe_unused]] const ssize_t sent =
      ::sendto(hosts_[host]->fd(), bytes.data(), bytes.size(), 0, address.raw(), address.length);
}

void Network::send_to_server(std::size_t server, ByteView message) {
  if (server < ways_.size() && ways_[server] != nullptr) ways_[server]->send(message);
}

}  // namespace turnpike::call
