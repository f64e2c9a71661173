#include "server/pulse.h"

#include <algorithm>
#include <utility>

namespace turnpike::server {

Pulse::Pulse(net::Loop& main, std::span<const std::unique_ptr<net::Loop>> loops,
             std::function<void()> after_each)
    : main_(main), after_each_(std::move(after_each)), timer_(main, [this] { ask(); }) {
  for (const auto& loop : loops) listeners_.push_back(std::make_unique<Listener>(*loop, asked_));
}

void Pulse::start() { ask(); }

void Pulse::ask() {
  asked_.fetch_add(1);
  for (const auto& listener : listeners_) listener->wake.wake();
  timer_.arm(main_.tick().mono + kInterval);
  if (after_each_) after_each_();
}

std::size_t Pulse::stuck() const {
  const std::uint64_t asked = asked_.load();
  const auto is_stuck = [asked](const auto& listener) {
    return (asked - listener->heard.load()) * kInterval > kPatience;
  };
  return static_cast<std::size_t>(std::count_if(listeners_.begin(), listeners_.end(), is_stuck));
}

}  // namespace turnpike::server
