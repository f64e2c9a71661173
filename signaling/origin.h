// Which site a browser's request comes from. Our own pages and the sites that the operator named
// may use the API and the WebSocket; being one of them never gives credentials by itself. Values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "signaling/http.h"

namespace turnpike::signaling {

enum class Site : std::uint8_t {
  kNone,     // no Origin header: not a browser, or a plain page load
  kOwn,      // the Origin's host and port are those of the Host header
  kAllowed,  // named by the operator: gets CORS headers
  kForeign,  // refused
};

// `allowed` holds origins exactly as browsers send them ("https://app.example").
Site judge_site(const http::Request& request, std::span<const std::string> allowed);

// Whose pages may use a path.
enum class Sites : std::uint8_t {
  kNamed,  // our own, and those that the operator named
  kAny,    // every site's and those of none ("null"), unless the operator named some
};
bool admits(Sites sites, const http::Request& request, std::span<const std::string> allowed);

}  // namespace turnpike::signaling
