// Third-party authorization (RFC 7635): an authorization server gives the client a token that only
// we can open, because it shares a key with us, and in it is the key that signs the client's
// requests and our answers.
//
//   | nonce length (16) | nonce | AEAD( key length (16) | key | timestamp (64) | lifetime (32) ) |
//
// The name of this server is the associated data. TokenKeys is immutable and shared by all workers;
// opening needs a cipher's state, which every worker has its own of.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/aes_gcm.h"
#include "base/bytes.h"
#include "base/time.h"
#include "stun/integrity.h"

namespace turnpike::turn {

inline constexpr std::size_t kMaxTokenKeys = 64;

// The AEAD follows from the size of the key: 16 bytes make AES-128-GCM, 32 make AES-256-GCM.
struct TokenKey {
  std::string id;  // travels as USERNAME
  std::string key;
};

class TokenKeys {
 public:
  TokenKeys() = default;
  TokenKeys(std::string server_name, std::vector<TokenKey> keys);

  bool empty() const { return keys_.empty(); }
  const std::string& server_name() const { return server_name_; }
  std::optional<ByteView> find(std::string_view id) const;

 private:
  std::string server_name_;
  std::map<std::string, std::string, std::less<>> keys_;
};

struct AccessToken {
  stun::Key mac_key;
  WallTime expires;
};
// nullopt: not sealed with this key for this server, malformed, expired or not of this time
// (section 7: the timestamp is within the lifetime and 5 s of now, before or after).
std::optional<AccessToken> open_token(AesGcm& cipher, ByteView token, ByteView key,
                                      std::string_view server_name, WallTime now);

}  // namespace turnpike::turn
