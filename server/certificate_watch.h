// CertificateWatch: asks for a reload when the files of a certificate have become others, however
// that was done: certbot moves symbolic links, one after the other, so a change settles before it
// is told. Main loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "net/file_poll.h"
#include "net/loop.h"

namespace turnpike::server {

class CertificateWatch {
 public:
  static constexpr milliseconds kInterval{2000};  // between two looks
  static constexpr milliseconds kSettling{500};   // after the last change that was seen

  CertificateWatch(net::Loop& loop, std::function<void()> changed,
                   milliseconds interval = kInterval)
      : loop_(loop), interval_(interval), settled_(loop, std::move(changed)) {}

  // These from now on; the same ones as before go on being watched. Empty: none.
  void watch(const std::vector<std::string>& files);

 private:
  net::Loop& loop_;
  const milliseconds interval_;
  net::LoopTimer settled_;
  std::map<std::string, std::unique_ptr<net::FilePoll>> polls_;  // by path
};

}  // namespace turnpike::server
