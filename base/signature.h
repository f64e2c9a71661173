// ES256 (RFC 7518 section 3.4): ECDSA on P-256 with SHA-256, verification only, on libcrypto. A key
// is immutable; any thread may verify with it.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace turnpike {

class Es256Key {
 public:
  static constexpr std::size_t kSignature = 64;  // R and S, 32 bytes each, in network order

  // "-----BEGIN PUBLIC KEY-----": a public key on the curve P-256; nullopt for anything else.
  static std::optional<Es256Key> from_pem(std::string_view pem);

  bool verifies(std::string_view message, ByteView signature) const;

 private:
  struct Native;
  explicit Es256Key(std::shared_ptr<const Native> native) : native_(std::move(native)) {}

  std::shared_ptr<const Native> native_;
};

}  // namespace turnpike
