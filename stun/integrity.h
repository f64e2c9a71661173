// Keys and integrity checks (RFC 8489 sections 9.2.2, 14.5 and 14.6), and FINGERPRINT (14.7).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/digest.h"
#include "stun/message.h"

namespace turnpike::stun {

// PASSWORD-ALGORITHM (section 18.5): how a long-term key is made of a password.
enum class PasswordAlgorithm : std::uint16_t { kMd5 = 1, kSha256 = 2 };

// PASSWORD-ALGORITHMS as this server sends it: SHA-256 before MD5, both without parameters.
inline constexpr std::array<std::uint8_t, 8> kPasswordAlgorithmList = {0, 2, 0, 0, 0, 1, 0, 0};
// PASSWORD-ALGORITHM; nullopt for one that is not in the list.
std::optional<PasswordAlgorithm> read_password_algorithm(ByteView value);

// A key of any of them, by value: 16 bytes of MD5, 32 of SHA-256, or what an access token brings.
struct Key {
  std::array<std::uint8_t, 32> room{};
  std::uint8_t size = 0;

  Key() = default;
  explicit Key(ByteView bytes);  // at most 32
  ByteView bytes() const { return ByteView(room).first(size); }
  bool operator==(const Key&) const = default;
};
Key long_term_key(PasswordAlgorithm algorithm, std::string_view username, std::string_view realm,
                  std::string_view password);

// A key and the integrity attribute that it makes: what authenticates a request and its answer.
struct SigningKey {
  enum class Integrity : std::uint8_t { kSha1, kSha256 };
  Key key;
  Integrity integrity = Integrity::kSha1;
};
bool verify(const MessageView& message, const SigningKey& key);

// Long-term key, MD5(username ":" realm ":" password).
Md5Digest long_term_key(std::string_view username, std::string_view realm,
                        std::string_view password);
// SHA-256(username ":" realm ":" password), for PASSWORD-ALGORITHM SHA-256.
Sha256Digest long_term_key_sha256(std::string_view username, std::string_view realm,
                                  std::string_view password);
// USERHASH, SHA-256(username ":" realm) (section 14.4).
Sha256Digest userhash(std::string_view username, std::string_view realm);

// False when the attribute is absent, has a wrong length, or does not match. Constant time.
bool verify_message_integrity(const MessageView& message, ByteView key);
bool verify_message_integrity_sha256(const MessageView& message, ByteView key);

// CRC-32 of the message before the attribute, XOR 0x5354554e.
std::uint32_t fingerprint_of(ByteView message_before_fingerprint);

}  // namespace turnpike::stun
