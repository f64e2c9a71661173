// Which addresses mean something only where they are. Values.
#pragma once

#include "base/address.h"

namespace turnpike {

// Of a private network (RFC 1918, RFC 6598, RFC 4193) or of one link: of no use to clients outside.
bool is_private(const IpAddress& ip);

}  // namespace turnpike
