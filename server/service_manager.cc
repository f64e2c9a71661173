#include "server/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/text.h"

namespace turnpike::server {
namespace {

std::string_view variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// WATCHDOG_USEC counts for the process that WATCHDOG_PID names, if it names one.
std::optional<Duration> watchdog_of_environment() {
  const std::string_view pid = variable("WATCHDOG_PID");
  if (!pid.empty() && pid != std::to_string(getpid())) return std::nullopt;
  const auto time = parse_decimal(variable("WATCHDOG_USEC"));
  if (!time || *time == 0) return std::nullopt;
  return std::chrono::microseconds(*time);
}

// What a reload has to tell, so that systemd knows which of its signals this answers.
std::int64_t monotonic_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

ServiceManager ServiceManager::of_environment() {
  return {std::string(variable("NOTIFY_SOCKET")), watchdog_of_environment()};
}

ServiceManager::ServiceManager(std::string socket_path, std::optional<Duration> watchdog)
    : path_(std::move(socket_path)), watchdog_(watchdog) {
  const bool named = path_.size() > 1 && (path_[0] == '/' || path_[0] == '@');
  if (named && path_.size() < sizeof(sockaddr_un::sun_path)) {
    socket_ = net::Descriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
}

void ServiceManager::ready(std::string_view status) const {
  say(fmt::format("READY=1\nSTATUS={}", status));
}

void ServiceManager::status(std::string_view status) const {
  say(fmt::format("STATUS={}", status));
}

void ServiceManager::reloading() const {
  say(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds()));
}

void ServiceManager::stopping() const { say("STOPPING=1"); }

void ServiceManager::alive(MonoTime now) {
  if (!watchdog_ || now < next_sign_) return;
  next_sign_ = now + *watchdog_ / 3;
  say("WATCHDOG=1");
}

// Best effort: a service manager that does not listen is not ours to wait for.
void ServiceManager::say(std::string_view text) const {
  if (!present()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  if (path_[0] == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  (void)::sendto(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace turnpike::server
