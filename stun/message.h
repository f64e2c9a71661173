// MessageView: a STUN message that is known to be well formed (RFC 8489 section 5).
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |0 0|   method and class        |        message length         |
//   |                         magic cookie                          |
//   |                                                               |
//   |                     transaction id (96 bits)                  |
//   |                                                               |
//
// Made only by parse(), which walks the attributes once and remembers where they are; after that
// every accessor is total. Borrows the bytes. What follows MESSAGE-INTEGRITY is not seen, except
// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (section 14.5). Of duplicates only the first is seen.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "base/expected.h"
#include "stun/attributes.h"

namespace turnpike::stun {

enum class ParseError : std::uint8_t {
  kTooShort,
  kNotStun,            // the first two bits, or the magic cookie
  kLengthMismatch,     // not a multiple of four, or not what the datagram holds
  kAttributeOverrun,   // an attribute longer than what is left
  kTooManyAttributes,  // more than kMaxAttributes
  kBadFingerprint,     // present and wrong, or not the last attribute
};

using TransactionId = std::array<std::uint8_t, 12>;

class MessageView {
 public:
  static constexpr std::size_t kMaxAttributes = 32;

  // `bytes` must be exactly one message.
  static Expected<MessageView, ParseError> parse(ByteView bytes);
  // A message of RFC 3489: where the cookie would stand are 32 more bits of the transaction id,
  // and they are not the cookie.
  static Expected<MessageView, ParseError> parse_classic(ByteView bytes);

  Class message_class() const;
  // The raw 12-bit method; may be one we do not know.
  std::uint16_t method() const;
  bool is(Class cls, Method m) const {
    return message_class() == cls && method() == static_cast<std::uint16_t>(m);
  }
  TransactionId transaction_id() const;
  ByteView bytes() const { return bytes_; }

  bool has(Attribute attribute) const { return value(attribute).has_value(); }
  // The value without padding; borrowed.
  std::optional<ByteView> value(Attribute attribute) const;
  std::optional<std::string_view> text(Attribute attribute) const;
  // nullopt when absent or when its length is not exactly the type's: use has() to tell them apart.
  std::optional<std::uint32_t> u32(Attribute attribute) const;
  std::optional<Address> xor_address(Attribute attribute) const;
  std::optional<Address> plain_address(Attribute attribute) const;  // MAPPED-ADDRESS form
  std::optional<std::uint16_t> channel_number() const;
  std::optional<std::uint8_t> requested_transport() const;
  std::optional<std::uint8_t> requested_address_family() const;  // 1 IPv4, 2 IPv6
  struct ErrorValue {
    std::uint16_t code = 0;
    std::string_view reason;
  };
  std::optional<ErrorValue> error_code() const;

  struct Entry {
    std::uint16_t type = 0;
    std::uint16_t length = 0;
    std::uint32_t offset = 0;  // of the value, from the start of the message
  };
  // In order of appearance: every attribute that is seen, for unknown-attribute checks, for
  // attributes that may repeat (XOR-PEER-ADDRESS), and printing.
  std::span<const Entry> entries() const { return {entries_.data(), count_}; }
  ByteView value_of(const Entry& entry) const { return bytes_.subspan(entry.offset, entry.length); }
  std::optional<Address> xor_address_of(const Entry& entry) const;
  // Comprehension-required types that this server's table does not know, each once, in order.
  struct UnknownTypes {
    std::array<std::uint16_t, kMaxAttributes> types{};
    std::size_t count = 0;
  };
  UnknownTypes unknown_required() const;

 private:
  MessageView() = default;
  static Expected<MessageView, ParseError> parse_attributes(ByteView bytes);
  ByteView bytes_;
  std::array<Entry, kMaxAttributes> entries_;
  std::size_t count_ = 0;
};

}  // namespace turnpike::stun
