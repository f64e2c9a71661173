#include "stun/builder.h"

#include <algorithm>
#include <array>

namespace turnpike::stun {
namespace {

constexpr std::size_t kAttributeHeader = 4;
// More room is not used, so a value too long for its own length field does not fit either.
constexpr std::size_t kMaxAfterHeader = 65532;  // the length field has 16 bits; a multiple of four

std::uint16_t message_type(Class cls, std::uint16_t method) {
  return static_cast<std::uint16_t>((method & 0x000F) | (method & 0x0070) << 1 |
                                    (method & 0x0F80) << 2 | static_cast<std::uint16_t>(cls));
}

void write_address(Writer& out, const Address& address, ByteView mask) {
  out.u8(0);
  out.u8(address.ip.is_v4() ? 1 : 2);
  out.u16(address.port ^ Reader(mask).u16());
  const ByteView ip = address.ip.bytes();
  std::array<std::uint8_t, 16> masked{};
  std::transform(ip.begin(), ip.end(), mask.begin(), masked.begin(),
                 [](std::uint8_t a, std::uint8_t b) { return static_cast<std::uint8_t>(a ^ b); });
  out.bytes(ByteView(masked).first(ip.size()));
}

std::size_t address_size(const Address& address) { return 4 + address.ip.bytes().size(); }

}  // namespace

Builder::Builder(MutableBytes room, Class cls, std::uint16_t method, const TransactionId& id)
    : room_(room.first(std::min(room.size(), kHeaderSize + kMaxAfterHeader))),
      writer_(room_),
      id_(id) {
  writer_.u16(message_type(cls, method));
  writer_.u16(0);
  writer_.u32(kMagicCookie);
  writer_.bytes(id);
}

Builder Builder::response(MutableBytes room, Class cls, const MessageView& request) {
  Builder builder(room, cls, request.method(), request.transaction_id());
  if (builder.writer_.ok()) std::copy_n(request.bytes().begin() + 4, 4, room.begin() + 4);
  return builder;
}

Builder& Builder::bytes(Attribute attribute, ByteView value) {
  begin(static_cast<std::uint16_t>(attribute), value.size());
  writer_.bytes(value);
  end(value.size());
  return *this;
}

Builder& Builder::u32(Attribute attribute, std::uint32_t value) {
  begin(static_cast<std::uint16_t>(attribute), 4);
  writer_.u32(value);
  return *this;
}

Builder& Builder::u64(Attribute attribute, std::uint64_t value) {
  begin(static_cast<std::uint16_t>(attribute), 8);
  writer_.u64(value);
  return *this;
}

Builder& Builder::xor_address(Attribute attribute, const Address& address) {
  std::array<std::uint8_t, 16> mask;
  Writer cookie_and_id(mask);
  cookie_and_id.u32(kMagicCookie);
  cookie_and_id.bytes(id_);
  begin(static_cast<std::uint16_t>(attribute), address_size(address));
  write_address(writer_, address, mask);
  return *this;
}

Builder& Builder::plain_address(Attribute attribute, const Address& address) {
  constexpr std::array<std::uint8_t, 16> kNoMask{};
  begin(static_cast<std::uint16_t>(attribute), address_size(address));
  write_address(writer_, address, kNoMask);
  return *this;
}

Builder& Builder::channel_number(std::uint16_t number) {
  return u32(Attribute::kChannelNumber, std::uint32_t{number} << 16);
}

Builder& Builder::requested_transport(std::uint8_t protocol) {
  return u32(Attribute::kRequestedTransport, std::uint32_t{protocol} << 24);
}

Builder& Builder::requested_address_family(Family family) {
  return u32(Attribute::kRequestedAddressFamily,
             (family == Family::kIPv4 ? std::uint32_t{1} : std::uint32_t{2}) << 24);
}

Builder& Builder::error(ErrorCode code, Phrase wanted) {
  const auto phrase = wanted == Phrase::kNone ? std::string_view{} : reason_phrase(code);
  const auto number = static_cast<std::uint32_t>(code);
  begin(static_cast<std::uint16_t>(Attribute::kErrorCode), 4 + phrase.size());
  writer_.u32((number / 100) << 8 | number % 100);
  writer_.bytes(as_bytes(phrase));
  end(phrase.size());
  return *this;
}

Builder& Builder::unknown_attributes(std::span<const std::uint16_t> types) {
  begin(static_cast<std::uint16_t>(Attribute::kUnknownAttributes), types.size() * 2);
  for (const std::uint16_t type : types) writer_.u16(type);
  end(types.size() * 2);
  return *this;
}

Builder& Builder::message_integrity(ByteView key) {
  set_length(writer_.size() - kHeaderSize + kAttributeHeader + std::tuple_size_v<Sha1Digest>);
  if (!writer_.ok()) return *this;
  return bytes(Attribute::kMessageIntegrity, hmac_sha1(key, {writer_.written()}));
}

Builder& Builder::message_integrity_sha256(ByteView key) {
  set_length(writer_.size() - kHeaderSize + kAttributeHeader + std::tuple_size_v<Sha256Digest>);
  if (!writer_.ok()) return *this;
  return bytes(Attribute::kMessageIntegritySha256, hmac_sha256(key, {writer_.written()}));
}

Builder& Builder::sign(const SigningKey& key) {
  return key.integrity == SigningKey::Integrity::kSha256 ? message_integrity_sha256(key.key.bytes())
                                                         : message_integrity(key.key.bytes());
}

Builder& Builder::fingerprint() {
  set_length(writer_.size() - kHeaderSize + kAttributeHeader + 4);
  if (!writer_.ok()) return *this;
  return u32(Attribute::kFingerprint, fingerprint_of(writer_.written()));
}

ByteView Builder::finish() {
  set_length(writer_.size() - kHeaderSize);
  return writer_.ok() ? writer_.written() : ByteView{};
}

void Builder::begin(std::uint16_t type, std::size_t length) {
  writer_.u16(type);
  writer_.u16(static_cast<std::uint16_t>(length));
}

void Builder::end(std::size_t length) { writer_.zeros(padding_to_four(length)); }

void Builder::set_length(std::size_t after_header) {
  writer_.patch_u16(2, static_cast<std::uint16_t>(after_header));
}

}  // namespace turnpike::stun
