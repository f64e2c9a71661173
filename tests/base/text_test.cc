#include "base/text.h"

#include <gtest/gtest.h>

#include <array>

namespace turnpike {
namespace {

TEST(ParseDecimal, TakesTheWholeTextOrNothing) {
  EXPECT_EQ(parse_decimal("0"), 0u);
  EXPECT_EQ(parse_decimal("3478"), 3478u);
  EXPECT_EQ(parse_decimal("18446744073709551615"), 18446744073709551615u);
  for (const char* text :
       {"", " 1", "1 ", "+1", "-1", "0x10", "1.0", "1e3", "18446744073709551616", "one"}) {
    EXPECT_FALSE(parse_decimal(text)) << text;
  }
}

TEST(Split, KeepsEmptyParts) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(split("a,b", ','), (Parts{"a", "b"}));
  EXPECT_EQ(split(",a,,", ','), (Parts{"", "a", "", ""}));
  EXPECT_EQ(split("", ','), (Parts{""}));
}

TEST(Trim, RemovesBlanksFromBothEnds) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim("a"), "a");
  EXPECT_EQ(trim(" \n "), "");
  EXPECT_EQ(trim(""), "");
}

TEST(EqualsIgnoringCase, IsAboutAsciiLettersOnly) {
  EXPECT_TRUE(equals_ignoring_case("Upgrade", "uPGRADE"));
  EXPECT_FALSE(equals_ignoring_case("Upgrade", "Upgrad"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));  // differ in the case bit, and are no letters
  EXPECT_FALSE(equals_ignoring_case("[", "{"));
}

TEST(Utf8, AcceptsTheFirstAndLastOfEveryLength) {
  for (const char* text :
       {"", "\x01", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "room \xe6\x88\xbf\xe9\x97\xb4"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
}

TEST(Utf8, RefusesOverlongSurrogateTruncatedAndStray) {
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc2",
        "\xe2\x82", "\xf0\x9f\x98", "\xc2 ", "\xe2\x82 ", "\xf0\x9f\x98 ", "ok\xfe"}) {
    EXPECT_FALSE(is_valid_utf8(text)) << text;
  }
}

constexpr std::array<std::string_view, 5> kNames = {"listening-port", "listening-ip", "min-port",
                                                    "user", "realm"};

TEST(NearestName, FindsWhatWasMeant) {
  EXPECT_EQ(nearest_name("listning-port", kNames), "listening-port");
  EXPECT_EQ(nearest_name("listeing-pi", kNames), "listening-ip");
  EXPECT_EQ(nearest_name("min_port", kNames), "min-port");
  EXPECT_EQ(nearest_name("Realm", kNames), "realm");
  EXPECT_EQ(nearest_name("raelm", kNames), "realm");  // two neighbours swapped are one slip
  EXPECT_EQ(nearest_name("users", kNames), "user");
}

TEST(NearestName, IsSilentWhenNothingIsNear) {
  EXPECT_FALSE(nearest_name("banana", kNames));
  EXPECT_FALSE(nearest_name("x", kNames));
  EXPECT_FALSE(nearest_name("", kNames));
  EXPECT_FALSE(nearest_name("user", {}));
  EXPECT_FALSE(nearest_name(std::string(100'000, 'a'), kNames));
}

TEST(NearestName, PrefersTheNearestAndThenTheFirst) {
  constexpr std::array<std::string_view, 3> kClose = {"abcdex", "abcdey", "abcdef"};
  EXPECT_EQ(nearest_name("abcdef", kClose), "abcdef");
  EXPECT_EQ(nearest_name("abcdez", kClose), "abcdex");
}

}  // namespace
}  // namespace turnpike
