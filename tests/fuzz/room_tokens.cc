// Any text as a room token, and any bytes as the claims of one that is signed rightly: no forged
// token enters a room, and a right one only rooms that its text holds. The first byte of the input
// decides which it is.

#include "signaling/room_tokens.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/digest.h"

namespace turnpike::signaling {
namespace {

constexpr std::string_view kSecret = "the-secret-of-the-application-0123456789";
constexpr std::string_view kPassword = "open sesame";
constexpr WallTime kNow{seconds(1'700'000'000)};

const RoomTokens& room_tokens() {
  static const RoomTokens tokens = [] {
    auto made = RoomTokens::make(
        {.jwt_keys = {std::string(kSecret)}, .passwords = {std::string(kPassword)}});
    CHECK(made.has_value());
    return std::move(*made);
  }();
  return tokens;
}

std::string signed_token(std::string_view claims) {
  std::string text = base64url_encode(as_bytes(R"({"alg":"HS256"})"));
  text.append(".").append(base64url_encode(as_bytes(claims)));
  const auto mac = hmac_sha256(as_bytes(kSecret), {as_bytes(text)});
  return text + "." + base64url_encode(mac);
}

// What a stranger makes up. Finding a right signature is beyond a fuzzer, so that whatever is
// admitted is the password.
void judge_stranger(std::string_view token) {
  const auto grant = room_tokens().judge(token, kNow);
  CHECK(!grant || token == kPassword);
  CHECK(room_tokens().admits(token, "demo", kNow) == grant.has_value());
}

void judge_claims(std::string_view claims) {
  const auto grant = room_tokens().judge(signed_token(claims), kNow);
  if (!grant) {
    CHECK(grant.error() != TokenFault::kForged && grant.error() != TokenFault::kMissing);
    return;
  }
  CHECK(!grant->rooms.empty());
  CHECK(!grant->expires || kNow < *grant->expires + RoomTokens::kLeeway);
  for (const std::string& room : grant->rooms) {
    CHECK(!room.empty());
    CHECK(grant->admits(room));
  }
}

}  // namespace
}  // namespace turnpike::signaling

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike::signaling;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 0) {
    judge_stranger(text);
  } else {
    judge_claims(text);
  }
  return 0;
}
