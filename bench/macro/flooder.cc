// Sends strangers' packets to a server at a fixed rate, from many addresses that are this host's
// own, and hears their answers: bench/macro/flood measures what others get meanwhile. It is for
// servers of your own: the addresses must be local, so nothing is spoofed beyond this machine and
// answers reach nobody else. Ends after its time, or with SIGTERM. One thread.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"

namespace turnpike::bench {
namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kMaxPacket = 512;
constexpr int kBuffer = 4 << 20;
constexpr std::chrono::milliseconds kMostBehind{5};
constexpr std::uint32_t kMaxSources = 1u << 20;

volatile std::sig_atomic_t over = 0;

enum class Kind : std::uint8_t { kAllocate, kBinding, kForged, kHello };

struct Wish {
  std::string server_ip = "127.0.0.1";
  std::uint16_t port = 3478;
  std::string first = "127.64.0.1";
  std::uint32_t sources = 4000;
  Kind kind = Kind::kAllocate;
  double rate = 40000;
  double seconds = 3;
};

// Fast and of no importance: only that packets differ.
class Noise {
 public:
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  void fill(Writer& out, std::size_t words) {
    for (std::size_t i = 0; i < words; ++i) out.u32(static_cast<std::uint32_t>(next()));
  }

 private:
  std::uint64_t state_ = 0x9E3779B97F4A7C15;
};

void write_stun(Writer& out, Noise& noise, std::uint16_t type, std::uint16_t length) {
  out.u16(type);
  out.u16(length);
  out.u32(0x2112A442);
  noise.fill(out, 3);
}

// REQUESTED-TRANSPORT, USERNAME, REALM, NONCE, MESSAGE-INTEGRITY: all that a server has to look at.
void write_forged(Writer& out, Noise& noise) {
  write_stun(out, noise, 0x0003, 8 + 12 + 12 + 40 + 24);
  out.u16(0x0019), out.u16(4), out.u32(17u << 24);
  out.u16(0x0006), out.u16(8), noise.fill(out, 2);
  out.u16(0x0014), out.u16(8), noise.fill(out, 2);
  out.u16(0x0015), out.u16(36), noise.fill(out, 9);
  out.u16(0x0008), out.u16(20), noise.fill(out, 5);
}

// A ClientHello of DTLS 1.2 without a cookie (RFC 6347 section 4.2.1): the record, the handshake
// header with its fragment, the body.
void write_hello(Writer& out, Noise& noise) {
  constexpr std::uint32_t kBody = 2 + 32 + 1 + 1 + 2 + 2 + 2 + 2 + 10 + 8;
  out.u8(22), out.u16(0xFEFD), out.u16(0), out.u16(0), out.u32(0);
  out.u16(static_cast<std::uint16_t>(12 + kBody));
  out.u32(1u << 24 | kBody), out.u16(0);
  out.u8(0), out.u16(0), out.u8(0), out.u16(static_cast<std::uint16_t>(kBody));
  out.u16(0xFEFD), noise.fill(out, 8);
  out.u8(0), out.u8(0);
  out.u16(2), out.u16(0xC02B);
  out.u16(0x0100);
  out.u16(18);
  out.u16(10), out.u16(6), out.u16(4), out.u16(29), out.u16(23);
  out.u16(13), out.u16(4), out.u16(2), out.u16(0x0403);
}

std::size_t write_packet(Kind kind, Noise& noise, MutableBytes room) {
  Writer out(room);
  switch (kind) {
    case Kind::kAllocate:
      write_stun(out, noise, 0x0003, 0);
      break;
    case Kind::kBinding:
      write_stun(out, noise, 0x0001, 0);
      break;
    case Kind::kForged:
      write_forged(out, noise);
      break;
    case Kind::kHello:
      write_hello(out, noise);
      break;
  }
  return out.size();
}

// A datagram that leaves from an address of our choice, by IP_PKTINFO.
struct Datagram {
  std::array<std::uint8_t, kMaxPacket> bytes;
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(in_pktinfo))> control{};
  iovec piece{};

  void head(msghdr& message, sockaddr_in& server) {
    piece = {bytes.data(), 0};
    message = {};
    message.msg_name = &server;
    message.msg_namelen = sizeof server;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  }
  void leave_from(std::uint32_t ip) {
    in_pktinfo where{};
    where.ipi_spec_dst.s_addr = htonl(ip);
    std::memcpy(control.data() + CMSG_LEN(0), &where, sizeof where);
  }
};

class Flooder {
 public:
  explicit Flooder(const Wish& wish) : wish_(wish) {}

  bool open() {
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    server_ = any;
    server_.sin_port = htons(wish_.port);
    in_addr first{};
    if (::inet_pton(AF_INET, wish_.server_ip.c_str(), &server_.sin_addr) != 1 ||
        ::inet_pton(AF_INET, wish_.first.c_str(), &first) != 1) {
      return false;
    }
    first_ = ntohl(first.s_addr);
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof kBuffer);
    return ::bind(fd_, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
  }

  // What is late by more than kMostBehind is never sent: a burst would be another flood.
  void run() {
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    const auto step = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(kBatch) / wish_.rate));
    const auto length = std::chrono::duration<double>(wish_.seconds);
    auto due = began;
    while (over == 0 && Clock::now() - began < length) {
      std::this_thread::sleep_until(due);
      send_batch();
      hear();
      due = std::max(due + step, Clock::now() - kMostBehind);
    }
    elapsed_ = std::chrono::duration<double>(Clock::now() - began).count();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    hear();
  }

  void print() const {
    std::printf(
        "{\"sent\": %llu, \"refused_by_the_kernel\": %llu, \"answers\": %llu, "
        "\"seconds\": %.3f}\n",
        sent_, refused_, answers_, elapsed_);
  }

 private:
  void send_batch() {
    std::array<mmsghdr, kBatch> messages{};
    for (std::size_t i = 0; i < kBatch; ++i) {
      Datagram& datagram = outgoing_[i];
      datagram.head(messages[i].msg_hdr, server_);
      datagram.leave_from(first_ + next_++ % wish_.sources);
      datagram.piece.iov_len = write_packet(wish_.kind, noise_, datagram.bytes);
    }
    const int done = ::sendmmsg(fd_, messages.data(), kBatch, 0);
    sent_ += static_cast<unsigned long long>(done > 0 ? done : 0);
    refused_ += kBatch - static_cast<unsigned long long>(done > 0 ? done : 0);
  }

  void hear() {
    std::array<mmsghdr, kBatch> messages{};
    std::array<std::uint8_t, 16> ignored;
    iovec piece{ignored.data(), ignored.size()};
    for (mmsghdr& message : messages) {
      message.msg_hdr.msg_iov = &piece;
      message.msg_hdr.msg_iovlen = 1;
    }
    int got = 0;
    while ((got = ::recvmmsg(fd_, messages.data(), kBatch, MSG_TRUNC, nullptr)) > 0) {
      answers_ += static_cast<unsigned long long>(got);
    }
  }

  const Wish& wish_;
  int fd_ = -1;
  sockaddr_in server_{};
  std::uint32_t first_ = 0;
  std::uint32_t next_ = 0;
  Noise noise_;
  std::array<Datagram, kBatch> outgoing_;
  unsigned long long sent_ = 0;
  unsigned long long refused_ = 0;
  unsigned long long answers_ = 0;
  double elapsed_ = 0;
};

}  // namespace
}  // namespace turnpike::bench

int main(int argc, char** argv) {
  using turnpike::bench::Kind;
  turnpike::bench::Wish wish;
  CLI::App app("Strangers' packets at a fixed rate, from many addresses of this host.");
  const std::map<std::string, Kind> kinds{{"allocate", Kind::kAllocate},
                                          {"binding", Kind::kBinding},
                                          {"forged", Kind::kForged},
                                          {"hello", Kind::kHello}};
  app.add_option("--server-ip", wish.server_ip, "IPv4 address of the server");
  app.add_option("--port", wish.port, "Its UDP port");
  app.add_option("--first", wish.first, "First of the addresses to send from");
  app.add_option("--sources", wish.sources, "How many")
      ->check(CLI::Range(1u, turnpike::bench::kMaxSources));
  app.add_option("--kind", wish.kind, "allocate, binding, forged or hello")
      ->transform(CLI::CheckedTransformer(kinds));
  app.add_option("--rate", wish.rate, "Packets a second")->check(CLI::Range(1.0, 1e6));
  app.add_option("--seconds", wish.seconds, "How long")->check(CLI::Range(0.1, 600.0));
  CLI11_PARSE(app, argc, argv);
  ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  turnpike::bench::Flooder flooder(wish);
  if (!flooder.open()) {
    std::perror("flooder");
    return 1;
  }
  std::signal(SIGTERM, [](int) { turnpike::bench::over = 1; });
  flooder.run();
  flooder.print();
  return 0;
}
