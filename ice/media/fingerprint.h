// The fingerprint of a certificate in SDP (RFC 8122 section 5): what binds a DTLS handshake to the
// signaling. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/expected.h"

namespace turnpike::media {

enum class FingerprintHash : std::uint8_t { kSha1, kSha224, kSha256, kSha384, kSha512 };

struct Fingerprint {
  FingerprintHash hash = FingerprintHash::kSha256;
  std::vector<std::uint8_t> digest;
  bool operator==(const Fingerprint&) const = default;
};

// "sha-256 4A:AD:..."
std::string to_sdp(const Fingerprint& fingerprint);
Expected<Fingerprint> parse_fingerprint(std::string_view text);
// Of a certificate in DER.
Fingerprint fingerprint_of(ByteView certificate, FingerprintHash hash);

}  // namespace turnpike::media
