// What is written about the options, and --print-config and --check-config.
#include "server/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/text.h"
#include "server/check_config.h"
#include "server/coturn_keys.h"
#include "server/options.h"
#include "server/print_config.h"
#include "tests/server/scratch_dir.h"

namespace turnpike::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string page(const std::string& name) {
  std::ifstream file(TURNPIKE_SOURCE_DIR "/docs/" + name);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Expected<Invocation> read(std::vector<std::string> arguments,
                          std::vector<std::string> variables = {}) {
  arguments.insert(arguments.begin(), "turnpike");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  return read_options(static_cast<int>(argv.size()), argv.data(), environment.data());
}

TEST(Reference, ThePageOnConfigurationHasWhatTheTableSays) {
  const std::string text = page("configuration.md");
  EXPECT_EQ(with_section(text, options_markdown()), text)
      << "run turnpike-reference configuration docs/configuration.md";
}

TEST(Reference, ThePageOnMigrationHasWhatTheTableSays) {
  const std::string text = page("migration-from-coturn.md");
  EXPECT_EQ(with_section(text, coturn_markdown()), text)
      << "run turnpike-reference migration docs/migration-from-coturn.md";
}

TEST(Reference, NamesEveryOptionEverywhere) {
  for (const Option& option : option_table()) {
    const std::string name = "--" + std::string(option.name);
    EXPECT_THAT(options_markdown(), HasSubstr("| `" + name));
    EXPECT_THAT(bash_completion(), HasSubstr(name));
    EXPECT_THAT(zsh_completion(), HasSubstr(name + "["));
  }
  for (const CoturnKey& key : coturn_keys()) {
    EXPECT_THAT(coturn_markdown(), HasSubstr("| `" + std::string(key.name) + "` |"));
  }
  EXPECT_THAT(man_page("2026-01-02"), AllOf(HasSubstr(".TH TURNPIKE 8 2026-01-02"),
                                            HasSubstr("\\fB\\-\\-listening\\-port\\fR")));
}

TEST(Reference, ASectionIsReplacedBetweenItsMarksOnly) {
  const std::string old = "before\n" + coturn_markdown() + "after\n";
  EXPECT_EQ(with_section(old, options_markdown()), "before\n" + options_markdown() + "after\n");
  EXPECT_EQ(with_section("no marks\n", options_markdown()), "");
}

TEST(PrintConfig, SaysWhereEachValueComesFromAndHidesSecrets) {
  ScratchDir dir;
  const std::string file =
      dir.write("turnserver.conf", "min-port=50000\nstatic-auth-secret=hush\n");
  auto invocation = read({"--print-config", "--config", file, "--listening-ip", "127.0.0.1"},
                         {"TURNPIKE_REALM=ex\\ample", "TURNPIKE_OPEN_ROOMS=yes"});
  ASSERT_TRUE(invocation) << invocation.error().message;
  EXPECT_EQ(invocation->wish, Invocation::Wish::kPrint);
  const std::string text = print_config(invocation->settings);
  EXPECT_THAT(text, HasSubstr("  // command line\n  \"listening-ip\": [\"127.0.0.1\"],\n"));
  EXPECT_THAT(text, HasSubstr("  // TURNPIKE_REALM\n  \"realm\": \"ex\\\\ample\",\n"));
  EXPECT_THAT(text, HasSubstr("  // TURNPIKE_OPEN_ROOMS\n  \"open-rooms\": true,\n"));
  EXPECT_THAT(text, HasSubstr("  // min-port=50000 in " + file + ", line 1\n"));
  EXPECT_THAT(text, HasSubstr("  // default\n  \"max-port\": 65535,\n"));
  EXPECT_THAT(text, HasSubstr("  // \"static-auth-secret\": 1 hidden (static-auth-secret in "));
  EXPECT_THAT(text, Not(HasSubstr("hush")));
}

TEST(PrintConfig, CanBeReadAgainAndThenSaysTheSame) {
  ScratchDir dir;
  const std::string conf = dir.write(
      "turnserver.conf",
      "listening-port=3480\nlistening-ip=127.0.0.1\nlistening-ip=::1\nfingerprint\n"
      "denied-peer-ip=198.51.100.1-198.51.100.9\nrest-api-separator=|\nrealm=007\nno-tcp\n");
  auto first = read({"--config", conf});
  ASSERT_TRUE(first) << first.error().message;
  auto second = read({"--config", dir.write("again.json", print_config(first->settings))});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->config.listening_port, 3480);
  EXPECT_EQ(second->config.listening_ips, first->config.listening_ips);
  EXPECT_EQ(second->config.denied_peers.size(), 1u);
  EXPECT_EQ(second->config.rest_separator, '|');
  EXPECT_EQ(second->config.realm, "007");
  EXPECT_EQ(second->config.quota.per_user, 0u);
  EXPECT_TRUE(second->config.always_fingerprint);
  EXPECT_FALSE(second->config.tcp);
}

TEST(PrintConfig, QuestionsBelongOnTheCommandLine) {
  ScratchDir dir;
  EXPECT_FALSE(read({}, {"TURNPIKE_CHECK_CONFIG=1"}));
  EXPECT_FALSE(read({"--config", dir.write("c.json", R"({"print-config": true})")}));
}

TEST(CheckReport, EndsWithTwoOnlyWhereThereIsAnError) {
  const CheckReport fine = report({{Finding::Kind::kWarning, "careful"}});
  EXPECT_EQ(fine.code, kExitOk);
  EXPECT_THAT(fine.text,
              AllOf(HasSubstr("warning  careful\n"), HasSubstr("0 errors, 1 warning\n")));
  const CheckReport wrong =
      report({{Finding::Kind::kNote, "by the way"}, {Finding::Kind::kError, "no"}});
  EXPECT_EQ(wrong.code, kExitUsage);
  EXPECT_THAT(wrong.text, HasSubstr("will not start"));
}

}  // namespace
}  // namespace turnpike::server
