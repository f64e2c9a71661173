#include "server/external_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/plan.h"
#include "server/stun_question.h"

namespace turnpike::server {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Address at(std::string_view text) { return *Address::parse(text); }

// Relay addresses of a machine, and what STUN servers outside would say of them.
struct World {
  Config config;
  std::vector<IpAddress> relay_ips = {ip("10.0.0.4")};
  std::map<std::string, Expected<Address>> answers;  // by server; the local port is 50000
  Expected<CloudAnswer> cloud = failure("no cloud's metadata service");
  std::vector<std::string> asked;

  explicit World(std::vector<StunServer> servers = {}) {
    config.find_external_ips = true;
    config.stun_servers = std::move(servers);
  }

  Expected<ExternalAddressReport, ExternalAddressError> map() {
    return map_external_addresses(
        {config, relay_ips, relay_ips,
         [this](const StunServer& server, const IpAddress& from) -> Expected<SeenFrom> {
           asked.push_back(server.to_string() + " from " + from.to_string());
           const auto answer = answers.find(server.host);
           if (answer == answers.end()) return failure("no answer");
           if (!answer->second) return unexpected(answer->second.error());
           return SeenFrom{at("192.0.2.7:3478"), {from, 50000}, *answer->second};
         },
         [this] {
           asked.push_back("the cloud");
           return cloud;
         }});
  }
  ExternalAddressReport report() {
    auto done = map();
    EXPECT_TRUE(done) << done.error().message;
    return done ? std::move(*done) : ExternalAddressReport{};
  }
  ExternalAddressError error() {
    auto done = map();
    EXPECT_FALSE(done);
    return done ? ExternalAddressError{} : done.error();
  }
};

TEST(ExternalAddresses, NobodyIsAskedUnlessTheOperatorWantsIt) {
  World world({{"stun.example.org"}});
  world.config.find_external_ips = false;
  EXPECT_THAT(world.report().mappings, IsEmpty());
  EXPECT_THAT(world.asked, IsEmpty());
}

TEST(ExternalAddresses, APublicAddressIsAnnouncedAsItIsAndNobodyIsAsked) {
  World world({{"stun.example.org"}});
  world.relay_ips = {ip("203.0.113.1"), ip("2001:db8::4")};
  const auto report = world.report();
  EXPECT_THAT(report.mappings, IsEmpty());
  EXPECT_THAT(world.asked, IsEmpty());
  EXPECT_THAT(report.notices,
              ElementsAre(AllOf(HasSubstr("203.0.113.1"), HasSubstr("announced as it is")),
                          AllOf(HasSubstr("2001:db8::4"), HasSubstr("announced as it is"))));
}

TEST(ExternalAddresses, APrivateOneIsWhatTheStunServerSays) {
  World world({{"stun.example.org"}});
  world.answers.emplace("stun.example.org", at("203.0.113.1:50000"));
  const auto report = world.report();
  ASSERT_THAT(report.mappings, SizeIs(1));
  EXPECT_EQ(report.mappings[0].external, ip("203.0.113.1"));
  EXPECT_EQ(report.mappings[0].local, ip("10.0.0.4"));
  EXPECT_THAT(report.notices,
              ElementsAre(AllOf(HasSubstr("10.0.0.4 is seen as 203.0.113.1"),
                                HasSubstr("stun.example.org:3478 (192.0.2.7:3478)"))));
}

TEST(ExternalAddresses, EveryPrivateRelayAddressIsAskedForWithItsOwnQuestion) {
  World world({{"stun.example.org"}});
  world.relay_ips = {ip("10.0.0.4"), ip("203.0.113.9"), ip("fd00::4")};
  world.answers.emplace("stun.example.org", at("203.0.113.1:50000"));
  const auto report = world.report();  // the IPv6 answer is of the wrong family: a notice
  EXPECT_THAT(world.asked, ElementsAre("stun.example.org:3478 from 10.0.0.4",
                                       "stun.example.org:3478 from fd00::4"));
  EXPECT_THAT(report.mappings, SizeIs(1));
  EXPECT_THAT(report.notices, Contains(HasSubstr("--external-ip PUBLIC/fd00::4")));
}

TEST(ExternalAddresses, TheNextServerIsAskedWhenOneDoesNotAnswerOrIsInside) {
  World world({{"one.example"}, {"two.example", 19302}, {"2001:db8::1"}, {"four.example"}});
  world.answers.emplace("one.example", failure("no answer to 4 requests"));
  world.answers.emplace("two.example", at("10.0.0.4:50000"));
  world.answers.emplace("four.example", at("203.0.113.1:50000"));
  EXPECT_THAT(world.report().mappings, SizeIs(1));
  EXPECT_THAT(world.asked,
              ElementsAre("one.example:3478 from 10.0.0.4", "two.example:19302 from 10.0.0.4",
                          "[2001:db8::1]:3478 from 10.0.0.4", "four.example:3478 from 10.0.0.4"));
}

TEST(ExternalAddresses, WhenNobodyOutsideCouldUseAnyRelayAddressTheServerDoesNotStart) {
  World world({{"one.example"}, {"two.example"}});
  world.answers.emplace("two.example", at("10.0.0.4:50000"));
  const auto error = world.error();
  EXPECT_TRUE(error.nothing_found);
  EXPECT_THAT(error.message, AllOf(HasSubstr("one.example:3478: no answer"),
                                   HasSubstr("two.example:3478: it sees 10.0.0.4 itself"),
                                   HasSubstr("pass --external-ip PUBLIC/10.0.0.4")));
}

TEST(ExternalAddresses, WhileAnotherFamilyIsOfUseAFailureIsANotice) {
  World world({{"one.example"}});
  world.relay_ips = {ip("10.0.0.4"), ip("2001:db8::4")};
  EXPECT_THAT(world.report().notices, Contains(HasSubstr("pass --external-ip PUBLIC/10.0.0.4")));
}

TEST(ExternalAddresses, WithoutAServerToAskTheErrorSaysHowToNameOne) {
  EXPECT_THAT(World().error().message, AllOf(HasSubstr("--external-ip auto:HOST[:PORT]"),
                                             HasSubstr("--external-ip PUBLIC/10.0.0.4")));
}

TEST(ExternalAddresses, WithoutAServerToAskTheCloudIsAskedForItsOneAddress) {
  World world;
  world.cloud = CloudAnswer{ip("203.0.113.1"), "Some Cloud"};
  world.relay_ips = {ip("10.0.0.4"), ip("2001:db8::4")};
  const auto report = world.report();
  EXPECT_THAT(report.mappings, SizeIs(1));
  EXPECT_THAT(report.notices, Contains(AllOf(HasSubstr("10.0.0.4 is seen as 203.0.113.1"),
                                             HasSubstr("Some Cloud"))));
  world.relay_ips = {ip("10.0.0.4"), ip("10.0.0.5")};
  EXPECT_THAT(world.error().message, HasSubstr("more than one"));
  world.config.external_ips = {{ip("203.0.113.2"), ip("10.0.0.5")}};
  EXPECT_THAT(world.report().mappings, SizeIs(2));
  world.cloud = CloudAnswer{ip("10.9.9.9"), "Some Cloud"};
  EXPECT_THAT(world.report().notices, Contains(HasSubstr("says 10.9.9.9")));
}

TEST(ExternalAddresses, TheCloudIsNotAskedWhereAStunServerIsNamedOrNothingIsPrivate) {
  World world({{"stun.example.org"}});
  world.cloud = CloudAnswer{ip("203.0.113.1"), "Some Cloud"};
  (void)world.map();
  World public_one;
  public_one.relay_ips = {ip("203.0.113.9")};
  (void)public_one.map();
  EXPECT_THAT(world.asked, ElementsAre("stun.example.org:3478 from 10.0.0.4"));
  EXPECT_THAT(public_one.asked, IsEmpty());
}

TEST(ExternalAddresses, TheLoopbackHasNothingToFind) {
  World world({{"stun.example.org"}});
  world.relay_ips = {ip("127.0.0.1"), ip("::1")};
  EXPECT_THAT(world.report().mappings, IsEmpty());
  EXPECT_THAT(world.asked, IsEmpty());
}

TEST(ExternalAddresses, ANatThatChangesPortsIsWarnedOf) {
  World world({{"stun.example.org"}});
  world.answers.emplace("stun.example.org", at("203.0.113.1:1025"));
  EXPECT_THAT(world.report().notices,
              Contains(AllOf(HasSubstr("made port 1025 of port 50000"), HasSubstr("1:1 NAT"))));
}

TEST(ExternalAddresses, WhatWasGivenIsNotAskedFor) {
  World world({{"stun.example.org"}});
  world.relay_ips = {ip("10.0.0.4"), ip("10.0.0.5")};
  world.config.external_ips = {{ip("203.0.113.4"), ip("10.0.0.4")}};
  world.answers.emplace("stun.example.org", at("203.0.113.5:50000"));
  EXPECT_THAT(world.report().mappings, SizeIs(2));
  EXPECT_THAT(world.asked, ElementsAre("stun.example.org:3478 from 10.0.0.5"));
  // One public address before two machines, or two relay addresses, is no 1:1 NAT.
  world.answers.insert_or_assign("stun.example.org", at("203.0.113.4:50000"));
  EXPECT_THAT(world.error().message, HasSubstr("1:1"));
}

TEST(ExternalAddresses, APrivateAnswerIsTakenWithANotice) {
  World world({{"stun.example.org"}});
  world.answers.emplace("stun.example.org", at("100.64.0.9:50000"));
  EXPECT_THAT(world.report().notices, Contains(HasSubstr("100.64.0.9 is a private address, too")));
}

TEST(ExternalAddresses, OneSaidTwiceIsOneAndOneTheWrongWayRoundIsToldSo) {
  World world;
  world.config.find_external_ips = false;
  world.config.external_ips = {{ip("203.0.113.4"), ip("10.0.0.4")},
                               {ip("203.0.113.4"), std::nullopt}};
  EXPECT_THAT(world.report().mappings, SizeIs(1));
  world.config.external_ips = {{ip("10.0.0.4"), ip("203.0.113.4")}};
  EXPECT_THAT(world.error().message, HasSubstr("--external-ip 203.0.113.4/10.0.0.4"));
  EXPECT_FALSE(world.error().nothing_found);
}

// --- in the Plan

Machine private_machine() {
  Machine machine;
  machine.interfaces = {{"lo", ip("127.0.0.1"), false}, {"eth0", ip("10.0.0.4"), false}};
  machine.outward_v4 = ip("10.0.0.4");
  machine.ask_stun_server = [](const StunServer&, const IpAddress& from) {
    return Expected<SeenFrom>(
        SeenFrom{at("192.0.2.7:3478"), {from, 50000}, at("203.0.113.1:50000")});
  };
  return machine;
}

TEST(ExternalAddresses, WhatIsFoundIsWhatThePlanAnnounces) {
  Config config;
  config.find_external_ips = true;
  config.stun_servers = {{"stun.example.org"}};
  const auto plan = make_plan(config, private_machine(), {"secret", "key", "/key"});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->turn->external.to_external(ip("10.0.0.4")), ip("203.0.113.1"));
  EXPECT_EQ(plan->public_ip, ip("203.0.113.1"));
  EXPECT_THAT(plan->notices, Contains(HasSubstr("is seen as 203.0.113.1")));
  EXPECT_THAT(plan->notices, Not(Contains(HasSubstr("clients outside this network"))));
  EXPECT_EQ(plan->turn->peers.judge(ip("203.0.113.1")), turn::PeerPolicy::Verdict::kOwn);
}

TEST(ExternalAddresses, ThePlanIsRefusedWhenNothingIsFound) {
  Config config;
  config.find_external_ips = true;
  Machine machine = private_machine();
  machine.ask_cloud = [] { return Expected<CloudAnswer>(failure("no cloud")); };
  const auto plan = make_plan(config, machine, {"secret", "key", "/key"});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, kExitCannotListen);
  EXPECT_THAT(plan.error().message, HasSubstr("--external-ip PUBLIC/10.0.0.4"));
}

// --- the question itself; the answers of a real server are in tests/interop/test_external_ip.py

TEST(StunQuestion, AServerOfTheOtherFamilyIsNotAsked) {
  const auto seen = ask_stun_server({"::1"}, ip("127.0.0.1"));
  ASSERT_FALSE(seen);
  EXPECT_THAT(seen.error().message, HasSubstr("no IPv4 address"));
}

}  // namespace
}  // namespace turnpike::server
