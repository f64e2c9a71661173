#include "turn/throttle.h"

#include <algorithm>

namespace turnpike::turn {

Throttle::Throttle(std::uint32_t per_second, std::uint32_t burst) {
  if (per_second == 0) return;
  interval_ = std::max(Duration(1), Duration(seconds(1)) / per_second);
  tolerance_ = interval_ * std::max(burst, 1u);
  full_at_.assign(kCells, MonoTime{Duration::min()});
}

bool Throttle::allow(const IpAddress& sender, MonoTime now) {
  if (full_at_.empty()) return true;
  MonoTime& full_at = full_at_[hash_value(source_prefix(sender)) % kCells];
  const MonoTime next = std::max(full_at, now) + interval_;
  if (next - now > tolerance_) return false;
  full_at = next;
  return true;
}

}  // namespace turnpike::turn
