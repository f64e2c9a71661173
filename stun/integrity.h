// Keys and integrity checks (RFC 8489 sections 9.2.2, 14.5 and 14.6), and FINGERPRINT (14.7).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/digest.h"
#include "stun/message.h"

namespace turnpike::stun {

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
