// HTTP responses: what to answer, and its serialised head. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "signaling/http.h"

namespace turnpike::signaling::http {

struct Response {
  // What the body may do in a browser. kOurs is our own pages; kStatic the operator's, which may
  // load what they like; kNone everything that is no page.
  enum class Page : std::uint8_t { kNone, kOurs, kStatic };

  unsigned status = 200;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  ByteView borrowed;  // instead of `body`: an embedded asset
  Page page = Page::kNone;
  // Which sites' scripts may read it. kCaller: the site that asked, also with cookies and such
  // (nothing here is given for them); its head names it.
  enum class Readers : std::uint8_t { kSameSite, kCaller };

  bool no_store = false;
  bool close = false;     // the connection cannot go on
  bool unending = false;  // of a stream: it has no length and ends with the connection
  Readers readers = Readers::kSameSite;

  ByteView content() const { return borrowed.empty() ? as_bytes(body) : borrowed; }
};

Response text_response(unsigned status, std::string_view text);
// {"error":code,"message":why}, not to be stored.
Response error_json(unsigned status, std::string_view code, std::string_view why);

// The head with its blank line. `request` may be null: the request could not be read.
std::string serialise_head(const Response& response, const Request* request, WallTime now);
// Whether the connection goes on after this exchange.
bool goes_on(const Response& response, const Request* request);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
std::string http_date(WallTime time);
// True when If-None-Match names this entity tag (RFC 9110 section 13.1.2).
bool matches_etag(const Request& request, std::string_view etag);
std::string_view mime_type(std::string_view path);
std::string escape_html(std::string_view text);

// RFC 9110 section 14: one range of a representation of `size` bytes.
struct ByteRange {
  enum class Kind : std::uint8_t { kWhole, kPart, kUnsatisfiable };
  Kind kind = Kind::kWhole;
  std::size_t first = 0;
  std::size_t count = 0;
};
// Anything but one well-formed range of bytes is ignored, as the section allows.
ByteRange judge_range(std::string_view range, std::size_t size);

}  // namespace turnpike::signaling::http
