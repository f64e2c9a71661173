#include "server/sampler.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace turnpike::server {
namespace {

// Zero for a thread that has ended.
Duration used_by(clockid_t thread) {
  timespec time{};
  if (clock_gettime(thread, &time) != 0) return Duration(0);
  return seconds(time.tv_sec) + Duration(time.tv_nsec);
}

}  // namespace

void WorkerClocks::watch(std::thread& thread) {
  clockid_t clock{};
  CHECK(pthread_getcpuclockid(thread.native_handle(), &clock) == 0);
  threads_.push_back({clock});
}

void WorkerClocks::watch_this_thread() {
  clockid_t clock{};
  CHECK(pthread_getcpuclockid(pthread_self(), &clock) == 0);
  threads_.push_back({clock});
}

const std::vector<std::uint32_t>& WorkerClocks::busy(MonoTime now) {
  const Duration passed = now - std::exchange(last_, now);
  shares_.clear();
  for (Thread& thread : threads_) {
    const Duration used = used_by(thread.clock);
    const Duration since = used - std::exchange(thread.used, used);
    const bool known = passed > Duration(0) && since >= Duration(0);
    const auto share = known ? std::min<Duration::rep>(since.count() * 1000 / passed.count(), 1000)
                             : Duration::rep{0};
    shares_.push_back(static_cast<std::uint32_t>(share));
  }
  return shares_;
}

void take_sample(const MetricsSources& sources, const std::vector<std::uint32_t>& busy,
                 Sample& sample) {
  using turn::Statistics;
  const Workers& workers = sources.workers;
  const auto audit = sources.service.audit();
  sample.rooms = audit.rooms;
  sample.members = audit.members;
  sample.connections = audit.connections;
  sample.packets_to_peers = relayed(workers, &Statistics::client_packets_relayed);
  sample.packets_to_clients = relayed(workers, &Statistics::peer_packets_relayed);
  sample.bytes_to_peers = relayed(workers, &Statistics::client_bytes_relayed);
  sample.bytes_to_clients = relayed(workers, &Statistics::peer_bytes_relayed);
  sample.malformed = relayed(workers, &Statistics::dropped_malformed);
  sample.throttled = relayed(workers, &Statistics::replies_throttled);
  sample.drops = relay_drops(workers);
  sample.auth_failures = auth_failures(workers);
  sample.allocations = 0;
  sample.workers.clear();
  for (std::size_t i = 0; i < workers.size(); ++i) {
    const std::uint64_t live = workers[i]->relay_statistics().allocations.read();
    sample.allocations += live;
    sample.workers.push_back({i < busy.size() ? busy[i] : 0, static_cast<std::uint32_t>(live)});
  }
}

Sampler::Sampler(net::Loop& loop, History& history, Take take)
    : loop_(loop), history_(history), take_(std::move(take)), timer_(loop, [this] { sample(); }) {}

void Sampler::start() {
  started_ = loop_.tick();
  sample();
}

void Sampler::sample() {
  const MonoTime now = loop_.tick().mono;
  const Duration since_1970 = started_.wall.since_epoch + (now - started_.mono);
  take_(now, sample_);
  history_.add(std::chrono::duration_cast<milliseconds>(since_1970), sample_);
  timer_.arm(now + History::kInterval);
}

}  // namespace turnpike::server
