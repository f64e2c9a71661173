#include "ice/media/fingerprint.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"
#include "base/text.h"

namespace turnpike::media {
namespace {

struct HashName {
  FingerprintHash hash;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<HashName, 5> kHashes = {{{FingerprintHash::kSha1, "sha-1", 20},
                                              {FingerprintHash::kSha224, "sha-224", 28},
                                              {FingerprintHash::kSha256, "sha-256", 32},
                                              {FingerprintHash::kSha384, "sha-384", 48},
                                              {FingerprintHash::kSha512, "sha-512", 64}}};

const HashName& entry_of(FingerprintHash hash) { return kHashes[static_cast<std::size_t>(hash)]; }

const EVP_MD* digest_of(FingerprintHash hash) {
  switch (hash) {
    case FingerprintHash::kSha1:
      return EVP_sha1();
    case FingerprintHash::kSha224:
      return EVP_sha224();
    case FingerprintHash::kSha256:
      return EVP_sha256();
    case FingerprintHash::kSha384:
      return EVP_sha384();
    case FingerprintHash::kSha512:
      return EVP_sha512();
  }
  return EVP_sha256();
}

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string to_sdp(const Fingerprint& fingerprint) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text(entry_of(fingerprint.hash).name);
  char separator = ' ';
  for (const std::uint8_t byte : fingerprint.digest) {
    text += separator;
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
    separator = ':';
  }
  return text;
}

Expected<Fingerprint> parse_fingerprint(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return failure("a fingerprint is a hash name and a digest");
  const std::string_view name = text.substr(0, space);
  const std::string_view rest = text.substr(space + 1);
  for (const HashName& entry : kHashes) {
    if (!equals_ignoring_case(name, entry.name)) continue;
    if (rest.size() != entry.size * 3 - 1) return failure("a fingerprint of the wrong length");
    Fingerprint fingerprint{entry.hash, {}};
    for (std::size_t i = 0; i < rest.size(); i += 3) {
      const int high = nibble(rest[i]), low = nibble(rest[i + 1]);
      if (high < 0 || low < 0 || (i + 2 < rest.size() && rest[i + 2] != ':')) {
        return failure("a fingerprint is hexadecimal with colons");
      }
      fingerprint.digest.push_back(static_cast<std::uint8_t>(high << 4 | low));
    }
    return fingerprint;
  }
  return failure("a fingerprint of an unknown hash");
}

Fingerprint fingerprint_of(ByteView certificate, FingerprintHash hash) {
  Fingerprint fingerprint{hash, std::vector<std::uint8_t>(entry_of(hash).size)};
  unsigned size = 0;
  CHECK(EVP_Digest(certificate.data(), certificate.size(), fingerprint.digest.data(), &size,
                   digest_of(hash), nullptr) == 1);
  CHECK(size == fingerprint.digest.size());
  return fingerprint;
}

}  // namespace turnpike::media
