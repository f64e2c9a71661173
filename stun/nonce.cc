#include "stun/nonce.h"

#include <algorithm>

namespace turnpike::stun {
namespace {

constexpr std::string_view kCookie = "obMatJos2";  // section 9.2
constexpr std::size_t kFeatureCharacters = 4;
constexpr std::size_t kHeadSize = kCookie.size() + kFeatureCharacters;
constexpr std::size_t kTimeSize = 4;
constexpr std::size_t kMacSize = 12;
using Body = std::array<std::uint8_t, kTimeSize + kMacSize>;

Body make_body(const NonceSource::Key& key, std::string_view head, std::uint32_t issued,
               const Address& client) {
  Body body;
  Writer out(body);
  out.u32(issued);
  std::array<std::uint8_t, 2> port;
  Writer(port).u16(client.port);
  const Sha256Digest mac =
      hmac_sha256(key, {as_bytes(head), out.written(), client.ip.bytes(), port});
  out.bytes(ByteView(mac).first(kMacSize));
  return body;
}

}  // namespace

// The two bits in use need no character in which base64 and its URL form differ.
std::optional<NonceFeatures> announced_features(std::string_view nonce) {
  std::array<std::uint8_t, 3> bits{};
  if (nonce.size() < kHeadSize || !nonce.starts_with(kCookie) ||
      !base64url_decode(nonce.substr(kCookie.size(), kFeatureCharacters), bits)) {
    return std::nullopt;
  }
  return NonceFeatures{bits[0]} << 16 | NonceFeatures{bits[1]} << 8 | bits[2];
}

NonceSource::Nonce NonceSource::make(WallTime now, const Address& client,
                                     NonceFeatures features) const {
  static_assert(kHeadSize + (sizeof(Body) * 8 + 5) / 6 == kLength);
  Nonce nonce;
  const std::span<char> room(nonce.characters);
  std::copy(kCookie.begin(), kCookie.end(), room.begin());
  const std::array<std::uint8_t, 3> bits = {static_cast<std::uint8_t>(features >> 16),
                                            static_cast<std::uint8_t>(features >> 8),
                                            static_cast<std::uint8_t>(features)};
  base64url_encode(bits, room.subspan(kCookie.size(), kFeatureCharacters));
  const auto issued = static_cast<std::uint32_t>(now.since_epoch.count());
  const Body body = make_body(key_, nonce.view().substr(0, kHeadSize), issued, client);
  base64url_encode(body, room.subspan(kHeadSize));
  return nonce;
}

bool NonceSource::is_valid(std::string_view nonce, WallTime now, const Address& client) const {
  Body body;
  if (!announced_features(nonce) || !base64url_decode(nonce.substr(kHeadSize), body)) return false;
  const std::uint32_t issued = Reader(body).u32();
  const Body expected = make_body(key_, nonce.substr(0, kHeadSize), issued, client);
  if (!equal_in_constant_time(body, expected)) return false;
  const seconds age = now - WallTime{seconds(issued)};
  return age >= seconds(0) && age < lifetime_;
}

}  // namespace turnpike::stun
