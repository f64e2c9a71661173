#include "server/echo_door.h"

#include <utility>

#include "base/log.h"

namespace turnpike::server {
namespace {

std::vector<Address> addresses_of(const Plan& plan,
                                  const std::vector<std::unique_ptr<net::UdpListener>>& sockets) {
  std::vector<Address> addresses;
  for (const auto& socket : sockets) {
    const Address& local = socket->local();
    addresses.push_back({plan.turn->external.to_external(local.ip), local.port});
  }
  return addresses;
}

}  // namespace

std::unique_ptr<EchoDoor> EchoDoor::open(const Parts& parts) {
  const Config& config = parts.plan.config;
  if (!config.echo) return nullptr;
  if (config.max_port - config.min_port + 1u < kLeastRelayPorts) {
    log::info("no echo: the range of relay ports is too small to spare one");
    return nullptr;
  }
  Sockets sockets = bind(parts);
  auto identity = sockets.empty() ? nullptr : media::Identity::create();
  if (!identity) {
    log::warning("no echo: {}", sockets.empty() ? "no relay port is free" : "no certificate");
    return nullptr;
  }
  for (const auto& socket : sockets) parts.relays.open_service(socket->local());
  return std::unique_ptr<EchoDoor>(new EchoDoor(parts, std::move(sockets), std::move(identity)));
}

EchoDoor::Sockets EchoDoor::bind(const Parts& parts) {
  const Config& config = parts.plan.config;
  const std::uint32_t ports = config.max_port - config.min_port + 1u;
  Sockets sockets;
  for (const IpAddress& ip : parts.plan.relay_ips) {
    for (std::uint32_t draw = 0; draw < kDraws; ++draw) {
      net::UdpListener::Wish wish;
      wish.bind = {ip, static_cast<std::uint16_t>(config.min_port + parts.random.below(ports))};
      auto socket = net::UdpListener::bind(wish);
      if (!socket) continue;
      sockets.push_back(std::move(*socket));
      break;
    }
  }
  return sockets;
}

EchoDoor::EchoDoor(const Parts& parts, Sockets sockets, std::unique_ptr<media::Identity> identity)
    : plan_(parts.plan),
      loop_(parts.loop),
      relays_(parts.relays),
      identity_(std::move(identity)),
      sockets_(std::move(sockets)),
      batch_(parts.plan.config.segmentation ? net::TxBatch::Segmentation::kProbe
                                            : net::TxBatch::Segmentation::kOff),
      endpoint_({parts.plan.config.echo_max, seconds(parts.plan.config.echo_time)},
                addresses_of(parts.plan, sockets_), {*identity_, parts.random, *this}),
      timer_(loop_, [this] { endpoint_.on_time(loop_.tick()); }) {
  loop_.on_flush([this] { flush(); });
}

EchoDoor::~EchoDoor() = default;

void EchoDoor::start() {
  for (const auto& socket : sockets_) socket->start(loop_, arena_, *this);
}

void EchoDoor::shut_down() {
  endpoint_.close_all(loop_.tick());
  batch_.flush();
  sockets_.clear();
}

void EchoDoor::on_datagrams(net::UdpListener& listener, const Address& from, const Run& run) {
  ice::Base base = 0;
  while (sockets_[base].get() != &listener) ++base;
  const Address remote = seen(from);
  for (std::uint32_t i = 0; i < run.count; ++i) {
    endpoint_.on_datagram(loop_.tick(), base, remote, run.segment(i));
  }
}

void EchoDoor::send(ice::Base base, const Address& to, ByteView datagram) {
  if (base >= sockets_.size()) return;  // shut down
  batch_.push(sockets_[base]->fd(), meant(to), datagram, {});
}

bool EchoDoor::is_relayed_here(const Address& remote) const {
  return relays_.route({plan_.turn->external.to_local(remote.ip), remote.port}).has_value();
}

Address EchoDoor::seen(const Address& from) const {
  if (!relays_.route(from)) return from;
  return {plan_.turn->external.to_external(from.ip), from.port};
}

Address EchoDoor::meant(const Address& to) const {
  const Address local{plan_.turn->external.to_local(to.ip), to.port};
  return relays_.route(local) ? local : to;
}

void EchoDoor::flush() {
  batch_.flush();
  timer_.arm(endpoint_.next_deadline());
}

}  // namespace turnpike::server
