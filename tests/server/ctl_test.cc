// The command line of `turnpike ctl` and its tables; and how allocations are named and listed.
#include "server/ctl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/sessions.h"

namespace turnpike::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

CtlCommand read(const std::vector<std::string>& words) {
  auto command = read_ctl(words);
  EXPECT_TRUE(command) << command.error().message;
  return std::move(*command);
}

std::string refusal(const std::vector<std::string>& words) {
  const auto command = read_ctl(words);
  return command ? "" : command.error().message;
}

TEST(CtlCommandLine, VerbsBecomeRequests) {
  EXPECT_EQ(read({"info"}).target, "/admin/v1/info");
  EXPECT_EQ(read({"drain"}).method, "POST");
  EXPECT_EQ(read({"sessions", "--user", "a b", "--limit", "7"}).target,
            "/admin/v1/allocations?user=a%20b&limit=7");
  EXPECT_EQ(read({"kick", "1-5a"}).target, "/admin/v1/allocations/1-5a");
  EXPECT_EQ(read({"kick", "m-5a"}).target, "/admin/v1/members/m-5a");
  EXPECT_EQ(read({"kick", "m-5a"}).method, "DELETE");
  EXPECT_EQ(read({"log-level", "debug"}).body, R"({"level":"debug"})");
  EXPECT_EQ(read({"credentials", "--ttl", "60"}).body, R"({"ttl":60})");
}

TEST(CtlCommandLine, OptionsStandAnywhere) {
  const CtlCommand command = read({"--socket", "/run/x", "rooms", "--json"});
  EXPECT_EQ(command.socket, "/run/x");
  EXPECT_TRUE(command.json);
  EXPECT_EQ(command.verb, "rooms");
}

TEST(CtlCommandLine, SaysWhatIsMissingOrUnknown) {
  EXPECT_EQ(refusal({}), "which command?");
  EXPECT_EQ(refusal({"sesions"}), "there is no command sesions");
  EXPECT_EQ(refusal({"kick"}), "kick needs an id");
  EXPECT_EQ(refusal({"info", "--user", "a"}), "what is --user?");
  EXPECT_EQ(refusal({"sessions", "--user"}), "--user needs a value");
  EXPECT_EQ(refusal({"credentials", "--ttl", "soon"}), "--ttl needs a number of seconds");
  EXPECT_TRUE(read({"--help"}).help);
}

TEST(CtlTables, HaveARowForEachAllocation) {
  const std::string text = ctl_table("sessions", R"({"allocations":[
    {"id":"0-1","user":"alice","transport":"udp","client":"192.0.2.1:5","relayed":["10.0.0.4:6"],
     "bytes_to_peers":1500,"bytes_to_client":7,"seconds_left":600}],"next":null})");
  EXPECT_THAT(text,
              HasSubstr("0-1  alice  udp 192.0.2.1:5  10.0.0.4:6  1.5 kB    7 B        600 s"));
  EXPECT_THAT(text, Not(HasSubstr("more")));
}

TEST(CtlTables, AnAuditSaysWhatIsWrongOrThatNothingIs) {
  EXPECT_EQ(read({"audit"}).target, "/admin/v1/audit");
  const std::string well = ctl_table("audit", R"({"findings":[],"more":0,"allocations":3})");
  EXPECT_THAT(well, HasSubstr("allocations  3\n"));
  EXPECT_THAT(well, HasSubstr("nothing is wrong"));
  const std::string ill = ctl_table(
      "audit", R"({"findings":["quota of a\u001b: 2 counted, 1 there"],"more":7,"allocations":3})");
  EXPECT_THAT(ill, HasSubstr("WRONG: quota of a?: 2 counted, 1 there\n"));
  EXPECT_THAT(ill, HasSubstr("and 7 more"));
  EXPECT_THAT(ill, Not(HasSubstr("nothing is wrong")));
}

TEST(CtlTables, NamesCannotWriteToTheTerminal) {
  const std::string text = ctl_table(
      "rooms",
      "{\"rooms\":[{\"room\":\"demo\",\"members\":[{\"id\":\"m-1\",\"name\":\"\\u001b[2J\","
      "\"away\":true}]}]}");
  EXPECT_THAT(text, HasSubstr("demo  m-1     away   ?[2J"));
}

TEST(SessionIds, AreReadAsTheyAreWritten) {
  const SessionId id{3, 0x5a000000c3};
  EXPECT_EQ(id.to_string(), "3-5a000000c3");
  EXPECT_EQ(SessionId::parse("3-5a000000c3"), id);
  for (const char* wrong : {"", "3", "3-", "-5a", "3-5g", "x-5a", "3-5a ", "-1-5a", "3-5a-1"}) {
    EXPECT_FALSE(SessionId::parse(wrong)) << wrong;
  }
}

TEST(Sessions, AreMeantByNameOrByTheNameThatWasMinted) {
  SessionWish wish;
  EXPECT_TRUE(is_meant(wish, "anybody"));
  wish.names = {"alice", "bob"};
  EXPECT_TRUE(is_meant(wish, "alice"));
  EXPECT_TRUE(is_meant(wish, "bob~9af01c22"));
  EXPECT_FALSE(is_meant(wish, "alicette"));
  EXPECT_FALSE(is_meant(wish, "ali"));
}

SessionRow row(std::uint32_t worker, std::uint64_t allocation) {
  SessionRow made;
  made.id = {worker, allocation};
  return made;
}

std::vector<std::string> ids(const SessionPage& page) {
  std::vector<std::string> texts;
  for (const SessionRow& one : page.rows) texts.push_back(one.id.to_string());
  return texts;
}

TEST(Sessions, OfAllWorkersComeInOrderAndNoMoreThanAsked) {
  const std::vector<SessionPage> pages = {{{row(1, 2), row(1, 9)}, false}, {{row(0, 5)}, false}};
  EXPECT_THAT(ids(merge(pages, 3)), ElementsAre("0-5", "1-2", "1-9"));
  EXPECT_FALSE(merge(pages, 3).more);
  EXPECT_THAT(ids(merge(pages, 2)), ElementsAre("0-5", "1-2"));
  EXPECT_TRUE(merge(pages, 2).more);
}

}  // namespace
}  // namespace turnpike::server
