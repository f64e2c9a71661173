#include "server/history.h"

#include <algorithm>
#include <span>

#include "base/check.h"

namespace turnpike::server {
namespace {

constexpr std::array<std::string_view, 10> kNames = {
    "allocations",        "rooms",          "members",          "connections", "packets_to_peers",
    "packets_to_clients", "bytes_to_peers", "bytes_to_clients", "malformed",   "ratelimit"};

}  // namespace

History::History(std::size_t workers) : workers_(workers), cells_(kSamples * width()) {}

void History::add(milliseconds at, const Sample& sample) {
  CHECK(sample.workers.size() == workers_);
  auto cell = cells_.begin() + static_cast<std::ptrdiff_t>(end_ % kSamples * width());
  *cell++ = static_cast<std::uint64_t>(at.count());
  for (const std::uint64_t figure :
       {sample.allocations, sample.rooms, sample.members, sample.connections,
        sample.packets_to_peers, sample.packets_to_clients, sample.bytes_to_peers,
        sample.bytes_to_clients, sample.malformed, sample.throttled}) {
    *cell++ = figure;
  }
  cell = std::copy(sample.drops.begin(), sample.drops.end(), cell);
  cell = std::copy(sample.auth_failures.begin(), sample.auth_failures.end(), cell);
  for (const WorkerLoad& worker : sample.workers) {
    *cell++ = std::uint64_t{worker.busy} << 32 | worker.allocations;
  }
  ++end_;
}

std::string History::row(std::uint64_t number) const {
  CHECK(number >= begin() && number < end_);
  const std::span<const std::uint64_t> cells =
      std::span(cells_).subspan(number % kSamples * width(), width());
  std::string text = "[";
  for (const std::uint64_t figure : cells.first(1 + kFixed)) {
    text.append(std::to_string(figure)).append(",");
  }
  text += "[";
  for (const std::uint64_t packed : cells.subspan(1 + kFixed)) {
    if (text.back() == ']') text += ",";
    text.append("[").append(std::to_string(packed >> 32)).append(",");
    text.append(std::to_string(packed & 0xffffffff)).append("]");
  }
  return text + "]]";
}

std::string History::names() {
  std::string text = "[";
  const auto add = [&text](std::string_view group, std::string_view name) {
    if (text.size() > 1) text += ",";
    text.append("\"").append(group).append(name).append("\"");
  };
  for (const std::string_view name : kNames) add("", name);
  for (const std::string_view reason : kRelayDropReasons) add("dropped_", reason);
  for (const std::string_view reason : kAuthFailureReasons) add("auth_", reason);
  return text + "]";
}

}  // namespace turnpike::server
