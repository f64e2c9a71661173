#include "server/subcommands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/option_table.h"

namespace turnpike::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Split {
  std::vector<std::string> texts;
  std::vector<char*> argv;
  Expected<SubcommandLine> line;

  explicit Split(std::vector<std::string> arguments) : texts(std::move(arguments)) {
    texts.insert(texts.begin(), "turnpike");
    for (std::string& text : texts) argv.push_back(text.data());
    line = split_command_line(static_cast<int>(argv.size()), argv.data());
  }
  std::vector<std::string> rest() const { return {line->rest.begin(), line->rest.end()}; }
};

TEST(Subcommands, WithoutAWordTheServerServes) {
  const Split split({"--realm", "credentials"});
  ASSERT_TRUE(split.line);
  EXPECT_EQ(split.line->subcommand->kind, Subcommand::Kind::kServe);
  EXPECT_THAT(split.rest(), ElementsAre("turnpike", "--realm", "credentials"));
}

TEST(Subcommands, TheirOwnOptionsAreTakenOutWhereverTheyStand) {
  const Split split({"credentials", "--ttl=60", "--realm", "x", "--user-id", "bob", "--json"});
  ASSERT_TRUE(split.line) << split.line.error().message;
  EXPECT_EQ(split.line->subcommand->kind, Subcommand::Kind::kCredentials);
  EXPECT_EQ(split.line->text_of("ttl"), "60");
  EXPECT_EQ(split.line->text_of("user-id"), "bob");
  EXPECT_TRUE(split.line->has("json"));
  EXPECT_THAT(split.rest(), ElementsAre("turnpike", "--realm", "x"));
}

TEST(Subcommands, TheValueOfAnOptionIsNotAnOptionOfTheirs) {
  const Split split({"credentials", "--realm", "--json"});
  ASSERT_TRUE(split.line);
  EXPECT_FALSE(split.line->has("json"));
  EXPECT_THAT(split.rest(), ElementsAre("turnpike", "--realm", "--json"));
}

TEST(Subcommands, WhatIsLeftIsStillInTheProcessesOwnArguments) {
  Split split({"credentials", "--static-auth-secret", "hush"});
  ASSERT_TRUE(split.line);
  EXPECT_EQ(split.line->rest.at(2), split.argv.at(3)) << "or it could not be overwritten";
}

TEST(Subcommands, MistakesAreNamed) {
  EXPECT_THAT(Split({"crdentials"}).line.error().message, HasSubstr("did you mean credentials?"));
  EXPECT_THAT(Split({"credentials", "--ttl"}).line.error().message, HasSubstr("--ttl SECONDS"));
  EXPECT_THAT(Split({"credentials", "--ttl", "--json"}).line.error().message,
              HasSubstr("needs a value"));
  EXPECT_THAT(Split({"credentials", "--ttl", "1", "--ttl", "2"}).line.error().message,
              HasSubstr("given twice"));
}

TEST(Subcommands, NoneOfTheirOptionsHidesOneOfTheServers) {
  for (const Subcommand& one : subcommands()) {
    for (const SubcommandOption& option : one.options) {
      EXPECT_EQ(find_option(option.name), nullptr) << one.name << " --" << option.name;
    }
    EXPECT_THAT(help_text(one), HasSubstr(std::string(one.name)));
  }
}

}  // namespace
}  // namespace turnpike::server
