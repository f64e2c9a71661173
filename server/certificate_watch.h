// CertificateWatch: asks for a reload when the files of the certificate have become others, however
// that was done: certbot moves symbolic links, one after the other, so a change settles before it
// is told. Main loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

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
  void watch(const std::string& certificate, const std::string& key);

 private:
  struct File {
    std::string path;
    std::unique_ptr<net::FilePoll> poll;
  };
  void watch(File& file, const std::string& path);

  net::Loop& loop_;
  const milliseconds interval_;
  net::LoopTimer settled_;
  File certificate_;
  File key_;
};

}  // namespace turnpike::server
