// Addresses as values: 4 or 16 bytes and a port, hashable, comparable, printable, parseable.
// No socket header is needed; net/sockaddr.h turns them into what the kernel wants.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/expected.h"

namespace turnpike {

enum class Family : std::uint8_t { kIPv4 = 4, kIPv6 = 6 };

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
  static IpAddress any(Family family);
  static IpAddress loopback(Family family);
  // Accepts "192.0.2.1", "2001:db8::1" and "[2001:db8::1]"; no scope ids, no octal or short forms.
  static std::optional<IpAddress> parse(std::string_view text);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::kIPv4; }
  bool is_any() const;
  bool is_loopback() const;
  // 4 or 16 bytes, network order; borrowed from this object.
  ByteView bytes() const { return {bytes_.data(), is_v4() ? std::size_t{4} : std::size_t{16}}; }
  std::uint32_t v4_host_order() const;  // CHECKs that this is IPv4
  std::string to_string() const;        // RFC 5952 for IPv6

  bool operator==(const IpAddress&) const = default;
  auto operator<=>(const IpAddress&) const = default;  // by family, then by bytes

 private:
  Family family_ = Family::kIPv4;
  std::array<std::uint8_t, 16> bytes_{};  // IPv4 uses the first four; the rest stays zero
};

struct Address {
  IpAddress ip;
  std::uint16_t port = 0;

  // "192.0.2.1:3478", "[2001:db8::1]:3478"
  static std::optional<Address> parse(std::string_view text);
  std::string to_string() const;
  Family family() const { return ip.family(); }
  bool operator==(const Address&) const = default;
  auto operator<=>(const Address&) const = default;
};

// A range of addresses of one family, inclusive. Parsed from "10.0.0.0/8", "fe80::/10",
// "192.0.2.1" or "192.0.2.1-192.0.2.9"; the Error says what is wrong with the text.
struct IpRange {
  IpAddress first, last;
  static Expected<IpRange> parse(std::string_view text);
  bool contains(const IpAddress& ip) const {
    return ip.family() == first.family() && first <= ip && ip <= last;
  }
  bool operator==(const IpRange&) const = default;
};

// Cuts an address to its source prefix, /32 for IPv4 and /64 for IPv6: one subscriber, the unit of
// rate limits and quotas for senders that are not authenticated.
IpAddress source_prefix(const IpAddress& ip);

std::size_t hash_value(const IpAddress& ip);
std::size_t hash_value(const Address& address);

}  // namespace turnpike
