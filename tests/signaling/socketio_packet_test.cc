#include "signaling/socketio_packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "signaling/json_text.h"

namespace turnpike::signaling::socketio {
namespace {

using engineio::Version;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::optional<Packet> five(std::string_view text) { return parse_packet(Version::k4, text); }
std::optional<Packet> four(std::string_view text) { return parse_packet(Version::k3, text); }

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(SocketIoPacket, ReadsEveryPartOfAnEvent) {
  const auto packet = five(R"(51-/chat,17["up",{"_placeholder":true,"num":0}, 2 ])");
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->type, Type::kBinaryEvent);
  EXPECT_EQ(packet->attachments, 1u);
  EXPECT_EQ(packet->name_space, "/chat");
  EXPECT_EQ(packet->id, 17u);
  EXPECT_THAT(packet->elements, ElementsAre("\"up\"", R"({"_placeholder":true,"num":0})", "2"));
}

TEST(SocketIoPacket, LeavesOutWhatMayBeLeftOut) {
  const auto connect = five("0");
  ASSERT_TRUE(connect);
  EXPECT_EQ(connect->name_space, "/");
  EXPECT_EQ(connect->payload, "");
  EXPECT_EQ(five("0/chat")->name_space, "/chat");
  EXPECT_EQ(five("0/chat,")->name_space, "/chat");
  EXPECT_EQ(five(R"(0/chat,{"a":1})")->payload, R"({"a":1})");
  EXPECT_EQ(five(R"(2["a"])")->id, std::nullopt);
  EXPECT_EQ(five(R"(20["a"])")->id, 0u);
  EXPECT_THAT(five("31[]")->elements, IsEmpty());
  EXPECT_EQ(five("1")->type, Type::kDisconnect);
}

TEST(SocketIoPacket, CutsTheQueryOffTheNamespaceWithProtocol4Only) {
  const auto old = four("0/chat?token=x&a=/,");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->name_space, "/chat");
  EXPECT_EQ(old->query, "token=x&a=/");
  EXPECT_EQ(five("0/chat?token=x")->name_space, "/chat?token=x");
}

TEST(SocketIoPacket, RefusesWhatNoClientSends) {
  for (const std::string_view text : {"",
                                      "7",
                                      "a",
                                      "-1",
                                      "2",
                                      "2{}",
                                      "2[]",
                                      "2[null]",
                                      "2[{}]",
                                      "2[[\"a\"]]",
                                      "2[\"a\"",
                                      "2\"a\"",
                                      "2abc[\"a\"]",
                                      "2-1[\"a\"]",
                                      "21.5[\"a\"]",
                                      "2[\"a\"]x",
                                      "2[\"a\",]",
                                      "2[\"\\x\"]",
                                      "2[\"a",
                                      "3[]",
                                      "31{}",
                                      "31",
                                      "0[]",
                                      "0\"a\"",
                                      "0{",
                                      "0nul",
                                      "1{}",
                                      "2[\"a\\u12\"]",
                                      "2[\"connect\"]",
                                      "2[\"connect_error\"]",
                                      "2[\"disconnect\"]",
                                      "2[\"disconnecting\"]",
                                      "2[\"newListener\"]",
                                      "2[\"removeListener\"]",
                                      "2[\"\\u0063onnect\"]",
                                      "5[\"a\"]",
                                      "5-[\"a\"]",
                                      "51[\"a\"]",
                                      "511-[\"a\"]",
                                      "5999999999999999999999-[\"a\"]",
                                      "5-1-[\"a\"]",
                                      "299999999999999999999[\"a\"]",
                                      "0/a\nb",
                                      "2[\"a\"]\x1e"}) {
    EXPECT_FALSE(five(text)) << text;
  }
  EXPECT_FALSE(five("0/" + std::string(kMaxNamespaceText, 'a')));
}

TEST(SocketIoPacket, LetsProtocol4CallItsEventsAnything) {
  EXPECT_TRUE(four("2[\"connect\"]"));
  EXPECT_TRUE(four("2[7]"));
  EXPECT_TRUE(four("0\"whatever\""));
  EXPECT_FALSE(four("2[{}]"));
  EXPECT_FALSE(four("2[true]"));
}

TEST(SocketIoPacket, TakesNumbersForNames) {
  EXPECT_THAT(five("2[-1.5e3,\"x\"]")->elements, ElementsAre("-1.5e3", "\"x\""));
}

TEST(SocketIoPacket, BoundsDepthAndCount) {
  EXPECT_TRUE(five("2[\"a\"," + nested(kMaxJsonDepth - 1) + "]"));
  EXPECT_FALSE(five("2[\"a\"," + nested(kMaxJsonDepth) + "]"));
  EXPECT_FALSE(five("2[\"a\"," + nested(20'000) + "]"));
  EXPECT_FALSE(five("2[\"a\"," + std::string(20'000, '[')));
  std::string most = "2[\"a\"";
  for (std::size_t i = 1; i < kMaxElements; ++i) most += ",1";
  EXPECT_TRUE(five(most + "]"));
  EXPECT_FALSE(five(most + ",1]"));
}

TEST(SocketIoPacket, KeepsHugeNumbersAndHalfPairsAsTheyAre) {
  const std::string huge(400, '9');
  EXPECT_THAT(five("2[\"a\"," + huge + ",1e999,\"\\ud800\"]")->elements,
              ElementsAre("\"a\"", huge, "1e999", "\"\\ud800\""));
}

TEST(SocketIoPacket, FindsPlaceholdersWithoutAnAttachment) {
  const auto fits = [](std::string_view json) { return placeholders_fit(json, 2); };
  EXPECT_TRUE(fits(R"(["a",{"_placeholder":true,"num":0},[{"num":1,"_placeholder":true}]])"));
  EXPECT_TRUE(fits(R"({"_placeholder":false,"num":9})"));
  EXPECT_TRUE(fits(R"({"_placeholder":1})"));
  EXPECT_TRUE(fits(R"(["_placeholder",true])"));
  EXPECT_TRUE(fits(R"({"a":"_placeholder","b":{"num":7}})"));
  EXPECT_TRUE(fits(R"({"_placeholder":true,"_placeholder":{}})"));
  EXPECT_FALSE(fits(R"({"_placeholder":true})"));
  EXPECT_FALSE(fits(R"({"_placeholder":true,"num":2})"));
  EXPECT_FALSE(fits(R"({"_placeholder":true,"num":-1})"));
  EXPECT_FALSE(fits(R"({"_placeholder":true,"num":0.5})"));
  EXPECT_FALSE(fits(R"({"_placeholder":true,"num":"0"})"));
  EXPECT_FALSE(fits(R"({"_placeholder":true,"num":[0]})"));
  EXPECT_FALSE(fits(R"({"_placeholder" : true , "num" : 0, "num" : 5})"));
  EXPECT_FALSE(fits(R"({"\u005fplaceholder":true,"num":3})"));
  EXPECT_FALSE(fits(R"({"x\"":{"y":[{"_placeholder":true,"num":3}]}})"));
  EXPECT_FALSE(fits(R"({"num":0,"_placeholder":true,"n":{"_placeholder":true,"num":2}})"));
}

TEST(SocketIoPacket, RefusesBinaryPacketsThatLieAboutAttachments) {
  EXPECT_TRUE(five(R"(50-["a"])"));
  EXPECT_FALSE(five(R"(50-["a",{"_placeholder":true,"num":0}])"));
  EXPECT_FALSE(five(R"(51-["a",{"_placeholder":true,"num":1}])"));
  EXPECT_TRUE(five(R"(510-["a",{"_placeholder":true,"num":9}])"));
  // Clients do not look for placeholders in events without attachments.
  EXPECT_TRUE(five(R"(2["a",{"_placeholder":true,"num":5}])"));
}

TEST(SocketIoPacket, WritesWhatItReads) {
  std::string text;
  append_head(text, Type::kBinaryEvent, 2, "/chat", 7);
  const std::vector<std::string_view> args = {"1", "{\"a\":null}"};
  append_event(text, "na\"me", args, "last");
  EXPECT_EQ(text, R"(52-/chat,7["na\"me",1,{"a":null},"last"])");
  const auto packet = five(text);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->id, 7u);
  text.clear();
  append_head(text, Type::kAck, 0, "/", 0);
  append_array(text, args);
  EXPECT_EQ(text, R"(30[1,{"a":null}])");
}

TEST(JsonElements, TakesArraysApartOneLevel) {
  EXPECT_THAT(json_elements(" [ 1 , [2,3] ,{\"a\":[4]}, \"],\" ] ", 4).value(),
              ElementsAre("1", "[2,3]", "{\"a\":[4]}", "\"],\""));
  EXPECT_THAT(json_elements("[]", 0).value(), IsEmpty());
  EXPECT_FALSE(json_elements("[1]", 0));
  for (const std::string_view text : {"", "1", "{}", "[", "[1", "[1,]", "[,1]", "[1]]", "[1] x"}) {
    EXPECT_FALSE(json_elements(text, 9)) << text;
  }
}

}  // namespace
}  // namespace turnpike::signaling::socketio
