#include "signaling/forwarded.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace turnpike::signaling {

namespace {

// With or without a port, as different proxies write it.
std::optional<IpAddress> parse_element(std::string_view text) {
  if (const auto ip = IpAddress::parse(text)) return ip;
  if (const auto address = Address::parse(text)) return address->ip;
  return std::nullopt;
}

}  // namespace

bool is_trusted(const IpAddress& ip, std::span<const IpRange> proxies) {
  return std::any_of(proxies.begin(), proxies.end(),
                     [&ip](const IpRange& range) { return range.contains(ip); });
}

Caller caller_of(const Caller& connection, const http::Request& request,
                 std::span<const IpRange> proxies) {
  if (!is_trusted(connection.source, proxies)) return connection;
  Caller caller = connection;
  // Every proxy appends whom it heard it from: from the right, up to the first that is none of
  // ours. What stands left of that one was written by strangers.
  bool readable = true;
  for (auto header = request.headers.rbegin(); header != request.headers.rend(); ++header) {
    if (header->name != "x-forwarded-for") continue;
    std::string_view rest = header->value;
    while (readable && !rest.empty() && is_trusted(caller.source, proxies)) {
      const std::size_t comma = rest.rfind(',');
      const std::size_t begin = comma == std::string_view::npos ? 0 : comma + 1;
      const auto ip = parse_element(trim(rest.substr(begin)));
      if (ip) caller.source = *ip;
      readable = ip.has_value();
      rest = rest.substr(0, begin == 0 ? 0 : comma);
    }
  }
  for (const http::Header& header : request.headers) {
    if (header.name != "x-forwarded-proto") continue;
    const std::string_view value = header.value;
    const std::size_t comma = value.rfind(',');
    const auto scheme = trim(comma == std::string_view::npos ? value : value.substr(comma + 1));
    caller.secure = equals_ignoring_case(scheme, "https") || equals_ignoring_case(scheme, "wss");
  }
  return caller;
}

}  // namespace turnpike::signaling
