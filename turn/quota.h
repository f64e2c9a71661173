// How many allocations somebody may hold, charged at Allocate and released at the final free on
// every path. Shared by all workers (server/ wraps LocalQuota in striped locks); packets never
// touch it.
//
// Every name is charged for itself. Names that this server minted end in "~" and eight hexadecimal
// digits that name the minting key ("member-k3Jx...~9af01c22"); they are also charged to that key
// and to the client's source prefix, with wider limits, so that one key or one address cannot take
// the whole server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.h"

namespace turnpike::turn {

struct QuotaLimits {
  std::uint32_t per_user = 64;  // 0 = unlimited, here and below
  std::uint32_t total = 0;
  // Derived, for minted names only; unlimited when per_user is.
  std::uint32_t per_minting_key() const { return per_user * 256; }
  std::uint32_t per_source_prefix() const { return per_user * 16; }
};

struct QuotaSubject {
  std::string name;
  IpAddress client;
};

enum class QuotaVerdict : std::uint8_t { kGranted, kUserQuotaReached, kTotalQuotaReached };

class Quota {
 public:
  virtual ~Quota() = default;
  virtual QuotaVerdict charge(const QuotaSubject& subject) = 0;
  virtual void release(const QuotaSubject& subject) = 0;
};

// The part after "~" of a minted name; empty for every other name.
std::string_view minting_key_of(std::string_view name);

}  // namespace turnpike::turn
