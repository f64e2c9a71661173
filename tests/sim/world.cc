#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

namespace turnpike::sim {
namespace {
// An arbitrary Thursday; only differences matter.
constexpr seconds kWallStart{1767225600};
}  // namespace

World::World(std::uint64_t seed, LinkQuality quality) : random_(seed), quality_(quality) {
  now_.wall = WallTime{kWallStart};
}

bool World::chance(double probability) {
  return random_.below(1u << 24) < static_cast<std::uint32_t>(probability * (1u << 24));
}

void World::transmit(const Address& from, const Address& to, ByteView bytes) {
  if (chance(quality_.loss)) return;
  deliver_later(from, to, bytes);
  if (chance(quality_.duplication)) deliver_later(from, to, bytes);
}

void World::deliver_later(const Address& from, const Address& to, ByteView bytes) {
  Duration delay = quality_.delay;
  if (quality_.jitter.count() > 0) {
    delay += std::chrono::microseconds(
        random_.below(static_cast<std::uint32_t>(quality_.jitter.count()) * 1000));
  }
  after(delay, [this, from, to, copy = std::vector<std::uint8_t>(bytes.begin(), bytes.end())] {
    const auto node = nodes_.find(to.ip);
    if (node != nodes_.end()) node->second->on_datagram(to, from, copy);
  });
}

void World::at(MonoTime when, std::function<void()> action) {
  future_.push({std::max(when, now_.mono), order_++, std::move(action)});
}

void World::run_until(MonoTime end) {
  while (!future_.empty() && future_.top().when <= end) {
    const MonoTime when = future_.top().when;
    // priority_queue shows its top as const; moving the action out does not touch the order.
    std::function<void()> action = std::move(const_cast<Happening&>(future_.top()).action);
    future_.pop();
    now_.mono = when;
    now_.wall = WallTime{kWallStart + std::chrono::duration_cast<seconds>(when.since_start)};
    action();
  }
  now_.mono = end;
  now_.wall = WallTime{kWallStart + std::chrono::duration_cast<seconds>(end.since_start)};
}

}  // namespace turnpike::sim
