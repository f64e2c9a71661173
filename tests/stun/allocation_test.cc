// Parsing, building, integrity and nonces take nothing from the heap.
#include <gtest/gtest.h>

#include <array>

#include "stun/builder.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/nonce.h"
#include "tests/stun/counting_heap.h"

namespace turnpike::stun {
namespace {

const Address kClient = *Address::parse("[2001:db8::1]:40000");
constexpr WallTime kNow{seconds(1'800'000'000)};

bool challenge_and_answer(const NonceSource& nonces, const Md5Digest& key) {
  std::array<std::uint8_t, 400> room, answer_room;
  Builder request(room, Class::kRequest, Method::kRefresh, {});
  request.u32(Attribute::kLifetime, 600)
      .text(Attribute::kUsername, "user")
      .text(Attribute::kRealm, "realm")
      .text(Attribute::kNonce, nonces.make(kNow, kClient).view())
      .message_integrity(key)
      .message_integrity_sha256(key)
      .fingerprint();
  const auto message = MessageView::parse(request.finish());
  if (!message || !verify_message_integrity(*message, long_term_key("user", "realm", "pass")) ||
      !verify_message_integrity_sha256(*message, key) ||
      !nonces.is_valid(*message->text(Attribute::kNonce), kNow, kClient)) {
    return false;
  }
  Builder answer = Builder::response(answer_room, Class::kError, *message);
  answer.error(ErrorCode::kAllocationMismatch)
      .xor_address(Attribute::kXorMappedAddress, kClient)
      .bytes(Attribute::kUserhash, userhash("user", "realm"))
      .unknown_attributes(message->unknown_required().types)
      .message_integrity(key)
      .fingerprint();
  return MessageView::parse(answer.finish()).has_value();
}

TEST(Stun, TakesNothingFromTheHeap) {
  ASSERT_TRUE(heap_is_counted());
  const NonceSource nonces({}, seconds(600));
  const Md5Digest key = long_term_key("user", "realm", "pass");
  ASSERT_GT(heap_allocations(), 0u);
  const std::size_t before = heap_allocations();
  bool all_well = true;
  for (int i = 0; i < 1000; ++i) all_well = challenge_and_answer(nonces, key) && all_well;
  EXPECT_EQ(heap_allocations(), before);
  EXPECT_TRUE(all_well);
}

}  // namespace
}  // namespace turnpike::stun
