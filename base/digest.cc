#define OPENSSL_SUPPRESS_DEPRECATED  // see Md5 below

#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include <algorithm>

#include "base/base64.h"
#include "base/check.h"

namespace turnpike {
namespace {

// libcrypto's one-shot functions. They are marked deprecated in favour of EVP, which takes its
// state from the heap at every use; these keep it on the stack, and hashing stays free of the heap.
class Md5 {
 public:
  using Digest = Md5Digest;
  Md5() { MD5_Init(&state_); }
  void add(ByteView bytes) { MD5_Update(&state_, bytes.data(), bytes.size()); }
  void end(Digest& digest) { MD5_Final(digest.data(), &state_); }

 private:
  MD5_CTX state_;
};

class Sha1 {
 public:
  using Digest = Sha1Digest;
  static constexpr std::size_t kBlock = SHA_CBLOCK;
  Sha1() { SHA1_Init(&state_); }
  void add(ByteView bytes) { SHA1_Update(&state_, bytes.data(), bytes.size()); }
  void end(Digest& digest) { SHA1_Final(digest.data(), &state_); }

 private:
  SHA_CTX state_;
};

class Sha256 {
 public:
  using Digest = Sha256Digest;
  static constexpr std::size_t kBlock = SHA256_CBLOCK;
  Sha256() { SHA256_Init(&state_); }
  void add(ByteView bytes) { SHA256_Update(&state_, bytes.data(), bytes.size()); }
  void end(Digest& digest) { SHA256_Final(digest.data(), &state_); }

 private:
  SHA256_CTX state_;
};

template <typename Hash>
typename Hash::Digest digest_of(std::initializer_list<ByteView> pieces) {
  Hash hash;
  for (const ByteView piece : pieces) hash.add(piece);
  typename Hash::Digest digest;
  hash.end(digest);
  return digest;
}

// RFC 2104.
template <typename Hash>
typename Hash::Digest hmac(ByteView key, std::initializer_list<ByteView> pieces) {
  std::array<std::uint8_t, Hash::kBlock> block{};
  typename Hash::Digest digest;
  if (key.size() > block.size()) {
    digest = digest_of<Hash>({key});
    key = digest;
  }
  std::copy(key.begin(), key.end(), block.begin());
  for (auto& byte : block) byte ^= 0x36;
  Hash inner;
  inner.add(block);
  for (const ByteView piece : pieces) inner.add(piece);
  inner.end(digest);
  for (auto& byte : block) byte ^= 0x36 ^ 0x5C;
  Hash outer;
  outer.add(block);
  outer.add(digest);
  outer.end(digest);
  wipe(block);
  return digest;
}

constexpr std::string_view kStandardAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t kNoDigit = 0xFF;
constexpr std::array<std::uint8_t, 256> reverse(std::string_view alphabet) {
  std::array<std::uint8_t, 256> digits{};
  for (auto& digit : digits) digit = kNoDigit;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    digits[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return digits;
}
constexpr auto kStandardDigits = reverse(kStandardAlphabet);
constexpr auto kUrlDigits = reverse(kUrlAlphabet);

// Three bytes become four characters; one or two left over become two or three.
constexpr std::size_t encoded_size(std::size_t bytes) {
  return bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1);
}

void encode(ByteView bytes, std::string_view alphabet, std::span<char> text) {
  std::uint32_t bits = 0;
  int held = 0;
  std::size_t at = 0;
  for (const std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    for (held += 8; held >= 6; held -= 6) text[at++] = alphabet[bits >> (held - 6) & 0x3F];
  }
  if (held > 0) text[at++] = alphabet[bits << (6 - held) & 0x3F];
}

// `text` without padding; `room` of exactly its size. The bits left over must be zero, so that no
// two texts mean the same bytes.
bool decode(std::string_view text, const std::array<std::uint8_t, 256>& digits, MutableBytes room) {
  std::uint32_t bits = 0;
  int held = 0;
  std::size_t at = 0;
  for (const char c : text) {
    const std::uint8_t digit = digits[static_cast<std::uint8_t>(c)];
    if (digit == kNoDigit) return false;
    bits = bits << 6 | digit;
    held += 6;
    if (held >= 8) {
      held -= 8;
      room[at++] = static_cast<std::uint8_t>(bits >> held);
    }
  }
  return (bits & ((1u << held) - 1)) == 0;
}

std::optional<std::string> decode(std::string_view text,
                                  const std::array<std::uint8_t, 256>& digits) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes(text.size() * 3 / 4, '\0');
  if (!decode(text, digits, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()})) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace

Md5Digest md5(ByteView bytes) { return digest_of<Md5>({bytes}); }
Sha1Digest sha1(ByteView bytes) { return digest_of<Sha1>({bytes}); }
Sha256Digest sha256(ByteView bytes) { return digest_of<Sha256>({bytes}); }

Md5Digest md5(std::initializer_list<ByteView> pieces) { return digest_of<Md5>(pieces); }
Sha256Digest sha256(std::initializer_list<ByteView> pieces) { return digest_of<Sha256>(pieces); }

Sha1Digest hmac_sha1(ByteView key, std::initializer_list<ByteView> pieces) {
  return hmac<Sha1>(key, pieces);
}
Sha256Digest hmac_sha256(ByteView key, std::initializer_list<ByteView> pieces) {
  return hmac<Sha256>(key, pieces);
}

bool equal_in_constant_time(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  return a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string base64_encode(ByteView bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  encode(bytes, kStandardAlphabet, text);
  return text;
}

void base64_encode(ByteView bytes, std::span<char> text) {
  CHECK(text.size() == (bytes.size() + 2) / 3 * 4);
  std::fill(text.begin(), text.end(), '=');
  encode(bytes, kStandardAlphabet, text);
}

std::string base64url_encode(ByteView bytes) {
  std::string text(encoded_size(bytes.size()), '\0');
  encode(bytes, kUrlAlphabet, text);
  return text;
}

void base64url_encode(ByteView bytes, std::span<char> text) {
  CHECK(text.size() == encoded_size(bytes.size()));
  encode(bytes, kUrlAlphabet, text);
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.remove_suffix(1);
  return decode(text, kStandardDigits);
}

std::optional<std::string> base64url_decode(std::string_view text) {
  return decode(text, kUrlDigits);
}

bool base64url_decode(std::string_view text, MutableBytes bytes) {
  return text.size() == encoded_size(bytes.size()) && decode(text, kUrlDigits, bytes);
}

std::string hex_encode(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xF];
  }
  return text;
}

void wipe(MutableBytes bytes) {
  if (!bytes.empty()) OPENSSL_cleanse(bytes.data(), bytes.size());
}

void wipe(std::string& text) {
  // The capacity too: an earlier, longer value may still stand there.
  text.resize(text.capacity());
  wipe(MutableBytes(reinterpret_cast<std::uint8_t*>(text.data()), text.size()));
  text.clear();
}

}  // namespace turnpike
