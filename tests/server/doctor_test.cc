#include "server/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace turnpike::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using State = Diagnosis::State;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

Diagnosis about(const Diagnoses& found, std::string_view check) {
  for (const Diagnosis& one : found) {
    if (one.check == check) return one;
  }
  ADD_FAILURE() << "nothing about " << check;
  return {};
}

TEST(DoctorHost, AMachineThatIsWellNeedsNothing) {
  const Diagnoses found = examine_host({8 << 20, 8 << 20, 1 << 20, true});
  for (const Diagnosis& one : found) {
    EXPECT_EQ(one.state, State::kGood) << one.sentence;
    EXPECT_THAT(one.remedy, IsEmpty());
  }
  EXPECT_FALSE(has_problem(found));
}

TEST(DoctorHost, SmallBuffersFewFilesAndAFreeClockHaveTheirCommands) {
  const Diagnoses found = examine_host({212992, 212992, 1024, false});
  EXPECT_THAT(about(found, "receive buffer").remedy,
              HasSubstr("sysctl -w net.core.rmem_max=4194304"));
  EXPECT_THAT(about(found, "send buffer").remedy, HasSubstr("sysctl -w net.core.wmem_max=4194304"));
  EXPECT_THAT(about(found, "open files").remedy, HasSubstr("LimitNOFILE"));
  EXPECT_THAT(about(found, "clock").remedy, HasSubstr("timedatectl"));
  for (const Diagnosis& one : found) EXPECT_EQ(one.state, State::kWarning) << one.sentence;
}

TEST(DoctorHost, WhatAContainerHidesIsNoWarning) {
  for (const Diagnosis& one : examine_host({})) EXPECT_EQ(one.state, State::kNote) << one.sentence;
}

class DoctorAddresses : public testing::Test {
 protected:
  DoctorAddresses() {
    machine_.interfaces = {{"lo", ip("127.0.0.1"), false}, {"eth0", ip("10.0.0.4"), false}};
    machine_.outward_v4 = ip("10.0.0.4");
    machine_.has_v6 = false;
    outside_.ask = [this](const StunServer& server, const IpAddress& from) -> Expected<SeenFrom> {
      if (!seen_) return failure("no answer to 4 requests");
      return SeenFrom{{ip("198.51.100.1"), server.port}, {from, 1000}, {*seen_, 1000}};
    };
    outside_.resolve = [this](const std::string& name) -> Expected<std::vector<IpAddress>> {
      if (addresses_.empty()) return failure(name + " has no address");
      return addresses_;
    };
  }

  Diagnoses examine(Config config) {
    auto plan = make_plan(std::move(config), machine_, {"a-secret-a-secret-a-secret", "key", ""});
    EXPECT_TRUE(plan) << plan.error().message;
    return examine_addresses(*plan, outside_);
  }
  static Config mapped(std::string_view external) {
    Config config;
    config.external_ips.push_back({ip(external), ip("10.0.0.4")});
    return config;
  }

  Machine machine_;
  OutsideView outside_;
  std::optional<IpAddress> seen_;
  std::vector<IpAddress> addresses_;
};

TEST_F(DoctorAddresses, APrivateAddressWithoutAMappingIsTheClassicMistake) {
  const Diagnosis found = about(examine({}), "external address");
  EXPECT_EQ(found.state, State::kProblem);
  EXPECT_THAT(found.remedy, HasSubstr("--external-ip PUBLIC/10.0.0.4"));
}

TEST_F(DoctorAddresses, AMappingIsBelievedUntilSomebodyIsAsked) {
  EXPECT_EQ(about(examine(mapped("203.0.113.9")), "external address").state, State::kGood);
  outside_.server = StunServer{"stun.example.org", 3478};
  seen_ = ip("203.0.113.9");
  EXPECT_EQ(about(examine(mapped("203.0.113.9")), "external address").state, State::kGood);
  seen_ = ip("203.0.113.10");
  const Diagnosis wrong = about(examine(mapped("203.0.113.9")), "external address");
  EXPECT_EQ(wrong.state, State::kProblem);
  EXPECT_EQ(wrong.remedy, "--external-ip 203.0.113.10/10.0.0.4");
  EXPECT_THAT(wrong.sentence, AllOf(HasSubstr("told 203.0.113.9"), HasSubstr("as 203.0.113.10")));
  seen_.reset();
  EXPECT_EQ(about(examine(mapped("203.0.113.9")), "external address").state, State::kWarning);
}

TEST_F(DoctorAddresses, APrivateAddressBesideAPublicOneIsAWarning) {
  machine_.interfaces.push_back({"eth0", ip("2001:db8::4"), false});
  machine_.outward_v6 = ip("2001:db8::4");
  machine_.has_v6 = true;
  const Diagnoses found = examine({});
  EXPECT_EQ(about(found, "external address").state, State::kWarning);
  EXPECT_FALSE(has_problem(found));
}

TEST_F(DoctorAddresses, ThePublicHostLeadsHere) {
  Config config = mapped("203.0.113.9");
  config.public_host = "turn.example.org";
  addresses_ = {ip("203.0.113.9")};
  EXPECT_EQ(about(examine(config), "public host").state, State::kGood);
  addresses_ = {ip("203.0.113.10")};
  EXPECT_EQ(about(examine(config), "public host").state, State::kWarning);
  addresses_.clear();
  const Diagnosis none = about(examine(config), "public host");
  EXPECT_EQ(none.state, State::kProblem);
  EXPECT_THAT(none.remedy, HasSubstr("record for turn.example.org"));
}

TEST(DoctorReport, RemediesStandBelowWhatTheyMend) {
  const Diagnoses found = {{State::kProblem, "ports", "UDP 3478: taken", "ss -lnpu"},
                           {State::kGood, "clock", "right", ""}};
  EXPECT_EQ(to_text(found),
            "problem  ports: UDP 3478: taken\n"
            "           -> ss -lnpu\n"
            "ok       clock: right\n"
            "1 problem, 0 warnings\n");
  EXPECT_THAT(to_json(found), AllOf(HasSubstr("\"healthy\": false"), HasSubstr("\"problems\": 1"),
                                    HasSubstr("\"remedy\": \"ss -lnpu\"")));
  EXPECT_TRUE(has_problem(found));
}

}  // namespace
}  // namespace turnpike::server
