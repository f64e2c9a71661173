// A user's key instead of a password (RFC 8489 section 9.2.2), as options and services write it:
// the hexadecimal digits of an MD5 digest.
#pragma once

#include <optional>
#include <string_view>

#include "base/digest.h"

namespace turnpike::server {

// nullopt: there are other characters, or more or fewer digits.
std::optional<Md5Digest> read_hex_key(std::string_view digits);

}  // namespace turnpike::server
