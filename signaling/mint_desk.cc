#include "signaling/mint_desk.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace turnpike::signaling {

namespace {

constexpr std::size_t kGuestNameBytes = 9;

// RFC 9110 section 5.6.4.
std::string in_quotes(std::string_view text) {
  std::string quote = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quote += '\\';
    quote += c;
  }
  return quote + '"';
}

}  // namespace

MintDesk::MintDesk(Parts parts) : parts_(parts) { renew(parts.tokens); }

void MintDesk::renew(const RoomTokens* tokens) {
  parts_.tokens = tokens;
  keys_.clear();
  for (const std::string& key : parts_.keys) {
    if (!key.empty()) keys_.push_back({sha256(as_bytes(key)), parts_.minter.key_id(key)});
  }
}

// Digests are compared, all of them and in constant time: neither the length nor a common prefix
// of a key shows in the time of the answer.
const MintDesk::KeyHash* MintDesk::find_key(std::string_view proof) const {
  const Sha256Digest digest = sha256(as_bytes(proof));
  const KeyHash* found = nullptr;
  for (const KeyHash& key : keys_) {
    if (equal_in_constant_time(key.digest, digest)) found = &key;
  }
  return found;
}

// An invitation or a room token: what a member of a room would get, and not beyond its own end.
std::optional<Permit> MintDesk::guest(WallTime now, std::string_view proof) const {
  if (proof.empty()) return std::nullopt;
  std::optional<WallTime> ends;
  if (const auto invitation = parts_.signer.verify(proof, now)) {
    ends = invitation->expires;
  } else if (parts_.tokens != nullptr && parts_.tokens->required()) {
    const auto grant = parts_.tokens->judge(proof, now);
    if (!grant) return std::nullopt;
    ends = grant->expires;
  } else {
    return std::nullopt;
  }
  if (ends && *ends <= now) return std::nullopt;
  const seconds most =
      ends ? std::min<seconds>(Minter::kMaxMemberTtl, *ends - now) : seconds(Minter::kMaxMemberTtl);
  return Permit{Permit::Holder::kGuest, parts_.minter.key_id(proof), most};
}

Expected<Permit, MintDesk::Denial> MintDesk::admit(Tick now, const IpAddress& source,
                                                   std::string proof, Accepts accepts) {
  const KeyHash* key = find_key(proof);
  std::optional<Permit> permit;
  if (key != nullptr) {
    permit = Permit{Permit::Holder::kBackEnd, key->id, Minter::kMaxKeyTtl};
  } else if (accepts == Accepts::kAll && failures_.has_token(now.mono, source)) {
    permit = guest(now.wall, proof);
  }
  wipe(proof);
  if (!permit) {
    return unexpected(failures_.take(now.mono, source) ? Denial::kWrong : Denial::kTooOften);
  }
  if (permit->holder == Permit::Holder::kGuest && !guests_.take(now.mono, source)) {
    return unexpected(Denial::kTooOften);
  }
  return std::move(*permit);
}

// Everybody without a name of their own gets one, because the relay's quota counts by name.
MintedCredential MintDesk::mint(Tick now, const Permit& permit, const MintWish& wish) {
  const seconds ttl = std::min(permit.most, wish.ttl.value_or(permit.most));
  if (permit.holder == Permit::Holder::kGuest) {
    // Not of their choice: it could be another guest's, whose share they would use up.
    return parts_.minter.mint("guest-" + parts_.random.token(kGuestNameBytes), permit.key_id, ttl,
                              now.wall);
  }
  const std::string name =
      wish.name ? *wish.name : "client-" + parts_.random.token(kGuestNameBytes);
  return parts_.minter.mint(name, permit.key_id, ttl, now.wall);
}

std::optional<seconds> read_ttl(std::optional<std::uint64_t> number) {
  if (!number || *number == 0) return std::nullopt;
  return seconds(std::min<std::uint64_t>(*number, 1u << 30));
}

std::optional<seconds> read_ttl(std::string_view text) {
  // Digits that no integer holds still are a number, only a very long one.
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
  const auto value = parse_decimal(text);
  return read_ttl(digits && !value ? UINT64_MAX : value);
}

bool is_credential_name(std::string_view name) {
  return !name.empty() && is_valid_utf8(name) && std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

std::vector<std::string> ice_links(const IceUrls& urls, const MintedCredential& credential) {
  std::vector<std::string> links;
  const bool plain = std::all_of(credential.username.begin(), credential.username.end(),
                                 [](char c) { return c >= 0x20 && c < 0x7f; });
  if (!plain) return links;
  constexpr std::string_view kRelation = "; rel=\"ice-server\"";
  for (const std::string& url : urls.stun)
    links.push_back("<" + url + ">" + std::string(kRelation));
  const std::string rest = std::string(kRelation) + "; username=" + in_quotes(credential.username) +
                           "; credential=" + in_quotes(credential.password) +
                           "; credential-type=\"password\"";
  for (const std::string& url : urls.turn) links.push_back("<" + url + ">" + rest);
  return links;
}

}  // namespace turnpike::signaling
