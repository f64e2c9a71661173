// What an operator asks about allocations, and ends of them.
#include <algorithm>
#include <chrono>

#include "turn/core.h"

namespace turnpike::turn {

void Server::Core::for_each_allocation(const Server::Visitor& visit) {
  allocations_.for_each([&](const Allocation& allocation) {
    visit(allocation.handle.pack(), allocation.holder->name);
  });
}

std::optional<Server::Report> Server::Core::report(Tick now, std::uint64_t handle) {
  const Allocation* allocation = allocations_.find(Handle<Allocation>::unpack(handle));
  if (allocation == nullptr) return std::nullopt;
  Server::Report report;
  report.holder = allocation->holder->name;
  report.path = allocation->path;
  report.relayed = {allocation->first.external};
  MonoTime end = allocation->first.expiry.deadline();
  if (allocation->second) {
    report.relayed.push_back(allocation->second->external);
    end = std::max(end, allocation->second->expiry.deadline());
  }
  report.tcp = allocation->tcp != nullptr;
  report.bytes_to_peers = allocation->traffic[static_cast<std::size_t>(Direction::kToPeer)].bytes;
  report.bytes_to_client =
      allocation->traffic[static_cast<std::size_t>(Direction::kToClient)].bytes;
  report.permissions =
      report.tcp ? allocation->tcp->permissions.size() : allocation->permissions.size();
  report.channels = allocation->channels.size();
  report.left = std::max(seconds(0), std::chrono::ceil<seconds>(end - now.mono));
  return report;
}

bool Server::Core::end(Tick now, std::uint64_t handle, Sink& sink) {
  Allocation* allocation = allocations_.find(Handle<Allocation>::unpack(handle));
  if (allocation == nullptr) return false;
  end(now, *allocation, Event::Ending::kOperator, sink);
  return true;
}

}  // namespace turnpike::turn
