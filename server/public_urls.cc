// The URLs that this server gives away. They name only ports that are really bound, and a host from
// the configuration: a Host header would let any client choose what others are told.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "server/banner.h"
#include "server/plan.h"

namespace turnpike::server {
namespace {

// The host as a URL has it.
std::string authority(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

bool is_reached(const IpAddress& bound, const IpAddress& local) {
  return bound == local || (bound.is_any() && bound.family() == local.family());
}

// The port by which clients reach a listener: the one on the address that the host leads to. A
// fixed port is the same on every address; only drawn ones differ.
std::optional<std::uint16_t> udp_port(const Plan& plan, const BoundAddresses& bound) {
  for (const Address& address : bound.udp) {
    if (is_reached(address.ip, plan.local_ip)) return address.port;
  }
  if (bound.udp.empty()) return std::nullopt;
  return bound.udp.front().port;
}

std::optional<std::uint16_t> tcp_port(const Plan& plan, const BoundAddresses& bound,
                                      PortKind kind) {
  std::optional<std::uint16_t> other;
  for (const Plan::TcpPort& port : bound.tcp) {
    if (port.kind != kind) continue;
    if (is_reached(port.address.ip, plan.local_ip)) return port.address.port;
    if (!other) other = port.address.port;
  }
  return other;
}

// The port that speaks TLS, if there is a certificate at all: the listening port does, too.
std::optional<std::uint16_t> tls_port(const Plan& plan, const BoundAddresses& bound) {
  if (!plan.tls) return std::nullopt;
  const auto own = tcp_port(plan, bound, PortKind::kTlsOnly);
  return own ? own : tcp_port(plan, bound, PortKind::kAny);
}

std::string web_url(std::string_view scheme, const std::string& host, std::uint16_t port) {
  const std::uint16_t usual = scheme == "https" ? 443 : 80;
  if (port == usual) return fmt::format("{}://{}", scheme, host);
  return fmt::format("{}://{}:{}", scheme, host, port);
}

signaling::IceUrls ice_urls(const Plan& plan, const BoundAddresses& bound) {
  const std::string host = authority(public_host(plan));
  signaling::IceUrls urls;
  if (const auto port = udp_port(plan, bound)) {
    urls.stun.push_back(fmt::format("stun:{}:{}", host, *port));
    urls.turn.push_back(fmt::format("turn:{}:{}?transport=udp", host, *port));
  }
  if (const auto port = tcp_port(plan, bound, PortKind::kAny)) {
    urls.turn.push_back(fmt::format("turn:{}:{}?transport=tcp", host, *port));
  }
  // Firefox refuses turns: with an address whatever the certificate says.
  const bool is_name = !IpAddress::parse(public_host(plan));
  const auto port = tls_port(plan, bound);
  if (port && is_name && certificate_matches(plan)) {
    urls.turn.push_back(fmt::format("turns:{}:{}?transport=tcp", host, *port));
  }
  return urls;
}

// One of each family, as allocations are told them; where nobody listens in a family there is none.
std::vector<IpAddress> reachable_addresses(const Plan& plan, const BoundAddresses& bound) {
  std::vector<IpAddress> addresses;
  for (const Family family : {Family::kIPv4, Family::kIPv6}) {
    const auto listens = [family](const auto& list, const auto& address_of) {
      return std::any_of(list.begin(), list.end(),
                         [&](const auto& one) { return address_of(one).ip.family() == family; });
    };
    if (!listens(bound.udp, [](const Address& one) { return one; }) &&
        !listens(bound.tcp, [](const Plan::TcpPort& one) { return one.address; })) {
      continue;
    }
    for (const IpAddress& ip : plan.relay_ips) {
      const IpAddress external = plan.turn->external.to_external(ip);
      if (external.family() != family) continue;
      addresses.push_back(external);
      break;
    }
  }
  return addresses;
}

}  // namespace

signaling::Settings signaling_settings(const Plan& plan, const BoundAddresses& bound) {
  signaling::Settings settings = plan.signaling;
  settings.ice_urls = ice_urls(plan, bound);
  settings.addresses = reachable_addresses(plan, bound);
  const std::string host = authority(public_host(plan));
  const auto secure = tls_port(plan, bound);
  if (secure && certificate_matches(plan)) {
    settings.public_url = web_url("https", host, *secure);
  } else if (const auto port = tcp_port(plan, bound, PortKind::kAny)) {
    settings.public_url = web_url("http", host, *port);
  } else if (const auto extra = tcp_port(plan, bound, PortKind::kHttp)) {
    settings.public_url = web_url("http", host, *extra);
  } else if (secure) {
    settings.public_url = web_url("https", host, *secure);
  }
  return settings;
}

std::string public_host(const Plan& plan) {
  return plan.config.public_host.empty() ? plan.public_ip.to_string() : plan.config.public_host;
}

bool certificate_matches(const Plan& plan) {
  return plan.tls && plan.tls->matches_host(public_host(plan));
}

}  // namespace turnpike::server
