#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"

namespace turnpike {
namespace {

// One context per algorithm and thread, made at the first use: hashing allocates nothing after it.
// The fetched algorithm belongs to the process and is never freed.
class Hasher {
 public:
  explicit Hasher(const EVP_MD* algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new()) {
    CHECK(context_ != nullptr);
  }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  ~Hasher() { EVP_MD_CTX_free(context_); }

  void begin() { CHECK(EVP_DigestInit_ex2(context_, algorithm_, nullptr) == 1); }
  void add(ByteView bytes) {
    if (!bytes.empty()) CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
  }
  void end(std::uint8_t* digest) { CHECK(EVP_DigestFinal_ex(context_, digest, nullptr) == 1); }

 private:
  const EVP_MD* algorithm_;
  EVP_MD_CTX* context_;
};

const EVP_MD* fetch(const char* name) {
  const EVP_MD* algorithm = EVP_MD_fetch(nullptr, name, nullptr);
  CHECK(algorithm != nullptr);
  return algorithm;
}

Hasher& md5_hasher() {
  static const EVP_MD* const algorithm = fetch("MD5");
  thread_local Hasher hasher(algorithm);
  return hasher;
}

Hasher& sha1_hasher() {
  static const EVP_MD* const algorithm = fetch("SHA1");
  thread_local Hasher hasher(algorithm);
  return hasher;
}

Hasher& sha256_hasher() {
  static const EVP_MD* const algorithm = fetch("SHA256");
  thread_local Hasher hasher(algorithm);
  return hasher;
}

template <typename Digest>
Digest digest_of(Hasher& hasher, std::initializer_list<ByteView> pieces) {
  Digest digest;
  hasher.begin();
  for (const ByteView piece : pieces) hasher.add(piece);
  hasher.end(digest.data());
  return digest;
}

// RFC 2104 on the two hashes above, whose block is 64 bytes. libcrypto's own HMAC copies the key to
// the heap at every use.
template <typename Digest>
Digest hmac(Hasher& hasher, ByteView key, std::initializer_list<ByteView> pieces) {
  std::array<std::uint8_t, 64> block{};
  if (key.size() > block.size()) {
    const Digest short_key = digest_of<Digest>(hasher, {key});
    std::copy(short_key.begin(), short_key.end(), block.begin());
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  Digest digest;
  for (auto& byte : block) byte ^= 0x36;
  hasher.begin();
  hasher.add(block);
  for (const ByteView piece : pieces) hasher.add(piece);
  hasher.end(digest.data());
  for (auto& byte : block) byte ^= 0x36 ^ 0x5C;
  hasher.begin();
  hasher.add(block);
  hasher.add(digest);
  hasher.end(digest.data());
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

Md5Digest md5(ByteView bytes) { return digest_of<Md5Digest>(md5_hasher(), {bytes}); }
Sha1Digest sha1(ByteView bytes) { return digest_of<Sha1Digest>(sha1_hasher(), {bytes}); }
Sha256Digest sha256(ByteView bytes) { return digest_of<Sha256Digest>(sha256_hasher(), {bytes}); }

Md5Digest md5(std::initializer_list<ByteView> pieces) {
  return digest_of<Md5Digest>(md5_hasher(), pieces);
}
Sha256Digest sha256(std::initializer_list<ByteView> pieces) {
  return digest_of<Sha256Digest>(sha256_hasher(), pieces);
}

Sha1Digest hmac_sha1(ByteView key, std::initializer_list<ByteView> pieces) {
  return hmac<Sha1Digest>(sha1_hasher(), key, pieces);
}
Sha256Digest hmac_sha256(ByteView key, std::initializer_list<ByteView> pieces) {
  return hmac<Sha256Digest>(sha256_hasher(), key, pieces);
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
