// Relaying a packet allocates nothing, and neither does answering somebody who has not
// authenticated: not ours, not OpenSSL's, not libuv's.
//
//   zero_allocation_test SERVER COUNTING_LIBRARY [PACKETS]
//
// Starts the release binary with two workers and the counting library before the C library's
// allocator, warms every path up (UDP, TCP and TLS clients on both workers, channels and
// indications, single packets and trains), reads the counters, relays a million packets in both
// directions, and reads them again: nothing may have changed. The same for thousands of strangers,
// each from a port of its own: Bindings, requests without credentials, and with wrong ones. Exits
// with 77 (skipped) when there is no such binary.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "net/sockaddr.h"
#include "net/tls_context.h"
#include "tests/loopback/transport.h"
#include "tests/loopback/turn_client.h"
#include "tests/zero_alloc/counters.h"

extern char** environ;

namespace turnpike::zero_alloc {
namespace {

using loopback::Bytes;
using loopback::TurnClient;
using loopback::UdpPeer;

constexpr int kSkipped = 77;
constexpr std::uint16_t kChannelNumber = 0x4001;
constexpr std::uint64_t kBurst = 16;
constexpr std::uint64_t kWarmUpPackets = 20000;
constexpr int kStrangers = 2000;         // of each kind
constexpr int kClientsPerTransport = 6;  // enough that both workers get some of each

// Thrown, so that the server is ended and the folder removed on the way out.
struct Failure {
  std::string why;
};
[[noreturn]] void fail(const std::string& why) { throw Failure{why}; }

// A folder for certificate and counters; removed at the end.
struct Folder {
  Folder() {
    char pattern[] = "/tmp/turnpike-zero-XXXXXX";
    if (::mkdtemp(pattern) == nullptr) fail("cannot make a folder in /tmp");
    path = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

Counters& map_counters(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ::ftruncate(fd, sizeof(Counters)) != 0) fail("cannot make " + file);
  void* memory = ::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (memory == MAP_FAILED) fail("cannot map " + file);
  return *static_cast<Counters*>(memory);
}

class ServerProcess {
 public:
  ServerProcess(const std::string& binary, const std::string& library, const std::string& folder) {
    std::vector<std::string> arguments = {binary,
                                          "--listening-ip",
                                          "127.0.0.1",
                                          "--relay-ip",
                                          "127.0.0.1",
                                          "--listening-port",
                                          "0",
                                          "--tls-listening-port",
                                          "0",
                                          "--user",
                                          "alice:secret",
                                          "--static-auth-secret",
                                          "test",
                                          "--api-key",
                                          "test",
                                          "--workers",
                                          "2",
                                          "--allowed-peer-ip",
                                          "127.0.0.0/8",
                                          "--cert",
                                          folder + "/cert.pem",
                                          "--pkey",
                                          folder + "/key.pem",
                                          "--user-quota",
                                          "0",
                                          "--unauthorized-ratelimit-rps",
                                          "0"};
    std::vector<std::string> environment = {
        "LD_PRELOAD=" + library, std::string(kFileVariable) + "=" + folder + "/counters"};
    for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) fail("cannot make a pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO);
    const int failed = ::posix_spawn(&pid_, binary.c_str(), &actions, nullptr,
                                     pointers(arguments).data(), pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    output_ = pipe[0];
    if (failed != 0) fail("cannot start " + binary);
    read_until_ready();
  }
  ~ServerProcess() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    std::array<char, 4096> room{};
    ssize_t got = 0;
    while ((got = ::read(output_, room.data(), room.size())) > 0) {
      if (show_rest_) std::fwrite(room.data(), 1, static_cast<std::size_t>(got), stderr);
    }
    ::close(output_);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  void show_rest() { show_rest_ = true; }
  // The address of the banner's line "UDP 127.0.0.1:40000".
  Address bound(const std::string& label) const {
    const auto line = ("\n" + text_).find("\n" + label + " ");
    const auto at = text_.find("127.0.0.1:", line);
    const auto end = text_.find_first_not_of("0123456789.:", at);
    const auto address = Address::parse(text_.substr(at, end - at));
    if (!address) fail("no address of " + label + " in:\n" + text_);
    return *address;
  }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> list;
    for (std::string& word : words) list.push_back(word.data());
    list.push_back(nullptr);
    return list;
  }
  void read_until_ready() {
    std::array<char, 4096> room{};
    while (("\n" + text_).find("\nready\n") == std::string::npos) {
      const ssize_t got = ::read(output_, room.data(), room.size());
      if (got <= 0) fail("the server did not become ready:\n" + text_);
      text_.append(room.data(), static_cast<std::size_t>(got));
    }
  }
  pid_t pid_ = -1;
  int output_ = -1;
  std::string text_;
  bool show_rest_ = false;
};

// kBurst equal datagrams in one system call: the server receives them as a train.
void send_train(int fd, const Address& to, ByteView message) {
  Bytes train;
  for (std::uint64_t i = 0; i < kBurst; ++i) {
    train.insert(train.end(), message.begin(), message.end());
  }
  net::SocketAddress address = net::to_sockaddr(to);
  iovec piece{train.data(), train.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  msghdr header{};
  header.msg_name = address.raw();
  header.msg_namelen = address.length;
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  part->cmsg_level = IPPROTO_UDP;
  part->cmsg_type = UDP_SEGMENT;
  part->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto size = static_cast<std::uint16_t>(message.size());
  std::memcpy(CMSG_DATA(part), &size, sizeof size);
  if (::sendmsg(fd, &header, 0) < 0) fail(fmt::format("UDP_SEGMENT: {}", std::strerror(errno)));
}

// A client, its peer, and how they talk.
class Flow {
 public:
  enum class Style : std::uint8_t { kChannel, kIndications, kTrains };
  Flow(std::unique_ptr<loopback::Transport> transport, const Address& server, Style style,
       std::size_t payload)
      : server_(server),
        style_(style),
        payload_(payload, 0x5A),
        peer_(IpAddress::loopback(Family::kIPv4)),
        client_(std::move(transport), "alice", "secret") {
    if (client_.allocate() != 0) fail("a client was refused its allocation");
    const int bound = style == Style::kIndications
                          ? client_.permit(peer_.address())
                          : client_.bind_channel(kChannelNumber, peer_.address());
    if (bound != 0) fail(fmt::format("a client was refused its peer: {}", bound));
  }

  // A burst each way; answers how many packets were relayed.
  std::uint64_t exchange() {
    to_peer();
    for (std::uint64_t i = 0; i < kBurst; ++i) {
      const auto got = peer_.receive();
      if (!got || got->bytes != payload_) fail("a packet to a peer was lost or changed");
    }
    to_client();
    for (std::uint64_t i = 0; i < kBurst; ++i) {
      const auto got = client_.receive_data();
      if (!got || got->bytes != payload_) fail("a packet to a client was lost or changed");
    }
    return 2 * kBurst;
  }

 private:
  void to_peer() {
    if (style_ == Style::kTrains) {
      Bytes message(4 + payload_.size());
      Writer out(message);
      out.u16(kChannelNumber);
      out.u16(static_cast<std::uint16_t>(payload_.size()));
      out.bytes(payload_);
      return send_train(client_.transport().fd(), server_, out.written());
    }
    for (std::uint64_t i = 0; i < kBurst; ++i) {
      const bool sent = style_ == Style::kChannel
                            ? client_.send_channel(kChannelNumber, payload_)
                            : client_.send_indication(peer_.address(), payload_);
      if (!sent) fail("a client could not send");
    }
  }
  void to_client() {
    if (style_ == Style::kTrains) return send_train(peer_.fd(), client_.relayed(), payload_);
    for (std::uint64_t i = 0; i < kBurst; ++i) {
      if (!peer_.send(client_.relayed(), payload_)) fail("a peer could not send");
    }
  }

  Address server_;
  Style style_;
  Bytes payload_;
  UdpPeer peer_;
  TurnClient client_;
};

std::vector<std::unique_ptr<Flow>> open_flows(const ServerProcess& server) {
  const Address udp = server.bound("UDP");
  const Address tcp = server.bound("TCP");
  std::vector<std::unique_ptr<Flow>> flows;
  for (int i = 0; i < kClientsPerTransport; ++i) {
    const std::size_t payload = i % 2 == 0 ? 160 : 1200;
    for (const auto style : {Flow::Style::kChannel, Flow::Style::kIndications}) {
      flows.push_back(std::make_unique<Flow>(loopback::over_udp(udp), udp, style, payload));
      flows.push_back(std::make_unique<Flow>(loopback::over_tcp(tcp), tcp, style, payload + 1));
      flows.push_back(std::make_unique<Flow>(loopback::over_tls(tcp), tcp, style, payload + 2));
    }
    flows.push_back(
        std::make_unique<Flow>(loopback::over_udp(udp), udp, Flow::Style::kTrains, payload));
  }
  return flows;
}

std::uint64_t relay(std::vector<std::unique_ptr<Flow>>& flows, std::uint64_t packets) {
  std::uint64_t relayed = 0;
  while (relayed < packets) {
    for (const auto& flow : flows) relayed += flow->exchange();
  }
  return relayed;
}

// Answers how many requests were answered.
std::uint64_t knock(const Address& server, int strangers) {
  struct Claim {
    const char* username;
    const char* password;
  };
  // A known user, an unknown one, and names that a shared secret might have made.
  const std::array<Claim, 4> claims{{{"alice", "wrong"},
                                     {"mallory", "secret"},
                                     {"4102444800:mallory", "guess"},
                                     {"1:mallory", "guess"}}};
  std::uint64_t answered = 0;
  for (int i = 0; i < strangers; ++i) {
    for (const Claim& claim : claims) {
      TurnClient client(loopback::over_udp(server), claim.username, claim.password);
      if (!client.binding()) fail("a Binding request was not answered");
      // The first of its two requests has no credentials.
      if (client.allocate() != 401) fail("a stranger was not refused");
      answered += 3;
    }
  }
  return answered;
}

// What one piece of work makes the server allocate.
class Watch {
 public:
  explicit Watch(Counters& counters)
      : counters_(counters), allocations_(counters.allocations), news_(counters.news) {
    counters_.traces_left.store(8);
  }
  // Whether that was nothing.
  bool report(const std::string& work) {
    counters_.traces_left.store(0);
    const std::uint64_t allocations = counters_.allocations - allocations_;
    const std::uint64_t news = counters_.news - news_;
    fmt::print("{}, {} calls of malloc, {} of operator new\n", work, allocations, news);
    return allocations + news == 0;
  }

 private:
  Counters& counters_;
  std::uint64_t allocations_, news_;
};

int run(const std::string& binary, const std::string& library, std::uint64_t packets) {
  if (!std::filesystem::exists(binary)) {
    fmt::print("skipped: there is no {}; build the release preset first\n", binary);
    return kSkipped;
  }
  const Folder folder;
  Counters& counters = map_counters(folder.path + "/counters");
  if (!net::write_self_signed({folder.path + "/cert.pem", folder.path + "/key.pem"},
                              {"localhost"})) {
    fail("cannot make a certificate");
  }
  ServerProcess server(binary, library, folder.path);
  if (counters.allocations.load() == 0 || counters.news.load() == 0) {
    fail("the counting library did not count the start of the server");
  }
  auto flows = open_flows(server);
  relay(flows, kWarmUpPackets);

  Watch relaying(counters);
  const std::uint64_t relayed = relay(flows, packets);
  const bool nothing =
      relaying.report(fmt::format("{} packets relayed by {} clients", relayed, flows.size()));

  const Address udp = server.bound("UDP");
  knock(udp, kStrangers / 20);
  Watch knocking(counters);
  const std::uint64_t answered = knock(udp, kStrangers);
  if (knocking.report(fmt::format("{} requests of strangers answered", answered)) && nothing) {
    return 0;
  }
  server.show_rest();
  return 1;
}

}  // namespace
}  // namespace turnpike::zero_alloc

int main(int argc, char** argv) {
  namespace test = turnpike::zero_alloc;
  try {
    if (argc < 3) test::fail("usage: SERVER COUNTING_LIBRARY [PACKETS]");
    const auto packets = turnpike::parse_decimal(argc > 3 ? argv[3] : "1000000");
    if (!packets) test::fail("PACKETS is a number");
    return test::run(argv[1], argv[2], *packets);
  } catch (const test::Failure& failure) {
    fmt::print(stderr, "zero_allocation_test: {}\n", failure.why);
    return 1;
  }
}
