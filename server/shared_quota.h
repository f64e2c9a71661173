// SharedQuota: turn::Quota for all workers at once. The total is one atomic; names, minting keys
// and source prefixes are counted in stripes, each with a lock of its own, so that workers rarely
// meet. Touched when an allocation begins and when it ends, never by a packet. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "turn/quota.h"
#include "turn/quota_ledger.h"

namespace turnpike::server {

class SharedQuota final : public turn::Quota {
 public:
  explicit SharedQuota(turn::QuotaLimits limits) { set_limits(limits); }

  // For whoever is charged from now on: what is held stays held, even if it is more.
  void set_limits(const turn::QuotaLimits& limits);

  turn::QuotaVerdict charge(const turn::QuotaSubject& subject) override;
  void release(const turn::QuotaSubject& subject) override;

  std::uint32_t held_by(std::string_view name) const;
  std::uint32_t total() const { return total_.load(std::memory_order_relaxed); }
  // For an audit: everything that is booked, while nobody charges or releases.
  turn::QuotaLedger ledger() const;

 private:
  // Entries live only while somebody holds an allocation, so the tables are bounded by those.
  class Counts {
   public:
    bool add(std::string_view key, std::uint32_t limit);  // false: at the limit, nothing counted
    void subtract(std::string_view key);
    std::uint32_t count(std::string_view key) const;
    template <typename Visitor>
    void for_each(Visitor&& visit) const {
      for (const Stripe& stripe : stripes_) {
        const std::lock_guard lock(stripe.mutex);
        for (const auto& [key, count] : stripe.counts) visit(key, count);
      }
    }

   private:
    struct Stripe {
      mutable std::mutex mutex;
      std::map<std::string, std::uint32_t, std::less<>> counts;
    };
    static constexpr std::size_t kStripes = 64;
    static std::size_t stripe_of(std::string_view key);
    std::array<Stripe, kStripes> stripes_;
  };

  bool add_to_total(std::uint32_t limit);
  bool add_to_address(const IpAddress& client, std::uint32_t limit);
  void subtract_from_address(const IpAddress& client);
  turn::QuotaVerdict charge_name(const turn::QuotaSubject& subject,
                                 const turn::QuotaLimits& limits);

  turn::QuotaLimits limits() const;

  std::atomic<std::uint32_t> per_user_{0};
  std::atomic<std::uint32_t> total_limit_{0};
  std::atomic<std::uint32_t> per_address_{0};
  std::atomic<std::uint32_t> total_{0};
  Counts by_name_;
  Counts by_minting_key_;
  Counts by_prefix_;
  Counts by_address_;
};

}  // namespace turnpike::server
