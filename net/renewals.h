// Renewals: how often the peer of a TLS connection may have keys made anew once its handshake is
// over. A KeyUpdate (RFC 8446 section 4.6.3) and a new handshake, which is refused (RFC 9325
// section 3.5), cost its sender nothing, this side a derivation of keys or an answer, and OpenSSL
// takes any number of either while it looks for bytes. Who is honest renews after millions of
// records. A value, single thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace turnpike::net {

class Renewals {
 public:
  static constexpr std::int64_t kAtOnce = 64;
  static constexpr seconds kPerRenewal{1};  // then one in this time

  // Before each read.
  void on_time(MonoTime now) {
    if (counted_ == 0) {
      since_ = now;
      return;
    }
    const std::int64_t forgiven = std::min(counted_, (now - since_) / Duration(kPerRenewal));
    counted_ -= forgiven;
    since_ = counted_ == 0 ? now : since_ + forgiven * Duration(kPerRenewal);
  }
  // No: that was one too many.
  [[nodiscard]] bool take() { return ++counted_ <= kAtOnce; }
  bool are_too_many() const { return counted_ > kAtOnce; }

 private:
  std::int64_t counted_ = 0;
  MonoTime since_;
};

}  // namespace turnpike::net
