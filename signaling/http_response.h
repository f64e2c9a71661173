// HTTP/1.1 responses, read from bytes as they come, for where this server is the client. The same
// parser and the same strictness as for requests (signaling/http.h). Values only; a parser lives
// from the first byte of a response to its last. Single thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "signaling/http.h"

namespace turnpike::signaling::http {

struct ReceivedResponse {
  unsigned status = 0;
  std::vector<Header> headers;
  std::string body;
  bool keep_alive = true;

  // Of all headers of that (lower case) name.
  std::vector<std::string_view> values(std::string_view name) const;
};

class ResponseParser {
 public:
  static constexpr std::size_t kMaxInterim = 8;  // responses 1xx before the one

  static constexpr std::string_view kNotHttp = "the answer is not HTTP/1.1";
  static constexpr std::string_view kTooLarge = "the answer is too large";
  static constexpr std::string_view kCut = "the connection ended before the answer did";

  using State = RequestParser::State;

  explicit ResponseParser(std::size_t max_body);
  ~ResponseParser();
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  // Takes bytes until the response is complete or refused and answers how many it took.
  std::size_t feed(ByteView bytes);
  // The connection has ended, which is how some bodies end.
  void on_end();
  State state() const;
  std::string_view failure() const;  // in kFailed: a sentence for the operator
  ReceivedResponse take();           // in kComplete

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace turnpike::signaling::http
