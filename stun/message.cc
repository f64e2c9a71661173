#include "stun/message.h"

#include <algorithm>

#include "stun/integrity.h"

namespace turnpike::stun {
namespace {

constexpr std::uint8_t kFamilyIPv4 = 1;
constexpr std::uint8_t kFamilyIPv6 = 2;

constexpr std::uint16_t number(Attribute attribute) {
  return static_cast<std::uint16_t>(attribute);
}

// What may still be seen once an integrity attribute has been: RFC 8489 sections 14.5 and 14.6.
bool is_seen_after(std::uint16_t integrity, std::uint16_t type) {
  if (type == number(Attribute::kFingerprint)) return true;
  return type == number(Attribute::kMessageIntegritySha256) &&
         integrity == number(Attribute::kMessageIntegrity);
}

bool is_integrity(std::uint16_t type) {
  return type == number(Attribute::kMessageIntegrity) ||
         type == number(Attribute::kMessageIntegritySha256);
}

// `value` is the whole attribute value, `mask` what address and port are XORed with (section 14.2):
// the cookie and, for IPv6, the transaction id.
std::optional<Address> read_address(ByteView value, ByteView mask) {
  Reader in(value);
  in.skip(1);
  const std::uint8_t family = in.u8();
  const std::uint16_t port = in.u16();
  const std::size_t size = family == kFamilyIPv4 ? 4 : 16;
  const ByteView ip = in.bytes(size);
  if (!in.ok() || in.remaining() != 0 || (family != kFamilyIPv4 && family != kFamilyIPv6)) {
    return std::nullopt;
  }
  std::array<std::uint8_t, 16> plain{};
  std::transform(ip.begin(), ip.end(), mask.begin(), plain.begin(),
                 [](std::uint8_t a, std::uint8_t b) { return static_cast<std::uint8_t>(a ^ b); });
  const auto port_mask = Reader(mask).u16();
  return Address{family == kFamilyIPv4 ? IpAddress::v4(plain[0], plain[1], plain[2], plain[3])
                                       : IpAddress::v6(plain),
                 static_cast<std::uint16_t>(port ^ port_mask)};
}

}  // namespace

Expected<MessageView, ParseError> MessageView::parse(ByteView bytes) {
  if (bytes.size() < kHeaderSize) return unexpected(ParseError::kTooShort);
  if (Reader(bytes.subspan(4)).u32() != kMagicCookie) return unexpected(ParseError::kNotStun);
  return parse_attributes(bytes);
}

Expected<MessageView, ParseError> MessageView::parse_classic(ByteView bytes) {
  if (bytes.size() < kHeaderSize) return unexpected(ParseError::kTooShort);
  if (Reader(bytes.subspan(4)).u32() == kMagicCookie) return unexpected(ParseError::kNotStun);
  return parse_attributes(bytes);
}

Expected<MessageView, ParseError> MessageView::parse_attributes(ByteView bytes) {
  Reader in(bytes);
  const std::uint16_t type = in.u16();
  const std::uint16_t length = in.u16();
  if ((type & 0xC000) != 0) return unexpected(ParseError::kNotStun);
  in.skip(kHeaderSize - in.position());
  if (length % 4 != 0 || length != in.remaining()) return unexpected(ParseError::kLengthMismatch);

  MessageView view;
  view.bytes_ = bytes;
  std::uint16_t integrity = 0;
  while (in.remaining() > 0) {
    const std::size_t start = in.position();
    Entry entry;
    entry.type = in.u16();
    entry.length = in.u16();
    entry.offset = static_cast<std::uint32_t>(in.position());
    in.skip(entry.length + padding_to_four(entry.length));
    if (!in.ok()) return unexpected(ParseError::kAttributeOverrun);
    if (entry.type == number(Attribute::kFingerprint)) {
      const bool right = entry.length == 4 && in.remaining() == 0 &&
                         Reader(view.value_of(entry)).u32() == fingerprint_of(bytes.first(start));
      if (!right) return unexpected(ParseError::kBadFingerprint);
    }
    if (integrity != 0 && !is_seen_after(integrity, entry.type)) continue;
    if (is_integrity(entry.type)) integrity = entry.type;
    if (view.count_ == kMaxAttributes) return unexpected(ParseError::kTooManyAttributes);
    view.entries_[view.count_++] = entry;
  }
  return view;
}

//  0                 1
//  2  3  4 5 6 7 8 9 0 1 2 3 4 5
// +--+--+-+-+-+-+-+-+-+-+-+-+-+-+
// |M |M |M|M|M|C|M|M|M|C|M|M|M|M|     the method's bits around the two of the class
// |11|10|9|8|7|1|6|5|4|0|3|2|1|0|     (RFC 8489 section 5)
// +--+--+-+-+-+-+-+-+-+-+-+-+-+-+
Class MessageView::message_class() const {
  return static_cast<Class>(Reader(bytes_).u16() & 0x0110);
}

std::uint16_t MessageView::method() const {
  const std::uint16_t type = Reader(bytes_).u16();
  return static_cast<std::uint16_t>((type & 0x000F) | (type & 0x00E0) >> 1 | (type & 0x3E00) >> 2);
}

TransactionId MessageView::transaction_id() const {
  TransactionId id;
  const ByteView source = bytes_.subspan(kHeaderSize - id.size(), id.size());
  std::copy(source.begin(), source.end(), id.begin());
  return id;
}

std::optional<ByteView> MessageView::value(Attribute attribute) const {
  for (const Entry& entry : entries()) {
    if (entry.type == number(attribute)) return value_of(entry);
  }
  return std::nullopt;
}

std::optional<std::string_view> MessageView::text(Attribute attribute) const {
  const auto found = value(attribute);
  return found ? std::optional(as_text(*found)) : std::nullopt;
}

std::optional<std::uint32_t> MessageView::u32(Attribute attribute) const {
  const auto found = value(attribute);
  if (!found || found->size() != 4) return std::nullopt;
  return Reader(*found).u32();
}

std::optional<Address> MessageView::xor_address(Attribute attribute) const {
  const auto found = value(attribute);
  return found ? read_address(*found, bytes_.subspan(4, 16)) : std::nullopt;
}

std::optional<Address> MessageView::plain_address(Attribute attribute) const {
  constexpr std::array<std::uint8_t, 16> kNoMask{};
  const auto found = value(attribute);
  return found ? read_address(*found, kNoMask) : std::nullopt;
}

std::optional<std::uint16_t> MessageView::channel_number() const {
  const auto word = u32(Attribute::kChannelNumber);  // the number and 16 reserved bits
  return word ? std::optional(static_cast<std::uint16_t>(*word >> 16)) : std::nullopt;
}

std::optional<std::uint8_t> MessageView::requested_transport() const {
  const auto word = u32(Attribute::kRequestedTransport);  // the protocol and 24 reserved bits
  return word ? std::optional(static_cast<std::uint8_t>(*word >> 24)) : std::nullopt;
}

std::optional<std::uint8_t> MessageView::requested_address_family() const {
  const auto word = u32(Attribute::kRequestedAddressFamily);
  return word ? std::optional(static_cast<std::uint8_t>(*word >> 24)) : std::nullopt;
}

std::optional<MessageView::ErrorValue> MessageView::error_code() const {
  const auto found = value(Attribute::kErrorCode);
  if (!found) return std::nullopt;
  Reader in(*found);
  const std::uint32_t word = in.u32();
  const std::uint32_t hundreds = word >> 8 & 0x7;
  const std::uint32_t rest = word & 0xFF;
  if (!in.ok() || hundreds < 3 || hundreds > 6 || rest > 99) return std::nullopt;
  return ErrorValue{static_cast<std::uint16_t>(hundreds * 100 + rest), as_text(in.rest())};
}

std::optional<Address> MessageView::xor_address_of(const Entry& entry) const {
  return read_address(value_of(entry), bytes_.subspan(4, 16));
}

MessageView::UnknownTypes MessageView::unknown_required() const {
  UnknownTypes unknown;
  for (const Entry& entry : entries()) {
    if (!is_comprehension_required(entry.type) || is_known_attribute(entry.type)) continue;
    const auto end = unknown.types.begin() + static_cast<std::ptrdiff_t>(unknown.count);
    if (std::find(unknown.types.begin(), end, entry.type) != end) continue;
    unknown.types[unknown.count++] = entry.type;
  }
  return unknown;
}

}  // namespace turnpike::stun
