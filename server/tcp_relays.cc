#include "server/tcp_relays.h"

#include <utility>

#include "base/check.h"
#include "net/sockaddr.h"

namespace turnpike::server {

TcpRelays::TcpRelays(const Wiring& wiring) : wiring_(wiring), listeners_(wiring.max_relays) {}

TcpRelays::~TcpRelays() = default;

Expected<turn::Relay, turn::RelayError> TcpRelays::open(const IpAddress& ip, std::uint64_t owner) {
  std::unique_ptr<net::TcpListener> socket = bind(ip);
  if (socket == nullptr) return unexpected(turn::RelayError::kNoPortLeft);
  const Address local = socket->local();
  const ListenerHandle handle = listeners_.emplace(Listener{std::move(socket), owner});
  if (!handle) return unexpected(turn::RelayError::kNoResources);
  wiring_.live.add(local, {wiring_.worker, owner});
  net::TcpListener& listener = *listeners_.find(handle)->socket;
  listener.share_port();
  listener.start(wiring_.loop, [this, handle](int fd) { on_accepted(handle, fd); });
  return turn::Relay{{handle.pack() | kMark}, local};
}

// Bound alone, so that the kernel refuses what another worker or program holds.
std::unique_ptr<net::TcpListener> TcpRelays::bind(const IpAddress& ip) {
  const std::uint32_t ports = wiring_.last_port - wiring_.first_port + 1u;
  for (std::uint32_t draw = 0; draw < kRandomDraws; ++draw) {
    net::TcpListener::Wish wish;
    wish.bind = {ip, static_cast<std::uint16_t>(wiring_.first_port + wiring_.random.below(ports))};
    if (wiring_.live.is_live(wish.bind)) continue;
    if (auto listener = net::TcpListener::bind(wish)) return std::move(*listener);
  }
  return nullptr;
}

void TcpRelays::close(turn::RelayHandle relay) {
  const Listener* listener = listeners_.find(handle_of(relay));
  CHECK(listener != nullptr);
  wiring_.live.remove(listener->socket->local());
  listeners_.erase(handle_of(relay));
}

bool TcpRelays::connect(turn::RelayHandle relay, const Address& peer, turn::DataName data) {
  const Listener* listener = listeners_.find(handle_of(relay));
  CHECK(listener != nullptr);
  auto connector = net::TcpConnector::start(wiring_.loop, listener->socket->local(), peer,
                                            [this, data](int fd) { on_connected(data, fd); });
  if (connector == nullptr) return false;
  data_[data.value].connector = std::move(connector);
  return true;
}

void TcpRelays::on_connected(turn::DataName data, int fd) {
  const auto found = data_.find(data.value);
  CHECK(found != data_.end());
  found->second.connector.reset();
  if (fd < 0) {
    data_.erase(found);
    return wiring_.receiver.on_connected(data, turn::ConnectOutcome::kFailed);
  }
  found->second.waiting = net::Descriptor(fd);
  wiring_.receiver.on_connected(data, turn::ConnectOutcome::kConnected);
}

void TcpRelays::on_accepted(ListenerHandle relay, int fd) {
  net::Descriptor peer(fd);
  const Listener* listener = listeners_.find(relay);
  CHECK(listener != nullptr);
  const turn::DataName data =
      wiring_.receiver.on_accepted(listener->owner, net::remote_address_of(fd));
  if (data) data_[data.value].waiting = std::move(peer);
}

void TcpRelays::splice(turn::DataName data, std::unique_ptr<net::Stream> client, ByteView first) {
  const auto found = data_.find(data.value);
  if (found == data_.end()) return;  // closed between the answer and now
  Data& both = found->second;
  CHECK(both.waiting);
  auto peer = net::Stream::accept(wiring_.loop, both.waiting.take(), nullptr);
  both.splice =
      std::make_unique<net::Splice>(wiring_.loop, std::move(client), std::move(peer), [this, data] {
        data_.erase(data.value);
        wiring_.receiver.on_data_ended(data);
      });
  both.splice->pace_by([this, data](net::Splice::From from, std::size_t bytes) {
    const bool to_peer = from == net::Splice::From::kClient;
    return wiring_.receiver.on_data(
        data, to_peer ? turn::Direction::kToPeer : turn::Direction::kToClient, bytes);
  });
  both.splice->start(first);
}

void TcpRelays::close_data(turn::DataName data) { data_.erase(data.value); }

Descriptors TcpRelays::descriptors() {
  Descriptors counts;
  listeners_.for_each([&](ListenerHandle, const Listener& listener) {
    ++counts.listening;
    if (listener.socket->has_spare()) ++counts.local;
  });
  for (const auto& [name, data] : data_) {
    counts.connected += data.splice ? data.splice->streams() : 1;
  }
  return counts;
}

}  // namespace turnpike::server
