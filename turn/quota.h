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
#include <map>
#include <string>
#include <string_view>

#include "base/address.h"

namespace turnpike::turn {

struct QuotaLimits {
  std::uint32_t per_user = 64;  // 0 = unlimited, here and below
  std::uint32_t total = 0;
  std::uint32_t per_address = 0;  // clients' addresses; an IPv6 /64 is one
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

// The counting itself, for one thread at a time. Entries live only while somebody holds an
// allocation, so the tables are bounded by the allocations there are.
class LocalQuota final : public Quota {
 public:
  explicit LocalQuota(QuotaLimits limits) : limits_(limits) {}

  QuotaVerdict charge(const QuotaSubject& subject) override;
  void release(const QuotaSubject& subject) override;

  std::uint32_t held_by(std::string_view name) const;
  std::uint32_t total() const { return total_; }

 private:
  template <typename Key>
  using Counts = std::map<Key, std::uint32_t, std::less<>>;

  QuotaLimits limits_;
  std::uint32_t total_ = 0;
  Counts<std::string> by_name_;
  Counts<std::string> by_minting_key_;
  Counts<IpAddress> by_prefix_;
  Counts<IpAddress> by_address_;
};

}  // namespace turnpike::turn
