#include "turn/data_connections.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/check.h"

namespace turnpike::turn {

const DataConnection* TcpSide::find(const Address& peer) const {
  const auto found =
      std::find_if(connections.begin(), connections.end(),
                   [&](const DataConnection& connection) { return connection.peer == peer; });
  return found == connections.end() ? nullptr : &*found;
}

DataConnection& DataConnections::create(const Address& peer) {
  const Handle<DataConnection> handle = slab_.emplace();
  DataConnection* connection = slab_.find(handle);
  CHECK(connection != nullptr);
  connection->self = handle;
  connection->peer = peer;
  connection->id = draw_id();
  by_id_.emplace(connection->id, handle);
  return *connection;
}

void DataConnections::erase(DataConnection& connection) {
  by_id_.erase(connection.id);
  slab_.erase(connection.self);
}

DataConnection* DataConnections::find_id(std::uint32_t id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : slab_.find(found->second);
}

// Whole groups of `workers` ids, of which the last incomplete one is left out.
std::uint32_t DataConnections::draw_id() {
  const std::uint32_t groups = std::numeric_limits<std::uint32_t>::max() / place_.workers;
  while (true) {
    const std::uint32_t id = random_.below(groups) * place_.workers + place_.worker;
    if (!by_id_.contains(id)) return id;
  }
}

void DataConnections::audit(Findings& findings) {
  findings.expect_equal("ids of data connections", by_id_.size(), slab_.size());
  slab_.for_each([&](Handle<DataConnection> handle, const DataConnection& connection) {
    const std::string which = "the data connection with " + connection.peer.to_string();
    const auto found = by_id_.find(connection.id);
    if (found == by_id_.end() || found->second != handle || connection.self != handle) {
      findings.add(which + " is not found by its id");
    }
    const bool waits = connection.state != DataConnection::State::kBound;
    if (waits == connection.timer.armed()) return;
    findings.add(which + (waits ? " waits without a deadline" : " has a deadline though it runs"));
  });
}

}  // namespace turnpike::turn
