// Any bytes as HTTP responses: the same response, or the same refusal, however the bytes are cut,
// and nothing beyond the limits. The first byte of the input decides the cuts.

#include <cstdint>
#include <string>

#include "base/check.h"
#include "signaling/http_response.h"
#include "tests/fuzz/pieces.h"

namespace turnpike::signaling {
namespace {

constexpr std::size_t kMaxBody = 300;

class Reading {
 public:
  // Answers false when nothing more is to be read.
  bool take(ByteView bytes) {
    const std::size_t size = parser_.feed(bytes);
    CHECK(size <= bytes.size());
    taken_ += size;
    return parser_.state() == http::ResponseParser::State::kNeedsMore;
  }
  std::string end() {
    parser_.on_end();
    if (parser_.state() == http::ResponseParser::State::kFailed) {
      CHECK(!parser_.failure().empty());
      return std::string(parser_.failure());
    }
    const http::ReceivedResponse response = parser_.take();
    CHECK(response.body.size() <= kMaxBody);
    CHECK(response.status >= 200 && response.status <= 999);
    CHECK(response.headers.size() <= http::RequestParser::kMaxHeaders);
    CHECK(response.values("content-length").size() <= 1);
    std::string text = std::to_string(response.status) + "\n" + std::to_string(taken_) + "\n";
    for (const http::Header& header : response.headers) {
      text += header.name + ": " + header.value + "\n";
    }
    return text + (response.keep_alive ? "keep-alive\n" : "close\n") + response.body;
  }

 private:
  http::ResponseParser parser_{kMaxBody};
  std::size_t taken_ = 0;
};

}  // namespace
}  // namespace turnpike::signaling

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  if (size == 0) return 0;
  const ByteView stream(data + 1, size - 1);

  signaling::Reading at_once;
  at_once.take(stream);

  signaling::Reading in_pieces;
  fuzz::Pieces pieces(stream, data[0]);
  while (!pieces.empty() && in_pieces.take(pieces.next())) {
  }
  CHECK(at_once.end() == in_pieces.end());
  return 0;
}
