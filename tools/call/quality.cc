#include "tools/call/quality.h"

#include <algorithm>
#include <cmath>

namespace turnpike::call {
namespace {

constexpr double kBestRating = 93.2;  // R with all parameters at their defaults
constexpr double kPacketMs = 20, kLookAheadMs = 6.5;
constexpr double kEquipment = 0, kRobustness = 25.1;  // Ie and Bpl

// Idd, the impairment by delay alone, with perfect echo cancellation (G.107 section 7.4).
double delay_impairment(double milliseconds) {
  constexpr double kFree = 100;
  if (milliseconds <= kFree) return 0;
  const double x = std::log2(milliseconds / kFree);
  const double sixth = 1.0 / 6;
  return 25 *
         (std::pow(1 + std::pow(x, 6), sixth) - 3 * std::pow(1 + std::pow(x / 3, 6), sixth) + 2);
}

// Ie-eff (section 7.5) with BurstR 1: losses at random.
double loss_impairment(double percent) {
  return kEquipment + (95 - kEquipment) * percent / (percent + kRobustness);
}

}  // namespace

double rating_of(const Conditions& conditions) {
  const double delay = conditions.delay_ms + 2 * conditions.jitter_ms + kPacketMs + kLookAheadMs;
  const double percent = std::clamp(conditions.loss, 0.0, 1.0) * 100;
  return std::clamp(kBestRating - delay_impairment(delay) - loss_impairment(percent), 0.0, 100.0);
}

double mos_of_rating(double rating) {
  if (rating <= 0) return 1;
  if (rating >= 100) return 4.5;
  const double mos = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6;
  return std::max(1.0, mos);  // the polynomial dips below 1 for very small R
}

}  // namespace turnpike::call
