// What the clients of a RelayScript say.
#include "base/aes_gcm.h"
#include "base/check.h"
#include "stun/integrity.h"
#include "tests/fuzz/relay_script.h"

namespace turnpike::fuzz {

// A request or an indication as an honest client would write it, with attributes from the script.
void RelayScript::request() {
  const turn::Path& client = pick_client();
  const auto index = static_cast<std::size_t>(&client - clients_.data());
  const std::uint8_t kind = script_.u8();
  const auto method = static_cast<std::uint16_t>(kind & 0x0f);
  const auto cls = (kind & 0x10) != 0 ? stun::Class::kIndication : stun::Class::kRequest;
  const bool sealed = (kind & 0x20) == 0;
  const bool with_token = (kind & 0x80) != 0;
  stun::TransactionId id{};
  id[0] = script_.u8();

  Packet room(1500);
  stun::Builder builder(room, cls, method, id);
  for (std::uint8_t left = script_.u8() % 6; left > 0; --left) add_attribute(builder);
  if (sealed) {
    with_token ? seal_by_token(builder, nonces_[index]) : seal_by_password(builder, nonces_[index]);
  }
  if ((kind & 0x40) != 0) builder.fingerprint();
  const ByteView message = builder.finish();
  if (!message.empty()) deliver(client, Packet(message.begin(), message.end()), 0);
}

void RelayScript::add_attribute(stun::Builder& builder) {
  using stun::Attribute;
  switch (script_.u8() % 13) {
    case 0:
      builder.requested_transport(script_.u8() % 2 == 0 ? stun::kProtocolUdp : script_.u8());
      return;
    case 1:
      builder.xor_address(Attribute::kXorPeerAddress, pick_peer());
      return;
    case 2:
      builder.channel_number(static_cast<std::uint16_t>(0x3fff + script_.u8() % 8));
      return;
    case 3:
      builder.u32(Attribute::kLifetime, script_.u8() * 16u);
      return;
    case 4: {
      const Packet data = pick_bytes(64);
      builder.bytes(Attribute::kData, data);
      return;
    }
    case 5:
      builder.requested_address_family(script_.u8() % 2 == 0 ? Family::kIPv4 : Family::kIPv6);
      return;
    case 6:
      builder.flag(Attribute::kDontFragment);
      return;
    case 7: {
      const Packet value = pick_bytes(8);
      builder.bytes(Attribute::kEvenPort, value);
      return;
    }
    case 8:
      builder.u64(Attribute::kReservationToken, kFirstToken + script_.u8() % 8);
      return;
    case 9:
      builder.u32(Attribute::kAdditionalAddressFamily, 0x02000000);
      return;
    case 10:
      return add_ticket(builder);
    case 11:  // of the last connection, or of a neighbour that no one or another worker has
      builder.u32(Attribute::kConnectionId, connection_id_ + script_.u8() % 4);
      return;
    default: {
      const auto type = static_cast<Attribute>(script_.u16());
      const Packet value = pick_bytes(32);
      builder.bytes(type, value);
    }
  }
}

// Empty, which asks for one; the last that anybody was given; or a forged one.
void RelayScript::add_ticket(stun::Builder& builder) {
  const std::uint8_t which = script_.u8() % 4;
  Packet ticket;
  if (which > 0) ticket = ticket_;
  if (which == 3 && !ticket.empty()) ticket[script_.u8() % ticket.size()] ^= 1;
  builder.bytes(stun::Attribute::kMobilityTicket, ticket);
}

void RelayScript::seal_by_password(stun::Builder& builder, const std::string& nonce) const {
  builder.text(stun::Attribute::kUsername, kUser).text(stun::Attribute::kRealm, kRealm);
  builder.text(stun::Attribute::kNonce, nonce);
  builder.message_integrity(stun::long_term_key(kUser, kRealm, kPassword));
}

// With the token, or only with the key that came with one before (RFC 7635 section 7).
void RelayScript::seal_by_token(stun::Builder& builder, const std::string& nonce) {
  const std::uint8_t how = script_.u8();
  const bool brings_it = (how & 1) == 0;
  const bool sha256 = (how & 2) != 0;
  const Packet mac_key(sha256 ? 32 : 20, 'm');
  builder.text(stun::Attribute::kUsername, kTokenKeyId).text(stun::Attribute::kRealm, kRealm);
  builder.text(stun::Attribute::kNonce, nonce);
  if (brings_it) builder.bytes(stun::Attribute::kAccessToken, make_token(mac_key));
  sha256 ? builder.message_integrity_sha256(mac_key) : builder.message_integrity(mac_key);
}

// As an authorization server makes it: valid now or not, and perhaps with one byte changed.
RelayScript::Packet RelayScript::make_token(ByteView mac_key) {
  const seconds age{script_.u8()};
  const std::uint32_t lifetime = script_.u8() * 16u;
  const std::uint8_t changed = script_.u8();

  Packet plain(2 + mac_key.size() + 8 + 4);
  Writer inside(plain);
  inside.u16(static_cast<std::uint16_t>(mac_key.size()));
  inside.bytes(mac_key);
  inside.u64(static_cast<std::uint64_t>((now_.wall.since_epoch - age).count()) << 16);
  inside.u32(lifetime);

  const Packet nonce(AesGcm::kNonceSize, 'n');
  Packet token(2 + nonce.size() + plain.size() + AesGcm::kTagSize);
  Writer outside(token);
  outside.u16(static_cast<std::uint16_t>(nonce.size()));
  outside.bytes(nonce);
  AesGcm().seal(as_bytes(std::string_view(kTokenKey)), nonce, as_bytes(kRealm), plain,
                MutableBytes(token).subspan(2 + nonce.size()));
  if (changed < token.size()) token[changed] ^= 1;
  return token;
}

}  // namespace turnpike::fuzz
