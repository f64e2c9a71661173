// QuotaLedger: to whom how much is booked, in all the ways in which Quota counts (quota.h). Made
// from a Quota's tables and from the allocations there are, the two must say the same: an audit
// compares them. Values only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/address.h"
#include "base/findings.h"
#include "turn/quota.h"

namespace turnpike::turn {

struct QuotaLedger {
  std::uint64_t total = 0;
  std::map<std::string, std::uint32_t> by_name;
  std::map<std::string, std::uint32_t> by_minting_key;
  std::map<IpAddress, std::uint32_t> by_prefix;  // of minted names
  std::map<IpAddress, std::uint32_t> by_address;

  void charge(const QuotaSubject& subject);
};

// `booked` is what the quota says, `held` what there is.
void compare(const QuotaLedger& booked, const QuotaLedger& held, Findings& findings);

}  // namespace turnpike::turn
