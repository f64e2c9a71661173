#include "stun/integrity.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace turnpike::stun {
namespace {

constexpr std::uint32_t kFingerprintXor = 0x5354554E;  // "STUN"

// CRC-32 of ITU V.42 (reflected 0x04C11DB7), eight bytes a step: table k holds the effect of a
// byte that k further bytes follow.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr CrcTables make_crc_tables() {
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}
constexpr CrcTables kCrc = make_crc_tables();

std::uint32_t crc32(ByteView bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  while (bytes.size() >= 8) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint32_t carried = i < 4 ? crc >> (8 * i) : 0;
      next ^= kCrc[7 - i][(bytes[i] ^ carried) & 0xFF];
    }
    crc = next;
    bytes = bytes.subspan(8);
  }
  for (const std::uint8_t byte : bytes) crc = (crc >> 8) ^ kCrc[0][(crc ^ byte) & 0xFF];
  return ~crc;
}

// The message up to the integrity attribute, as its sender hashed it: with a length field that ends
// with that attribute (RFC 8489 section 14.5). Only the header is copied to patch it.
struct Hashed {
  std::array<std::uint8_t, kHeaderSize> header;
  ByteView attributes;
  ByteView value;
};
std::optional<Hashed> hashed_part(const MessageView& message, Attribute attribute,
                                  std::size_t length) {
  for (const MessageView::Entry& entry : message.entries()) {
    if (entry.type != static_cast<std::uint16_t>(attribute)) continue;
    if (entry.length != length) return std::nullopt;
    Hashed hashed;
    Writer header(hashed.header);
    header.bytes(message.bytes().first(kHeaderSize));
    header.patch_u16(2, static_cast<std::uint16_t>(entry.offset + length - kHeaderSize));
    constexpr std::size_t kAttributeHeader = 4;
    hashed.attributes =
        message.bytes().subspan(kHeaderSize, entry.offset - kAttributeHeader - kHeaderSize);
    hashed.value = message.value_of(entry);
    return hashed;
  }
  return std::nullopt;
}

}  // namespace

std::optional<PasswordAlgorithm> read_password_algorithm(ByteView value) {
  Reader in(value);
  const auto algorithm = static_cast<PasswordAlgorithm>(in.u16());
  const std::uint16_t parameters = in.u16();
  const bool known =
      algorithm == PasswordAlgorithm::kMd5 || algorithm == PasswordAlgorithm::kSha256;
  if (!in.ok() || in.remaining() != 0 || parameters != 0 || !known) return std::nullopt;
  return algorithm;
}

Key::Key(ByteView bytes) : size(static_cast<std::uint8_t>(bytes.size())) {
  CHECK(bytes.size() <= room.size());
  std::copy(bytes.begin(), bytes.end(), room.begin());
}

Key long_term_key(PasswordAlgorithm algorithm, std::string_view username, std::string_view realm,
                  std::string_view password) {
  if (algorithm == PasswordAlgorithm::kSha256) {
    return Key(long_term_key_sha256(username, realm, password));
  }
  return Key(long_term_key(username, realm, password));
}

bool verify(const MessageView& message, const SigningKey& key) {
  return key.integrity == SigningKey::Integrity::kSha256
             ? verify_message_integrity_sha256(message, key.key.bytes())
             : verify_message_integrity(message, key.key.bytes());
}

Md5Digest long_term_key(std::string_view username, std::string_view realm,
                        std::string_view password) {
  return md5(
      {as_bytes(username), as_bytes(":"), as_bytes(realm), as_bytes(":"), as_bytes(password)});
}

Sha256Digest long_term_key_sha256(std::string_view username, std::string_view realm,
                                  std::string_view password) {
  return sha256(
      {as_bytes(username), as_bytes(":"), as_bytes(realm), as_bytes(":"), as_bytes(password)});
}

Sha256Digest userhash(std::string_view username, std::string_view realm) {
  return sha256({as_bytes(username), as_bytes(":"), as_bytes(realm)});
}

bool verify_message_integrity(const MessageView& message, ByteView key) {
  const auto hashed =
      hashed_part(message, Attribute::kMessageIntegrity, std::tuple_size_v<Sha1Digest>);
  return hashed && equal_in_constant_time(hmac_sha1(key, {hashed->header, hashed->attributes}),
                                          hashed->value);
}

// A value shorter than 32 bytes is refused: truncation is for usages that ask for it (RFC 8489
// section 14.6), and TURN does not.
bool verify_message_integrity_sha256(const MessageView& message, ByteView key) {
  const auto hashed =
      hashed_part(message, Attribute::kMessageIntegritySha256, std::tuple_size_v<Sha256Digest>);
  return hashed && equal_in_constant_time(hmac_sha256(key, {hashed->header, hashed->attributes}),
                                          hashed->value);
}

std::uint32_t fingerprint_of(ByteView message_before_fingerprint) {
  return crc32(message_before_fingerprint) ^ kFingerprintXor;
}

}  // namespace turnpike::stun
