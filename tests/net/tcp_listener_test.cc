#include "net/tcp_listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <memory>

#include "net/sockaddr.h"
#include "tests/net/harness.h"

namespace turnpike::net {
namespace {

Descriptor connect_to(const Address& address) {
  const SocketAddress where = to_sockaddr(address);
  Descriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), where.raw(), where.length), 0);
  return fd;
}

struct Accepting {
  Accepting() {
    auto bound = TcpListener::bind({.bind = {IpAddress::loopback(Family::kIPv4), 0}});
    EXPECT_TRUE(bound);
    listener = std::move(*bound);
    listener->start(loop, [this](int fd) {
      accepted.emplace_back(fd);
      if (then) then();
    });
  }
  Loop loop;
  std::unique_ptr<TcpListener> listener;
  std::vector<Descriptor> accepted;
  std::function<void()> then;
};

// The process may have so many descriptors and no more; sockets that exist stay.
class FewDescriptors : public Syscalls {
 public:
  int accept4(int fd, sockaddr* address, socklen_t* length, int flags) override {
    ++accepts;
    if (open >= limit) {
      errno = EMFILE;
      return -1;
    }
    const int result = Syscalls::accept4(fd, address, length, flags);
    if (result >= 0) ++open;
    return result;
  }
  int socket(int domain, int type, int protocol) override {
    if (open >= limit) {
      errno = EMFILE;
      return -1;
    }
    ++open;
    return Syscalls::socket(domain, type, protocol);
  }
  int close(int fd) override {
    --open;
    return Syscalls::close(fd);
  }
  int limit = 1 << 20;
  int open = 0;
  int accepts = 0;
};

TEST(TcpListener, HandsOverNonBlockingDescriptorsWithoutNagle) {
  Accepting server;
  const Descriptor client = connect_to(server.listener->local());
  ASSERT_TRUE(turn_until(server.loop, [&] { return server.accepted.size() == 1; }));
  const int fd = server.accepted[0].get();
  EXPECT_TRUE(::fcntl(fd, F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl(fd, F_GETFD) & FD_CLOEXEC);
  int no_delay = 0;
  socklen_t length = sizeof no_delay;
  ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
  EXPECT_EQ(no_delay, 1);
}

TEST(TcpListener, TakesManyConnectionsInAWakeUpButNotAll) {
  Accepting server;
  std::vector<Descriptor> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(connect_to(server.listener->local()));
  server.loop.run_once();
  EXPECT_EQ(server.accepted.size(), 64u);
  EXPECT_TRUE(turn_until(server.loop, [&] { return server.accepted.size() == 100; }));
}

TEST(TcpListener, SurvivesTheLackOfDescriptorsAndTellsTheClients) {
  FewDescriptors few;
  const SyscallsScope scope(few);
  Accepting server;
  few.limit = few.open + 2;
  std::vector<Descriptor> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(connect_to(server.listener->local()));
  for (int i = 0; i < 10; ++i) server.loop.run_once();
  EXPECT_EQ(server.accepted.size(), 2u);
  // The others were accepted with the spare and closed: nothing is left in the queue to spin on.
  for (std::size_t i = 2; i < clients.size(); ++i) {
    std::uint8_t byte = 0;
    EXPECT_EQ(::recv(clients[i].get(), &byte, 1, 0), 0);
  }
  const int accepts = few.accepts;
  for (int i = 0; i < 10; ++i) server.loop.run_once();
  EXPECT_EQ(few.accepts, accepts);

  few.limit = 1 << 20;
  const Descriptor later = connect_to(server.listener->local());
  EXPECT_TRUE(turn_until(server.loop, [&] { return server.accepted.size() == 3; }));
}

TEST(TcpListener, WithoutEvenASpareItRestsInsteadOfSpinning) {
  FewDescriptors few;
  const SyscallsScope scope(few);
  Accepting server;
  few.limit = 0;
  const Descriptor client = connect_to(server.listener->local());
  for (int i = 0; i < 50; ++i) server.loop.run_once();
  EXPECT_LE(few.accepts, 3);
  few.limit = 1 << 20;
  EXPECT_TRUE(turn_until(server.loop, [&] { return server.accepted.size() == 1; }));
}

// One connection finds no descriptor, and the one that the spare makes free is taken by another
// thread before the spare can be had again.
class Robbed : public Syscalls {
 public:
  int accept4(int fd, sockaddr* address, socklen_t* length, int flags) override {
    if (!std::exchange(short_once, true)) {
      errno = EMFILE;
      return -1;
    }
    return Syscalls::accept4(fd, address, length, flags);
  }
  int socket(int domain, int type, int protocol) override {
    if (domain == AF_UNIX && robbed > 0 && short_once) {
      --robbed;
      errno = EMFILE;
      return -1;
    }
    return Syscalls::socket(domain, type, protocol);
  }
  bool short_once = false;
  int robbed = 2;
};

TEST(TcpListener, TheSpareDescriptorComesBackWithoutAnotherShortage) {
  Robbed robbed;
  const SyscallsScope scope(robbed);
  Accepting server;
  ASSERT_TRUE(server.listener->has_spare());
  const Descriptor client = connect_to(server.listener->local());
  ASSERT_TRUE(turn_until(server.loop, [&] { return !server.listener->has_spare(); }));
  EXPECT_TRUE(turn_until(server.loop, [&] { return server.listener->has_spare(); }));
  EXPECT_EQ(robbed.robbed, 0);
}

class Forbidden : public Syscalls {
 public:
  int accept4(int, sockaddr*, socklen_t*, int) override {
    ++accepts;
    errno = EPERM;
    return -1;
  }
  int accepts = 0;
};

TEST(TcpListener, RestsWhenItMayNotAcceptWhatStaysInTheQueue) {
  Forbidden forbidden;
  const SyscallsScope scope(forbidden);
  Accepting server;
  const Descriptor client = connect_to(server.listener->local());
  ASSERT_TRUE(turn_until(server.loop, [&] { return forbidden.accepts > 0; }));
  for (int i = 0; i < 50; ++i) server.loop.run_once();
  EXPECT_LE(forbidden.accepts, 3);
}

class AbortedOnce : public Syscalls {
 public:
  int accept4(int fd, sockaddr* address, socklen_t* length, int flags) override {
    if (!std::exchange(aborted, true)) {
      errno = ECONNABORTED;
      return -1;
    }
    return Syscalls::accept4(fd, address, length, flags);
  }
  bool aborted = false;
};

TEST(TcpListener, AConnectionThatIsGoneAlreadyDoesNotHoldUpTheNext) {
  AbortedOnce aborted;
  const SyscallsScope scope(aborted);
  Accepting server;
  const Descriptor client = connect_to(server.listener->local());
  server.loop.run_once();
  EXPECT_EQ(server.accepted.size(), 1u);
}

TEST(TcpListener, MayBeDestroyedByItsCallback) {
  Accepting server;
  const Descriptor first = connect_to(server.listener->local());
  const Descriptor second = connect_to(server.listener->local());
  server.then = [&] { server.listener.reset(); };
  ASSERT_TRUE(turn_until(server.loop, [&] { return !server.accepted.empty(); }));
  for (int i = 0; i < 3; ++i) server.loop.run_once();
  EXPECT_EQ(server.accepted.size(), 1u);
}

}  // namespace
}  // namespace turnpike::net
