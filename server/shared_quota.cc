#include "server/shared_quota.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"

namespace turnpike::server {
namespace {

std::string_view prefix_key(const IpAddress& prefix) { return as_text(prefix.bytes()); }

// Of what prefix_key() made.
IpAddress prefix_of(std::string_view key) {
  Reader in(as_bytes(key));
  if (key.size() == 4) return IpAddress::v4(in.u32());
  std::array<std::uint8_t, 16> bytes{};
  std::copy_n(key.begin(), std::min(key.size(), bytes.size()), bytes.begin());
  return IpAddress::v6(bytes);
}

}  // namespace

void SharedQuota::set_limits(const turn::QuotaLimits& limits) {
  per_user_.store(limits.per_user, std::memory_order_relaxed);
  total_limit_.store(limits.total, std::memory_order_relaxed);
  per_address_.store(limits.per_address, std::memory_order_relaxed);
}

turn::QuotaLimits SharedQuota::limits() const {
  return {per_user_.load(std::memory_order_relaxed), total_limit_.load(std::memory_order_relaxed),
          per_address_.load(std::memory_order_relaxed)};
}

turn::QuotaVerdict SharedQuota::charge(const turn::QuotaSubject& subject) {
  using turn::QuotaVerdict;
  const turn::QuotaLimits limits = this->limits();
  if (!add_to_total(limits.total)) return QuotaVerdict::kTotalQuotaReached;
  QuotaVerdict verdict = QuotaVerdict::kUserQuotaReached;
  if (add_to_address(subject.client, limits.per_address)) {
    verdict = charge_name(subject, limits);
    if (verdict == QuotaVerdict::kGranted) return verdict;
    subtract_from_address(subject.client);
  }
  total_.fetch_sub(1, std::memory_order_relaxed);
  return verdict;
}

// Counted also where there is no limit: there may be one by the time that it is given back.
bool SharedQuota::add_to_address(const IpAddress& client, std::uint32_t limit) {
  const IpAddress prefix = source_prefix(client);
  return by_address_.add(prefix_key(prefix), limit);
}

void SharedQuota::subtract_from_address(const IpAddress& client) {
  const IpAddress prefix = source_prefix(client);
  by_address_.subtract(prefix_key(prefix));
}

turn::QuotaVerdict SharedQuota::charge_name(const turn::QuotaSubject& subject,
                                            const turn::QuotaLimits& limits) {
  using turn::QuotaVerdict;
  const std::string_view minting_key = turn::minting_key_of(subject.name);
  if (by_name_.add(subject.name, limits.per_user)) {
    if (minting_key.empty()) return QuotaVerdict::kGranted;
    if (by_minting_key_.add(minting_key, limits.per_minting_key())) {
      const IpAddress prefix = source_prefix(subject.client);
      if (by_prefix_.add(prefix_key(prefix), limits.per_source_prefix())) {
        return QuotaVerdict::kGranted;
      }
      by_minting_key_.subtract(minting_key);
    }
    by_name_.subtract(subject.name);
  }
  return QuotaVerdict::kUserQuotaReached;
}

void SharedQuota::release(const turn::QuotaSubject& subject) {
  subtract_from_address(subject.client);
  by_name_.subtract(subject.name);
  const std::string_view minting_key = turn::minting_key_of(subject.name);
  if (!minting_key.empty()) {
    by_minting_key_.subtract(minting_key);
    const IpAddress prefix = source_prefix(subject.client);
    by_prefix_.subtract(prefix_key(prefix));
  }
  CHECK(total_.fetch_sub(1, std::memory_order_relaxed) != 0);
}

std::uint32_t SharedQuota::held_by(std::string_view name) const { return by_name_.count(name); }

turn::QuotaLedger SharedQuota::ledger() const {
  turn::QuotaLedger ledger;
  ledger.total = total();
  by_name_.for_each(
      [&](const std::string& key, std::uint32_t count) { ledger.by_name.emplace(key, count); });
  by_minting_key_.for_each([&](const std::string& key, std::uint32_t count) {
    ledger.by_minting_key.emplace(key, count);
  });
  by_prefix_.for_each([&](const std::string& key, std::uint32_t count) {
    ledger.by_prefix.emplace(prefix_of(key), count);
  });
  by_address_.for_each([&](const std::string& key, std::uint32_t count) {
    ledger.by_address.emplace(prefix_of(key), count);
  });
  return ledger;
}

bool SharedQuota::add_to_total(std::uint32_t limit) {
  std::uint32_t seen = total_.load(std::memory_order_relaxed);
  do {
    if (limit != 0 && seen >= limit) return false;
  } while (!total_.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed));
  return true;
}

bool SharedQuota::Counts::add(std::string_view key, std::uint32_t limit) {
  Stripe& stripe = stripes_[stripe_of(key)];
  const std::lock_guard lock(stripe.mutex);
  const auto entry = stripe.counts.find(key);
  if (entry == stripe.counts.end()) {
    stripe.counts.emplace(key, 1);
    return true;
  }
  if (limit != 0 && entry->second >= limit) return false;
  ++entry->second;
  return true;
}

void SharedQuota::Counts::subtract(std::string_view key) {
  Stripe& stripe = stripes_[stripe_of(key)];
  const std::lock_guard lock(stripe.mutex);
  const auto entry = stripe.counts.find(key);
  CHECK(entry != stripe.counts.end());
  if (--entry->second == 0) stripe.counts.erase(entry);
}

std::uint32_t SharedQuota::Counts::count(std::string_view key) const {
  const Stripe& stripe = stripes_[stripe_of(key)];
  const std::lock_guard lock(stripe.mutex);
  const auto entry = stripe.counts.find(key);
  return entry == stripe.counts.end() ? 0 : entry->second;
}

std::size_t SharedQuota::Counts::stripe_of(std::string_view key) {
  return hash_bytes(as_bytes(key)) % kStripes;
}

}  // namespace turnpike::server
