// Digests, HMACs, base64 and constant-time comparison, on libcrypto. Values in, values out.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace turnpike {

using Md5Digest = std::array<std::uint8_t, 16>;
using Sha1Digest = std::array<std::uint8_t, 20>;
using Sha256Digest = std::array<std::uint8_t, 32>;

Md5Digest md5(ByteView bytes);
Sha1Digest sha1(ByteView bytes);
Sha256Digest sha256(ByteView bytes);

// A message in pieces, so that nobody joins them just to hash them.
Md5Digest md5(std::initializer_list<ByteView> pieces);
Sha256Digest sha256(std::initializer_list<ByteView> pieces);
Sha1Digest hmac_sha1(ByteView key, std::initializer_list<ByteView> pieces);
Sha256Digest hmac_sha256(ByteView key, std::initializer_list<ByteView> pieces);

bool equal_in_constant_time(ByteView a, ByteView b);

// Standard alphabet with padding (what the TURN REST draft and browsers use).
std::string base64_encode(ByteView bytes);
// URL alphabet without padding (tokens, invitations, ids).
std::string base64url_encode(ByteView bytes);
// Strict: canonical length, no white space; nullopt otherwise.
std::optional<std::string> base64_decode(std::string_view text);
std::optional<std::string> base64url_decode(std::string_view text);
// The same without the heap: sizes must match exactly, 4 characters for 3 bytes, 2 or 3 for the
// last 1 or 2.
void base64url_encode(ByteView bytes, std::span<char> text);
bool base64url_decode(std::string_view text, MutableBytes bytes);
std::string hex_encode(ByteView bytes);

// Overwrites memory that held a secret in a way that the compiler keeps.
void wipe(MutableBytes bytes);
void wipe(std::string& text);

}  // namespace turnpike
