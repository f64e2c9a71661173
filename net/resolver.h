// Resolver: the addresses of a host name, asked of the system. The question runs on a thread of its
// own, because the system's resolver blocks for as long as it likes; destroying the Resolver gives
// up without waiting for it. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/expected.h"
#include "net/loop.h"

namespace turnpike::net {

class Resolver {
 public:
  static constexpr std::size_t kMaxAddresses = 8;

  // `done` is called once, later, with at least one address or with the reason; it may destroy the
  // resolver.
  using Done = std::function<void(Expected<std::vector<IpAddress>>)>;
  Resolver(Loop& loop, std::string host, Done done);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

 private:
  struct Job;
  static void* run(void* job);
  void on_answer();

  Async answered_;
  Done done_;
  std::shared_ptr<Job> job_;
};

}  // namespace turnpike::net
