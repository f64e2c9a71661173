// TCP allocations (RFC 6062) in a RelayScript: what becomes of connections, and the sink's books of
// them.
#include <algorithm>

#include "base/check.h"
#include "tests/fuzz/relay_script.h"

namespace turnpike::fuzz {

// As the driver does, it forgets a connection that has failed before it says so.
void RelayScript::connecting_ends() {
  const auto found = pick(data_);
  if (found == data_.end() || found->second.state != Data::State::kConnecting) return;
  const turn::DataName name{found->first};
  const bool stands = script_.u8() % 4 != 0;
  if (stands) {
    found->second.state = Data::State::kWaiting;
  } else {
    data_.erase(found);
  }
  server_->on_connected(
      now_, name, stands ? turn::ConnectOutcome::kConnected : turn::ConnectOutcome::kFailed, *this);
}

void RelayScript::peer_connects() {
  const Address peer = pick_peer();
  const auto relay = pick(relays_);
  if (relay == relays_.end() || !relay->second.tcp) return;
  const turn::RelayHandle handle{relay->first};
  // There are no two connections between the same two addresses.
  const bool stands = std::any_of(data_.begin(), data_.end(), [&](const auto& data) {
    return data.second.relay == handle && data.second.peer == peer;
  });
  if (stands) return;
  const turn::DataName name = server_->on_accepted(now_, relay->second.owner, peer, *this);
  if (!name) return;
  CHECK(is_stranger(peer.ip) || is_live(peer, true));
  CHECK(data_.emplace(name.value, Data{handle, peer, Data::State::kWaiting}).second);
}

// Bytes pass a spliced pair, or one of its ends closes.
void RelayScript::data_flows() {
  const auto found = pick(data_);
  if (found == data_.end() || found->second.state != Data::State::kSpliced) return;
  const turn::DataName name{found->first};
  const std::uint8_t choice = script_.u8();
  if (choice == 0) {
    data_.erase(found);
    return server_->on_data_ended(name);
  }
  const auto direction = choice % 2 == 0 ? turn::Direction::kToPeer : turn::Direction::kToClient;
  CHECK(server_->on_data(now_, name, direction, choice * 100u) >= now_.mono);
}

bool RelayScript::connect(turn::RelayHandle relay, const Address& peer, turn::DataName name) {
  CHECK(relays_.contains(relay.value) && relays_.at(relay.value).tcp);
  CHECK(is_stranger(peer.ip) || is_live(peer, true));
  CHECK(relays_.at(relay.value).address != peer);
  for (const auto& [other, data] : data_) CHECK(data.relay != relay || data.peer != peer);
  if (script_.remaining() % 8 == 0) return false;
  CHECK(data_.emplace(name.value, Data{relay, peer, Data::State::kConnecting}).second);
  return true;
}

// The client's connection carries no messages any more: its next ones come on another.
void RelayScript::splice(turn::DataName name, const turn::Path& client) {
  CHECK(turn::is_stream(client.transport));
  Data& data = data_.at(name.value);
  CHECK(data.state == Data::State::kWaiting);
  data.state = Data::State::kSpliced;
  const auto known = std::find(clients_.begin(), clients_.end(), client);
  CHECK(known != clients_.end());
  known->stream = next_stream_++;
}

void RelayScript::close_data(turn::DataName name) { CHECK(data_.erase(name.value) == 1); }

void RelayScript::hand_over(const turn::Path& client, std::uint32_t worker) {
  CHECK(turn::is_stream(client.transport));
  CHECK(worker > 0 && worker < kWorkers);
}

}  // namespace turnpike::fuzz
