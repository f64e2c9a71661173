// HTTP/1.1 requests, read from bytes as they come. Boost.Beast's parser does the grammar of heads;
// what is stricter here is everything that two HTTP parsers could understand differently, because a
// proxy in front of us may be the other one (request smuggling). Values only; a parser lives from
// the first byte of a request to its last, so an idle connection has none. Single thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace turnpike::signaling::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

struct Header {
  std::string name;  // in lower case
  std::string value;
};

struct Request {
  Method method = Method::kOther;
  std::string target;  // origin form, or "*" with OPTIONS
  std::vector<Header> headers;
  std::string body;
  bool keep_alive = true;
  bool is_http_1_0 = false;

  std::string_view path() const;   // still percent encoded
  std::string_view query() const;  // without the '?'
  // The first header of that (lower case) name; nullopt when there is none.
  std::optional<std::string_view> header(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  // True when `token` is an element of a comma separated header, ignoring case.
  bool lists(std::string_view name, std::string_view token) const;
};

// How large bodies may be, asked once the head of a request is known.
class BodyLimits {
 public:
  virtual ~BodyLimits() = default;
  virtual std::size_t max_body(const Request& head) const = 0;
};

class RequestParser {
 public:
  static constexpr std::size_t kMaxHead = 16 * 1024;   // request line to blank line; then 431
  static constexpr std::size_t kMaxTarget = 8 * 1024;  // then 414
  static constexpr std::size_t kMaxMethod = 32;
  static constexpr std::size_t kMaxHeaders = 100;     // then 431
  static constexpr std::size_t kMaxBody = 64 * 1024;  // without BodyLimits; then 413
  static constexpr std::size_t kMaxChunkLine = 1024;  // of extensions; then 400
  // Of a chunked body on the wire, framing included: so many times the body's limit.
  static constexpr std::size_t kMaxChunkedFactor = 2;
  static constexpr std::size_t kMaxBlankLines = 1;  // before the request (RFC 9112 section 2.2)

  enum class State : std::uint8_t { kNeedsMore, kComplete, kFailed };

  // `limits` outlives the parser; nullptr: kMaxBody everywhere.
  explicit RequestParser(const BodyLimits* limits = nullptr);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Takes bytes until the request is complete or refused and answers how many it took.
  std::size_t feed(ByteView bytes);
  State state() const;
  unsigned failure() const;  // the status to answer with, in kFailed
  // Nothing but blank lines came so far.
  bool untouched() const;
  // True once, when the client waits for "100 Continue" before it sends the body.
  bool take_expectation();
  // Bytes of the request that are kept here.
  std::size_t buffered() const;
  Request take();  // in kComplete

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// One pass of percent decoding; nullopt for a broken escape or a NUL.
std::optional<std::string> percent_decode(std::string_view text);
// Everything but RFC 3986's unreserved characters is escaped.
std::string percent_encode(std::string_view text);
// "a=1&b=2": the first value of that name, decoded ('+' is a blank); nullopt when absent or broken.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace turnpike::signaling::http
