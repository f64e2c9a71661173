// An ICE candidate (RFC 8445 section 5.1), and how it is written in SDP and in trickled messages
// (RFC 8839 section 5.1). Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/expected.h"

namespace turnpike::ice {

enum class CandidateType : std::uint8_t { kHost, kServerReflexive, kPeerReflexive, kRelayed };
std::string_view name_of(CandidateType type);  // "host", "srflx", "prflx", "relay"

// Where a candidate of ours sends from: a socket, or a relayed transport address. The owner numbers
// them. A server-reflexive candidate has the base of the host candidate it was learnt from.
using Base = std::uint32_t;

struct Candidate {
  CandidateType type = CandidateType::kHost;
  Address address;
  std::uint32_t priority = 0;
  // Candidates of one type, base address and server have one; 1 to 32 characters.
  std::string foundation;
  std::optional<Address> related;  // of a reflexive or relayed one: what it was derived from
  std::uint8_t component = 1;      // 1 RTP, with RTCP multiplexed into it; 2 RTCP

  bool operator==(const Candidate&) const = default;
};

// Section 5.1.2.1. `local_preference` tells interfaces and families apart, 65535 is the best.
std::uint32_t priority_of(CandidateType type, std::uint16_t local_preference,
                          std::uint8_t component = 1);
// Section 6.1.2.3.
std::uint64_t pair_priority(std::uint32_t controlling, std::uint32_t controlled);

// "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host", without "a=".
std::string to_sdp(const Candidate& candidate);

// What a peer sent. A candidate of a name (mDNS, RFC 8828) has `host_name` in place of an IP
// address, for the owner to resolve; one of a transport that is not UDP is told by `udp`, and
// cannot be used.
struct ParsedCandidate {
  Candidate candidate;
  std::string host_name;
  bool udp = true;
};
// Accepts a leading "a=" and extensions behind; the Error says what is wrong with the text.
Expected<ParsedCandidate> parse_candidate(std::string_view line);

}  // namespace turnpike::ice
