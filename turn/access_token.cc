#include "turn/access_token.h"

#include "base/check.h"
#include "base/digest.h"

namespace turnpike::turn {
namespace {

constexpr std::size_t kMaxMacKey = 32;
constexpr std::size_t kMaxPlain = 2 + kMaxMacKey + 8 + 4;
constexpr seconds kDelta{5};  // what clocks may be apart

// HMAC-SHA1 has keys of 20 octets, HMAC-SHA-256 of 32 (section 6.2).
bool is_mac_key_size(std::size_t size) { return size == 20 || size == 32; }

std::optional<AccessToken> read_plain(ByteView plain, WallTime now) {
  Reader in(plain);
  const std::size_t size = in.u16();
  const ByteView mac_key = in.bytes(size);
  // 48 bits of seconds and 16 of their fraction (section 6.2).
  const std::uint64_t timestamp = in.u64() >> 16;
  const seconds lifetime{in.u32()};
  if (!in.ok() || in.remaining() != 0 || !is_mac_key_size(size)) return std::nullopt;
  const WallTime issued{seconds(static_cast<seconds::rep>(timestamp))};
  const seconds apart = now < issued ? issued - now : now - issued;
  if (apart >= lifetime + kDelta) return std::nullopt;
  return AccessToken{stun::Key(mac_key), issued + lifetime};
}

}  // namespace

TokenKeys::TokenKeys(std::string server_name, std::vector<TokenKey> keys)
    : server_name_(std::move(server_name)) {
  CHECK(keys.size() <= kMaxTokenKeys);
  for (TokenKey& key : keys) {
    CHECK(AesGcm::is_key_size(key.key.size()));
    keys_.insert_or_assign(std::move(key.id), std::move(key.key));
  }
}

std::optional<ByteView> TokenKeys::find(std::string_view id) const {
  const auto found = keys_.find(id);
  if (found == keys_.end()) return std::nullopt;
  return as_bytes(std::string_view(found->second));
}

std::optional<AccessToken> open_token(AesGcm& cipher, ByteView token, ByteView key,
                                      std::string_view server_name, WallTime now) {
  Reader in(token);
  const std::size_t nonce_size = in.u16();
  const ByteView nonce = in.bytes(nonce_size);
  const ByteView sealed = in.rest();
  if (!in.ok() || nonce_size != AesGcm::kNonceSize || sealed.size() < AesGcm::kTagSize ||
      sealed.size() - AesGcm::kTagSize > kMaxPlain) {
    return std::nullopt;
  }
  std::array<std::uint8_t, kMaxPlain> room;
  const auto plain = MutableBytes(room).first(sealed.size() - AesGcm::kTagSize);
  std::optional<AccessToken> opened;
  if (cipher.open(key, nonce, as_bytes(server_name), sealed, plain)) {
    opened = read_plain(plain, now);
  }
  wipe(room);
  return opened;
}

}  // namespace turnpike::turn
