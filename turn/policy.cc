#include "turn/policy.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/check.h"

namespace turnpike::turn {

namespace {

// The IANA IPv4 special-purpose registry, what it does not call globally reachable, with multicast
// and the relay anycast of 6to4 (RFC 7526).
constexpr std::array<std::string_view, 16> kSpecialIPv4 = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",
    "169.254.0.0/16", "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",   "255.255.255.255",
};

// In IPv6 only 2000::/3 is global unicast, and the well-known NAT64 prefix leads to IPv4: whatever
// else exists (::, ::1, IPv4-compatible, SIIT, 64:ff9b:1::/48, 100::/64, fc00::/7, fe80::/10,
// fec0::/10, ff00::/8 and what may come) is not for strangers. These are the exceptions within.
constexpr std::array<std::string_view, 2> kGlobalIPv6 = {"2000::/3", "64:ff9b::/96"};
constexpr std::array<std::string_view, 4> kSpecialIPv6 = {
    "2001::/23",      // protocol assignments, among them Teredo (RFC 8656 section 21.4)
    "2001:db8::/32",  // documentation
    "2002::/16",      // 6to4 (RFC 8656 section 21.4)
    "3fff::/20",      // documentation
};

template <std::size_t N>
std::vector<IpRange> ranges(const std::array<std::string_view, N>& texts) {
  std::vector<IpRange> parsed;
  for (const std::string_view text : texts) {
    const auto range = IpRange::parse(text);
    CHECK(range.has_value());
    parsed.push_back(*range);
  }
  return parsed;
}

bool in_any(const std::vector<IpRange>& list, const IpAddress& ip) {
  return std::any_of(list.begin(), list.end(), [&](const IpRange& r) { return r.contains(ip); });
}

bool is_special(const IpAddress& ip) {
  static const std::vector<IpRange> special_v4 = ranges(kSpecialIPv4);
  static const std::vector<IpRange> global_v6 = ranges(kGlobalIPv6);
  static const std::vector<IpRange> special_v6 = ranges(kSpecialIPv6);
  if (ip.is_v4()) return in_any(special_v4, ip);
  return !in_any(global_v6, ip) || in_any(special_v6, ip);
}

bool starts_with(ByteView bytes, std::initializer_list<std::uint8_t> prefix) {
  return bytes.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

std::uint32_t u32_at(ByteView ip, std::size_t offset) {
  Reader in(ip);
  in.skip(offset);
  return in.u32();
}
IpAddress v4_at(ByteView ip, std::size_t offset) { return IpAddress::v4(u32_at(ip, offset)); }

bool is_mapped(const IpAddress& ip) {
  return !ip.is_v4() && starts_with(ip.bytes(), {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
}

}  // namespace

std::optional<IpAddress> embedded_ipv4(const IpAddress& ip) {
  if (ip.is_v4() || ip.is_any() || ip.is_loopback()) return std::nullopt;
  const ByteView bytes = ip.bytes();
  if (is_mapped(ip)) return v4_at(bytes, 12);
  // IPv4-compatible (RFC 4291 section 2.5.5.1) and IPv4-translated (SIIT, RFC 2765 section 2.1).
  if (starts_with(bytes, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) return v4_at(bytes, 12);
  if (starts_with(bytes, {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0})) return v4_at(bytes, 12);
  // NAT64: the well-known prefix (RFC 6052) and, inside the local-use one (RFC 8215), the last 32
  // bits as its usual /96 has them; that prefix is denied as a whole anyway.
  if (starts_with(bytes, {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return v4_at(bytes, 12);
  if (starts_with(bytes, {0, 0x64, 0xff, 0x9b, 0, 1})) return v4_at(bytes, 12);
  if (starts_with(bytes, {0x20, 0x02})) return v4_at(bytes, 2);  // 6to4 (RFC 3056)
  // Teredo carries the client's IPv4 address with every bit inverted (RFC 4380 section 4).
  if (starts_with(bytes, {0x20, 0x01, 0, 0})) return IpAddress::v4(~u32_at(bytes, 12));
  return std::nullopt;
}

IpAddress canonical(const IpAddress& ip) { return is_mapped(ip) ? v4_at(ip.bytes(), 12) : ip; }

PeerPolicy::Verdict PeerPolicy::judge(const IpAddress& peer) const {
  const IpAddress outer = canonical(peer);
  const Verdict verdict = judge_one(outer);
  if (const auto inner = embedded_ipv4(outer)) {
    // Where a translator would deliver it. What it says of our own addresses cannot be checked
    // against a port, so there is no exception for them here.
    if (judge_one(*inner) != Verdict::kAllowed) return Verdict::kDenied;
  }
  return verdict;
}

PeerPolicy::Verdict PeerPolicy::judge_one(const IpAddress& ip) const {
  if (in_any(rules_.allowed, ip)) return Verdict::kAllowed;
  if (in_any(rules_.denied, ip)) return Verdict::kDenied;
  if (std::find(rules_.own.begin(), rules_.own.end(), ip) != rules_.own.end()) return Verdict::kOwn;
  return is_special(ip) ? Verdict::kDenied : Verdict::kAllowed;
}

}  // namespace turnpike::turn
