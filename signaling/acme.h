// The HTTP-01 challenge of ACME (RFC 8555 section 8.3): an authority asks for a file under a name
// that it has chosen, which the ACME client of the operator has written. Values only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "signaling/outlet.h"
#include "signaling/response.h"

namespace turnpike::signaling::acme {

// What is below it is for challenges alone.
inline constexpr std::string_view kPrefix = "/.well-known/acme-challenge/";
// Tokens are base64url of 128 bits or more; the usual ones have 43 characters.
inline constexpr std::size_t kMaxToken = 128;

bool is_below(std::string_view path);
// The file below the webroot that a request's path wants; nullopt if it is no token. Tokens need no
// escapes, so none are understood.
std::optional<std::string> challenge_file(std::string_view path);
http::Response response(const FileAnswer& answer);

}  // namespace turnpike::signaling::acme
