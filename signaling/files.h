// The operator's static folder over HTTP: which path a request means, and what to answer once the
// file is here. The reading itself is the outlet's. Values only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "signaling/http.h"
#include "signaling/outlet.h"
#include "signaling/response.h"

namespace turnpike::signaling {

// The path below the folder, decoded once, without slashes at its ends; "" is the folder itself.
// nullopt when it could mean anything else than it says: "..", ".", hidden or empty names,
// backslashes, control characters, broken escapes or UTF-8.
std::optional<std::string> clean_path(std::string_view url_path);

// Full, partial (one range), not modified, a listing, a redirection to the folder's slash, or 404.
http::Response file_response(const http::Request& request, const FileAnswer& answer);

}  // namespace turnpike::signaling
