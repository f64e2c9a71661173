#include "turn/quota_ledger.h"

#include <string_view>

namespace turnpike::turn {

namespace {

const std::string& in_words(const std::string& name) { return name; }
std::string in_words(const IpAddress& prefix) { return prefix.to_string(); }

template <typename Counts>
void compare(const std::string& what, const Counts& booked, const Counts& held,
             Findings& findings) {
  for (const auto& [key, count] : booked) {
    const auto found = held.find(key);
    findings.expect_equal(what + in_words(key), count, found == held.end() ? 0 : found->second);
  }
  for (const auto& [key, count] : held) {
    if (!booked.contains(key)) findings.expect_equal(what + in_words(key), 0, count);
  }
}

}  // namespace

void QuotaLedger::charge(const QuotaSubject& subject) {
  const IpAddress prefix = source_prefix(subject.client);
  ++total;
  ++by_name[subject.name];
  ++by_address[prefix];
  const std::string_view key = minting_key_of(subject.name);
  if (key.empty()) return;
  ++by_minting_key[std::string(key)];
  ++by_prefix[prefix];
}

void compare(const QuotaLedger& booked, const QuotaLedger& held, Findings& findings) {
  findings.expect_equal("quota of the whole server", booked.total, held.total);
  compare("quota of ", booked.by_name, held.by_name, findings);
  compare("quota of minting key ", booked.by_minting_key, held.by_minting_key, findings);
  compare("quota of minted names at ", booked.by_prefix, held.by_prefix, findings);
  compare("quota of address ", booked.by_address, held.by_address, findings);
}

}  // namespace turnpike::turn
