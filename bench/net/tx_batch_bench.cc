// What a datagram costs on its way out before the kernel has it. The kernel here takes everything
// and does nothing, so system calls cost as much as a virtual call.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "net/syscalls.h"
#include "net/tx_batch.h"

namespace turnpike::net {
namespace {

class TakesEverything final : public Syscalls {
 public:
  ssize_t sendto(int, const void*, size_t size, int, const sockaddr*, socklen_t) override {
    return static_cast<ssize_t>(size);
  }
  ssize_t sendmsg(int, const msghdr* message, int) override {
    std::size_t size = 0;
    for (std::size_t i = 0; i < message->msg_iovlen; ++i) size += message->msg_iov[i].iov_len;
    return static_cast<ssize_t>(size);
  }
  int sendmmsg(int, mmsghdr*, unsigned count, int) override { return static_cast<int>(count); }
};

struct Kernel {
  Kernel() { replace_syscalls(&takes); }
  ~Kernel() { replace_syscalls(nullptr); }
  TakesEverything takes;
};

Address client(std::size_t index) {
  return {IpAddress::v4(198, 18, static_cast<std::uint8_t>(index / 250),
                        static_cast<std::uint8_t>(index % 250 + 1)),
          4000};
}

constexpr std::size_t kPayload = 160;
constexpr std::array<std::uint8_t, 4> kHead = {0x40, 0, 0, 160};

// Peers' packets to as many clients as the argument says, from one listening socket.
void OneSocketManyClients(benchmark::State& state) {
  TxBatch batch(TxBatch::Segmentation::kProbe);
  const Kernel kernel;
  const std::vector<std::uint8_t> payload(kPayload);
  const auto clients = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    for (std::size_t i = 0; i < clients; ++i) batch.push(3, client(i), kHead, Run::one(payload));
    batch.flush();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(OneSocketManyClients)->Arg(1)->Arg(16)->Arg(256);

// Clients' packets to peers, each from the socket of its allocation.
void ManySocketsOnePeer(benchmark::State& state) {
  TxBatch batch(TxBatch::Segmentation::kProbe);
  const Kernel kernel;
  const std::vector<std::uint8_t> payload(kPayload);
  const Address peer = client(0);
  for (auto _ : state) {
    for (int fd = 0; fd < state.range(0); ++fd) batch.push(fd, peer, {}, Run::one(payload));
    batch.flush();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ManySocketsOnePeer)->Arg(1)->Arg(16)->Arg(256);

void ATrainStaysOneMessage(benchmark::State& state) {
  TxBatch batch(TxBatch::Segmentation::kProbe);
  const Kernel kernel;
  const std::vector<std::uint8_t> payload(1200 * 40);
  const Run train = Run::train(payload, 1200);
  const Address peer = client(0);
  for (auto _ : state) {
    batch.push(3, peer, kHead, train);
    batch.flush();
  }
  state.SetItemsProcessed(state.iterations() * train.count);
}
BENCHMARK(ATrainStaysOneMessage);

}  // namespace
}  // namespace turnpike::net
