// The pages, scripts and styles of signaling/web/, embedded in the binary at build time by
// tools/embed. Immutable.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "signaling/http.h"
#include "signaling/response.h"

namespace turnpike::signaling {

struct Asset {
  std::string_view name;          // "call.html", "call.js"
  std::string_view content_type;  // "text/html; charset=utf-8"
  std::string_view etag;          // quoted, from the content's SHA-256
  ByteView content;
};

// nullptr when there is none. Names are those of the files in signaling/web/; the socket.io client
// of others is "socketio/socket.io.js" and so on, when it was there at build time.
const Asset* find_asset(std::string_view name);

// It, or 304 for whoever has it already.
http::Response asset_response(const http::Request& request, const Asset& asset);

}  // namespace turnpike::signaling
