#include "signaling/invitation.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace turnpike::signaling {

namespace {

constexpr std::size_t kMacSize = 16;
// Sixteen room names of 128 bytes, escaped and encoded, and the rest.
constexpr std::size_t kMaxText = 8192;

std::string mac(const Sha256Digest& key, std::string_view body) {
  const Sha256Digest digest = hmac_sha256(key, {as_bytes(body)});
  return base64url_encode(ByteView(digest).first(kMacSize));
}

// The label keeps this key apart from every other use of the same secret.
Sha256Digest key_of(std::string_view server_secret) {
  return hmac_sha256(as_bytes(server_secret), {as_bytes("turnpike invitation key 1")});
}

}  // namespace

InvitationSigner::InvitationSigner(std::string_view server_secret,
                                   std::span<const std::string> older)
    : keys_{key_of(server_secret)} {
  for (const std::string& secret : older) keys_.push_back(key_of(secret));
}

bool Invitation::admits(std::string_view room) const {
  return std::find(rooms.begin(), rooms.end(), room) != rooms.end();
}

std::string InvitationSigner::sign(const Invitation& invitation) const {
  const nlohmann::json body = {{"e", invitation.expires.since_epoch.count()},
                               {"r", invitation.rooms}};
  const std::string text = base64url_encode(as_bytes(body.dump()));
  return text + "." + mac(keys_.front(), text);
}

std::optional<Invitation> InvitationSigner::verify(std::string_view text, WallTime now) const {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || text.size() > kMaxText) return std::nullopt;
  const std::string_view body = text.substr(0, dot);
  const bool signed_by_us = std::any_of(keys_.begin(), keys_.end(), [&](const auto& key) {
    return equal_in_constant_time(as_bytes(mac(key, body)), as_bytes(text.substr(dot + 1)));
  });
  if (!signed_by_us) return std::nullopt;
  const auto decoded = base64url_decode(body);
  if (!decoded) return std::nullopt;
  const auto json = nlohmann::json::parse(*decoded, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto expiry = json.find("e");
  const auto rooms = json.find("r");
  if (expiry == json.end() || rooms == json.end()) return std::nullopt;
  if (!expiry->is_number_integer() || !rooms->is_array()) return std::nullopt;
  if (rooms->empty() || rooms->size() > kMaxRooms) return std::nullopt;
  Invitation invitation;
  invitation.expires = WallTime{seconds(expiry->get<std::int64_t>())};
  if (invitation.expires <= now || invitation.expires > now + kMaxLife) return std::nullopt;
  for (const auto& room : *rooms) {
    if (!room.is_string()) return std::nullopt;
    invitation.rooms.push_back(room.get<std::string>());
  }
  return invitation;
}

}  // namespace turnpike::signaling
