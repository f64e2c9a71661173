#include "server/short_cuts.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace turnpike::server {
namespace {

// What UDP could have carried (IPv4's header counts, IPv6's does not).
constexpr std::uint32_t kMaxDatagramV4 = 65507;
constexpr std::uint32_t kMaxDatagramV6 = 65527;

bool is_a_datagram(const Address& to, const Run& run) {
  return run.size <= (to.ip.is_v4() ? kMaxDatagramV4 : kMaxDatagramV6);
}

// Takes an empty vector's memory down to twice of what is used, where it has four times of that.
template <typename T>
void fit(std::vector<T>& room, std::size_t most_used, std::size_t kept) {
  if (room.capacity() <= kept || room.capacity() < 4 * most_used) return;
  std::vector<T> smaller;
  smaller.reserve(std::max(kept, 2 * most_used));
  room = std::move(smaller);
}

}  // namespace

bool Parcels::add(const Address& from, const Address& to, const Run& run) {
  const std::uint64_t size = run.total_bytes();
  if (entries_.size() >= kMaxRuns || bytes_.size() + size > kMaxBytes) return false;
  Run shape = run;
  shape.data = nullptr;
  shape.stride = run.size;
  entries_.push_back({from, to, bytes_.size(), shape});
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const ByteView segment = run.segment(i);
    bytes_.insert(bytes_.end(), segment.begin(), segment.end());
  }
  return true;
}

std::uint64_t Parcels::append(const Parcels& others) {
  std::uint64_t left_over = 0;
  others.for_each([&](const Address& from, const Address& to, const Run& run) {
    if (!add(from, to, run)) left_over += run.count;
  });
  return left_over;
}

void Parcels::clear() {
  most_runs_ = std::max(most_runs_, entries_.size());
  most_bytes_ = std::max(most_bytes_, bytes_.size());
  entries_.clear();
  bytes_.clear();
  if (++cleared_ < kPatience) return;
  fit(entries_, most_runs_, kKeptRuns);
  fit(bytes_, most_bytes_, kKeptBytes);
  cleared_ = 0;
  most_runs_ = most_bytes_ = 0;
}

Run Parcels::run_of(const Entry& entry) const {
  Run run = entry.shape;
  run.data = bytes_.data() + entry.offset;
  return run;
}

std::uint64_t ParcelBox::post(const Parcels& parcels) {
  std::uint64_t left_over = 0;
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = waiting_.empty();
    left_over = waiting_.append(parcels);
  }
  if (was_empty) wake_();
  return left_over;
}

void ParcelBox::take(Parcels& into) {
  CHECK(into.empty());
  const std::lock_guard lock(mutex_);
  std::swap(waiting_, into);
}

ShortCuts::ShortCuts(std::uint32_t worker, const SharedRelays& relays,
                     const std::vector<std::unique_ptr<ParcelBox>>& boxes)
    : worker_(worker), relays_(relays), boxes_(boxes), outgoing_(boxes.size()) {
  CHECK(worker < boxes.size());
  waits_for_flush_.reserve(boxes.size());
}

bool ShortCuts::take(const Address& from, const Address& to, const Run& run) {
  if (!taking_) return false;
  const auto route = relays_.route(to);
  if (!route) return false;
  const bool here = route->worker == worker_;
  if (!is_a_datagram(to, run) || (here && waiting_ == kMaxOfOneInput)) {
    statistics_.dropped.add(run.count);
    return true;
  }
  if (here) {
    deliveries_[waiting_++] = {route->owner, from, run};
    statistics_.packets.add(run.count);
    return true;
  }
  Outgoing& outgoing = outgoing_[route->worker];
  if (!outgoing.parcels.add(from, to, run)) {
    statistics_.dropped.add(run.count);
    return true;
  }
  statistics_.packets.add(run.count);
  if (!outgoing.waits) waits_for_flush_.push_back(route->worker);
  outgoing.waits = true;
  return true;
}

void ShortCuts::flush() {
  for (const std::uint32_t worker : waits_for_flush_) {
    Outgoing& outgoing = outgoing_[worker];
    statistics_.dropped.add(boxes_[worker]->post(outgoing.parcels));
    outgoing.parcels.clear();
    outgoing.waits = false;
  }
  waits_for_flush_.clear();
}

}  // namespace turnpike::server
