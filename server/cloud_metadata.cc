#include "server/cloud_metadata.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"
#include "net/bind.h"
#include "net/descriptor.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"

namespace turnpike::server {
namespace {

constexpr std::size_t kMaxResponse = 4096;
constexpr std::size_t kMaxToken = 512;

const Address kLinkLocal{IpAddress::v4(169, 254, 169, 254), 80};
const Address kAlibaba{IpAddress::v4(100, 100, 100, 200), 80};
const Address kTencent{IpAddress::v4(169, 254, 0, 23), 80};

struct Service {
  std::string_view cloud;
  Address address;
  std::string_view path;
  std::string_view header;  // "" or a whole line
  // Where a token comes first, unless its owner allows requests without one: what begins the names
  // of its headers.
  std::string_view tokens;
};
// In this order. The first is also spoken by OpenStack, DigitalOcean and others.
const std::array kServices = {
    Service{"Amazon EC2", kLinkLocal, "/latest/meta-data/public-ipv4", "", "X-aws-ec2"},
    Service{"Google Cloud", kLinkLocal,
            "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip",
            "Metadata-Flavor: Google\r\n", ""},
    Service{"Azure", kLinkLocal,
            "/metadata/instance/network/interface/0/ipv4/ipAddress/0/publicIpAddress"
            "?api-version=2021-02-01&format=text",
            "Metadata: true\r\n", ""},
    Service{"Alibaba Cloud", kAlibaba, "/latest/meta-data/eipv4", "", "X-aliyun-ecs"},
    Service{"Alibaba Cloud", kAlibaba, "/latest/meta-data/public-ipv4", "", "X-aliyun-ecs"},
    Service{"Tencent Cloud", kTencent, "/latest/meta-data/public-ipv4", "", ""},
};

MonoTime mono_now() { return {std::chrono::steady_clock::now().time_since_epoch()}; }

// One request over a connection of its own.
class Exchange {
 public:
  explicit Exchange(MonoTime deadline)
      : deadline_(deadline), socket_(net::open_socket(Family::kIPv4, SOCK_STREAM)) {}

  bool connect(const Address& service);
  // The body of a response with status 200.
  std::optional<std::string> ask(std::string_view request);

 private:
  bool wait_for(short events, MonoTime until) const;

  const MonoTime deadline_;
  const net::Descriptor socket_;
};

bool Exchange::wait_for(short events, MonoTime until) const {
  const Duration left = std::min(until, deadline_) - mono_now();
  if (left <= Duration(0)) return false;
  pollfd watched{socket_.get(), events, 0};
  return ::poll(&watched, 1, static_cast<int>(std::chrono::ceil<milliseconds>(left).count())) == 1;
}

bool Exchange::connect(const Address& service) {
  if (!socket_) return false;
  const net::SocketAddress there = net::to_sockaddr(service);
  if (net::syscalls().connect(socket_.get(), there.raw(), there.length) == 0) return true;
  if (errno != EINPROGRESS || !wait_for(POLLOUT, mono_now() + kMetadataConnects)) return false;
  int error = 0;
  socklen_t size = sizeof error;
  return net::syscalls().getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
         error == 0;
}

std::optional<std::string> body_of(std::string_view response) {
  const std::size_t head_ends = response.find("\r\n\r\n");
  if (head_ends == std::string_view::npos) return std::nullopt;
  // "HTTP/1.1 200 OK"
  const auto words = split(response.substr(0, response.find("\r\n")), ' ');
  if (!words[0].starts_with("HTTP/1.") || words.size() < 2 || words[1] != "200") {
    return std::nullopt;
  }
  return std::string(trim(response.substr(head_ends + 4)));
}

// HTTP/1.0: the service closes when it has said everything.
std::optional<std::string> Exchange::ask(std::string_view request) {
  if (net::syscalls().sendto(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL, nullptr,
                             0) != static_cast<ssize_t>(request.size())) {
    return std::nullopt;
  }
  std::string response;
  while (response.size() < kMaxResponse && wait_for(POLLIN, deadline_)) {
    std::array<char, 1024> room;
    const ssize_t size = net::syscalls().read(socket_.get(), room.data(), room.size());
    if (size == 0) return body_of(response);
    if (size < 0 && errno != EAGAIN && errno != EINTR) return std::nullopt;
    if (size > 0) response.append(room.data(), static_cast<std::size_t>(size));
  }
  return std::nullopt;
}

std::string request_text(std::string_view method, const Address& service, std::string_view path,
                         std::string_view headers) {
  return fmt::format("{} {} HTTP/1.0\r\nHost: {}\r\n{}\r\n", method, path, service.ip.to_string(),
                     headers);
}

std::string token_header(const Service& service, MonoTime deadline) {
  Exchange exchange(deadline);
  if (!exchange.connect(service.address)) return "";
  const auto token = exchange.ask(request_text(
      "PUT", service.address, "/latest/api/token",
      fmt::format("{}-metadata-token-ttl-seconds: 60\r\nContent-Length: 0\r\n", service.tokens)));
  const auto printable = [](char c) { return c > ' ' && c < 0x7F; };
  if (!token || token->empty() || token->size() > kMaxToken ||
      !std::all_of(token->begin(), token->end(), printable)) {
    return "";
  }
  return fmt::format("{}-metadata-token: {}\r\n", service.tokens, *token);
}

}  // namespace

Expected<CloudAnswer> ask_cloud() {
  const MonoTime deadline = mono_now() + kMetadataPatience;
  std::optional<Address> silent;  // nobody listens there
  for (const Service& service : kServices) {
    if (silent == service.address) continue;
    Exchange exchange(deadline);
    if (!exchange.connect(service.address)) {
      silent = service.address;
      continue;
    }
    const std::string header =
        service.tokens.empty() ? std::string(service.header) : token_header(service, deadline);
    const auto body = exchange.ask(request_text("GET", service.address, service.path, header));
    const auto ip = body ? IpAddress::parse(*body) : std::nullopt;
    if (ip && ip->is_v4()) return CloudAnswer{*ip, std::string(service.cloud)};
  }
  return failure("no cloud's metadata service tells a public address");
}

}  // namespace turnpike::server
