// systemd's side of sd_notify: a datagram socket that the test reads.
#include "server/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "tests/server/scratch_dir.h"

namespace turnpike::server {
namespace {

using ::testing::StartsWith;

class Manager {
 public:
  explicit Manager(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path.front() == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), length), 0);
  }
  ~Manager() { ::close(fd_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  std::string hear() {
    std::array<char, 512> room{};
    const auto size = ::recv(fd_, room.data(), room.size(), 0);
    return size < 0 ? std::string() : std::string(room.data(), static_cast<std::size_t>(size));
  }

 private:
  int fd_;
};

MonoTime at(milliseconds time) { return MonoTime{time}; }

TEST(ServiceManager, IsToldWhatHappens) {
  const ScratchDir dir;
  const std::string path = dir.path_of("notify");
  Manager systemd(path);
  const ServiceManager manager(path, std::nullopt);
  EXPECT_TRUE(manager.present());
  manager.ready("serving");
  EXPECT_EQ(systemd.hear(), "READY=1\nSTATUS=serving");
  manager.reloading();
  EXPECT_THAT(systemd.hear(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  manager.stopping();
  EXPECT_EQ(systemd.hear(), "STOPPING=1");
}

TEST(ServiceManager, AbstractSocketsAreReachedToo) {
  const std::string path = "@turnpike-test-" + std::to_string(getpid());
  Manager systemd(path);
  ServiceManager(path, std::nullopt).stopping();
  EXPECT_EQ(systemd.hear(), "STOPPING=1");
}

TEST(ServiceManager, SignsOfLifeComeThriceInTheWatchdogsTime) {
  const ScratchDir dir;
  Manager systemd(dir.path_of("notify"));
  ServiceManager manager(dir.path_of("notify"), seconds(30));
  manager.alive(at(seconds(1)));
  EXPECT_EQ(systemd.hear(), "WATCHDOG=1");
  manager.alive(at(seconds(10)));
  EXPECT_EQ(systemd.hear(), "");
  manager.alive(at(seconds(11)));
  EXPECT_EQ(systemd.hear(), "WATCHDOG=1");
}

TEST(ServiceManager, WithoutOneNothingHappens) {
  ServiceManager nobody("", seconds(1));
  EXPECT_FALSE(nobody.present());
  nobody.ready("serving");
  nobody.alive(at(seconds(1)));
  EXPECT_FALSE(ServiceManager("relative/path", std::nullopt).present());
  EXPECT_FALSE(ServiceManager("/" + std::string(200, 'x'), std::nullopt).present());
  ServiceManager("/nobody/listens/here", std::nullopt).stopping();
}

}  // namespace
}  // namespace turnpike::server
