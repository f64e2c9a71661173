// Who asks, when proxies speak for others: X-Forwarded-For and X-Forwarded-Proto, believed only of
// connections from addresses that the operator trusts, since everybody can write them. Values.
#pragma once

#include <span>

#include "base/address.h"
#include "signaling/http.h"

namespace turnpike::signaling {

struct Caller {
  IpAddress source;
  bool secure = false;
};

bool is_trusted(const IpAddress& ip, std::span<const IpRange> proxies);
// `connection` is who holds the other end of the connection.
Caller caller_of(const Caller& connection, const http::Request& request,
                 std::span<const IpRange> proxies);

}  // namespace turnpike::signaling
