// Packets and payloads of Engine.IO 3 and 4: the examples of the protocol documents, every way to
// be wrong, and the limits.
#include "signaling/engineio_packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace turnpike::signaling::engineio {
namespace {

using ::testing::ElementsAre;
using Status = PayloadReader::Status;
using namespace std::string_literals;

constexpr std::string_view kSmile = "\xf0\x9f\x98\x80";  // U+1F600

// Each packet as "type|data" or "type|<bin>data"; "bad" when the reader says so.
std::vector<std::string> read(Version version, BodyFormat format, std::string_view body) {
  PayloadReader reader(version, format, body);
  std::vector<std::string> packets;
  Packet packet;
  Status status;
  while ((status = reader.next(packet)) == Status::kPacket) {
    packets.push_back(std::to_string(static_cast<int>(packet.type)) + "|" +
                      (packet.kind == Kind::kBinary ? "<bin>" : "") + std::string(packet.data));
  }
  EXPECT_EQ(reader.next(packet), status);
  if (status == Status::kBad) packets.push_back("bad");
  return packets;
}

std::vector<std::string> read3(std::string_view body) {
  return read(Version::k3, BodyFormat::kText, body);
}
std::vector<std::string> read3_binary(std::string_view body) {
  return read(Version::k3, BodyFormat::kBinary, body);
}
std::vector<std::string> read4(std::string_view body) {
  return read(Version::k4, BodyFormat::kText, body);
}

std::string write(Version version, BodyFormat format, std::vector<Packet> packets) {
  return encode_payload(version, format, packets);
}

const Packet kHello{Type::kMessage, Kind::kText, "hello"};
const Packet kBytes{Type::kMessage, Kind::kBinary, "\x01\x02\x03\x04"};

TEST(EngineIoPacket, HasItsTypeAsTheFirstDigit) {
  std::string scratch;
  for (int type = 0; type <= 6; ++type) {
    const std::string text = std::to_string(type) + "data";
    const auto packet = decode_text(Version::k4, text, scratch);
    ASSERT_TRUE(packet);
    EXPECT_EQ(static_cast<int>(packet->type), type);
    EXPECT_EQ(packet->data, "data");
  }
  for (const std::string_view bad : {"", "7", "9x", "abc", "/", ":", " 4"}) {
    EXPECT_FALSE(decode_text(Version::k3, bad, scratch)) << bad;
    EXPECT_FALSE(decode_text(Version::k4, bad, scratch)) << bad;
  }
}

TEST(EngineIoPacket, CarriesBinaryAsBase64WithTheTypeInProtocol3Only) {
  std::string scratch;
  EXPECT_EQ(decode_text(Version::k3, "b4AQIDBA==", scratch), kBytes);
  EXPECT_EQ(decode_text(Version::k4, "bAQIDBA==", scratch), kBytes);
  EXPECT_EQ(decode_text(Version::k4, "b", scratch)->data, "");
  for (const std::string_view bad : {"b", "b7AQIDBA==", "b4AQIDBA=", "b4AQ?DBA=="}) {
    EXPECT_FALSE(decode_text(Version::k3, bad, scratch)) << bad;
  }
  EXPECT_FALSE(decode_text(Version::k4, "b4AQIDBA==", scratch));
}

TEST(EngineIoPacket, IsABareBinaryFrameInProtocol4AndBehindItsTypeInProtocol3) {
  EXPECT_EQ(decode_binary(Version::k4, "\x01\x02\x03\x04"), kBytes);
  EXPECT_EQ(decode_binary(Version::k3, "\x04\x01\x02\x03\x04"), kBytes);
  EXPECT_EQ(decode_binary(Version::k4, "")->data, "");
  EXPECT_FALSE(decode_binary(Version::k3, ""));
  EXPECT_FALSE(decode_binary(Version::k3, "\x07"));
  EXPECT_FALSE(decode_binary(Version::k3, "4hello"));
  EXPECT_EQ(encode_frame(Version::k4, kBytes), "\x01\x02\x03\x04");
  EXPECT_EQ(encode_frame(Version::k3, kBytes), "\x04\x01\x02\x03\x04");
  EXPECT_EQ(encode_frame(Version::k3, kHello), "4hello");
  EXPECT_EQ(encode_frame(Version::k4, kHello), "4hello");
}

TEST(EngineIoPayload, OfProtocol4StandsBetweenRecordSeparators) {
  EXPECT_THAT(read4("4hello"), ElementsAre("4|hello"));
  EXPECT_THAT(read4("4a\x1e"
                    "2\x1e"
                    "bAQIDBA==\x1e"
                    "4"),
              ElementsAre("4|a", "2|", "4|<bin>\x01\x02\x03\x04", "4|"));
  EXPECT_EQ(write(Version::k4, BodyFormat::kText, {kHello, kBytes, {Type::kNoop, Kind::kText, ""}}),
            "4hello\x1e"
            "bAQIDBA==\x1e"
            "6");
  // Characters beyond ASCII stay what they are.
  EXPECT_EQ(write(Version::k4, BodyFormat::kText, {{Type::kMessage, Kind::kText, "\"\u00e9\""}}),
            "4\"\u00e9\"");
}

TEST(EngineIoPayload, OfProtocol4IsBadWithAnEmptyOrUnknownPacket) {
  EXPECT_THAT(read4(""), ElementsAre("bad"));
  EXPECT_THAT(read4("abc"), ElementsAre("bad"));
  EXPECT_THAT(read4("4a\x1e"), ElementsAre("4|a", "bad"));
  EXPECT_THAT(read4("\x1e"
                    "4a"),
              ElementsAre("bad"));
  EXPECT_THAT(read4("4a\x1e\x1e"
                    "4b"),
              ElementsAre("4|a", "bad"));
}

TEST(EngineIoPayload, OfProtocol3CountsUtf16Units) {
  EXPECT_THAT(read3("6:4hello"), ElementsAre("4|hello"));
  EXPECT_THAT(read3("6:4hello10:b4AQIDBA==1:2"),
              ElementsAre("4|hello", "4|<bin>\x01\x02\x03\x04", "2|"));
  // One unit each for e acute and the euro sign, two for the smile.
  EXPECT_THAT(read3("5:4\u00e9\u20ac" + std::string(kSmile) + "1:6"),
              ElementsAre("4|\u00e9\u20ac" + std::string(kSmile), "6|"));
  EXPECT_EQ(write(Version::k3, BodyFormat::kText,
                  {{Type::kMessage, Kind::kText, "\u00e9" + std::string(kSmile)}, kBytes}),
            "4:4\u00e9" + std::string(kSmile) + "10:b4AQIDBA==");
  EXPECT_EQ(utf16_length("a\u00e9\u20ac" + std::string(kSmile)), 5u);
}

TEST(EngineIoPayload, OfProtocol3IsBadWhenALengthDoesNotFit) {
  for (const std::string_view bad :
       {"", "abc", "6", "6:", "7:4hello", ":4", "0:", "-1:4", "+1:4", " 1:4", "1x:4",
        "1234567890:4", "99999999999999999999:4", "1:46"}) {
    EXPECT_EQ(read3(bad).back(), "bad") << bad;
  }
  EXPECT_THAT(read3("2:4" + std::string(kSmile)), ElementsAre("bad"));  // half a character
  EXPECT_THAT(read3("1:26:4hell"), ElementsAre("2|", "bad"));
}

TEST(EngineIoPayload, OfProtocol3MayBeBytes) {
  const std::string body =
      "\0\6\xff"
      "4hello"s +
      "\1\5\xff\4\1\2\3\4"s;
  EXPECT_THAT(read3_binary(body), ElementsAre("4|hello", "4|<bin>\x01\x02\x03\x04"));
  EXPECT_EQ(write(Version::k3, BodyFormat::kBinary, {kHello, kBytes}), body);
  // The document's example of a text: its length is in bytes.
  EXPECT_THAT(read3_binary("\0\4\xff"
                           "4\u20ac"s),
              ElementsAre("4|\u20ac"));
  EXPECT_EQ(write(Version::k3, BodyFormat::kBinary, {{Type::kMessage, Kind::kText, "\u20ac"}}),
            "\0\4\xff"
            "4\u20ac"s);
  const std::string long_text(120, 'x');
  EXPECT_EQ(write(Version::k3, BodyFormat::kBinary, {{Type::kMessage, Kind::kText, long_text}}),
            "\0\1\2\1\xff"
            "4"s +
                long_text);
  EXPECT_THAT(read3_binary("\0\1\2\1\xff"
                           "4"s +
                           long_text),
              ElementsAre("4|" + long_text));
}

TEST(EngineIoPayload, OfBytesIsBadWhenItsFramesAre) {
  for (const std::string& bad : {""s, "\0"s, "\0\1"s,
                                 "\2\1\xff"
                                 "4"s,
                                 "\0\2\xff"
                                 "4"s,
                                 "\0\0\xff"s, "\1\0\xff"s, "\0\xff"s,
                                 "\0\x0a\xff"
                                 "4"s,
                                 "\1\1\xff\7"s,
                                 "\0\2\xff"
                                 "4\xc3"s,
                                 "\0"
                                 "6\xff"
                                 "4hello"s,
                                 "\0\0\0\0\0\0\0\0\0\0\0\1\xff"
                                 "4"s,
                                 "\0\6\xff"
                                 "4hello\3"s}) {
    EXPECT_EQ(read3_binary(bad).back(), "bad") << ::testing::PrintToString(bad);
  }
}

TEST(EngineIoPayload, HasAMaximumOfPackets) {
  const auto payload = [](std::uint32_t count) {
    std::string body = "6";
    for (std::uint32_t i = 1; i < count; ++i)
      body +=
          "\x1e"
          "6";
    return body;
  };
  EXPECT_NE(read4(payload(PayloadReader::kMaxPackets)).back(), "bad");
  EXPECT_EQ(read4(payload(PayloadReader::kMaxPackets + 1)).back(), "bad");
}

TEST(EngineIoEscape, MakesJsonStringsAscii) {
  EXPECT_EQ(escape_json_strings("2[\"h\u00e9\",\"\u20ac\"]"), "2[\"h\\u00e9\",\"\\u20ac\"]");
  EXPECT_EQ(escape_json_strings("\"" + std::string(kSmile) + "\""), "\"\\ud83d\\ude00\"");
  EXPECT_EQ(escape_json_strings("\"plain\\n\""), "\"plain\\n\"");
}

TEST(EngineIoEscape, LeavesWhatIsOutsideOfStrings) {
  EXPECT_EQ(escape_json_strings("2/r\u00e9,[\"\u00e9\"]\u00e9"), "2/r\u00e9,[\"\\u00e9\"]\u00e9");
  EXPECT_EQ(escape_json_strings("no string: \u00e9"), "no string: \u00e9");
}

TEST(EngineIoEscape, KnowsWhereAStringEnds) {
  EXPECT_EQ(escape_json_strings("[\"a\\\"\u00e9\"]"), "[\"a\\\"\\u00e9\"]");
  EXPECT_EQ(escape_json_strings("[\"a\\\\\"]\u00e9"), "[\"a\\\\\"]\u00e9");
}

TEST(EngineIoEscape, AppliesToTextOfProtocol3AndItsLength) {
  EXPECT_EQ(write(Version::k3, BodyFormat::kText, {{Type::kMessage, Kind::kText, "\"\u00e9\""}}),
            "9:4\"\\u00e9\"");
  EXPECT_EQ(write(Version::k3, BodyFormat::kBinary, {{Type::kMessage, Kind::kText, "\"\u00e9\""}}),
            "\0\x09\xff"
            "4\"\\u00e9\""s);
}

TEST(EngineIoJsonp, IsACallWithAString) {
  EXPECT_EQ(wrap_jsonp("7", "6:4\"hi\""), "___eio[7](\"6:4\\\"hi\\\"\");");
  EXPECT_EQ(wrap_jsonp("", "4\xe2\x80\xa8|\xe2\x80\xa9|\u20ac"),
            "___eio[](\"4\\u2028|\\u2029|\u20ac\");");
}

TEST(EngineIoJsonp, PostsAFormWhoseLineEndsAreWrittenOut) {
  EXPECT_EQ(unwrap_jsonp("d=6%3A4hello"), "6:4hello");
  EXPECT_EQ(unwrap_jsonp("d=4a%5Cnb"), "4a\nb");
  EXPECT_EQ(unwrap_jsonp("d=4a%5C%5Cnb"), "4a\\nb");
  EXPECT_EQ(unwrap_jsonp("d=4a%5C%5C%5Cnb"), "4a\\\\nb");
  EXPECT_EQ(unwrap_jsonp("d=4a%5Ctb+c"), "4a\\tb c");
  EXPECT_EQ(unwrap_jsonp("e=4hello"), std::nullopt);
  EXPECT_EQ(unwrap_jsonp(""), std::nullopt);
}

}  // namespace
}  // namespace turnpike::signaling::engineio
