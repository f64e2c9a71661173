#include "net/server_names.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace turnpike::net {
namespace {

TEST(ServerNames, TheVeryNameWinsOverAWildcardWhateverTheirOrder) {
  ServerNames names;
  names.add("*.example.org", 0);
  names.add("turn.example.org", 1);
  EXPECT_EQ(names.find("turn.example.org"), 1u);
  EXPECT_EQ(names.find("stun.example.org"), 0u);
}

TEST(ServerNames, AWildcardStandsForOneLabel) {
  ServerNames names;
  names.add("*.example.org", 3);
  const std::vector<std::pair<std::string, bool>> table = {
      {"a.example.org", true},
      {"A.EXAMPLE.ORG", true},
      {"a.b.example.org", false},
      {"example.org", false},
      {".example.org", false},
      {"*.example.org", true},
      {"a.example.org.", false},
      {"aexample.org", false},
      {"", false},
      {".", false},
  };
  for (const auto& [host, found] : table) EXPECT_EQ(names.find(host).has_value(), found) << host;
}

TEST(ServerNames, OfTwoWithOneNameTheFirstKeepsIt) {
  ServerNames names;
  names.add("Turn.Example.org", 0);
  names.add("turn.example.ORG", 1);
  names.add("*.example.org", 2);
  names.add("*.example.org", 3);
  EXPECT_EQ(names.find("turn.example.org"), 0u);
  EXPECT_EQ(names.find("a.example.org"), 2u);
}

TEST(ServerNames, WhatIsNoNameIsNeverFound) {
  ServerNames names;
  names.add("", 0);
  names.add("*.", 0);
  const std::string longest(255, 'a');
  names.add(longest, 1);
  names.add(longest + "a", 2);
  EXPECT_EQ(names.find(longest), 1u);
  EXPECT_FALSE(names.find(longest + "a"));
  EXPECT_FALSE(names.find(""));
  EXPECT_FALSE(names.find("a."));
}

}  // namespace
}  // namespace turnpike::net
