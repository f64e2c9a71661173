// One Binding request to a STUN server outside, to learn how an address of this machine is seen
// there. Blocks, up to kStunPatience after the name is resolved: only while the server starts.
#pragma once

#include "base/expected.h"
#include "base/time.h"
#include "server/config.h"
#include "server/external_addresses.h"

namespace turnpike::server {

// Four requests: at 0, 0.5, 1.5 and 3.5 seconds (the first ones of RFC 8489 section 6.2.1).
inline constexpr int kStunRequests = 4;
inline constexpr Duration kStunPatience = milliseconds(5'500);

Expected<SeenFrom> ask_stun_server(const StunServer& server, const IpAddress& from);

}  // namespace turnpike::server
