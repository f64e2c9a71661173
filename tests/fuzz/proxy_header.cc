// Any bytes as the beginning of a proxied connection: the header is the same however it is cut, and
// never takes more than is there. The first byte of the input decides the cuts.

#include "base/proxy_header.h"

#include <cstdint>

#include "base/check.h"
#include "tests/fuzz/pieces.h"

namespace turnpike {
namespace {

struct Reading {
  ProxyHeader::Result result = ProxyHeader::Result::kMore;
  std::size_t taken = 0;
  std::optional<Address> client;
  bool operator==(const Reading&) const = default;
};

void take(ProxyHeader& header, ByteView bytes, Reading& reading) {
  std::size_t taken = 0;
  reading.result = header.feed(bytes, taken);
  CHECK(taken <= bytes.size());
  reading.taken += taken;
  CHECK(reading.taken <= ProxyHeader::kMaxBinary);
  reading.client = header.client();
}

}  // namespace
}  // namespace turnpike

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  if (size == 0) return 0;
  const ByteView stream(data + 1, size - 1);
  Reading whole;
  ProxyHeader at_once;
  take(at_once, stream, whole);

  Reading cut;
  ProxyHeader in_pieces;
  fuzz::Pieces pieces(stream, data[0]);
  while (!pieces.empty() && cut.result == ProxyHeader::Result::kMore) {
    take(in_pieces, pieces.next(), cut);
  }
  CHECK(whole == cut);
  return 0;
}
