// What one relayed packet costs inside the relay, without any socket, and what one request costs.
// The argument is the number of allocations that take turns.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

const Address kPeer = {IpAddress::v4(9, 9, 9, 9), 900};
const Address kUnbound = {IpAddress::v4(9, 9, 9, 9), 901};
constexpr std::size_t kPayload = 160;

class NullSink final : public Sink {
 public:
  void to_client(const Path&, const Parts& parts) override {
    benchmark::DoNotOptimize(parts.head.data());
    ++calls;
  }
  void to_peer(RelayHandle, const Address&, const Run& run) override {
    benchmark::DoNotOptimize(run.data);
    ++calls;
  }
  Expected<Relay, RelayError> open_relay(const RelayWish&) override {
    return unexpected(RelayError::kNoPortLeft);
  }
  void close_relay(RelayHandle) override {}
  Expected<ClaimedRelay, RelayError> claim_relay(const Claim&) override {
    return unexpected(RelayError::kNoReservation);
  }
  bool drop_reservation(ReservationToken) override { return false; }
  void report(const Event&) override {}
  std::uint64_t calls = 0;
};

struct Held {
  explicit Held(std::size_t count) : house(unlimited()) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string remote =
          "9.1." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1) + ":4000";
      Guest guest(house, remote);
      CHECK(guest.allocate().success());
      CHECK(guest.bind(0x4000, kPeer).success());
      paths.push_back(guest.path);
      owners.push_back(house.sink.open_relays.back().owner);
    }
  }
  static HouseRules unlimited() {
    HouseRules rules;
    rules.quota.per_user = 0;
    return rules;
  }
  RelayHouse house;
  NullSink sink;
  std::vector<Path> paths;
  std::vector<std::uint64_t> owners;
};

void from_clients(benchmark::State& state, const Run& run) {
  Held held(static_cast<std::size_t>(state.range(0)));
  std::size_t next = 0;
  for (auto _ : state) {
    held.house.server->on_client(held.house.now, held.paths[next], run, held.sink);
    if (++next == held.paths.size()) next = 0;
  }
  CHECK(held.sink.calls >= static_cast<std::uint64_t>(state.iterations()));
  state.SetItemsProcessed(state.iterations() * run.count);
}

void from_peers(benchmark::State& state, const Address& peer, const Run& run) {
  Held held(static_cast<std::size_t>(state.range(0)));
  std::size_t next = 0;
  for (auto _ : state) {
    held.house.server->on_peer(held.house.now, held.owners[next], peer, run, held.sink);
    if (++next == held.owners.size()) next = 0;
  }
  CHECK(held.sink.calls >= static_cast<std::uint64_t>(state.iterations()));
  state.SetItemsProcessed(state.iterations() * run.count);
}

void ChannelDataFromClient(benchmark::State& state) {
  const Bytes message = channel_message(0x4000, filled(kPayload));
  from_clients(state, Run::one(message));
}
void ChannelDataTrainFromClient(benchmark::State& state) {
  const Train train(std::vector<Bytes>(40, channel_message(0x4000, filled(1200))));
  from_clients(state, train.run());
}
void SendIndicationFromClient(benchmark::State& state) {
  const Bytes message = send_indication(kPeer, filled(kPayload));
  from_clients(state, Run::one(message));
}
void ChannelDataToClient(benchmark::State& state) {
  const Bytes payload = filled(kPayload);
  from_peers(state, kPeer, Run::one(payload));
}
void DataIndicationToClient(benchmark::State& state) {
  const Bytes payload = filled(kPayload);
  from_peers(state, kUnbound, Run::one(payload));
}
void PaddedDataIndicationToClient(benchmark::State& state) {
  const Bytes payload = filled(kPayload + 1);
  from_peers(state, kUnbound, Run::one(payload));
}
BENCHMARK(ChannelDataFromClient)->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK(ChannelDataTrainFromClient)->Arg(1)->Arg(100);
BENCHMARK(SendIndicationFromClient)->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK(ChannelDataToClient)->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK(DataIndicationToClient)->Arg(1)->Arg(100);
BENCHMARK(PaddedDataIndicationToClient)->Arg(1)->Arg(100);

// Without throttling: this measures the answers, not the silence.
HouseRules unthrottled() {
  HouseRules rules;
  rules.adjust = [](Settings& settings) { settings.unauthorized_replies_per_second = 0; };
  return rules;
}

void Repeat(benchmark::State& state, stun::Method method, bool authenticated) {
  RelayHouse house(unthrottled());
  Guest guest(house, "9.1.1.1:4000");
  CHECK(guest.allocate().success());
  const Bytes request = authenticated ? guest.request(method) : guest.bare_request(method);
  NullSink sink;
  for (auto _ : state) {
    house.server->on_client(house.now, guest.path, Run::one(request), sink);
  }
  CHECK(sink.calls == static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(Repeat, Binding, stun::Method::kBinding, false);
BENCHMARK_CAPTURE(Repeat, Challenge, stun::Method::kAllocate, false);
BENCHMARK_CAPTURE(Repeat, Refresh, stun::Method::kRefresh, true);

// What a username of the shared-secret scheme costs in each request: its key is made anew.
void DeriveAKeyOfASharedSecret(benchmark::State& state) {
  const Credentials credentials({.realm = "example.org", .shared_secrets = {"a shared secret"}});
  for (auto _ : state) {
    benchmark::DoNotOptimize(credentials.keys_for("4102444800:alice", WallTime{seconds(1)}));
  }
}
BENCHMARK(DeriveAKeyOfASharedSecret);

}  // namespace
}  // namespace turnpike::turn
