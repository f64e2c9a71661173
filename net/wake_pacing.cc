#include "net/wake_pacing.h"

namespace turnpike::net {

Duration WakePacing::rest_after(MonoTime now, const Turn& turn) {
  in_window_.inputs += turn.inputs;
  in_window_.worked += turn.worked;
  const Duration elapsed = now - window_begin_;
  if (elapsed >= kWindow) {
    const auto span = static_cast<double>(elapsed.count());
    per_longest_ = in_window_.inputs * static_cast<double>(longest_.count()) / span;
    busy_ = static_cast<double>(in_window_.worked.count()) >= kBusy * span;
    window_begin_ = now;
    in_window_ = {};
  }
  if (per_longest_ < kWorthwhile || busy_ || turn.inputs >= kBatch || now < paused_until_) {
    return {};
  }
  if (per_longest_ <= kBatch) return longest_;
  return Duration(
      static_cast<std::int64_t>(static_cast<double>(longest_.count()) * kBatch / per_longest_));
}

void WakePacing::on_rested(MonoTime now, Duration asked, Duration took) {
  if (took - asked > kLate) ++late_;
  if (++rests_ < kSample) return;
  if (late_ >= kSample / 2) paused_until_ = now + kPause;
  rests_ = late_ = 0;
}

}  // namespace turnpike::net
