#include "tests/loopback/test_server.h"

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "net/interfaces.h"
#include "net/tls_context.h"

namespace turnpike::loopback {
namespace {

using server::PortKind;

struct CertificateFolder {
  CertificateFolder() {
    char pattern[] = "/tmp/turnpike-test-XXXXXX";
    CHECK(::mkdtemp(pattern) != nullptr);
    folder = pattern;
    certificate = folder + "/cert.pem";
    key = folder + "/key.pem";
    CHECK(net::write_self_signed({certificate, key}, {"localhost", "127.0.0.1"}));
  }
  ~CertificateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::string folder, certificate, key;
};

const CertificateFolder& certificates() {
  static const CertificateFolder folder;
  return folder;
}

server::Machine this_machine() {
  server::Machine machine;
  machine.interfaces = {{"lo", IpAddress::loopback(Family::kIPv4), false}};
  machine.has_v6 = TestServer::has_ipv6();
  if (machine.has_v6) {
    machine.interfaces.push_back({"lo", IpAddress::loopback(Family::kIPv6), false});
  }
  return machine;
}

std::vector<IpAddress> loopback_ips() {
  std::vector<IpAddress> ips = {IpAddress::loopback(Family::kIPv4)};
  if (TestServer::has_ipv6()) ips.push_back(IpAddress::loopback(Family::kIPv6));
  return ips;
}

server::Config config_for(const TestServer::Wish& wish) {
  server::Config config;
  config.listening_ips = wish.listening_ips.empty() ? loopback_ips() : wish.listening_ips;
  config.listening_port = 0;
  config.relay_ips = loopback_ips();
  config.min_port = wish.min_port;
  config.max_port = wish.max_port;
  config.realm = "test";
  config.users = {{kUser, kPassword}};
  config.shared_secrets = {"test secret"};
  config.api_keys = {kApiKey};
  config.workers = wish.workers;
  config.quota = wish.quota;
  config.static_dir = wish.static_dir;
  config.unauthorized_replies_per_second = 0;
  if (wish.tls) {
    config.certificate_files = {certificate_file()};
    config.key_files = {key_file()};
  }
  if (wish.allow_loopback_peers) {
    config.allowed_peers = {*IpRange::parse("127.0.0.0/8"), *IpRange::parse("::1")};
  }
  return config;
}

// A port of 0 means "none" for the TLS port of a Config and "draw one" in a Plan.
void add_drawn_ports(server::Plan& plan) {
  for (const IpAddress& ip : plan.config.listening_ips) {
    if (plan.tls) plan.tcp.push_back({{ip, 0}, PortKind::kTlsOnly});
    plan.tcp.push_back({{ip, 0}, PortKind::kHttp});
  }
}

}  // namespace

const std::string& certificate_file() { return certificates().certificate; }
const std::string& key_file() { return certificates().key; }

bool TestServer::has_ipv6() { return net::family_available(Family::kIPv6); }

TestServer::TestServer(const Wish& wish) {
  server::Config config = config_for(wish);
  config.tls_listening_port = 0;
  auto plan = server::make_plan(std::move(config), this_machine(), {});
  CHECK(plan);
  add_drawn_ports(*plan);
  auto runtime = server::Runtime::bind(*plan);
  CHECK(runtime);
  runtime_ = std::move(*runtime);
  thread_ = std::thread([this] { runtime_->serve(); });
}

TestServer::~TestServer() { stop(); }

void TestServer::stop() {
  if (!thread_.joinable()) return;
  runtime_->request_stop();
  thread_.join();
}

Address TestServer::udp(Family family) const {
  for (const Address& address : bound().udp) {
    if (address.family() == family) return address;
  }
  CHECK(false);
}

Address TestServer::port(PortKind kind, Family family) const {
  for (const server::Plan::TcpPort& port : bound().tcp) {
    if (port.kind == kind && port.address.family() == family) return port.address;
  }
  CHECK(false);
}

std::unique_ptr<Transport> TestServer::transport(Way way, Family family) const {
  switch (way) {
    case Way::kUdp:
      return over_udp(udp(family));
    case Way::kTcp:
      return over_tcp(tcp(family));
    case Way::kTls:
      return over_tls(tls(family));
  }
  CHECK(false);
}

TurnClient TestServer::client(Way way, Family family) const {
  auto made = transport(way, family);
  CHECK(made != nullptr);
  return TurnClient(std::move(made), kUser, kPassword);
}

TurnClient TestServer::client(Way way, const std::string& username,
                              const std::string& password) const {
  auto made = transport(way, Family::kIPv4);
  CHECK(made != nullptr);
  return TurnClient(std::move(made), username, password);
}

std::uint64_t TestServer::allocations() const {
  const auto each = runtime_->allocations();
  return std::accumulate(each.begin(), each.end(), std::uint64_t{0});
}

bool TestServer::wait_for_allocations(std::uint64_t count) const {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (allocations() != count) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace turnpike::loopback
