// Any bytes as a STUN message: after parse() nothing can fail, and what was read can be written
// again, signed, and read back the same.

#include <array>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "stun/builder.h"
#include "stun/classify.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/nonce.h"

namespace turnpike::stun {

namespace {

constexpr std::string_view kKey = "sixteen byte key";

bool is_seal(std::uint16_t type) {
  return type == static_cast<std::uint16_t>(Attribute::kMessageIntegrity) ||
         type == static_cast<std::uint16_t>(Attribute::kMessageIntegritySha256) ||
         type == static_cast<std::uint16_t>(Attribute::kFingerprint);
}

void read_everything(const MessageView& message) {
  for (const MessageView::Entry& entry : message.entries()) {
    CHECK(entry.offset + std::size_t{entry.length} <= message.bytes().size());
    CHECK(message.value_of(entry).size() == entry.length);
    (void)message.xor_address_of(entry);
    const auto attribute = static_cast<Attribute>(entry.type);
    CHECK(message.has(attribute));
    (void)message.text(attribute);
    (void)message.u32(attribute);
    (void)message.xor_address(attribute);
    (void)message.plain_address(attribute);
    (void)attribute_name(entry.type);
  }
  (void)message.channel_number();
  (void)message.requested_transport();
  (void)message.requested_address_family();
  if (const auto error = message.error_code()) CHECK(error->code >= 300 && error->code <= 699);
  CHECK(message.unknown_required().count <= message.entries().size());
  (void)verify_message_integrity(message, as_bytes(kKey));
  (void)verify_message_integrity_sha256(message, as_bytes(kKey));
  if (const auto nonce = message.text(Attribute::kNonce)) {
    CHECK(!NonceSource({}, seconds{600}).is_valid(*nonce, {seconds{1}}, Address{}));
  }
}

void write_again(const MessageView& message) {
  std::vector<std::uint8_t> room(message.bytes().size() + 64);
  Builder builder(room, message.message_class(), message.method(), message.transaction_id());
  std::vector<MessageView::Entry> kept;
  for (const MessageView::Entry& entry : message.entries()) {
    if (is_seal(entry.type)) continue;
    kept.push_back(entry);
    builder.bytes(static_cast<Attribute>(entry.type), message.value_of(entry));
  }
  if (kept.size() + 2 > MessageView::kMaxAttributes) return;
  builder.message_integrity(as_bytes(kKey)).fingerprint();
  const ByteView written = builder.finish();
  CHECK(!written.empty());
  CHECK(classify(written) == classify(message.bytes()));

  const auto again = MessageView::parse(written);
  CHECK(again.has_value());
  CHECK(again->method() == message.method());
  CHECK(again->message_class() == message.message_class());
  CHECK(again->transaction_id() == message.transaction_id());
  CHECK(again->entries().size() == kept.size() + 2);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    CHECK(again->entries()[i].type == kept[i].type);
    CHECK(equal(again->value_of(again->entries()[i]), message.value_of(kept[i])));
  }
  CHECK(verify_message_integrity(*again, as_bytes(kKey)));
}

}  // namespace

}  // namespace turnpike::stun

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  const ByteView bytes(data, size);
  const auto kind = stun::classify(bytes);
  const auto message = stun::MessageView::parse(bytes);
  if (!message) return 0;
  // Methods from 0x100 on are STUN too, but RFC 7983 gives their first bytes to others.
  CHECK(kind == stun::PacketKind::kStun || data[0] >= 4);
  stun::read_everything(*message);
  stun::write_again(*message);
  return 0;
}
