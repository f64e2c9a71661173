// What a STUN message costs: reading, answering, authenticating.
#include <benchmark/benchmark.h>

#include <array>

#include "stun/builder.h"
#include "stun/classify.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/nonce.h"

namespace turnpike::stun {
namespace {

const Address kClient{IpAddress::v4(192, 0, 2, 1), 40000};
constexpr WallTime kNow{seconds(1'800'000'000)};

const NonceSource& nonces() {
  static const NonceSource source(NonceSource::Key{1, 2, 3}, seconds(600));
  return source;
}
const Md5Digest& key() {
  static const Md5Digest digest = long_term_key("1800000000:member", "example.org", "secret");
  return digest;
}

using Room = std::array<std::uint8_t, 512>;

ByteView binding_request(Room& room) {
  return Builder(room, Class::kRequest, Method::kBinding, {}).finish();
}

ByteView refresh_request(Room& room) {
  Builder builder(room, Class::kRequest, Method::kRefresh, {});
  builder.u32(Attribute::kLifetime, 600)
      .text(Attribute::kUsername, "1800000000:member")
      .text(Attribute::kRealm, "example.org")
      .text(Attribute::kNonce, nonces().make(kNow, kClient).view())
      .message_integrity(key());
  return builder.finish();
}

void ClassifyAPacket(benchmark::State& state) {
  Room room{};
  std::uint8_t first = 0;
  for (auto _ : state) {
    room[0] = first++;
    benchmark::DoNotOptimize(classify(room));
  }
}
BENCHMARK(ClassifyAPacket);

void ParseABindingRequest(benchmark::State& state) {
  Room room;
  const ByteView bytes = binding_request(room);
  for (auto _ : state) benchmark::DoNotOptimize(MessageView::parse(bytes));
}
BENCHMARK(ParseABindingRequest);

void ParseARefreshRequest(benchmark::State& state) {
  Room room;
  const ByteView bytes = refresh_request(room);
  for (auto _ : state) benchmark::DoNotOptimize(MessageView::parse(bytes));
}
BENCHMARK(ParseARefreshRequest);

void BuildABindingAnswer(benchmark::State& state) {
  Room request_room, room;
  const auto request = *MessageView::parse(binding_request(request_room));
  for (auto _ : state) {
    Builder builder = Builder::response(room, Class::kSuccess, request);
    builder.xor_address(Attribute::kXorMappedAddress, kClient);
    benchmark::DoNotOptimize(builder.finish());
  }
}
BENCHMARK(BuildABindingAnswer);

void AnswerABindingRequest(benchmark::State& state) {
  Room request_room, room;
  const ByteView bytes = binding_request(request_room);
  for (auto _ : state) {
    const auto request = MessageView::parse(bytes);
    Builder builder = Builder::response(room, Class::kSuccess, *request);
    builder.xor_address(Attribute::kXorMappedAddress, kClient).fingerprint();
    benchmark::DoNotOptimize(builder.finish());
  }
}
BENCHMARK(AnswerABindingRequest);

void MakeANonce(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(nonces().make(kNow, kClient));
}
BENCHMARK(MakeANonce);

void CheckANonce(benchmark::State& state) {
  const auto nonce = nonces().make(kNow, kClient);
  for (auto _ : state) benchmark::DoNotOptimize(nonces().is_valid(nonce.view(), kNow, kClient));
}
BENCHMARK(CheckANonce);

void CheckMessageIntegrity(benchmark::State& state) {
  Room room;
  const auto request = *MessageView::parse(refresh_request(room));
  for (auto _ : state) benchmark::DoNotOptimize(verify_message_integrity(request, key()));
}
BENCHMARK(CheckMessageIntegrity);

void DeriveALongTermKey(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(long_term_key("1800000000:member", "example.org", "secret"));
  }
}
BENCHMARK(DeriveALongTermKey);

void ComputeAFingerprint(benchmark::State& state) {
  const Room room{};
  const ByteView bytes = ByteView(room).first(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(fingerprint_of(bytes));
}
BENCHMARK(ComputeAFingerprint)->Arg(36)->Arg(100);

}  // namespace
}  // namespace turnpike::stun
