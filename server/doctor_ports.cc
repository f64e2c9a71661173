#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/random.h"
#include "net/bind.h"
#include "net/sockaddr.h"
#include "server/doctor.h"
#include "server/doctor_socket.h"
#include "server/stun_question.h"
#include "stun/builder.h"

namespace turnpike::server {
namespace {

using State = Diagnosis::State;

struct Port {
  Address address;
  int type = SOCK_DGRAM;
  std::string_view what;  // "UDP"
  bool speaks_stun = true;
};

std::vector<Port> ports_of(const Plan& plan) {
  std::vector<Port> ports;
  for (const Address& address : plan.udp) ports.push_back({address, SOCK_DGRAM, "UDP", true});
  for (const Address& address : plan.dtls) ports.push_back({address, SOCK_DGRAM, "DTLS", false});
  for (const Plan::TcpPort& port : plan.tcp) {
    const std::string_view what = port.kind == PortKind::kTlsOnly   ? "TLS"
                                  : port.kind == PortKind::kHttp    ? "HTTP"
                                  : port.kind == PortKind::kProxied ? "PROXY"
                                                                    : "TCP";
    ports.push_back({port.address, SOCK_STREAM, what, port.kind == PortKind::kAny});
  }
  return ports;
}

// 0: the port is free; else why it cannot be bound.
int try_to_bind(const Port& port) {
  const net::Descriptor socket(net::open_socket(port.address.family(), port.type));
  if (!socket) return errno;
  const int on = 1;
  // Connections in TIME_WAIT do not count; a listener does.
  if (port.type == SOCK_STREAM) {
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  const net::SocketAddress local = net::to_sockaddr(port.address);
  if (::bind(socket.get(), local.raw(), local.length) != 0) return errno;
  if (port.type == SOCK_STREAM && ::listen(socket.get(), 1) != 0) return errno;
  return 0;
}

bool answers_over_udp(const Address& address) {
  const StunServer server{address.ip.to_string(), address.port};
  return ask_stun_server(server, IpAddress::any(address.family())).has_value();
}

// A Binding request as it is over TCP (RFC 8489 section 6.2.2): without any frame.
bool answers_over_tcp(const Address& address) {
  const auto socket = connect_as_doctor(address);
  if (!socket) return false;
  SystemRandom random;
  stun::TransactionId id{};
  random.fill(id);
  std::array<std::uint8_t, 64> room{};
  stun::Builder builder(room, stun::Class::kRequest, stun::Method::kBinding, id);
  const ByteView request = builder.fingerprint().finish();
  if (::send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return false;
  }
  std::array<std::uint8_t, 20> head{};
  if (::recv(socket->get(), head.data(), head.size(), MSG_WAITALL) !=
      static_cast<ssize_t>(head.size())) {
    return false;
  }
  return std::equal(id.begin(), id.end(), head.begin() + 8);
}

bool answers(const Port& port) {
  const Address there = as_client_sees(port.address);
  if (port.type == SOCK_DGRAM) return port.speaks_stun && answers_over_udp(there);
  return port.speaks_stun ? answers_over_tcp(there) : connect_as_doctor(there).has_value();
}

Diagnosis taken(const Port& port) {
  const std::string where = fmt::format("{} {}", port.what, port.address.to_string());
  const std::string who = fmt::format("ss -lnp{} 'sport = :{}'",
                                      port.type == SOCK_STREAM ? 't' : 'u', port.address.port);
  if (answers(port)) {
    const std::string_view how = port.speaks_stun ? "a STUN server answers" : "somebody listens";
    return {State::kGood, "ports", fmt::format("{}: {}", where, how), ""};
  }
  // Of DTLS nothing can be asked without a handshake.
  if (port.type == SOCK_DGRAM && !port.speaks_stun) {
    return {State::kNote, "ports", fmt::format("{}: somebody listens", where), who};
  }
  return {
      State::kProblem, "ports",
      fmt::format("{}: another program has it, which does not answer as this server would", where),
      who};
}

Diagnosis examine(const Port& port) {
  const std::string where = fmt::format("{} {}", port.what, port.address.to_string());
  switch (const int error = port.address.port == 0 ? 0 : try_to_bind(port)) {
    case 0:
      return {State::kGood, "ports", fmt::format("{}: free, no server runs there", where), ""};
    case EADDRINUSE:
      return taken(port);
    case EACCES:
      return {State::kProblem, "ports",
              fmt::format("{}: only root may open it, or who has CAP_NET_BIND_SERVICE", where),
              "setcap cap_net_bind_service=+ep $(command -v turnpike), or start it by its unit"};
    case EADDRNOTAVAIL:
      return {State::kProblem, "ports", fmt::format("{}: not an address of this machine", where),
              "ip address; then pass --listening-ip with one of them"};
    default:
      return {State::kProblem, "ports", fmt::format("{}: {}", where, std::strerror(error)), ""};
  }
}

}  // namespace

Address as_client_sees(const Address& listening) {
  return listening.ip.is_any() ? Address{IpAddress::loopback(listening.family()), listening.port}
                               : listening;
}

std::optional<net::Descriptor> connect_as_doctor(const Address& address) {
  net::Descriptor socket(
      ::socket(address.ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return std::nullopt;
  const timeval patience{3, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const net::SocketAddress there = net::to_sockaddr(address);
  if (::connect(socket.get(), there.raw(), there.length) != 0) return std::nullopt;
  return socket;
}

Diagnoses examine_ports(const Plan& plan) {
  Diagnoses found;
  for (const Port& port : ports_of(plan)) found.push_back(examine(port));
  return found;
}

}  // namespace turnpike::server
