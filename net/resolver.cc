#include "net/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "net/sockaddr.h"

namespace turnpike::net {
namespace {

Expected<std::vector<IpAddress>> ask_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int result = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (result != 0) return failure("cannot resolve " + host + ": " + ::gai_strerror(result));
  std::vector<IpAddress> addresses;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    const IpAddress ip = from_sockaddr(one->ai_addr).ip;
    const bool known = std::find(addresses.begin(), addresses.end(), ip) != addresses.end();
    if (!known && addresses.size() < Resolver::kMaxAddresses) addresses.push_back(ip);
  }
  ::freeaddrinfo(list);
  if (addresses.empty()) return failure("cannot resolve " + host + ": it has no address");
  return addresses;
}

}  // namespace

struct Resolver::Job {
  std::string host;
  std::mutex mutex;
  Async* answered = nullptr;  // nullptr: nobody waits any more
  Expected<std::vector<IpAddress>> answer = failure("");
};

Resolver::Resolver(Loop& loop, std::string host, Done done)
    : answered_(loop, [this] { on_answer(); }),
      done_(std::move(done)),
      job_(std::make_shared<Job>()) {
  job_->host = std::move(host);
  job_->answered = &answered_;
  auto* const carried = new std::shared_ptr<Job>(job_);
  pthread_t thread{};
  if (::pthread_create(&thread, nullptr, &Resolver::run, carried) == 0) {
    ::pthread_detach(thread);
    return;
  }
  delete carried;
  job_->answer = failure("cannot resolve " + job_->host + ": no thread for it");
  answered_.wake();
}

Resolver::~Resolver() {
  const std::lock_guard lock(job_->mutex);
  job_->answered = nullptr;
}

void* Resolver::run(void* carried) {
  const std::unique_ptr<std::shared_ptr<Job>> mine(static_cast<std::shared_ptr<Job>*>(carried));
  Job& job = **mine;
  auto answer = ask_system(job.host);
  const std::lock_guard lock(job.mutex);
  job.answer = std::move(answer);
  if (job.answered != nullptr) job.answered->wake();
  return nullptr;
}

void Resolver::on_answer() {
  Expected<std::vector<IpAddress>> answer = failure("");
  {
    const std::lock_guard lock(job_->mutex);
    answer = std::move(job_->answer);
  }
  // Moved out: the resolver, and with it the function, may be destroyed by the call.
  const Done done = std::move(done_);
  done(std::move(answer));
}

}  // namespace turnpike::net
