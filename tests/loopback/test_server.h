// A whole server inside the test's process, on ports that the kernel draws, with a clear way to
// stop it. The tests talk to it over loopback.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/address.h"
#include "server/config.h"
#include "server/plan.h"
#include "server/runtime.h"
#include "tests/loopback/transport.h"
#include "tests/loopback/turn_client.h"

namespace turnpike::loopback {

inline constexpr const char* kUser = "alice";
inline constexpr const char* kPassword = "correct horse";
inline constexpr const char* kApiKey = "test-api-key";

// How a client reaches the server.
enum class Way : std::uint8_t { kUdp, kTcp, kTls };

class TestServer {
 public:
  struct Wish {
    std::uint32_t workers = 1;
    // Lets clients send to sockets of the test; without it every private address is denied.
    bool allow_loopback_peers = true;
    bool tls = true;
    std::vector<IpAddress> listening_ips;  // empty: 127.0.0.1 and, where there is IPv6, ::1
    std::string static_dir;
    std::uint16_t min_port = 49152;
    std::uint16_t max_port = 65535;
    turn::QuotaLimits quota;
  };
  TestServer() : TestServer(Wish{}) {}
  explicit TestServer(const Wish& wish);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  // Bound addresses, of the first listening address of that family.
  Address udp(Family family = Family::kIPv4) const;
  Address tcp(Family family = Family::kIPv4) const { return port(server::PortKind::kAny, family); }
  Address tls(Family family = Family::kIPv4) const {
    return port(server::PortKind::kTlsOnly, family);
  }
  Address http(Family family = Family::kIPv4) const {
    return port(server::PortKind::kHttp, family);
  }
  const server::BoundAddresses& bound() const { return runtime_->bound(); }

  // A client with the user above, not yet allocated.
  TurnClient client(Way way, Family family = Family::kIPv4) const;
  TurnClient client(Way way, const std::string& username, const std::string& password) const;

  server::Runtime& runtime() { return *runtime_; }
  std::uint64_t allocations() const;
  // Waits until that many allocations live; false when it takes too long.
  bool wait_for_allocations(std::uint64_t count) const;
  void stop();

  static bool has_ipv6();

 private:
  Address port(server::PortKind kind, Family family) const;
  std::unique_ptr<Transport> transport(Way way, Family family) const;

  std::unique_ptr<server::Runtime> runtime_;
  std::thread thread_;
};

// A folder that goes away with the process, with a self-signed certificate in it.
const std::string& certificate_file();
const std::string& key_file();

}  // namespace turnpike::loopback
