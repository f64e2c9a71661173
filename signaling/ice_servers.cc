#include "signaling/ice_servers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest.h"

namespace turnpike::signaling {

namespace {

// RFC 8489 section 14.3 allows a USERNAME of less than 509 bytes; expiry and key id take 20.
constexpr std::size_t kMaxName = 256;

// Cuts between code points, so that what was valid UTF-8 stays so.
std::string_view cut(std::string_view text) {
  if (text.size() <= kMaxName) return text;
  std::size_t end = kMaxName;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

MintedCredential Minter::mint(std::string_view name, std::string_view key, seconds ttl,
                              WallTime now) const {
  MintedCredential credential;
  credential.ttl = ttl;
  credential.expires = now + ttl;
  credential.name = std::string(cut(name)) + "~" + std::string(key);
  credential.username =
      std::to_string(credential.expires.since_epoch.count()) + ":" + credential.name;
  credential.password =
      base64_encode(hmac_sha1(as_bytes(secret_), {as_bytes(credential.username)}));
  return credential;
}

nlohmann::json Minter::ice_servers(const MintedCredential& credential) const {
  nlohmann::json list = nlohmann::json::array();
  if (!urls_.stun.empty()) list.push_back({{"urls", urls_.stun}});
  if (!urls_.turn.empty()) {
    list.push_back({{"urls", urls_.turn},
                    {"username", credential.username},
                    {"credential", credential.password}});
  }
  return list;
}

std::string Minter::key_id(std::string_view key) const {
  const Sha256Digest digest =
      hmac_sha256(as_bytes(secret_), {as_bytes(std::string_view("key id")), as_bytes(key)});
  return hex_encode(ByteView(digest).first(4));
}

}  // namespace turnpike::signaling
