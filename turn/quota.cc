#include "turn/quota.h"

#include <algorithm>

#include "base/check.h"

namespace turnpike::turn {

namespace {

constexpr std::size_t kMintingKeyDigits = 8;

template <typename Counts, typename Key>
std::uint32_t count_of(const Counts& counts, const Key& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

template <typename Counts, typename Key>
void decrement(Counts& counts, const Key& key) {
  const auto found = counts.find(key);
  CHECK(found != counts.end());  // released twice, or never charged
  if (--found->second == 0) counts.erase(found);
}

}  // namespace

std::string_view minting_key_of(std::string_view name) {
  if (name.size() < kMintingKeyDigits + 1) return {};
  const std::string_view key = name.substr(name.size() - kMintingKeyDigits);
  if (name[name.size() - kMintingKeyDigits - 1] != '~') return {};
  const bool hexadecimal = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  return hexadecimal ? key : std::string_view{};
}

QuotaVerdict LocalQuota::charge(const QuotaSubject& subject) {
  const std::string_view key = minting_key_of(subject.name);
  const IpAddress prefix = source_prefix(subject.client);
  if (limits_.total != 0 && total_ >= limits_.total) return QuotaVerdict::kTotalQuotaReached;
  if (limits_.per_user != 0) {
    if (count_of(by_name_, subject.name) >= limits_.per_user) {
      return QuotaVerdict::kUserQuotaReached;
    }
    if (!key.empty() && (count_of(by_minting_key_, key) >= limits_.per_minting_key() ||
                         count_of(by_prefix_, prefix) >= limits_.per_source_prefix())) {
      return QuotaVerdict::kUserQuotaReached;
    }
  }
  if (limits_.per_address != 0 && count_of(by_address_, prefix) >= limits_.per_address) {
    return QuotaVerdict::kUserQuotaReached;
  }
  ++total_;
  ++by_name_[subject.name];
  if (limits_.per_address != 0) ++by_address_[prefix];
  if (!key.empty()) {
    ++by_minting_key_[std::string(key)];
    ++by_prefix_[prefix];
  }
  return QuotaVerdict::kGranted;
}

void LocalQuota::release(const QuotaSubject& subject) {
  CHECK(total_ > 0);
  --total_;
  decrement(by_name_, subject.name);
  if (limits_.per_address != 0) decrement(by_address_, source_prefix(subject.client));
  if (const std::string_view key = minting_key_of(subject.name); !key.empty()) {
    decrement(by_minting_key_, key);
    decrement(by_prefix_, source_prefix(subject.client));
  }
}

std::uint32_t LocalQuota::held_by(std::string_view name) const { return count_of(by_name_, name); }

}  // namespace turnpike::turn
