// What it costs to give a packet to another client of this server: looking its relayed address up,
// and the way to it, on the same worker or through another worker's box.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "server/short_cuts.h"

namespace turnpike::server {
namespace {

const IpAddress kRelayIp = IpAddress::v4(192, 0, 2, 1);
const Address kFrom{kRelayIp, 50000};
constexpr std::uint16_t kPorts = 1000;

struct House {
  explicit House(std::uint32_t receiver) {
    for (int i = 0; i < 2; ++i) boxes.push_back(std::make_unique<ParcelBox>());
    for (const auto& box : boxes) box->on_post([] {});
    for (std::uint16_t i = 0; i < kPorts; ++i) relays.add(to(i), {receiver, i});
  }
  static Address to(std::uint16_t i) {
    return {kRelayIp, static_cast<std::uint16_t>(50001 + i % kPorts)};
  }
  SharedRelays relays{{kRelayIp}};
  std::vector<std::unique_ptr<ParcelBox>> boxes;
};

void ToAStranger(benchmark::State& state) {
  House house(0);
  ShortCuts cuts(0, house.relays, house.boxes);
  const std::vector<std::uint8_t> payload(160);
  const Address stranger{IpAddress::v4(198, 51, 100, 1), 4000};
  cuts.begin_input();
  for (auto _ : state) {
    benchmark::DoNotOptimize(cuts.take(kFrom, stranger, Run::one(payload)));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(ToAStranger);

void OnTheSameWorker(benchmark::State& state) {
  House house(0);
  ShortCuts cuts(0, house.relays, house.boxes);
  const std::vector<std::uint8_t> payload(160);
  std::uint16_t next = 0;
  for (auto _ : state) {
    cuts.begin_input();
    cuts.take(kFrom, House::to(next++), Run::one(payload));
    cuts.end_input(
        [](const ShortCuts::Delivery& delivery) { benchmark::DoNotOptimize(delivery.owner); });
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(OnTheSameWorker);

// The argument is the number of packets in one turn of the loop.
void ToAnotherWorker(benchmark::State& state) {
  House house(1);
  ShortCuts from(0, house.relays, house.boxes), to(1, house.relays, house.boxes);
  const std::vector<std::uint8_t> payload(160);
  std::uint16_t next = 0;
  for (auto _ : state) {
    from.begin_input();
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      from.take(kFrom, House::to(next++), Run::one(payload));
    }
    from.end_input([](const ShortCuts::Delivery&) {});
    from.flush();
    to.open_box(
        [](const ShortCuts::Delivery& delivery) { benchmark::DoNotOptimize(delivery.owner); });
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ToAnotherWorker)->Arg(1)->Arg(64);

}  // namespace
}  // namespace turnpike::server
