#include "stun/nonce.h"

#include <algorithm>

namespace turnpike::stun {
namespace {

// The nonce cookie (RFC 8489 section 9.2) and 24 feature bits: none set, because we offer neither
// PASSWORD-ALGORITHMS (bit 0) nor USERHASH (bit 1) in a challenge.
constexpr std::string_view kHead = "obMatJos2AAAA";
constexpr std::size_t kTimeSize = 4;
constexpr std::size_t kMacSize = 12;
using Body = std::array<std::uint8_t, kTimeSize + kMacSize>;

Body make_body(const NonceSource::Key& key, std::uint32_t issued, const Address& client) {
  Body body;
  Writer out(body);
  out.u32(issued);
  std::array<std::uint8_t, 2> port;
  Writer(port).u16(client.port);
  const Sha256Digest mac =
      hmac_sha256(key, {as_bytes(kHead), out.written(), client.ip.bytes(), port});
  out.bytes(ByteView(mac).first(kMacSize));
  return body;
}

}  // namespace

NonceSource::Nonce NonceSource::make(WallTime now, const Address& client) const {
  static_assert(kHead.size() + (sizeof(Body) * 8 + 5) / 6 == kLength);
  const Body body = make_body(key_, static_cast<std::uint32_t>(now.since_epoch.count()), client);
  Nonce nonce;
  std::copy(kHead.begin(), kHead.end(), nonce.characters.begin());
  base64url_encode(body, std::span(nonce.characters).subspan<kHead.size()>());
  return nonce;
}

bool NonceSource::is_valid(std::string_view nonce, WallTime now, const Address& client) const {
  Body body;
  if (!nonce.starts_with(kHead) || !base64url_decode(nonce.substr(kHead.size()), body)) {
    return false;
  }
  const std::uint32_t issued = Reader(body).u32();
  if (!equal_in_constant_time(body, make_body(key_, issued, client))) return false;
  const seconds age = now - WallTime{seconds(issued)};
  return age >= seconds(0) && age < lifetime_;
}

}  // namespace turnpike::stun
