// JSON as text: what is taken, what is refused, what a string means.
#include "signaling/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/random.h"

namespace turnpike::signaling {
namespace {

std::string nested(std::size_t depth, char open = '[', char close = ']') {
  return std::string(depth, open) + std::string(depth, close);
}

TEST(JsonText, TakesEveryKindOfValue) {
  for (const char* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-0",
                           "12",
                           "-1.5e+10",
                           "1E5",
                           "0.25",
                           "\"\"",
                           "\"a\\u00e4\\n\"",
                           "[]",
                           "{}",
                           " [ 1 , 2 ] ",
                           "{\"a\":{\"b\":[null,{}]}}",
                           "\t{ \"a\" : 1 }\r\n",
                           "\"\\ud800\"",
                           "1e999",
                           "123456789012345678901234567890",
                           "{\"a\":1,\"a\":2}"}) {
    EXPECT_TRUE(is_json(text)) << text;
  }
}

TEST(JsonText, RefusesWhatIsNoJson) {
  for (const char* text :
       {"",          " ",       "nul",       "truex",       "True",     "01",
        "+1",        ".5",      "1.",        "1e",          "1e+",      "-",
        "--1",       "0x1",     "NaN",       "Infinity",    "'a'",      "\"",
        "\"\\\"",    "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "[",
        "]",         "[1,]",    "[,1]",      "[1 2]",       "{",        "}",
        "{,}",       "{\"a\"}", "{\"a\":}",  "{a:1}",       "{1:1}",    "{\"a\":1,}",
        "{\"a\" 1}", "[1}",     "{\"a\":1]", "1 1",         "[] []",    "/**/1",
        "[\"a\":1]"}) {
    EXPECT_FALSE(is_json(text)) << text;
  }
  EXPECT_FALSE(is_json(std::string_view("1\0", 2)));
  EXPECT_FALSE(is_json(std::string_view("[\0]", 3)));
}

TEST(JsonText, AgreesWithATreeParserOnMutatedTexts) {
  SeededRandom random(7);
  const std::string seed = R"({"a":[1,-2.5e3,"x\u0041\n",true,null,{"b":[]}],"c":{"d":""}})";
  const std::string_view alphabet = "{}[]\",:0123456789.-+eEtrufalsn\\ \n";
  // The tree parser also refuses numbers that no double holds; here they are text.
  const auto is_huge = [](std::string_view text) {
    for (std::size_t at = text.find_first_of("eE"); at != std::string_view::npos;
         at = text.find_first_of("eE", at + 1)) {
      const std::size_t digits = text.find_first_not_of("+-", at + 1);
      const std::size_t end = text.find_first_not_of("0123456789", digits);
      if (digits != std::string_view::npos && end - digits >= 3) return true;
    }
    return false;
  };
  int valid = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = seed;
    for (std::uint32_t i = random.below(3); i > 0; --i) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      const char letter = alphabet[random.below(static_cast<std::uint32_t>(alphabet.size()))];
      if (random.below(3) == 0) {
        text.erase(at, 1);
      } else if (random.below(2) == 0) {
        text.insert(at, 1, letter);
      } else {
        text[at] = letter;
      }
    }
    if (is_huge(text)) continue;
    const bool expected = nlohmann::json::accept(text);
    valid += expected ? 1 : 0;
    ASSERT_EQ(is_json(text), expected) << text;
  }
  EXPECT_GT(valid, 1000);
}

TEST(JsonText, DepthIsLimitedAt64AndCostsNoStack) {
  EXPECT_TRUE(is_json(nested(kMaxJsonDepth)));
  EXPECT_FALSE(is_json(nested(kMaxJsonDepth + 1)));
  EXPECT_FALSE(is_json(nested(20000)));
  EXPECT_FALSE(is_json(std::string(1 << 20, '[')));
  const auto object = [](std::size_t depth) { return "{\"data\":" + nested(depth) + "}"; };
  EXPECT_TRUE(JsonObject::parse(object(kMaxJsonDepth - 1)));
  EXPECT_FALSE(JsonObject::parse(object(kMaxJsonDepth)));
  // Depth, not size: siblings are free.
  std::string wide = "[";
  for (int i = 0; i < 1000; ++i) wide += "[],";
  EXPECT_TRUE(is_json(wide + "[]]"));
}

TEST(JsonObject, GivesItsMembersAsText) {
  const std::string text = R"( { "a" : [1, {"x":2}] , "b\u0063" : "t" , "n":-1.50 } )";
  const auto object = JsonObject::parse(text);
  ASSERT_TRUE(object);
  EXPECT_EQ(object->find("a"), "[1, {\"x\":2}]");
  EXPECT_EQ(object->find("bc"), "\"t\"");
  EXPECT_EQ(object->find("n"), "-1.50");
  EXPECT_EQ(object->find("x"), std::nullopt);
}

TEST(JsonObject, RefusesOtherValuesAndNamesThatComeTwice) {
  for (const char* text : {"[]", "1", "\"a\"", "null", "{\"a\":1,\"a\":1}",
                           "{\"a\":1,\"\\u0061\":1}", "{\"\\ud800\":1}", "{} {}", "{\"a\":1}}",
                           "{\"a\":1", "{\"a\" \"b\"}", "{\"a\":1 \"b\":2}", "{\"a\":1,}"}) {
    EXPECT_FALSE(JsonObject::parse(text)) << text;
  }
  EXPECT_TRUE(JsonObject::parse("{}"));
}

TEST(JsonObject, HasAtMost32Members) {
  const auto text = [](std::size_t count) {
    std::string result = "{";
    for (std::size_t i = 0; i < count; ++i) {
      result += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":0";
    }
    return result + "}";
  };
  EXPECT_TRUE(JsonObject::parse(text(kMaxJsonMembers)));
  EXPECT_FALSE(JsonObject::parse(text(kMaxJsonMembers + 1)));
}

TEST(JsonString, MeansWhatTheEscapesSay) {
  EXPECT_EQ(json_string(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(json_string(R"("\u0041\u00e4\u20ac\ud83d\ude00")"),
            "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(json_string(R"("\u00E4")"), "\xc3\xa4");
  EXPECT_EQ(json_string(R"("\u0000")"), std::string(1, '\0'));
  EXPECT_EQ(json_string("1"), std::nullopt);
  EXPECT_EQ(json_string("null"), std::nullopt);
}

TEST(JsonString, HalfASurrogatePairHasNoText) {
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\n")",
                           R"("\ud800\u0041")", R"("\ud800\ud800")", R"("\ude00\ud83d")"}) {
    EXPECT_EQ(json_string(text), std::nullopt) << text;
  }
}

TEST(JsonString, WrittenStringsReadBack) {
  std::string every;
  for (int c = 0; c < 128; ++c) every.push_back(static_cast<char>(c));
  every += "\xc3\xa4\xf0\x9f\x98\x80";
  std::string text;
  append_json_string(text, every);
  EXPECT_TRUE(is_json(text));
  EXPECT_EQ(json_string(text), every);
  EXPECT_EQ(nlohmann::json::parse(text).get<std::string>(), every);
}

TEST(JsonNumber, IsWholeAndFits) {
  EXPECT_EQ(json_uint("0"), 0u);
  EXPECT_EQ(json_uint("18446744073709551615"), 18446744073709551615ull);
  for (const char* text : {"18446744073709551616", "-1", "1.0", "1e3", "\"1\"", "null", "1e999"}) {
    EXPECT_EQ(json_uint(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace turnpike::signaling
