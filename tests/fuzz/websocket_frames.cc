// Any bytes as WebSocket frames from a client: the same messages and the same refusal however the
// bytes are cut, and nothing beyond the limits. The first byte of the input decides the cuts.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "signaling/ws.h"
#include "tests/fuzz/pieces.h"

namespace turnpike::signaling::ws {

namespace {

// Small, so that inputs of a few kilobytes reach them.
constexpr Limits kLimits{.max_message = 512, .max_fragments = 8};

struct Reading {
  std::vector<std::pair<Opcode, std::string>> messages;
  bool failed = false;
  CloseCode failure = CloseCode::kNormal;
  bool operator==(const Reading&) const = default;
};

void judge(const Message& message) {
  const bool control = (static_cast<unsigned>(message.opcode) & 8) != 0;
  CHECK(message.payload.size() <= (control ? kMaxControlPayload : kLimits.max_message));
  CHECK(message.opcode != Opcode::kContinuation);
  if (message.opcode == Opcode::kText) {
    Utf8Checker checker;
    CHECK(checker.feed(message.payload) && checker.complete());
  }
  if (message.opcode == Opcode::kClose) {
    const CloseReading reading = read_close(message.payload);
    if (reading.valid && reading.code != CloseCode::kNoStatus) {
      CHECK(static_cast<unsigned>(reading.code) >= 1000);
      CHECK(static_cast<unsigned>(reading.code) < 5000);
    }
  }
}

bool take(Reader& reader, ByteView bytes, Reading& reading) {
  while (true) {
    Message message;
    switch (reader.feed(bytes, kLimits, message)) {
      case Reader::Status::kMessage:
        judge(message);
        reading.messages.emplace_back(message.opcode, message.payload);
        break;
      case Reader::Status::kNeedsMore:
        CHECK(bytes.empty());
        return true;
      case Reader::Status::kFailed:
        reading.failed = true;
        reading.failure = reader.failure();
        return false;
    }
  }
}

}  // namespace

}  // namespace turnpike::signaling::ws

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  namespace ws = signaling::ws;
  if (size == 0) return 0;
  const ByteView stream(data + 1, size - 1);

  ws::Reading whole;
  ws::Reader at_once;
  ws::take(at_once, stream, whole);

  ws::Reading cut;
  ws::Reader in_pieces;
  fuzz::Pieces pieces(stream, data[0]);
  while (!pieces.empty() && ws::take(in_pieces, pieces.next(), cut)) {
  }
  CHECK(whole == cut);
  return 0;
}
