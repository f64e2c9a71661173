#include "signaling/acme.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "world.h"

namespace turnpike::signaling {
namespace {

using testing::HttpAnswer;
using testing::World;

constexpr std::string_view kToken = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";

struct AcmeWorld : World {
  explicit AcmeWorld(bool serve_static = false)
      : World([serve_static](Settings& settings) {
          settings.serve_challenges = true;
          settings.serve_static = serve_static;
        }) {
    outlet.on_read_file = [this](ConnectionHandle connection, std::string_view) {
      carrier.on_file(now, connection, answer, outlet);
    };
    answer.kind = FileAnswer::Kind::kFile;
    answer.content = std::string(kToken) + ".thumbprint";
  }
  std::string path(std::string_view token) { return std::string(acme::kPrefix).append(token); }
  FileAnswer answer;
};

TEST(Acme, AChallengeIsAnsweredWithItsFile) {
  for (const bool serve_static : {false, true}) {
    AcmeWorld world(serve_static);
    const HttpAnswer answer = world.get(world.path(kToken));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, world.answer.content);
    EXPECT_EQ(answer.header("cache-control"), "no-store");
    EXPECT_EQ(world.outlet.asked_challenges,
              std::vector<std::string>{".well-known/acme-challenge/" + std::string(kToken)});
    EXPECT_TRUE(world.outlet.asked_files.empty()) << "whatever stands in --static";
  }
}

TEST(Acme, OneThatIsNotThereOrTooLargeIsNotFound) {
  AcmeWorld world;
  for (const auto kind :
       {FileAnswer::Kind::kNotFound, FileAnswer::Kind::kTooLarge, FileAnswer::Kind::kDirectory}) {
    world.answer = {};
    world.answer.kind = kind;
    EXPECT_EQ(world.get(world.path(kToken)).status, 404);
  }
}

TEST(Acme, WhatIsNoTokenIsNeverAskedFor) {
  AcmeWorld world(true);
  const std::string longest(acme::kMaxToken, 'x');
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("../secret"),
        std::string("%2e%2e/secret"), std::string(".hidden"), std::string("a.b"),
        std::string("a/b"), std::string("a/"), std::string("a%41"), std::string("a+b"),
        std::string("a=="), longest + "x"}) {
    EXPECT_EQ(world.get(world.path(token)).status, 404) << token;
  }
  EXPECT_TRUE(world.outlet.asked_challenges.empty());
  EXPECT_TRUE(world.outlet.asked_files.empty());
  EXPECT_EQ(world.get(world.path(longest)).status, 200);
}

TEST(Acme, IsOnlyForReading) {
  AcmeWorld world;
  EXPECT_EQ(world.post(world.path(kToken), "x").status, 405);
  EXPECT_TRUE(world.outlet.asked_challenges.empty());
}

TEST(Acme, WithoutTheOptionNothingIsThere) {
  World world;
  EXPECT_EQ(world.get(std::string(acme::kPrefix).append(kToken)).status, 404);
  EXPECT_TRUE(world.outlet.asked_challenges.empty());
}

TEST(Acme, AServerThatDrainsStillAnswers) {
  AcmeWorld world;
  world.service.drain(std::nullopt);
  EXPECT_EQ(world.get(world.path(kToken)).status, 200);
}

}  // namespace
}  // namespace turnpike::signaling
