#include "base/address.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "base/check.h"
#include "base/hash.h"
#include "base/text.h"

namespace turnpike {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

// 0..9 without leading zeros, at most `maximum`: inet_aton's octal reading has no place here.
std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t maximum) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  const auto value = parse_decimal(text);
  if (!value || *value > maximum) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

std::optional<std::array<std::uint8_t, 4>> parse_v4(std::string_view text) {
  std::array<std::uint8_t, 4> bytes{};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    const auto number = parse_number(text.substr(0, dot), 255);
    if (!number) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(*number);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return bytes;
}

std::optional<std::uint16_t> parse_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    const std::size_t digit = kHexDigits.find(lower);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value << 4 | static_cast<std::uint32_t>(digit);
  }
  return static_cast<std::uint16_t>(value);
}

// Groups separated by single colons, the last of which may be an IPv4 address when `may_end_in_v4`.
// Answers how many bytes were written, nullopt when the text is wrong or does not fit.
enum class Tail : std::uint8_t { kGroupsOnly, kMayBeIPv4 };
std::optional<std::size_t> parse_groups(std::string_view text, Tail tail, MutableBytes room) {
  if (text.empty()) return 0;
  Writer out(room);
  while (true) {
    const std::size_t colon = text.find(':');
    const bool last = colon == std::string_view::npos;
    const std::string_view piece = text.substr(0, colon);
    if (last && tail == Tail::kMayBeIPv4 && piece.find('.') != std::string_view::npos) {
      const auto v4 = parse_v4(piece);
      if (!v4) return std::nullopt;
      out.bytes(*v4);
    } else {
      const auto group = parse_group(piece);
      if (!group) return std::nullopt;
      out.u16(*group);
    }
    if (!out.ok()) return std::nullopt;
    if (last) return out.size();
    text.remove_prefix(colon + 1);
  }
}

std::optional<std::array<std::uint8_t, 16>> parse_v6(std::string_view text) {
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    const auto size = parse_groups(text, Tail::kMayBeIPv4, bytes);
    if (size != 16) return std::nullopt;
    return bytes;
  }
  std::array<std::uint8_t, 16> end{};
  const auto head_size = parse_groups(text.substr(0, gap), Tail::kGroupsOnly, bytes);
  const auto end_size = parse_groups(text.substr(gap + 2), Tail::kMayBeIPv4, end);
  // "::" stands for at least one group.
  if (!head_size || !end_size || *head_size + *end_size > 14) return std::nullopt;
  std::copy_n(end.begin(), *end_size, bytes.end() - static_cast<std::ptrdiff_t>(*end_size));
  return bytes;
}

void append_v4(std::string& text, ByteView bytes) {
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) text += '.';
    text += std::to_string(bytes[i]);
  }
}

// The longest run of two or more zero groups, the first of equals (RFC 5952 section 4.2).
struct ZeroRun {
  std::size_t first = 8, size = 0;
};
ZeroRun longest_zero_run(const std::array<std::uint16_t, 8>& groups) {
  ZeroRun best;
  for (std::size_t i = 0; i < 8;) {
    std::size_t end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i >= 2 && end - i > best.size) best = {i, end - i};
    i = std::max(end, i + 1);
  }
  return best;
}

std::string v6_to_string(ByteView bytes) {
  std::array<std::uint16_t, 8> groups{};
  Reader in(bytes);
  for (auto& group : groups) group = in.u16();
  std::string text;
  if (std::all_of(groups.begin(), groups.begin() + 5, [](auto g) { return g == 0; }) &&
      groups[5] == 0xFFFF) {
    text = "::ffff:";  // section 5: IPv4-mapped addresses are shown in mixed notation
    append_v4(text, bytes.subspan(12));
    return text;
  }
  const ZeroRun gap = longest_zero_run(groups);
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == gap.first) {
      text += "::";
      i += gap.size - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
      const std::size_t digit = groups[i] >> shift & 0xF;
      started = started || digit != 0 || shift == 0;
      if (started) text += kHexDigits[digit];
    }
  }
  return text;
}

// `ip` with the bits after the first `prefix` all zero or all one.
IpAddress with_host_bits(const IpAddress& ip, std::uint32_t prefix, bool ones) {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(ip.bytes().begin(), ip.bytes().end(), bytes.begin());
  for (std::size_t i = 0; i < ip.bytes().size(); ++i) {
    const std::size_t bits_before = i * 8;
    const std::size_t kept =
        prefix <= bits_before ? 0 : std::min<std::size_t>(8, prefix - bits_before);
    const auto host = static_cast<std::uint8_t>(0xFF >> kept);
    bytes[i] = static_cast<std::uint8_t>(ones ? bytes[i] | host : bytes[i] & ~host);
  }
  return ip.is_v4() ? IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3]) : IpAddress::v6(bytes);
}

Error bad_range(std::string_view text, std::string_view reason) {
  return {"'" + std::string(text) + "' is not a range of addresses: " + std::string(reason) +
          " (write 10.0.0.0/8, fe80::/10, 192.0.2.1 or 192.0.2.1-192.0.2.9)"};
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress ip;
  Writer(ip.bytes_).u32(host_order);
  return ip;
}

IpAddress IpAddress::v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  IpAddress ip;
  ip.bytes_ = {a, b, c, d};
  return ip;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress ip;
  ip.family_ = Family::kIPv6;
  ip.bytes_ = bytes;
  return ip;
}

IpAddress IpAddress::any(Family family) {
  return family == Family::kIPv4 ? IpAddress{} : v6(std::array<std::uint8_t, 16>{});
}

IpAddress IpAddress::loopback(Family family) {
  if (family == Family::kIPv4) return v4(127, 0, 0, 1);
  std::array<std::uint8_t, 16> bytes{};
  bytes[15] = 1;
  return v6(bytes);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    const auto bytes = parse_v6(text.substr(1, text.size() - 2));
    return bytes ? std::optional(v6(*bytes)) : std::nullopt;
  }
  if (text.find(':') != std::string_view::npos) {
    const auto bytes = parse_v6(text);
    return bytes ? std::optional(v6(*bytes)) : std::nullopt;
  }
  const auto bytes = parse_v4(text);
  if (!bytes) return std::nullopt;
  return v4((*bytes)[0], (*bytes)[1], (*bytes)[2], (*bytes)[3]);
}

bool IpAddress::is_any() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const {
  return is_v4() ? bytes_[0] == 127 : *this == loopback(Family::kIPv6);
}

std::uint32_t IpAddress::v4_host_order() const {
  CHECK(is_v4());
  return Reader(bytes()).u32();
}

std::string IpAddress::to_string() const {
  if (!is_v4()) return v6_to_string(bytes());
  std::string text;
  append_v4(text, bytes());
  return text;
}

std::optional<Address> Address::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view host = text.substr(0, colon);
  const bool bracketed = !host.empty() && host.front() == '[';
  // Without brackets the last group of an IPv6 address would pass for a port.
  if (!bracketed && host.find(':') != std::string_view::npos) return std::nullopt;
  const auto ip = IpAddress::parse(host);
  const auto port = parse_number(text.substr(colon + 1), 65535);
  if (!ip || !port) return std::nullopt;
  return Address{*ip, static_cast<std::uint16_t>(*port)};
}

std::string Address::to_string() const {
  const std::string host = ip.is_v4() ? ip.to_string() : "[" + ip.to_string() + "]";
  return host + ":" + std::to_string(port);
}

Expected<IpRange> IpRange::parse(std::string_view text) {
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    const auto ip = IpAddress::parse(text.substr(0, slash));
    if (!ip) return unexpected(bad_range(text, "what stands before '/' is no address"));
    const std::uint32_t bits = ip->is_v4() ? 32 : 128;
    const auto prefix = parse_number(text.substr(slash + 1), bits);
    if (!prefix) {
      return unexpected(bad_range(
          text, ip->is_v4() ? "the prefix must be 0 to 32" : "the prefix must be 0 to 128"));
    }
    return IpRange{with_host_bits(*ip, *prefix, false), with_host_bits(*ip, *prefix, true)};
  }
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto first = IpAddress::parse(text.substr(0, dash));
    const auto last = IpAddress::parse(text.substr(dash + 1));
    if (!first || !last) return unexpected(bad_range(text, "one of its ends is no address"));
    if (first->family() != last->family()) {
      return unexpected(bad_range(text, "its ends are of different families"));
    }
    if (*last < *first) return unexpected(bad_range(text, "it ends before it begins"));
    return IpRange{*first, *last};
  }
  const auto ip = IpAddress::parse(text);
  if (!ip) return unexpected(bad_range(text, "it is no address"));
  return IpRange{*ip, *ip};
}

IpAddress source_prefix(const IpAddress& ip) {
  return ip.is_v4() ? ip : with_host_bits(ip, 64, false);
}

std::size_t hash_value(const IpAddress& ip) { return hash_bytes(ip.bytes()); }

std::size_t hash_value(const Address& address) {
  return hash_mix(hash_value(address.ip), address.port);
}

}  // namespace turnpike
