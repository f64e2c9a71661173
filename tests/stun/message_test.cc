#include "stun/message.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "stun/builder.h"
#include "stun/integrity.h"
#include "tests/vectors/hex.h"

namespace turnpike::stun {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr const char* kCookieAndId = "2112a442 000102030405060708090a0b";

// A Binding request with these attributes; the length field fits them.
Bytes request_with(std::string_view attributes_hex) {
  const Bytes attributes = from_hex(attributes_hex);
  Bytes bytes = from_hex("00010000" + std::string(kCookieAndId));
  bytes[2] = static_cast<std::uint8_t>(attributes.size() >> 8);
  bytes[3] = static_cast<std::uint8_t>(attributes.size());
  bytes.insert(bytes.end(), attributes.begin(), attributes.end());
  return bytes;
}

std::optional<ParseError> error_of(const Bytes& bytes) {
  const auto message = MessageView::parse(bytes);
  return message ? std::nullopt : std::optional(message.error());
}

// Views borrow: the bytes must outlive the view that a test looks at.
struct Parsed {
  explicit Parsed(Bytes from) : bytes(std::move(from)), view(*MessageView::parse(bytes)) {}
  Bytes bytes;
  MessageView view;
};

TEST(Message, TheSmallestIsAHeaderAlone) {
  const Parsed parsed(request_with(""));
  EXPECT_TRUE(parsed.view.is(Class::kRequest, Method::kBinding));
  EXPECT_TRUE(parsed.view.entries().empty());
  EXPECT_EQ(hex_encode(parsed.view.transaction_id()), "000102030405060708090a0b");
}

TEST(Message, EveryPrefixOfAHeaderIsTooShort) {
  const Bytes whole = request_with("");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(error_of(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))),
              ParseError::kTooShort);
  }
}

TEST(Message, TheFirstTwoBitsAndTheCookieMustBeRight) {
  for (const std::uint8_t first : {std::uint8_t{0x40}, std::uint8_t{0x80}, std::uint8_t{0xC0}}) {
    Bytes bytes = request_with("");
    bytes[0] = first;
    EXPECT_EQ(error_of(bytes), ParseError::kNotStun);
  }
  for (std::size_t at = 4; at < 8; ++at) {
    Bytes bytes = request_with("");
    bytes[at] ^= 1;
    EXPECT_EQ(error_of(bytes), ParseError::kNotStun);
  }
}

TEST(Message, TheLengthMustBeAMultipleOfFourAndWhatIsThere) {
  for (const int length : {0, 1, 2, 3, 5, 7, 12}) {
    Bytes bytes = request_with("80220004 61626364");
    bytes[3] = static_cast<std::uint8_t>(length);
    EXPECT_EQ(error_of(bytes), ParseError::kLengthMismatch) << length;
  }
  for (int length = 1; length < 12; ++length) {
    if (length % 4 == 0) continue;
    Bytes bytes = request_with("80220004 61626364 80220000");
    bytes.resize(kHeaderSize + static_cast<std::size_t>(length));
    bytes[3] = static_cast<std::uint8_t>(length);
    EXPECT_EQ(error_of(bytes), ParseError::kLengthMismatch) << length;
  }
  Bytes longer = request_with("80220004 61626364");
  longer.push_back(0);
  EXPECT_EQ(error_of(longer), ParseError::kLengthMismatch);
}

TEST(Message, AnAttributeMustEndWithinTheMessage) {
  EXPECT_EQ(error_of(request_with("80220004")), ParseError::kAttributeOverrun);
  EXPECT_EQ(error_of(request_with("80220005 61626364")), ParseError::kAttributeOverrun);
  EXPECT_EQ(error_of(request_with("8022ffff 61626364")), ParseError::kAttributeOverrun);
  EXPECT_EQ(error_of(request_with("80220001 61000000")), std::nullopt);
  EXPECT_EQ(error_of(request_with("80220000")), std::nullopt);
}

TEST(Message, HoldsThirtyTwoAttributesAndRefusesOneMore) {
  std::string attributes;
  for (std::size_t i = 0; i < MessageView::kMaxAttributes; ++i) attributes += "c0010000";
  EXPECT_EQ(Parsed(request_with(attributes)).view.entries().size(), 32u);
  EXPECT_EQ(error_of(request_with(attributes + "c0010000")), ParseError::kTooManyAttributes);
}

TEST(Message, ClassAndMethodComeFromInterleavedBits) {
  for (const Class cls : {Class::kRequest, Class::kIndication, Class::kSuccess, Class::kError}) {
    for (std::uint16_t method = 0; method < 0x1000; ++method) {
      std::array<std::uint8_t, 20> room;
      const ByteView built = Builder(room, cls, method, {}).finish();
      const auto message = MessageView::parse(built);
      ASSERT_TRUE(message);
      ASSERT_EQ(message->message_class(), cls);
      ASSERT_EQ(message->method(), method);
    }
  }
  Bytes allocate_error = request_with("");
  allocate_error[0] = 0x01, allocate_error[1] = 0x13;
  EXPECT_TRUE(Parsed(allocate_error).view.is(Class::kError, Method::kAllocate));
}

TEST(Message, ValuesComeWithoutTheirPaddingWhateverItHolds) {
  const Parsed parsed(request_with("80220001 61ffffff 00140003 62636400"));
  EXPECT_EQ(parsed.view.text(Attribute::kSoftware), "a");
  EXPECT_EQ(parsed.view.text(Attribute::kRealm), "bcd");
  EXPECT_FALSE(parsed.view.has(Attribute::kNonce));
  EXPECT_EQ(parsed.view.text(Attribute::kNonce), std::nullopt);
}

TEST(Message, OfDuplicatesTheFirstCountsAndAllAreListed) {
  const Parsed parsed(request_with("80220001 61000000 80220001 62000000"));
  EXPECT_EQ(parsed.view.text(Attribute::kSoftware), "a");
  ASSERT_EQ(parsed.view.entries().size(), 2u);
  EXPECT_EQ(as_text(parsed.view.value_of(parsed.view.entries()[1])), "b");
}

constexpr const char* kIntegrity = "00080014 0000000000000000000000000000000000000000";
constexpr const char* kIntegritySha256 =
    "001c0020 0000000000000000000000000000000000000000000000000000000000000000";
constexpr const char* kUsername = "00060001 75000000";
constexpr const char* kUnknownRequired = "7f010000";

TEST(Message, WhatFollowsMessageIntegrityIsNotSeen) {
  const Parsed parsed(request_with(std::string(kIntegrity) + kUsername + kUnknownRequired));
  EXPECT_TRUE(parsed.view.has(Attribute::kMessageIntegrity));
  EXPECT_FALSE(parsed.view.has(Attribute::kUsername));
  EXPECT_EQ(parsed.view.unknown_required().count, 0u);
  EXPECT_EQ(parsed.view.entries().size(), 1u);
}

TEST(Message, IntegritySha256IsSeenAfterMessageIntegrityButNotTheOtherWayRound) {
  const Parsed both(request_with(std::string(kIntegrity) + kUsername + kIntegritySha256));
  EXPECT_TRUE(both.view.has(Attribute::kMessageIntegritySha256));
  EXPECT_EQ(both.view.entries().size(), 2u);
  const Parsed reversed(request_with(std::string(kIntegritySha256) + kIntegrity + kUsername));
  EXPECT_FALSE(reversed.view.has(Attribute::kMessageIntegrity));
  EXPECT_EQ(reversed.view.entries().size(), 1u);
  const Parsed all(request_with(std::string(kIntegrity) + kIntegritySha256 + kIntegritySha256 +
                                kIntegrity + kUsername));
  EXPECT_EQ(all.view.entries().size(), 2u);
}

TEST(Message, WhatIsNotSeenMustStillBeWellFormed) {
  EXPECT_EQ(error_of(request_with(std::string(kIntegrity) + "7f010008 00000000")),
            ParseError::kAttributeOverrun);
}

Bytes with_fingerprint(Bytes bytes) {
  bytes[3] = static_cast<std::uint8_t>(bytes[3] + 8);
  const std::uint32_t value = fingerprint_of(bytes);
  const Bytes attribute = from_hex("80280004");
  bytes.insert(bytes.end(), attribute.begin(), attribute.end());
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  return bytes;
}

TEST(Fingerprint, IsSeenAfterTheIntegrityAttributes) {
  for (const std::string& before : {std::string(), std::string(kUsername), std::string(kIntegrity),
                                    std::string(kIntegrity) + kIntegritySha256}) {
    EXPECT_TRUE(Parsed(with_fingerprint(request_with(before))).view.has(Attribute::kFingerprint));
  }
}

TEST(Fingerprint, AWrongOneIsAnError) {
  for (int bit = 0; bit < 32; ++bit) {
    Bytes bytes = with_fingerprint(request_with(kUsername));
    bytes[bytes.size() - 1 - static_cast<std::size_t>(bit / 8)] ^=
        static_cast<std::uint8_t>(1u << bit % 8);
    EXPECT_EQ(error_of(bytes), ParseError::kBadFingerprint);
  }
  Bytes too_long = request_with("80280008 0000000000000000");
  const std::uint32_t right = fingerprint_of(ByteView(too_long).first(kHeaderSize));
  Writer(MutableBytes(too_long).subspan(kHeaderSize + 4)).u32(right);
  EXPECT_EQ(error_of(too_long), ParseError::kBadFingerprint);
  EXPECT_EQ(error_of(request_with("80280000")), ParseError::kBadFingerprint);
  EXPECT_EQ(error_of(request_with("80280008 0000000000000000")), ParseError::kBadFingerprint);
}

// RFC 8489 section 14.7: FINGERPRINT is the last attribute.
TEST(Fingerprint, OneThatIsNotTheLastAttributeIsAnError) {
  Bytes bytes = request_with("80280004 00000000 80220000");
  const std::uint32_t right = fingerprint_of(ByteView(bytes).first(kHeaderSize));
  Writer(MutableBytes(bytes).subspan(kHeaderSize + 4)).u32(right);
  EXPECT_EQ(error_of(bytes), ParseError::kBadFingerprint);
  EXPECT_EQ(error_of(with_fingerprint(with_fingerprint(request_with("")))),
            ParseError::kBadFingerprint);
}

TEST(Message, ListsUnknownRequiredAttributesOnceAndInOrder) {
  const Parsed parsed(
      request_with("7f020000 7e030004 00000002 7f020000 ff010000 00060000 7f010000"));
  const auto unknown = parsed.view.unknown_required();
  ASSERT_EQ(unknown.count, 3u);
  EXPECT_EQ(unknown.types[0], 0x7f02);
  EXPECT_EQ(unknown.types[1], 0x7e03);
  EXPECT_EQ(unknown.types[2], 0x7f01);
}

TEST(Message, NumbersMustHaveExactlyTheirLength) {
  EXPECT_EQ(Parsed(request_with("000d0004 00000258")).view.u32(Attribute::kLifetime), 600u);
  for (const char* wrong : {"000d0000", "000d0003 00025800", "000d0008 0000025800000000"}) {
    const Parsed parsed(request_with(wrong));
    EXPECT_TRUE(parsed.view.has(Attribute::kLifetime));
    EXPECT_EQ(parsed.view.u32(Attribute::kLifetime), std::nullopt);
  }
  EXPECT_EQ(Parsed(request_with("")).view.u32(Attribute::kLifetime), std::nullopt);
}

TEST(Message, SmallFieldsIgnoreTheirReservedBits) {
  const Parsed parsed(request_with("000c0004 4001ffff 00190004 11ffffff 00170004 02ffffff"));
  EXPECT_EQ(parsed.view.channel_number(), 0x4001);
  EXPECT_EQ(parsed.view.requested_transport(), kProtocolUdp);
  EXPECT_EQ(parsed.view.requested_address_family(), 2);
  const Parsed absent(request_with("000c0002 40010000 00190001 11000000"));
  EXPECT_EQ(absent.view.channel_number(), std::nullopt);
  EXPECT_EQ(absent.view.requested_transport(), std::nullopt);
  EXPECT_EQ(absent.view.requested_address_family(), std::nullopt);
}

TEST(Message, AddressesMustHaveAKnownFamilyAndItsLength) {
  const auto address = [](const char* attribute) {
    return Parsed(request_with(attribute)).view.xor_address(Attribute::kXorPeerAddress);
  };
  EXPECT_EQ(address("00120008 0001 a147 e112a643"), Address::parse("192.0.2.1:32853"));
  EXPECT_EQ(address("00120008 ff01 a147 e112a643"), Address::parse("192.0.2.1:32853"));
  for (const char* wrong :
       {"00120000", "00120004 0001a147", "00120008 0002a147e112a643", "00120008 0000a147e112a643",
        "00120008 0003a147e112a643", "0012000c 0001a147e112a64300000000",
        "00120014 0001a147 00000000000000000000000000000000",
        "00120014 0003a147 00000000000000000000000000000000",
        "00120018 0002a147 0000000000000000000000000000000000000000"}) {
    EXPECT_EQ(address(wrong), std::nullopt) << wrong;
  }
}

TEST(Message, AddressesComeBackAsTheyWereWritten) {
  for (const char* text :
       {"192.0.2.1:1", "0.0.0.0:0", "255.255.255.255:65535", "[::]:0", "[2001:db8::1]:3478",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"}) {
    const Address address = *Address::parse(text);
    std::array<std::uint8_t, 100> room;
    TransactionId id;
    id.fill(0xA5);
    Builder builder(room, Class::kSuccess, Method::kAllocate, id);
    builder.xor_address(Attribute::kXorRelayedAddress, address)
        .plain_address(Attribute::kMappedAddress, address);
    const auto message = MessageView::parse(builder.finish());
    ASSERT_TRUE(message);
    EXPECT_EQ(message->xor_address(Attribute::kXorRelayedAddress), address);
    EXPECT_EQ(message->plain_address(Attribute::kMappedAddress), address);
    EXPECT_EQ(message->xor_address(Attribute::kXorPeerAddress), std::nullopt);
  }
}

TEST(Message, APeerAddressMayRepeat) {
  std::array<std::uint8_t, 100> room;
  Builder builder(room, Class::kRequest, Method::kCreatePermission, {});
  builder.xor_address(Attribute::kXorPeerAddress, *Address::parse("192.0.2.1:1"))
      .xor_address(Attribute::kXorPeerAddress, *Address::parse("[2001:db8::2]:2"));
  const auto message = MessageView::parse(builder.finish());
  ASSERT_TRUE(message);
  ASSERT_EQ(message->entries().size(), 2u);
  EXPECT_EQ(message->xor_address_of(message->entries()[0]), Address::parse("192.0.2.1:1"));
  EXPECT_EQ(message->xor_address_of(message->entries()[1]), Address::parse("[2001:db8::2]:2"));
}

TEST(Message, ErrorCodesAreHundredsAndARest) {
  const auto code = [](const char* attribute) {
    const Parsed parsed(request_with(attribute));
    const auto error = parsed.view.error_code();
    return error ? int{error->code} : -1;
  };
  EXPECT_EQ(code("00090004 00000401"), 401);
  EXPECT_EQ(code("00090004 fffffc01"), 401);  // 21 reserved bits
  EXPECT_EQ(code("00090004 00000300"), 300);
  EXPECT_EQ(code("00090004 00000663"), 699);
  for (const char* wrong : {"00090000", "00090003 00000400", "00090004 00000201",
                            "00090004 00000701", "00090004 00000464"}) {
    EXPECT_EQ(code(wrong), -1) << wrong;
  }
  const Parsed with_reason(request_with("00090006 00000401 6e6f0000"));
  EXPECT_EQ(with_reason.view.error_code()->reason, "no");
}

// Whatever the bytes, parsing ends, and every accessor answers without touching foreign memory
// (the sanitizers watch).
TEST(Message, RandomDamageNeverBreaksAnAccessor) {
  const Bytes original = with_fingerprint(request_with(
      std::string(kUsername) + "00120008 0001a147e112a643 00090004 00000401" + kIntegrity));
  std::uint64_t state = 1;
  const auto draw = [&state] {
    return state = state * 6364136223846793005u + 1442695040888963407u, state >> 33;
  };
  int parsed = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = original;
    for (std::uint64_t i = draw() % 3; i < 3; ++i) {
      bytes[20 + draw() % (bytes.size() - 20)] = static_cast<std::uint8_t>(draw());
    }
    const auto message = MessageView::parse(bytes);
    if (!message) continue;
    ++parsed;
    for (const auto& entry : message->entries()) {
      (void)message->value_of(entry);
      (void)message->xor_address_of(entry);
    }
    (void)message->error_code();
    (void)message->unknown_required();
    (void)verify_message_integrity(*message, as_bytes("key"));
  }
  EXPECT_GT(parsed, 0);
}

}  // namespace
}  // namespace turnpike::stun
