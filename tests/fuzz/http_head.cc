// Any bytes as HTTP requests: the same requests, or the same refusal, however the bytes are cut,
// and nothing beyond the limits. The first byte of the input decides the cuts.

#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "signaling/http.h"
#include "signaling/ws.h"
#include "tests/fuzz/pieces.h"

namespace turnpike::signaling {

namespace {

constexpr std::size_t kMaxRequests = 16;

struct Reading {
  std::vector<std::string> requests;  // printed
  unsigned failure = 0;
  bool operator==(const Reading&) const = default;
};

std::string print(const http::Request& request) {
  std::string text = std::to_string(static_cast<int>(request.method)) + " " + request.target + "\n";
  for (const http::Header& header : request.headers) {
    text += header.name + ": " + header.value + "\n";
  }
  text += request.keep_alive ? "keep-alive\n" : "close\n";
  return text + request.body;
}

void judge(const http::Request& request) {
  using http::RequestParser;
  CHECK(request.target.size() <= RequestParser::kMaxTarget);
  CHECK(request.headers.size() <= RequestParser::kMaxHeaders);
  CHECK(request.body.size() <= RequestParser::kMaxBody);
  // What two parsers could understand differently must not get through (RFC 9112 section 6.3).
  CHECK(request.count("content-length") <= 1);
  CHECK(request.count("content-length") == 0 || request.count("transfer-encoding") == 0);
  for (const http::Header& header : request.headers) {
    CHECK(!header.name.empty());
    CHECK(header.value.find_first_of("\r\n") == std::string::npos);
    CHECK(header.value.find('\0') == std::string::npos);
  }
  (void)http::percent_decode(request.path());
  (void)http::query_value(request.query(), "key");
  (void)request.lists("connection", "upgrade");
  const auto handshake = ws::judge_handshake(request);
  CHECK(handshake.status != 101 || handshake.accept.size() == 28);
}

class Connection {
 public:
  // Answers false when nothing more is to be read.
  bool take(ByteView bytes) {
    while (!bytes.empty()) {
      if (!parser_) parser_ = std::make_unique<http::RequestParser>();
      const std::size_t taken = parser_->feed(bytes);
      CHECK(taken <= bytes.size());
      bytes = bytes.subspan(taken);
      (void)parser_->take_expectation();
      switch (parser_->state()) {
        case http::RequestParser::State::kNeedsMore:
          CHECK(bytes.empty());
          break;
        case http::RequestParser::State::kFailed:
          reading_.failure = parser_->failure();
          CHECK(reading_.failure >= 400 && reading_.failure <= 599);
          return false;
        case http::RequestParser::State::kComplete: {
          const http::Request request = parser_->take();
          judge(request);
          reading_.requests.push_back(print(request));
          parser_.reset();
          if (reading_.requests.size() == kMaxRequests) return false;
        }
      }
    }
    return true;
  }
  const Reading& reading() const { return reading_; }

 private:
  std::unique_ptr<http::RequestParser> parser_;
  Reading reading_;
};

}  // namespace

}  // namespace turnpike::signaling

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  if (size == 0) return 0;
  const ByteView stream(data + 1, size - 1);

  signaling::Connection at_once;
  at_once.take(stream);

  signaling::Connection in_pieces;
  fuzz::Pieces pieces(stream, data[0]);
  while (!pieces.empty() && in_pieces.take(pieces.next())) {
  }
  CHECK(at_once.reading() == in_pieces.reading());
  return 0;
}
