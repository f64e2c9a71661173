// Any bytes as a stream: the framer finds the same messages however the bytes are cut, and never
// holds more than one message. The first byte of the input decides the cuts.

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "tests/fuzz/pieces.h"
#include "turn/stream_framer.h"

namespace turnpike::turn {

namespace {

struct Reading {
  std::vector<std::vector<std::uint8_t>> messages;
  bool garbage = false;
  bool operator==(const Reading&) const = default;
};

// Answers false when the stream has turned out to be garbage.
bool take(StreamFramer& framer, ByteView bytes, Reading& reading) {
  framer.feed(bytes);
  ByteView message;
  StreamFramer::Result result = framer.next(message);
  for (; result == StreamFramer::Result::kMessage; result = framer.next(message)) {
    CHECK(message.size() >= 4);
    reading.messages.emplace_back(message.begin(), message.end());
  }
  if (result == StreamFramer::Result::kGarbage) {
    reading.garbage = true;
    return false;
  }
  framer.keep_rest();
  CHECK(framer.buffered() < StreamFramer::kMaxMessage);
  return true;
}

}  // namespace

}  // namespace turnpike::turn

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  if (size == 0) return 0;
  const ByteView stream(data + 1, size - 1);

  turn::Reading whole;
  turn::StreamFramer at_once;
  turn::take(at_once, stream, whole);

  turn::Reading cut;
  turn::StreamFramer in_pieces;
  fuzz::Pieces pieces(stream, data[0]);
  while (!pieces.empty() && turn::take(in_pieces, pieces.next(), cut)) {
  }
  CHECK(whole == cut);
  return 0;
}
