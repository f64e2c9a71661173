// What protecting one RTP packet costs, by profile and payload: the order in which a session offers
// its profiles follows from this.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "ice/media/rtp.h"
#include "ice/media/srtp.h"

namespace turnpike::media {
namespace {

void protect(benchmark::State& state, SrtpProfile profile) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const SrtpSizes sizes = sizes_of(profile);
  const std::vector<std::uint8_t> key(sizes.key + sizes.salt, 3);
  auto stream = SrtpStream::create(profile, SrtpStream::Direction::kSend, key);
  if (!stream) return state.SkipWithError("no such profile");
  alignas(8) std::array<std::uint8_t, 2048> room;
  const std::vector<std::uint8_t> payload(size, 7);
  RtpPacket packet;
  packet.ssrc = 1;
  packet.payload = payload;
  for (auto _ : state) {
    Writer out(room);
    ++packet.sequence;
    write_rtp(out, packet);
    benchmark::DoNotOptimize(stream->protect_rtp(room, out.size()));
  }
  state.SetItemsProcessed(state.iterations());
}
// Many sessions in one process, one packet of each in turn: a library that looks its keys up, as
// NSS does, pays for every one that is there.
void protect_in_turn(benchmark::State& state, SrtpProfile profile) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const SrtpSizes sizes = sizes_of(profile);
  std::vector<SrtpStream> streams;
  for (std::int64_t i = 0; i < state.range(1); ++i) {
    std::vector<std::uint8_t> key(sizes.key + sizes.salt, 3);
    key[0] = static_cast<std::uint8_t>(i);
    key[1] = static_cast<std::uint8_t>(i >> 8);
    auto stream = SrtpStream::create(profile, SrtpStream::Direction::kSend, key);
    if (!stream) return state.SkipWithError("no such profile");
    streams.push_back(std::move(*stream));
  }
  alignas(8) std::array<std::uint8_t, 2048> room;
  const std::vector<std::uint8_t> payload(size, 7);
  RtpPacket packet;
  packet.ssrc = 1;
  packet.payload = payload;
  std::size_t turn = 0;
  for (auto _ : state) {
    if (++turn >= streams.size()) {
      turn = 0;
      ++packet.sequence;
    }
    Writer out(room);
    write_rtp(out, packet);
    benchmark::DoNotOptimize(streams[turn].protect_rtp(room, out.size()));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(protect_in_turn, aes_cm_sha1, SrtpProfile::kAes128CmSha1_80)
    ->ArgsProduct({{160, 1100}, {1, 100, 400, 1600}});
BENCHMARK_CAPTURE(protect_in_turn, aes_gcm_128, SrtpProfile::kAeadAes128Gcm)
    ->ArgsProduct({{160, 1100}, {1, 100, 400, 1600}});

BENCHMARK_CAPTURE(protect, aes_cm_sha1, SrtpProfile::kAes128CmSha1_80)->Arg(160)->Arg(1100);
BENCHMARK_CAPTURE(protect, aes_gcm_128, SrtpProfile::kAeadAes128Gcm)->Arg(160)->Arg(1100);
BENCHMARK_CAPTURE(protect, aes_gcm_256, SrtpProfile::kAeadAes256Gcm)->Arg(160)->Arg(1100);

}  // namespace
}  // namespace turnpike::media
