#include "base/proxy_header.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"

namespace turnpike {
namespace {

constexpr std::string_view kLineBegins = "PROXY ";
constexpr std::array<std::uint8_t, 12> kSignature = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                     0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr std::size_t kFixedPart = 16;
constexpr std::size_t kAddressesV4 = 12;
constexpr std::size_t kAddressesV6 = 36;
constexpr std::uint8_t kLocal = 0x20;  // version 2, and the command
constexpr std::uint8_t kProxied = 0x21;
constexpr std::uint8_t kTcpV4 = 0x11;
constexpr std::uint8_t kTcpV6 = 0x21;

bool begins_like(ByteView seen, ByteView whole) {
  const std::size_t both = std::min(seen.size(), whole.size());
  return equal(seen.first(both), whole.first(both));
}

// An IPv6 socket of the load balancer calls IPv4 clients ::ffff:a.b.c.d; here they are IPv4.
IpAddress plainly(const IpAddress& ip) {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  const ByteView bytes = ip.bytes();
  if (ip.is_v4() || !equal(bytes.first(kMapped.size()), kMapped)) return ip;
  return IpAddress::v4(bytes[12], bytes[13], bytes[14], bytes[15]);
}

std::optional<Address> address_of(std::string_view ip, std::string_view port, Family family) {
  const auto number = parse_decimal(port);
  const auto address = ip.find('[') == std::string_view::npos ? IpAddress::parse(ip) : std::nullopt;
  const bool readable = address && address->family() == family && number && *number <= 65535 &&
                        (port.size() == 1 || port.front() != '0');
  if (!readable) return std::nullopt;
  return Address{plainly(*address), static_cast<std::uint16_t>(*number)};
}

}  // namespace

ProxyHeader::Result ProxyHeader::feed(ByteView bytes, std::size_t& taken) {
  taken = 0;
  for (const std::uint8_t byte : bytes) {
    ++taken;
    if (const Result result = take(byte); result != Result::kMore) return result;
  }
  return Result::kMore;
}

// Only what a line can hold is kept; the TLVs of version 2 are counted and forgotten.
ProxyHeader::Result ProxyHeader::take(std::uint8_t byte) {
  if (size_ < head_.size()) head_[size_] = byte;
  ++size_;
  if (version_ == Version::kUndecided) return decide();
  return version_ == Version::kLine ? read_line() : read_binary();
}

ProxyHeader::Result ProxyHeader::decide() {
  const ByteView seen = ByteView(head_).first(size_);
  const bool line = begins_like(seen, as_bytes(kLineBegins));
  if (!line && !begins_like(seen, kSignature)) return Result::kInvalid;
  if (line && size_ == kLineBegins.size()) version_ = Version::kLine;
  if (!line && size_ == kSignature.size()) version_ = Version::kBinary;
  return Result::kMore;
}

ProxyHeader::Result ProxyHeader::read_line() {
  if (size_ < 2 || head_[size_ - 1] != '\n') {
    return size_ < kMaxLine ? Result::kMore : Result::kInvalid;
  }
  if (head_[size_ - 2] != '\r') return Result::kInvalid;
  const std::string_view line = as_text(ByteView(head_).first(size_ - 2));
  const std::vector<std::string_view> words = split(line, ' ');
  if (words[1] == "UNKNOWN") return Result::kDone;
  if (words.size() != 6 || (words[1] != "TCP4" && words[1] != "TCP6")) return Result::kInvalid;
  const Family family = words[1] == "TCP4" ? Family::kIPv4 : Family::kIPv6;
  client_ = address_of(words[2], words[4], family);
  return client_ && address_of(words[3], words[5], family) ? Result::kDone : Result::kInvalid;
}

ProxyHeader::Result ProxyHeader::read_binary() {
  if (size_ < kFixedPart) return Result::kMore;
  Reader in(ByteView(head_).subspan(kSignature.size()));
  const std::uint8_t command = in.u8();
  const std::uint8_t family = in.u8();
  if (size_ == kFixedPart) {
    wanted_ = kFixedPart + in.u16();
    const bool ours = family == kTcpV4 || family == kTcpV6;
    const std::size_t least = kFixedPart + (!ours              ? 0
                                            : family == kTcpV4 ? kAddressesV4
                                                               : kAddressesV6);
    const bool datagrams = (family & 0x0F) == 2;
    if (command != kLocal && command != kProxied) return Result::kInvalid;
    if (command == kProxied && (datagrams || wanted_ < least)) return Result::kInvalid;
    if (wanted_ > kMaxBinary) return Result::kInvalid;
  } else {
    in.skip(2);
  }
  if (size_ < wanted_) return Result::kMore;
  if (command == kLocal || (family != kTcpV4 && family != kTcpV6)) return Result::kDone;
  IpAddress ip;
  if (family == kTcpV4) {
    ip = IpAddress::v4(in.u32());
    in.skip(4);
  } else {
    std::array<std::uint8_t, 16> bytes{};
    const ByteView source = in.bytes(bytes.size());
    std::copy(source.begin(), source.end(), bytes.begin());
    ip = plainly(IpAddress::v6(bytes));
    in.skip(16);
  }
  client_ = Address{ip, in.u16()};
  return Result::kDone;
}

}  // namespace turnpike
