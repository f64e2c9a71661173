// Which peers a client may reach (RFC 8656 section 21; the relay must not open the operator's own
// network to strangers). An address is canonicalised once, every address embedded in it is judged
// too, allowed ranges win over denied ones, and what the special-purpose registries reserve is
// denied unless allowed by name. Values; built once per configuration, then read only.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/address.h"

namespace turnpike::turn {

// IPv4-mapped, IPv4-compatible, SIIT, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), 6to4 and Teredo
// carry an IPv4 address that may say more than the outer one.
std::optional<IpAddress> embedded_ipv4(const IpAddress& ip);
// IPv4-mapped addresses become IPv4: what the kernel would do with them.
IpAddress canonical(const IpAddress& ip);

class PeerPolicy {
 public:
  struct Rules {
    std::vector<IpRange> allowed;
    std::vector<IpRange> denied;
    // Addresses this process listens or relays on, or is reached by: denied as peers, whatever
    // their range, unless allowed by name. (Live relayed transport addresses are the exception,
    // which the server judges by port.)
    std::vector<IpAddress> own;
  };
  explicit PeerPolicy(Rules rules) : rules_(std::move(rules)) {}
  PeerPolicy() = default;

  enum class Verdict : std::uint8_t { kAllowed, kDenied, kOwn };
  // kOwn: denied as a host of ours, but it may be a relayed address of ours.
  // By precedence: allowed by name, denied by name, our own, special-purpose, everything else.
  Verdict judge(const IpAddress& peer) const;

 private:
  Verdict judge_one(const IpAddress& ip) const;

  Rules rules_;
};

}  // namespace turnpike::turn
