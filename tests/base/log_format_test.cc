#include "base/log_format.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace turnpike::log {
namespace {

Line line(std::string_view sentence, std::string_view fields = "") {
  using namespace std::chrono_literals;
  return {std::chrono::system_clock::time_point(1767225600s + 45ms), Level::kWarning, sentence,
          fields};
}

TEST(LogFormat, TextBeginsWithTimeAndLevelUnlessTheReaderKnowsThem) {
  EXPECT_EQ(to_text(line("port taken"), Head::kFull),
            "2026-01-01T00:00:00.045Z warning port taken");
  EXPECT_EQ(to_text(line("port taken"), Head::kNone), "port taken");
}

TEST(LogFormat, JsonIsOneObjectALine) {
  EXPECT_EQ(to_json(line(R"(say "hi" \o/)")),
            R"({"time":"2026-01-01T00:00:00.045Z","level":"warning","message":"say \"hi\" \\o/"})");
}

TEST(LogFormat, FieldsAreMembersOrNamedValues) {
  const Fields fields = {{"user", "al ice"}, {"bytes", std::uint64_t{7}}, {"seconds", 1.5}};
  EXPECT_EQ(to_text(line("ended", render(Format::kText, fields)), Head::kNone),
            R"(ended user="al ice" bytes=7 seconds=1.500)");
  EXPECT_TRUE(to_json(line("ended", render(Format::kJson, fields)))
                  .ends_with(R"("message":"ended","user":"al ice","bytes":7,"seconds":1.500})"));
}

TEST(LogFormat, AStrangersTextCannotForgeALineOrAMember) {
  const std::string name = "x\n\x1f\",\"level\":\"error";
  EXPECT_EQ(render(Format::kJson, {{"user", name}}), R"(,"user":"x??\",\"level\":\"error")");
  EXPECT_EQ(render(Format::kText, {{"user", "a b=c \""}}), R"( user="a b=c \"")");
  EXPECT_EQ(without_controls("a\x1b[2J\x7f"), "a?[2J?");
}

TEST(LogFormat, WhatIsNotUtf8CannotStandInJson) {
  EXPECT_EQ(render(Format::kJson, {{"user", "\xff\xfe!"}}), R"(,"user":"??!")");
  EXPECT_EQ(render(Format::kJson, {{"user", "\xc3\xa9"}}), ",\"user\":\"\xc3\xa9\"");
}

TEST(LogFormat, AddressesAreCutToTheirNetworks) {
  EXPECT_EQ(without_addresses("192.0.2.7:3478 and 198.51.100.255."),
            "192.0.2.x:3478 and 198.51.100.x.");
  EXPECT_EQ(without_addresses("[2001:db8:1:2::3]:443, 2001:db8::1"),
            "[2001:db8:1::x]:443, 2001:db8::x");
  EXPECT_EQ(without_addresses("from 2001:db8:0:0:0:0:0:1: no"), "from 2001:db8::x: no");
  EXPECT_EQ(without_addresses("::ffff:192.0.2.7"), "::x");
  EXPECT_EQ(without_addresses(R"("client":"192.0.2.7:1")"), R"("client":"192.0.2.x:1")");
}

TEST(LogFormat, WhatIsNoAddressStaysAsItIs) {
  for (const std::string_view text :
       {"at 12:30:45 with 0.1.2", "std::string", "127.0.0.1:3478", "[::1]:80", "0.0.0.0",
        "::", "1767225600:bob~1a2b3c4d", "v1.2.3.4b", "dead:beef", "", ":::", "a.b.c.d"}) {
    EXPECT_EQ(without_addresses(text), text);
  }
}

}  // namespace
}  // namespace turnpike::log
