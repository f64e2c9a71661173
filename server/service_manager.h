// ServiceManager: tells systemd how we are (sd_notify's protocol: datagrams of NAME=value lines to
// the UNIX socket that NOTIFY_SOCKET names). Nothing happens where there is none. Main thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "net/descriptor.h"

namespace turnpike::server {

class ServiceManager {
 public:
  // Takes what the environment says. `socket_path` begins with '/' or, for an abstract socket, '@'.
  static ServiceManager of_environment();
  ServiceManager(std::string socket_path, std::optional<Duration> watchdog);

  bool present() const { return bool(socket_); }
  void ready(std::string_view status) const;
  // What `systemctl status` shows. A line of text.
  void status(std::string_view status) const;
  void reloading() const;
  void stopping() const;
  // A sign of life; half of the watchdog's time at most may pass between two.
  void alive(MonoTime now);

 private:
  void say(std::string_view text) const;

  std::string path_;
  std::optional<Duration> watchdog_;  // the longest time between two signs of life
  MonoTime next_sign_;
  net::Descriptor socket_;
};

}  // namespace turnpike::server
