#include "stun/transaction.h"

namespace turnpike::stun {
namespace {

constexpr Duration kRto = milliseconds(500);
constexpr int kRc = 7;                          // requests sent in all
constexpr int kRm = 16;                         // the wait after the last, in RTOs
constexpr Duration kTi = milliseconds(39'500);  // the time limit over a stream

}  // namespace

Transaction::Transaction(MonoTime now, Reliability reliability)
    : next_(now + (reliability == Reliability::kReliable ? kTi : kRto)),
      interval_(kRto),
      reliability_(reliability) {}

Transaction::Due Transaction::on_time(MonoTime now) {
  if (now < next_) return Due::kNothing;
  if (reliability_ == Reliability::kReliable || sent_ == kRc) {
    next_ = MonoTime::never();
    return Due::kFailed;
  }
  ++sent_;
  interval_ *= 2;
  // From now on and not from the missed instant: a late caller must not send in bursts.
  next_ = now + (sent_ == kRc ? kRto * kRm : interval_);
  return Due::kSend;
}

}  // namespace turnpike::stun
