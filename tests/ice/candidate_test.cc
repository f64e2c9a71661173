#include "ice/candidate.h"

#include <gtest/gtest.h>

#include <string>

namespace turnpike::ice {
namespace {

TEST(Candidate, HostsAreBetterThanReflexiveAndThoseBetterThanRelayed) {
  const auto host = priority_of(CandidateType::kHost, 0);
  const auto peer = priority_of(CandidateType::kPeerReflexive, 65535);
  const auto server = priority_of(CandidateType::kServerReflexive, 65535);
  const auto relayed = priority_of(CandidateType::kRelayed, 65535);
  EXPECT_GT(host, peer);
  EXPECT_GT(peer, server);
  EXPECT_GT(server, relayed);
}

TEST(Candidate, PrioritiesAreThoseOfTheFormula) {
  EXPECT_EQ(priority_of(CandidateType::kHost, 65535), 2130706431u);
  EXPECT_EQ(priority_of(CandidateType::kHost, 65535, 2), 2130706430u);
  EXPECT_EQ(priority_of(CandidateType::kRelayed, 0), 255u);
}

TEST(Candidate, BothSidesComputeOnePairPriorityButForTheTieBreaker) {
  EXPECT_EQ(pair_priority(2, 1), (1ull << 32) + 4 + 1);
  EXPECT_EQ(pair_priority(1, 2), (1ull << 32) + 4);
  EXPECT_EQ(pair_priority(3, 3), (3ull << 32) + 6);
}

TEST(CandidateLine, IsReadAsItWasWritten) {
  Candidate relayed;
  relayed.type = CandidateType::kRelayed;
  relayed.address = {*IpAddress::parse("2001:db8::7"), 49152};
  relayed.priority = 16777215;
  relayed.foundation = "r1";
  relayed.related = Address{IpAddress::v4(192, 0, 2, 1), 5000};
  EXPECT_EQ(to_sdp(relayed),
            "candidate:r1 1 udp 16777215 2001:db8::7 49152 typ relay raddr 192.0.2.1 rport 5000");
  const auto parsed = parse_candidate(to_sdp(relayed));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->candidate, relayed);
  EXPECT_TRUE(parsed->udp);
  EXPECT_EQ(parsed->host_name, "");
}

TEST(CandidateLine, BrowsersLinesAreRead) {
  const auto chromium = parse_candidate(
      "candidate:842163049 1 udp 1677729535 203.0.113.9 46154 typ srflx raddr 0.0.0.0 rport 0 "
      "generation 0 ufrag sXP5 network-cost 999");
  ASSERT_TRUE(chromium);
  EXPECT_EQ(chromium->candidate.type, CandidateType::kServerReflexive);
  EXPECT_EQ(chromium->candidate.foundation, "842163049");
  const auto hidden = parse_candidate(
      "a=candidate:0 1 UDP 2122252543 4a3b1c9e-0a1d-4c2f-9be1-5d2b6d1f0f6e.local 58512 typ host");
  ASSERT_TRUE(hidden);
  EXPECT_TRUE(hidden->udp);
  EXPECT_EQ(hidden->host_name, "4a3b1c9e-0a1d-4c2f-9be1-5d2b6d1f0f6e.local");
  const auto tcp = parse_candidate(
      "candidate:1 1 tcp 1518280447 192.0.2.4 9 typ host tcptype active generation 0");
  ASSERT_TRUE(tcp);
  EXPECT_FALSE(tcp->udp);
}

TEST(CandidateLine, WhatIsNoneIsRefusedWithAReason) {
  const std::string good = "candidate:1 1 udp 5 192.0.2.4 9 typ host";
  ASSERT_TRUE(parse_candidate(good));
  for (const std::string& bad :
       {std::string(), std::string("candidate:"), good.substr(1), good.substr(0, 30),
        std::string("candidate:1 0 udp 5 192.0.2.4 9 typ host"),
        std::string("candidate:1 1 udp five 192.0.2.4 9 typ host"),
        std::string("candidate:1 1 udp 5 192.0.2.4 65536 typ host"),
        std::string("candidate:1 1 udp 99999999999 192.0.2.4 9 typ host"),
        std::string("candidate:1 1 udp 5 192.0.2.4 9 typ hostess"),
        "candidate:" + std::string(33, 'f') + " 1 udp 5 192.0.2.4 9 typ host",
        good + std::string(1024, ' ')}) {
    const auto parsed = parse_candidate(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_FALSE(parsed.error().message.empty());
  }
}

}  // namespace
}  // namespace turnpike::ice
