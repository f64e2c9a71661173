// A relay port that is kept for who brings the token (RFC 8656 section 7.2, EVEN-PORT's R bit), as
// the worker remembers it that made it: for expiry, and for giving back what it was charged. The
// socket itself is the driver's, and a worker whose client brings the token takes it from there.
#pragma once

#include <cstdint>
#include <utility>

#include "base/time.h"
#include "base/timer_wheel.h"
#include "turn/quota.h"
#include "turn/sink.h"

namespace turnpike::turn {

struct Reservation {
  Reservation(ReservationToken its_token, QuotaSubject charged)
      : token(its_token), subject(std::move(charged)) {}

  ReservationToken token;
  QuotaSubject subject;
  Timer expiry;
};

inline constexpr seconds kReservationLifetime{30};       // at least, RFC 8656 section 7.2
inline constexpr std::uint32_t kMaxReservations = 4096;  // of one worker; of all, see the driver

}  // namespace turnpike::turn
