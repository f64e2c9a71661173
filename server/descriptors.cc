#include "server/descriptors.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

namespace turnpike::server {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

std::optional<int> option_of(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, name, &value, &length) != 0) return std::nullopt;
  return value;
}

std::size_t& kind_of(int fd, Descriptors& counts) {
  const auto domain = option_of(fd, SO_DOMAIN);
  if (!domain) return counts.other;
  if (*domain == AF_UNIX) return counts.local;
  if (*domain != AF_INET && *domain != AF_INET6) return counts.other;
  if (option_of(fd, SO_TYPE) == SOCK_DGRAM) return counts.datagram;
  return option_of(fd, SO_ACCEPTCONN).value_or(0) != 0 ? counts.listening : counts.connected;
}

void expect(const char* what, std::size_t open, std::size_t explained, Findings& findings) {
  if (open == explained) return;
  findings.add(fmt::format("descriptors: {} {} open, {} explained", open, what, explained));
}

}  // namespace

Expected<Descriptors> count_descriptors() {
  const std::unique_ptr<DIR, CloseFolder> folder(::opendir("/proc/self/fd"));
  if (folder == nullptr) {
    return failure(fmt::format("/proc/self/fd cannot be read: {}", std::strerror(errno)));
  }
  Descriptors counts;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd != ::dirfd(folder.get())) ++kind_of(fd, counts);
  }
  return counts;
}

void compare(const Descriptors& open, const Descriptors& explained, std::size_t other_at_start,
             Findings& findings) {
  expect("sockets for datagrams", open.datagram, explained.datagram, findings);
  expect("sockets that accept connections", open.listening, explained.listening, findings);
  expect("connections", open.connected, explained.connected, findings);
  expect("UNIX sockets", open.local, explained.local, findings);
  if (open.other < other_at_start || open.other > explained.other) {
    expect("files, pipes and event loops", open.other, explained.other, findings);
  }
}

}  // namespace turnpike::server
