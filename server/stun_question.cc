#include "server/stun_question.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "base/random.h"
#include "net/bind.h"
#include "net/descriptor.h"
#include "net/sockaddr.h"
#include "net/syscalls.h"
#include "stun/builder.h"
#include "stun/message.h"
#include "stun/transaction.h"

namespace turnpike::server {
namespace {

constexpr std::size_t kMaxAnswer = 1500;

MonoTime mono_now() { return {std::chrono::steady_clock::now().time_since_epoch()}; }

std::string_view name_of(Family family) { return family == Family::kIPv4 ? "IPv4" : "IPv6"; }

Expected<Address> resolve(const StunServer& server, Family family) {
  if (const auto ip = IpAddress::parse(server.host)) {
    if (ip->family() == family) return Address{*ip, server.port};
    return failure(fmt::format("it has no {} address", name_of(family)));
  }
  addrinfo hints{};
  hints.ai_family = family == Family::kIPv4 ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int code = ::getaddrinfo(server.host.c_str(), nullptr, &hints, &list);
  if (code != 0) {
    return failure(
        fmt::format("no {} address for that name ({})", name_of(family), ::gai_strerror(code)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  return Address{net::from_sockaddr(list->ai_addr).ip, server.port};
}

class Question {
 public:
  explicit Question(int fd) : socket_(fd) { SystemRandom().fill(id_); }

  Expected<Address> ask(const Address& server);

 private:
  Expected<void> send();
  // nullopt: something else, or nothing yet.
  Expected<std::optional<Address>> receive();
  void wait_until(MonoTime when) const;

  net::Descriptor socket_;
  stun::TransactionId id_{};
};

Expected<Address> Question::ask(const Address& server) {
  const net::SocketAddress there = net::to_sockaddr(server);
  // Connected: answers from elsewhere are not delivered, and ICMP errors are told.
  if (net::syscalls().connect(socket_.get(), there.raw(), there.length) != 0) {
    return failure(fmt::format("no route to it ({})", std::strerror(errno)));
  }
  const MonoTime end = mono_now() + kStunPatience;
  stun::Transaction transaction(mono_now(), stun::Transaction::Reliability::kUnreliable);
  int sent = 1;
  if (auto done = send(); !done) return unexpected(std::move(done.error()));
  for (;;) {
    const MonoTime due = sent < kStunRequests ? std::min(transaction.next(), end) : end;
    wait_until(due);
    auto mapped = receive();
    if (!mapped) return unexpected(std::move(mapped.error()));
    if (*mapped) return **mapped;
    const MonoTime now = mono_now();
    if (now >= end) break;
    if (sent == kStunRequests || now < due) continue;
    if (transaction.on_time(now) != stun::Transaction::Due::kSend) continue;
    ++sent;
    if (auto done = send(); !done) return unexpected(std::move(done.error()));
  }
  return failure(fmt::format("no answer to {} requests in {:.1f} s", sent,
                             std::chrono::duration<double>(kStunPatience).count()));
}

Expected<void> Question::send() {
  std::array<std::uint8_t, 64> room{};
  stun::Builder builder(room, stun::Class::kRequest, stun::Method::kBinding, id_);
  const ByteView request = builder.fingerprint().finish();
  if (net::syscalls().sendto(socket_.get(), request.data(), request.size(), 0, nullptr, 0) < 0) {
    return failure(fmt::format("it cannot be sent to ({})", std::strerror(errno)));
  }
  return {};
}

Expected<std::optional<Address>> Question::receive() {
  std::array<std::uint8_t, kMaxAnswer> room{};
  iovec piece{room.data(), room.size()};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  const ssize_t size = net::syscalls().recvmsg(socket_.get(), &header, MSG_DONTWAIT);
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return std::nullopt;
    return failure(fmt::format("it cannot be reached ({})", std::strerror(errno)));
  }
  const auto answer = stun::MessageView::parse(ByteView(room).first(static_cast<size_t>(size)));
  if (!answer || answer->transaction_id() != id_) return std::nullopt;
  if (answer->is(stun::Class::kError, stun::Method::kBinding)) {
    const auto error = answer->error_code();
    return failure(fmt::format("it refuses with {}", error ? error->code : 0));
  }
  if (!answer->is(stun::Class::kSuccess, stun::Method::kBinding)) return std::nullopt;
  const auto mapped = answer->xor_address(stun::Attribute::kXorMappedAddress);
  if (!mapped) return failure("its answer has no XOR-MAPPED-ADDRESS");
  return mapped;
}

void Question::wait_until(MonoTime when) const {
  const Duration left = std::max(when - mono_now(), Duration(0));
  const auto whole = std::chrono::ceil<milliseconds>(left).count();
  pollfd watched{socket_.get(), POLLIN, 0};
  ::poll(&watched, 1, static_cast<int>(whole));
}

}  // namespace

Expected<SeenFrom> ask_stun_server(const StunServer& server, const IpAddress& from) {
  const auto there = resolve(server, from.family());
  if (!there) return unexpected(there.error());
  const auto fd = net::open_bound({from, 0}, SOCK_DGRAM, net::ReusePort::kNo);
  if (!fd) return unexpected(fd.error());
  const Address local = net::local_address_of(*fd);
  const auto mapped = Question(*fd).ask(*there);
  if (!mapped) return unexpected(mapped.error());
  return SeenFrom{*there, local, *mapped};
}

}  // namespace turnpike::server
