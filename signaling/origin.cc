#include "signaling/origin.h"

#include <algorithm>

#include "base/text.h"

namespace turnpike::signaling {

namespace {

// Browsers leave a scheme's own port out of Origin and Host; other clients may not.
std::string_view without_port(std::string_view authority, std::string_view port) {
  if (!authority.ends_with(port)) return authority;
  return authority.substr(0, authority.size() - port.size());
}

}  // namespace

Site judge_site(const http::Request& request, std::span<const std::string> allowed) {
  const std::size_t count = request.count("origin");
  if (count == 0) return Site::kNone;
  if (count > 1) return Site::kForeign;
  const std::string_view origin = *request.header("origin");
  if (std::find(allowed.begin(), allowed.end(), origin) != allowed.end()) return Site::kAllowed;
  std::string_view authority, port;
  if (origin.starts_with("http://")) {
    authority = origin.substr(7);
    port = ":80";
  } else if (origin.starts_with("https://")) {
    authority = origin.substr(8);
    port = ":443";
  }
  const auto host = request.header("host");
  if (authority.empty() || !host) return Site::kForeign;
  const bool same = equals_ignoring_case(without_port(authority, port), without_port(*host, port));
  return same ? Site::kOwn : Site::kForeign;
}

bool admits(Sites sites, const http::Request& request, std::span<const std::string> allowed) {
  if (sites == Sites::kAny && allowed.empty()) return request.count("origin") <= 1;
  return judge_site(request, allowed) != Site::kForeign;
}

}  // namespace turnpike::signaling
