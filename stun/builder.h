// Builder: writes a STUN message into room it is given. Overflow is sticky and told once, by
// finish(). Padding is always zero (CVE-2020-4067 was padding that was not).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "stun/attributes.h"
#include "stun/integrity.h"
#include "stun/message.h"

namespace turnpike::stun {

class Builder {
 public:
  Builder(MutableBytes room, Class cls, std::uint16_t method, const TransactionId& id);
  Builder(MutableBytes room, Class cls, Method method, const TransactionId& id)
      : Builder(room, cls, static_cast<std::uint16_t>(method), id) {}
  // A response to `request`: its method, its transaction id, and what stands where the cookie is.
  static Builder response(MutableBytes room, Class cls, const MessageView& request);

  Builder& bytes(Attribute attribute, ByteView value);
  Builder& text(Attribute attribute, std::string_view value) {
    return bytes(attribute, as_bytes(value));
  }
  Builder& flag(Attribute attribute) { return bytes(attribute, {}); }
  Builder& u32(Attribute attribute, std::uint32_t value);
  Builder& u64(Attribute attribute, std::uint64_t value);
  Builder& xor_address(Attribute attribute, const Address& address);
  Builder& plain_address(Attribute attribute, const Address& address);
  Builder& channel_number(std::uint16_t number);
  Builder& requested_transport(std::uint8_t protocol);
  Builder& requested_address_family(Family family);
  // ERROR-CODE, with its standard phrase or with none.
  enum class Phrase : std::uint8_t { kStandard, kNone };
  Builder& error(ErrorCode code, Phrase phrase = Phrase::kStandard);
  Builder& unknown_attributes(std::span<const std::uint16_t> types);
  // MESSAGE-INTEGRITY over what was written so far (RFC 8489 section 14.5), with the 16-byte MD5
  // key, a SHA-256 key or a short-term password.
  Builder& message_integrity(ByteView key);
  Builder& message_integrity_sha256(ByteView key);
  Builder& sign(const SigningKey& key);  // with the attribute that the key makes
  Builder& fingerprint();

  std::size_t size() const { return writer_.size(); }  // written so far

  // The finished message, borrowed from the room; empty when it did not fit.
  ByteView finish();

 private:
  void begin(std::uint16_t type, std::size_t length);
  void end(std::size_t length);
  void set_length(std::size_t after_header);

  MutableBytes room_;
  Writer writer_;
  TransactionId id_;
};

}  // namespace turnpike::stun
