// Token buckets that cost one instant each: the bucket is the time at which it will be full again.
// Values, single thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace turnpike::signaling {

struct Rate {
  std::uint32_t burst = 1;  // tokens that pass at once
  Duration per_token{0};    // then one token in this time
};

class TokenBucket {
 public:
  bool take(MonoTime now, const Rate& rate, std::uint32_t tokens = 1) {
    const MonoTime full_at = std::max(full_at_, now) + rate.per_token * tokens;
    if (full_at - now > rate.per_token * rate.burst) return false;
    full_at_ = full_at;
    return true;
  }
  bool has_token(MonoTime now, const Rate& rate) const {
    return TokenBucket(*this).take(now, rate);
  }

 private:
  MonoTime full_at_;
};

// One bucket for each source prefix, in a table of fixed size: strangers cannot make it grow.
// Prefixes that fall on the same bucket share it; the hash is seeded, so nobody can aim.
class SourceThrottle {
 public:
  static constexpr std::size_t kBuckets = 4096;
  explicit SourceThrottle(Rate rate) : rate_(rate), buckets_(kBuckets) {}

  bool take(MonoTime now, const IpAddress& source) { return bucket(source).take(now, rate_); }
  bool has_token(MonoTime now, const IpAddress& source) {
    return bucket(source).has_token(now, rate_);
  }

 private:
  TokenBucket& bucket(const IpAddress& source) {
    return buckets_[hash_value(source_prefix(source)) % kBuckets];
  }
  Rate rate_;
  std::vector<TokenBucket> buckets_;
};

}  // namespace turnpike::signaling
