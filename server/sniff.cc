#include "server/sniff.h"

namespace turnpike::server {
namespace {

constexpr std::uint8_t kTlsHandshakeRecord = 0x16;
constexpr std::uint8_t kLastStunByte = 0x03;
constexpr std::uint8_t kFirstChannelByte = 0x40;
constexpr std::uint8_t kLastChannelByte = 0x7F;

}  // namespace

Protocol sniff(std::uint8_t first_byte) {
  if (first_byte == kTlsHandshakeRecord) return Protocol::kTls;
  if (first_byte <= kLastStunByte) return Protocol::kTurn;
  if (first_byte >= 'A' && first_byte <= 'Z') return Protocol::kHttp;
  if (first_byte >= kFirstChannelByte && first_byte <= kLastChannelByte) return Protocol::kTurn;
  return Protocol::kUnknown;
}

Protocol admit_plain(PortKind kind, std::uint8_t first_byte, Certificate certificate) {
  const Protocol protocol = sniff(first_byte);
  if (protocol == Protocol::kTls && certificate == Certificate::kNone) return Protocol::kUnknown;
  switch (kind) {
    case PortKind::kAny:
    case PortKind::kProxied:
      return protocol;
    case PortKind::kTlsOnly:
      return protocol == Protocol::kTls ? protocol : Protocol::kUnknown;
    case PortKind::kHttp:
      return protocol == Protocol::kHttp ? protocol : Protocol::kUnknown;
  }
  return Protocol::kUnknown;
}

Protocol admit_decrypted(std::uint8_t first_byte) {
  const Protocol protocol = sniff(first_byte);
  return protocol == Protocol::kTls ? Protocol::kUnknown : protocol;
}

Protocol protocol_of_alpn(std::string_view alpn) {
  if (alpn == "stun.turn" || alpn == "stun.nat-discovery") return Protocol::kTurn;
  if (alpn == "http/1.1") return Protocol::kHttp;
  return Protocol::kUnknown;
}

}  // namespace turnpike::server
